//! What the kernel's answers to sends come to, datagram by datagram.

use std::net::SocketAddrV4;
use std::thread;

use nix::errno::Errno;

use crate::contract::SendReport;
use crate::error::is_full;

/// Enters into `report` what the kernel said of a row of datagrams, the first of which goes to `to`; returns how many are
/// done with. None are that are to be tried again, of which `retries` are left.
///
/// An error speaks of the first datagram alone: what the next one meets, the next call tells.
pub(super) fn settle(
    outcome: nix::Result<usize>,
    to: SocketAddrV4,
    retries: &mut usize,
    report: &mut SendReport,
) -> usize {
    match outcome {
        Ok(sent) => {
            let sent = sent.max(1);
            report.sent = report.sent.saturating_add(sent);
            return sent;
        }
        Err(Errno::EINTR) => return 0,
        Err(Errno::EAGAIN) if *retries > 0 => {
            *retries = retries.saturating_sub(1);
            thread::yield_now();
            return 0;
        }
        Err(error) if is_full(error) => report.no_room(to),
        Err(error) => report.refused(to, error.into()),
    }
    1
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::contract::Outgoing;
    use crate::contract::Via::Primary;
    use crate::udp::plain;

    /// A kernel that answers as it is told, and then takes everything.
    struct Kernel {
        answers: VecDeque<nix::Result<()>>,
        /// The ports to which something was offered, in order.
        offered: Vec<u16>,
    }

    impl Kernel {
        fn offer(&mut self, port: u16) -> nix::Result<usize> {
            self.offered.push(port);
            self.answers.pop_front().unwrap_or(Ok(())).map(|()| 1)
        }
    }

    fn to(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), port)
    }

    /// Datagrams to ports 0 to 4, through a loop that calls such a kernel.
    type Loop = fn(&mut Kernel, usize, &mut SendReport);

    fn datagrams() -> impl Iterator<Item = Outgoing<'static>> {
        (0..5).map(|port| Outgoing {
            via: Primary,
            to: to(port),
            bytes: b"datagram",
        })
    }

    const PLAIN: Loop = |kernel, retries, report| {
        plain::send_by(datagrams(), retries, report, |datagram| {
            kernel.offer(datagram.to.port())
        });
    };

    #[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
    const MMSG: Loop = |kernel, retries, report| {
        crate::udp::Mmsg::default().send_by(datagrams(), retries, report, |headers| {
            // As sendmmsg(2): an error is told of the first alone.
            let first = 5 - u16::try_from(headers.len()).unwrap();
            let mut taken = 0;
            for port in first..5 {
                if taken > 0 && kernel.answers.front().is_some_and(Result::is_err) {
                    break;
                }
                taken += kernel.offer(port)?;
            }
            Ok(taken)
        });
    };

    #[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
    const LOOPS: [Loop; 2] = [PLAIN, MMSG];
    #[cfg(not(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd")))]
    const LOOPS: [Loop; 1] = [PLAIN];

    /// What was offered, sent, had no room and was refused.
    fn outcome(
        send: Loop,
        answers: impl IntoIterator<Item = nix::Result<()>>,
        retries: usize,
    ) -> (Vec<u16>, SendReport) {
        let answers = answers.into_iter().collect();
        let (mut kernel, mut report) = (
            Kernel {
                answers,
                offered: Vec::new(),
            },
            SendReport::default(),
        );
        send(&mut kernel, retries, &mut report);
        let all = [report.sent, report.would_block, report.failed];
        assert_eq!(all.iter().sum::<usize>(), 5);
        (kernel.offered, report)
    }

    #[test]
    fn one_without_room_stops_no_other() {
        for (full, send) in [Errno::EAGAIN, Errno::ENOBUFS]
            .into_iter()
            .flat_map(|full| LOOPS.map(|send| (full, send)))
        {
            let (offered, report) = outcome(send, [Ok(()), Err(full)], 0);
            assert_eq!(offered, [0, 1, 2, 3, 4]);
            assert_eq!((report.sent, report.would_block), (4, 1));
            assert_eq!(report.full, Some(to(1)));
        }
    }

    #[test]
    fn would_block_is_tried_again() {
        for send in LOOPS {
            let (offered, report) = outcome(send, [Ok(()), Err(Errno::EAGAIN)], 2);
            assert_eq!(offered, [0, 1, 1, 2, 3, 4]);
            assert_eq!((report.sent, report.full), (5, None));
            // ENOBUFS is a full queue of the link, which a yield does not empty.
            let (offered, report) = outcome(send, [Err(Errno::ENOBUFS)], 2);
            assert_eq!((offered.len(), report.sent), (5, 4));
        }
    }

    #[test]
    fn retries_have_an_end() {
        for send in LOOPS {
            let (offered, report) = outcome(send, [Err(Errno::EAGAIN); 100], 10);
            assert_eq!(offered.len(), 15);
            assert_eq!((report.would_block, report.full), (5, Some(to(4))));
        }
    }

    #[test]
    fn a_refusal_names_its_destination() {
        for send in LOOPS {
            let answers = [Err(Errno::EINTR), Ok(()), Err(Errno::EPERM)];
            let (offered, report) = outcome(send, answers, 0);
            assert_eq!(offered, [0, 0, 1, 2, 3, 4]);
            assert_eq!((report.sent, report.failed), (4, 1));
            let (refused, error) = report.error.unwrap();
            assert_eq!(refused, to(1));
            assert_eq!(error.raw_os_error(), Some(Errno::EPERM as i32));
        }
    }
}
