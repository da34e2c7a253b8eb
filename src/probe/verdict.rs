//! From what became of the questions to a report: does the server work for a client, and if not, why.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::answer::Answer;
use super::fault::{Fault, Warning};
use super::inquiry::{Inquiry, Outcome};
use super::nat::{Kind, Nat, Seen};
use super::question::{Question, Target};
use crate::wire::TEREDO_PORT;
use crate::wire::address::{ServicePrefix, TeredoAddress};
use crate::wire::scope::{is_global_unicast, is_never_unicast};

/// The local ends of the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Of the service port.
    pub service: SocketAddrV4,
    /// Of the other port.
    pub other: SocketAddrV4,
}

/// What is known of a server once it was asked.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whom it is about.
    pub target: Target,
    /// Why no client can use the server; it works if there is none.
    pub faults: Vec<Fault>,
    /// What is odd and keeps no client away.
    pub warnings: Vec<Warning>,
    /// The NAT between here and there, where the server works.
    pub nat: Option<Nat>,
    /// The answer to the question that every client asks.
    pub primary: Option<Answer>,
    /// That of the secondary address.
    pub secondary: Option<Answer>,
    /// That to the cone solicitation.
    pub cone: Option<Answer>,
    /// The Teredo address of a client at the service port, with flags 0: where the server works and no symmetric NAT is between.
    pub address: Option<TeredoAddress>,
}

impl Report {
    /// Judges what became of the questions, for clients of the service `prefix`.
    #[must_use]
    pub fn new(inquiry: &Inquiry, local: &Local, prefix: ServicePrefix) -> Self {
        let target = *inquiry.target();
        let outcome = |question| inquiry.outcome(question);
        // One question from two ports: what one port's answer was lost of, the other's says.
        let primary = better(outcome(Question::Primary), outcome(Question::First));
        let (cone, second) = (outcome(Question::Cone), outcome(Question::Second));
        let answers = [&primary, &second, &cone].map(Outcome::answer);
        let mut report = Self {
            target,
            faults: Vec::new(),
            warnings: Vec::new(),
            nat: None,
            primary: answers[0].copied(),
            secondary: answers[1].copied(),
            cone: answers[2].copied(),
            address: None,
        };
        report.judge(&primary, &second, &cone, local, prefix);
        if report.works() {
            report.conclude(inquiry, local, prefix);
        }
        report
    }

