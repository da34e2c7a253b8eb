//! The metrics, by their names.

use crate::daemon::status::{Count, State, Status};
use crate::exposition::{Exposition, Format, Kind, labels};
use crate::verdict::{Loss, Outcome};

/// What the server does and has counted, as text.
#[must_use]
pub fn page(status: &Status, format: Format) -> String {
    let mut text = Exposition::new(format);
    for outcome in Outcome::ALL {
        let label = match outcome {
            Outcome::Received => "address",
            Outcome::Sent => "kind",
            Outcome::Dropped => "reason",
            Outcome::Lost => "cause",
        };
        let counters = of(status, outcome);
        let samples = counters.map(|counter| (labels(&[(label, &counter.name)]), counter.count));
        let name = format!("teredo_server_{outcome}");
        text.family(Kind::Counter, &name, &sentence(outcome.meaning()), samples);
    }
    let mut lost = of(status, Outcome::Lost);
    let overflow = lost.find(|counter| counter.name == Loss::Overflow.as_str());
    text.family(
        Kind::Counter,
        "teredo_server_kernel_drops",
        "Datagrams that the kernel dropped because the receive buffer was full.",
        overflow.map(|counter| (String::new(), counter.count)),
    );
    text.family(
        Kind::Counter,
        "teredo_server_restarts",
        "Workers that died.",
        [(String::new(), status.restarts)],
    );
    let result = |result| labels(&[("result", result)]);
    text.family(
        Kind::Counter,
        "teredo_server_reloads",
        "Reloads of the configuration.",
        [
            (result("succeeded"), status.reloads),
            (result("refused"), status.reloads_refused),
        ],
    );
    text.family(
        Kind::Gauge,
        "teredo_server_serving",
        "Whether a worker serves.",
        [(String::new(), u8::from(status.state != State::NotServing))],
    );
    text.family(
        Kind::Gauge,
        "teredo_server_accelerated",
        "Interfaces where the network driver answers and drops.",
        status.accelerated.iter().map(|accelerated| {
            let interface = ("interface", accelerated.interface.as_str());
            (labels(&[interface, ("mode", &accelerated.mode)]), 1)
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_server_start_time_seconds",
        "When the server started, in seconds since 1970.",
        [(String::new(), status.start_time_seconds)],
    );
    text.family(
        Kind::Info,
        "teredo_server_build",
        "The version of the server.",
        [(labels(&[("version", &status.version)]), 1)],
    );
    text.finish()
}

fn of(status: &Status, outcome: Outcome) -> impl Iterator<Item = &Count> {
    let counters = status.counters.iter();
    counters.filter(move |counter| counter.outcome == outcome.as_str())
}

/// The words of the manual page, as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Counters, Entry};

    #[test]
    fn every_counter_is_there() {
        let mut counters = Counters::new();
        counters.receive(Entry::Secondary);
        counters.lose(Loss::Overflow, 7);
        let status = Status::example(&counters);
        let text = page(&status, Format::Text);
        for counter in &status.counters {
            let sample = format!("=\"{}\"}} {}\n", counter.name, counter.count);
            assert!(text.contains(&sample), "{sample}");
        }
        for line in [
            "# HELP teredo_server_received_total Datagrams that the server read.\n",
            "# TYPE teredo_server_received_total counter\n",
            "teredo_server_received_total{address=\"secondary address\"} 1\n",
            "teredo_server_lost_total{cause=\"no room to receive\"} 7\n",
            "teredo_server_kernel_drops_total 7\n",
            "teredo_server_restarts_total 4\n",
            "teredo_server_reloads_total{result=\"succeeded\"} 3\n",
            "teredo_server_reloads_total{result=\"refused\"} 1\n",
            "teredo_server_serving 1\n",
            "teredo_server_accelerated{interface=\"eth1\",mode=\"generic\"} 1\n",
            "teredo_server_start_time_seconds 1700000000\n",
            "teredo_server_build_info{version=\"0.1.0\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(page(&status, Format::OpenMetrics).ends_with("} 1\n# EOF\n"));
    }
}
