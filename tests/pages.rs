//! The manual pages and the sample file name the same options and directives as the code.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use miredo_server::cli::{self, probe};
use miredo_server::conf::{self, DIRECTIVES, Overrides};

const SAMPLE: &str = "etc/miredo-server.conf.sample";

#[test]
fn section_8_has_every_option() {
    let page = flags("man/miredo-server.8");
    assert_eq!(page, options(&cli::Options::command()));
    let page = flags("man/teredo-probe.8");
    assert_eq!(page, options(&probe::Options::command()));
}

#[test]
fn miredo_server_conf_5_has_every_directive() {
    let page = read("man/miredo-server.conf.5");
    let items: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Ic "))
        .filter_map(|item| item.split(' ').next())
        .collect();
    assert_eq!(items, DIRECTIVES.map(|directive| directive.name()));
}

#[test]
fn miredo_server_conf_5_states_every_default() {
    let page = read("man/miredo-server.conf.5");
    for directive in DIRECTIVES {
        let item = format!(".It Ic {directive} ");
        let text = page.split(&item).nth(1).unwrap();
        let text = text.split("\n.It ").next().unwrap();
        assert!(text.contains("default"), "{directive}");
        let default = directive.default_value().unwrap_or_default();
        for word in default.split(' ') {
            assert!(text.contains(word), "{directive}: {word}");
        }
    }
}

#[test]
fn the_sample_loads_and_is_the_default() {
    let sample = conf::load(Path::new(SAMPLE), Overrides::default());
    assert!(sample.diagnostics.is_empty(), "{:?}", sample.diagnostics);
    let text = "ServerBindAddress 192.0.2.1";
    let default = conf::parse(Path::new(SAMPLE), text, Overrides::default());
    assert_eq!(sample.config, default.config);
}

/// Directives that are commented out in the sample show their defaults.
#[test]
fn the_sample_has_every_directive() {
    let sample = read(SAMPLE);
    let commented = sample.lines().filter_map(|line| line.strip_prefix('#'));
    let active = sample.lines().filter(|line| !line.starts_with('#'));
    let directives: Vec<(&str, &str)> = active
        .chain(commented.filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let expected = DIRECTIVES.map(|directive| {
        let default = match directive {
            conf::Directive::ServerBindAddress => "192.0.2.1",
            conf::Directive::ServerBindAddress2 => "192.0.2.2",
            _ => directive.default_value().unwrap(),
        };
        (directive.name(), default)
    });
    assert_eq!(directives, expected);
}

fn options(command: &Command) -> BTreeSet<String> {
    let mut options = BTreeSet::from(["-h", "--help", "-V", "--version"].map(str::to_owned));
    for argument in command.get_arguments() {
        options.extend(argument.get_short().map(|short| format!("-{short}")));
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        let long = argument.get_long().into_iter().chain(aliases);
        options.extend(long.map(|long| format!("--{long}")));
    }
    options
}

/// The options that a page's lists of items name, by `Fl` and their letters or words.
fn flags(page: &str) -> BTreeSet<String> {
    let page = read(page);
    let items = page.lines().filter(|line| line.starts_with(".It "));
    let flags = items.flat_map(|item| item.split(" Fl ").skip(1));
    let words = flags.filter_map(|flag| flag.split(' ').next());
    words
        .map(|word| format!("-{}", word.replace("\\-", "-")))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
