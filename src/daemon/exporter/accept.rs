//! Which format a client wants, by its Accept header (RFC 9110 section 12.5.1).

use crate::exposition::Format;

/// The format of an answer: OpenMetrics where the client names it, in this version or none, and does not want the other more.
#[must_use]
pub fn format(accept: &str) -> Format {
    let ranges = || accept.split(',').map(Range::read);
    let of = |name| {
        let qualities = ranges().filter(move |range| range.name.eq_ignore_ascii_case(name));
        qualities
            .map(|range| match range.version {
                None | Some("1.0.0") | Some("0.0.4") => range.quality,
                Some(_) => 0,
            })
            .max()
    };
    let open_metrics = of("application/openmetrics-text").unwrap_or_default();
    // The most specific range counts.
    let text = of("text/plain").or_else(|| of("text/*"));
    let text = text.or_else(|| of("*/*")).unwrap_or_default();
    match open_metrics > 0 && open_metrics >= text {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

/// A part of the header.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let mut words = text.split(';').map(str::trim);
        let mut range = Self {
            name: words.next().unwrap_or_default(),
            version: None,
            quality: 1000,
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            } else if name.eq_ignore_ascii_case("q") {
                range.quality = quality(value);
            }
        }
        range
    }
}

/// A weight in thousandths (RFC 9110 section 12.4.2). What is none weighs nothing.
fn quality(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits) {
        ("1", true) => 1000,
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_for_whoever_asks() {
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=none", Format::Text),
            (
                "application/openmetrics-text;q=0.5,text/plain;q=0.6",
                Format::Text,
            ),
            (
                "application/openmetrics-text;q=0.6,text/*;q=0.5",
                Format::OpenMetrics,
            ),
            // Prometheus 2.42, then 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
    }
}
