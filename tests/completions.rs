//! The shell completions in etc/completions are those of the options.
//!
//! To write them anew: `MIREDO_WRITE_COMPLETIONS=1 cargo test --test completions`.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use miredo_server::cli::Options;

#[test]
fn are_those_of_the_options() {
    for (shell, name) in [
        (Shell::Bash, "miredo-server.bash"),
        (Shell::Zsh, "_miredo-server"),
        (Shell::Fish, "miredo-server.fish"),
    ] {
        let mut written = Vec::new();
        clap_complete::generate(
            shell,
            &mut Options::command(),
            "miredo-server",
            &mut written,
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("etc/completions")
            .join(name);
        if std::env::var_os("MIREDO_WRITE_COMPLETIONS").is_some() {
            fs::write(&path, &written).unwrap();
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(
            kept == written,
            "{} is out of step with src/cli.rs; write it with MIREDO_WRITE_COMPLETIONS=1",
            path.display()
        );
    }
}