    /// Whether a client could use the server.
    #[must_use]
    pub fn works(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether the fault is of this host, or of its network, so that nothing is known of the server.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.faults.first(), Some(Fault::Failed(_)))
    }

    /// How long the answer took that every client waits for.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.primary.map(|answer| answer.after)
    }

    /// A report of what could not be asked, and why.
    #[must_use]
    pub fn failed(target: Target, why: String) -> Self {
        Self {
            target,
            faults: vec![Fault::Failed(why)],
            warnings: Vec::new(),
            nat: None,
            primary: None,
            secondary: None,
            cone: None,
            address: None,
        }
    }

    fn judge(
        &mut self,
        primary: &Outcome,
        second: &Outcome,
        cone: &Outcome,
        local: &Local,
        prefix: ServicePrefix,
    ) {
        let silent_primary = match primary {
            Outcome::Answered(answer) => {
                if let Some(fault) = self.prefix_fault(answer, cone.answer(), prefix) {
                    // It is not the server that was meant: what else it does is beside the point.
                    self.faults.push(fault);
                    return;
                }
                false
            }
            Outcome::Unfit { from, why } => {
                self.add_fault(Fault::Unfit(*from, *why));
                false
            }
            Outcome::Refused => {
                self.add_fault(Fault::Refused);
                true
            }
            Outcome::Failed(why) => {
                self.add_fault(Fault::Failed(why.clone()));
                true
            }
            Outcome::Silent | Outcome::Unasked => {
                self.add_fault(Fault::Silent);
                true
            }
        };
        if let (true, Outcome::Silent | Outcome::Refused | Outcome::Failed(_) | Outcome::Unasked) =
            (silent_primary, second)
        {
            // Neither answers: one sentence says it.
            return;
        }
        self.judge_second(second, primary.answer());
        self.judge_cone(cone);
        for answer in [primary, second, cone]
            .into_iter()
            .filter_map(Outcome::answer)
        {
            self.judge_mapped(answer, local);
            self.judge_mtu(answer);
            if answer.key_retired {
                self.warn(Warning::KeyRetired);
            }
        }
        self.judge_source(primary, self.target.primary);
        if let Some(secondary) = self.target.secondary {
            self.judge_source(second, secondary);
        }
    }

    fn judge_second(&mut self, second: &Outcome, primary: Option<&Answer>) {
        match (second, self.target.secondary) {
            (Outcome::Answered(answer), _) => {
                if let Some(primary) = primary.filter(|primary| primary.prefix != answer.prefix) {
                    self.add_fault(Fault::Disagree(primary.prefix, answer.prefix));
                }
            }
            (Outcome::Unfit { from, why }, _) => self.add_fault(Fault::Unfit(*from, *why)),
            (Outcome::Refused, Some(secondary)) => {
                self.add_fault(Fault::SecondaryRefused(secondary))
            }
            (Outcome::Failed(why), Some(_)) => self.add_fault(Fault::SecondaryFailed(why.clone())),
            (Outcome::Silent, Some(secondary)) => self.add_fault(Fault::SecondarySilent(secondary)),
            (_, None) | (Outcome::Unasked, _) => {}
        }
    }

    /// Its answer has to come from the secondary address and its Teredo port; that there is none proves nothing.
    fn judge_cone(&mut self, cone: &Outcome) {
        let expected = Question::Cone.answered_from(&self.target);
        match (cone, expected) {
            (Outcome::Answered(answer), Some(expected)) if answer.from != expected => {
                self.add_fault(Fault::ConeFrom(answer.from, expected));
            }
            (Outcome::Answered(answer), _) => {
                let other = self
                    .primary
                    .filter(|primary| primary.prefix != answer.prefix);
                if let Some(primary) = other {
                    self.add_fault(Fault::Disagree(primary.prefix, answer.prefix));
                }
            }
            (Outcome::Unfit { from, why }, _) => self.add_fault(Fault::Unfit(*from, *why)),
            _ => {}
        }
    }

    /// The prefix has to be that of the service and of the address that was asked (RFC 4380 section 5.2.1).
    fn prefix_fault(
        &self,
        answer: &Answer,
        cone: Option<&Answer>,
        prefix: ServicePrefix,
    ) -> Option<Fault> {
        let Some(TeredoAddress { server, .. }) = TeredoAddress::parse(prefix, answer.prefix) else {
            return Some(Fault::NotService(answer.prefix, prefix));
        };
        let asked = self.target.primary;
        if server == asked {
            return None;
        }
        let answers_cone = cone.is_some_and(|cone| *cone.from.ip() == server);
        if next(server) == asked || answers_cone {
            return Some(Fault::IsSecondary(server));
        }
        let behind_nat = is_global_unicast(asked) && !is_global_unicast(server);
        Some(match behind_nat {
            true => Fault::BehindNat(server),
            false => Fault::OtherServer(server),
        })
    }

    fn judge_mapped(&mut self, answer: &Answer, local: &Local) {
        let (mapped, here) = (answer.mapped, local.service.ip());
        let no_address = mapped.port() == 0 || is_never_unicast(*mapped.ip());
        // A laboratory's server has a laboratory's clients.
        let private = is_global_unicast(self.target.primary) && !is_global_unicast(*mapped.ip());
        if no_address || (private && mapped.ip() != here) {
            self.add_fault(Fault::Mapped(mapped));
        } else if private {
            self.warn(Warning::MappedPrivate(mapped));
        }
    }

    fn judge_mtu(&mut self, answer: &Answer) {
        if !(MTU_MIN..=MTU_MAX).contains(&answer.mtu) {
            self.warn(Warning::Mtu(answer.mtu));
        }
    }

    fn judge_source(&mut self, outcome: &Outcome, asked: Ipv4Addr) {
        let expected = SocketAddrV4::new(asked, TEREDO_PORT);
        if let Some(answer) = outcome.answer().filter(|answer| answer.from != expected) {
            self.add_fault(Fault::AnsweredFrom(answer.from, expected));
        }
    }

    /// What a client here would get.
    fn conclude(&mut self, inquiry: &Inquiry, local: &Local, prefix: ServicePrefix) {
        let outcome = |question| inquiry.outcome(question).answer().copied();
        let Some(service) = outcome(Question::Primary) else {
            return;
        };
        let (first, second) = (outcome(Question::First), outcome(Question::Second));
        let nat = Nat::from_seen(&Seen {
            service: local.service,
            other: local.other,
            mapped: service.mapped,
            cone: self.cone.as_ref(),
            cone_asked: self.target.secondary.is_some(),
            first: first.as_ref(),
            second: second.as_ref(),
        });
        self.nat = Some(nat);
        if nat.kind != Kind::Symmetric {
            self.address = Some(TeredoAddress {
                prefix,
                server: self.target.primary,
                flags: 0,
                mapped: service.mapped,
            });
        }
    }

    /// Each fault once: that both addresses send the same nonsense needs no saying twice.
    fn add_fault(&mut self, fault: Fault) {
        let same = |known: &Fault| match (known, &fault) {
            (Fault::Unfit(_, known), Fault::Unfit(_, why)) => known == why,
            _ => *known == fault,
        };
        if !self.faults.iter().any(same) {
            self.faults.push(fault);
        }
    }

    fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// The smallest MTU of IPv6 in bytes (RFC 8200 section 5).
const MTU_MIN: u32 = 1280;
/// What an Ethernet of 1500 bytes leaves beside IPv4 and UDP headers.
const MTU_MAX: u32 = 1472;

/// The address after another one, where a server's secondary address is unless somebody says otherwise.
#[must_use]
pub fn next(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits().wrapping_add(1))
}

/// The outcome that says more.
fn better(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Answered(_) => 0,
        Outcome::Unfit { .. } => 1,
        Outcome::Refused => 2,
        Outcome::Failed(_) => 3,
        Outcome::Silent | Outcome::Unasked => 4,
    };
    match rank(&one) <= rank(&other) {
        true => one,
        false => other,
    }
}
