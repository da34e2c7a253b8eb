//! What several test programs share.

use std::env;
use std::io::Write;

/// Says loudly that a test was skipped; a failure where CI counts on every test.
pub(crate) fn skip(why: &str) {
    // Not eprintln, which libtest keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    assert!(env::var_os("CI").is_none(), "skipped under CI: {why}");
}
