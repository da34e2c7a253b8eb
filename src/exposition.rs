//! Metrics as text for Prometheus: in its own format, version 0.0.4, or as OpenMetrics 1.0.
//!
//! Of the crates that are widely used, `prometheus` writes the first alone and `prometheus-client` the second alone, and both want
//! to count themselves. Here numbers are counted already, and either format is a few lines.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Its media type, with the parameters that Prometheus looks at.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that never falls while the process lives. Its samples have the suffix `_total`.
    Counter,
    /// A number that may fall.
    Gauge,
    /// A constant 1 whose labels tell something. Its samples have the suffix `_info`.
    Info,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
        }
    }

    fn name(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Info, Format::OpenMetrics) => "info",
            (Self::Gauge, _) | (Self::Info, Format::Text) => "gauge",
        }
    }
}

/// Units that the end of a name tells.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// A text that grows by a metric at a time.
#[derive(Clone, Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// No metric yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let text = String::new();
        Self { format, text }
    }

    /// Adds a metric with its samples, each of [`labels`] and a value. `name` has no suffix of its kind. Labels that come again
    /// are left out: a second sample would spoil the whole text. Without a sample nothing is added.
    pub fn family<V: Display>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        let (mut seen, mut lines) = (BTreeSet::new(), String::new());
        let suffix = kind.suffix();
        for (labels, value) in samples {
            if !seen.contains(&labels) {
                add(&mut lines, format_args!("{name}{suffix}{labels} {value}\n"));
                seen.insert(labels);
            }
        }
        if lines.is_empty() {
            return;
        }
        // The older format knows samples alone, the newer one families of them.
        let suffix = match self.format {
            Format::Text => suffix,
            Format::OpenMetrics => "",
        };
        let (help, kind) = (escaped(help, false), kind.name(self.format));
        let text = &mut self.text;
        add(text, format_args!("# HELP {name}{suffix} {help}\n"));
        add(text, format_args!("# TYPE {name}{suffix} {kind}\n"));
        let unit = name.rsplit('_').next().unwrap_or_default();
        if self.format == Format::OpenMetrics && UNITS.contains(&unit) {
            add(text, format_args!("# UNIT {name} {unit}\n"));
        }
        text.push_str(&lines);
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Labels with their values as they stand in a sample; nothing where there are none.
#[must_use]
pub fn labels(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (label, value) in labels {
        let separator = if text.is_empty() { '{' } else { ',' };
        let value = escaped(value, true);
        add(&mut text, format_args!("{separator}{label}=\"{value}\""));
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    match quotes {
        true => text.replace('"', "\\\""),
        false => text,
    }
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Nothing fails that is written to a string.
    let _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut exposition = Exposition::new(format);
        let sample = |kind: &str, count: u64| (labels(&[("kind", kind)]), count);
        let samples = [sample("a", 1), sample("b", 2), sample("a", 3)];
        exposition.family(Kind::Counter, "x_sent", "Sent, in \\all.", samples);
        exposition.family(
            Kind::Gauge,
            "x_time_seconds",
            "A time.",
            [(String::new(), 5)],
        );
        let version = labels(&[("version", "1"), ("odd", "\"\\\n")]);
        exposition.family(Kind::Info, "x_build", "A version.", [(version, 1)]);
        exposition.family(
            Kind::Gauge,
            "x_nothing",
            "Not here.",
            [(); 0].map(|()| (String::new(), 0)),
        );
        exposition.finish()
    }

    #[test]
    fn each_format_has_its_form() {
        let samples = [
            "x_sent_total{kind=\"a\"} 1\nx_sent_total{kind=\"b\"} 2\n",
            "x_time_seconds 5\n",
            "x_build_info{version=\"1\",odd=\"\\\"\\\\\\n\"} 1\n",
        ];
        let [sent, time, build] = samples;
        assert_eq!(
            written(Format::Text),
            format!(
                "# HELP x_sent_total Sent, in \\\\all.\n# TYPE x_sent_total counter\n{sent}\
                 # HELP x_time_seconds A time.\n# TYPE x_time_seconds gauge\n{time}\
                 # HELP x_build_info A version.\n# TYPE x_build_info gauge\n{build}"
            )
        );
        assert_eq!(
            written(Format::OpenMetrics),
            format!(
                "# HELP x_sent Sent, in \\\\all.\n# TYPE x_sent counter\n{sent}\
                 # HELP x_time_seconds A time.\n# TYPE x_time_seconds gauge\n# UNIT x_time_seconds seconds\n{time}\
                 # HELP x_build A version.\n# TYPE x_build info\n{build}# EOF\n"
            )
        );
    }
}
