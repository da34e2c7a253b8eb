//! A request of HTTP/1.1 (RFC 9112), and the answer to it. Only metrics are here, to be read.

use std::fmt::Write;
use std::time::SystemTime;

use httparse::{EMPTY_HEADER, Error, Request, Status};

use super::accept;
use crate::exposition::Format;

/// Most octets of a request line and its headers. Those of Prometheus take about five hundred.
pub const MAX_LEN: usize = 4096;

/// Most headers.
const HEADERS: usize = 64;

/// Where the metrics are.
pub const PATH: &str = "/metrics";

/// Writes the metrics.
pub type Page<'a> = &'a dyn Fn(Format) -> String;

/// The answer to what a client has sent so far, or none if more is to come.
#[must_use]
pub fn answer(received: &[u8], page: Page<'_>) -> Option<Vec<u8>> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(received) {
        Ok(Status::Complete(_)) => Some(to(&request, page)),
        Ok(Status::Partial) if received.len() < MAX_LEN => None,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => {
            Some(refusal("431 Request Header Fields Too Large", ""))
        }
        Err(Error::Version) => Some(refusal("505 HTTP Version Not Supported", "")),
        Err(_) => Some(refusal("400 Bad Request", "")),
    }
}

fn to(request: &Request<'_, '_>, page: Page<'_>) -> Vec<u8> {
    // RFC 9112 section 3.2.
    let hosts = of(request, "host").count();
    if hosts > 1 || hosts == 0 && request.version == Some(1) {
        return refusal("400 Bad Request", "");
    }
    if path(request.path.unwrap_or_default()) != PATH {
        return refusal("404 Not Found", "");
    }
    let with_body = match request.method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return refusal("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
    };
    // Fields of one name are one list (RFC 9110 section 5.3).
    let accepted: Vec<_> = of(request, "accept").map(String::from_utf8_lossy).collect();
    let format = accept::format(&accepted.join(","));
    written(
        "200 OK",
        "Vary: Accept\r\n",
        format.media_type(),
        &page(format),
        with_body,
    )
}

/// The values of the headers of a name.
fn of<'a>(request: &'a Request<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let headers = request.headers.iter();
    let named = headers.filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value)
}

/// The path of a request target, also in the form that is for proxies, which a server takes too (RFC 9112 section 3.2).
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some(("http", rest)) => rest.find('/').and_then(|at| rest.get(at..)),
        _ => Some(target),
    };
    let path = path.unwrap_or("/");
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn refusal(status: &str, header: &str) -> Vec<u8> {
    let body = format!("{status}: metrics are at {PATH}\n");
    written(status, header, "text/plain; charset=utf-8", &body, true)
}

fn written(status: &str, header: &str, media_type: &str, body: &str, with_body: bool) -> Vec<u8> {
    let (date, length) = (httpdate::fmt_http_date(SystemTime::now()), body.len());
    let mut text = String::new();
    // Nothing fails that is written to a string.
    let _ = write!(
        text,
        "HTTP/1.1 {status}\r\nDate: {date}\r\nConnection: close\r\n{header}\
         Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    if with_body {
        text.push_str(body);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(request: &[u8]) -> Option<String> {
        let answer = answer(request, &|format| format!("{format:?}"))?;
        Some(String::from_utf8(answer).unwrap())
    }

    fn asked(request: &str) -> String {
        answered(request.as_bytes()).unwrap()
    }

    const HOST: &str = "Host: h\r\n\r\n";

    #[test]
    fn metrics_are_answered() {
        let answer = asked(&format!("GET /metrics HTTP/1.1\r\n{HOST}"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\nVary: Accept\r\n"));
        let end = "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 4\r\n\r\n";
        assert!(answer.ends_with(&format!("{end}Text")), "{answer}");
        let head = asked(&format!("HEAD /metrics HTTP/1.1\r\n{HOST}"));
        assert!(head.ends_with(end), "{head}");
        let accept = "Accept: text/plain;q=0.5\r\naccept: application/openmetrics-text\r\n";
        let answer = asked(&format!("GET /metrics HTTP/1.1\r\n{accept}{HOST}"));
        assert!(answer.ends_with("\r\n\r\nOpenMetrics"), "{answer}");
        for target in ["/metrics?a=b", "http://h/metrics", "http://h/metrics?"] {
            let answer = asked(&format!("GET {target} HTTP/1.1\r\n{HOST}"));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
        }
        assert!(asked("GET /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn other_requests_are_told_what_is_wrong() {
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(MAX_LEN));
        let many = format!(
            "GET /metrics HTTP/1.1\r\n{}{HOST}",
            "X: x\r\n".repeat(HEADERS)
        );
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
            ("GET /metrics/ HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
            ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
            ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
            (
                "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
                "405 Method Not Allowed\r\n",
            ),
            ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
            (
                "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                "400 Bad Request",
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost : h\r\n\r\n",
                "400 Bad Request",
            ),
            (
                "GET /metrics HTTP/2.0\r\nHost: h\r\n\r\n",
                "505 HTTP Version",
            ),
            ("\x16\x03\x01\x02\0\x01", "400 Bad Request"),
            ("\0\0\0", "400 Bad Request"),
            (&long[..MAX_LEN], "431 Request Header"),
            (&many, "431 Request Header"),
        ] {
            let answer = asked(request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {answer}"
            );
        }
        let answer = asked("DELETE /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
    }

    #[test]
    fn half_a_request_waits() {
        let request = format!("GET /metrics HTTP/1.1\r\n{HOST}");
        for end in 0..request.len() {
            assert_eq!(answered(&request.as_bytes()[..end]), None);
        }
    }

    proptest! {
        /// Whatever comes, a whole one gets one answer, which tells its own length.
        #[test]
        fn nothing_is_left_open(request in proptest::collection::vec(any::<u8>(), 0..MAX_LEN)) {
            let mut request = request;
            request.resize(MAX_LEN, b'x');
            let answer = answered(&request).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let length = format!("\r\nContent-Length: {}", body.len());
            prop_assert!(head.ends_with(&length));
        }
    }
}
