//! The shell completions in etc/completions are those of the options.
//!
//! To write them anew: `MIREDO_WRITE_COMPLETIONS=1 cargo test --test completions`.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use miredo_server::cli::{self, probe};

#[test]
fn are_those_of_the_options() {
    let commands = [cli::Options::command(), probe::Options::command()];
    let shells = [Shell::Bash, Shell::Zsh, Shell::Fish];
    for (mut command, shell) in commands
        .into_iter()
        .flat_map(|command| shells.map(|shell| (command.clone(), shell)))
    {
        let name = command.get_name().to_owned();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("etc/completions")
            .join(file(shell, &name));
        let mut written = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut written);
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

/// As the shells and their packagers call such files.
fn file(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Zsh => format!("_{name}"),
        _ => format!("{name}.{shell}"),
    }
}
