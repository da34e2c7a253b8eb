//! What `RUST_LOG` asks for. env_logger takes every word that is no level for the name of a module, and logs of that alone; and
//! errors alone where the variable is empty.

use std::env;

use log::LevelFilter;

use crate::escape::Escaped;

/// What is logged unless something else is asked for.
pub(super) const DEFAULT: &str = "info";

/// The crates that write lines.
const CRATES: [&str; 2] = ["miredo_server", "miredo_platform"];

/// Most characters of the variable that a message shows.
const SHOWN: usize = 64;

/// The filter for env_logger.
///
/// # Errors
/// In a sentence, that the variable means nothing.
pub(super) fn wanted() -> Result<String, String> {
    match env::var_os("RUST_LOG") {
        None => Ok(DEFAULT.to_owned()),
        Some(text) => of_text(&text.to_string_lossy()),
    }
}

fn of_text(text: &str) -> Result<String, String> {
    let directives = text.split('/').next().unwrap_or_default();
    if directives.split(',').any(means_something) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(SHOWN).collect();
    Err(format!(
        "RUST_LOG=\"{}\" names neither a level (error, warn, info, debug) nor a part of this program: logging {DEFAULT}",
        Escaped(&shown)
    ))
}

/// Whether a directive, `LEVEL`, `MODULE` or `MODULE=LEVEL`, concerns this program.
fn means_something(directive: &str) -> bool {
    let is_level = |text: &str| text.parse::<LevelFilter>().is_ok();
    let is_ours = |module: &str| {
        let is_part = |krate: &str| krate.starts_with(module) || module.starts_with(krate);
        !module.is_empty() && CRATES.into_iter().any(is_part)
    };
    let directive = directive.trim();
    match directive.split_once('=') {
        Some((module, level)) => is_ours(module.trim()) && is_level(level.trim()),
        None => is_level(directive) || is_ours(directive),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_known() {
        for text in [
            "info",
            "DEBUG",
            "off",
            "miredo_server::run=trace",
            "miredo_platform",
            "other=warn, debug",
            "debug/serving",
        ] {
            assert_eq!(of_text(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            " ",
            ",",
            "bogus",
            "debgu",
            "other=debug",
            "miredo_server=bogus",
            "/serving",
        ] {
            let why = of_text(text).unwrap_err();
            assert!(
                why.starts_with(&format!("RUST_LOG=\"{text}\" names neither")),
                "{why}"
            );
        }
        let long = of_text(&"\u{1b}".repeat(100_000)).unwrap_err();
        assert!(long.len() < 1000 && !long.contains('\u{1b}'));
    }
}
