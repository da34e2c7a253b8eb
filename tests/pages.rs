//! The manual pages and the sample file name the same options and directives as the code.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use clap::{Command, CommandFactory};
use miredo_server::cli::{self, probe};
use miredo_server::conf::{self, Address, DIRECTIVES, Overrides};
use miredo_server::daemon::exporter::page;
use miredo_server::daemon::status::{Accelerated, Count, State, Status};
use miredo_server::exposition::Format;
use miredo_server::verdict::{Counters, Outcome};

const SAMPLE: &str = "etc/miredo-server.conf.sample";

#[test]
fn pages_have_every_option() {
    let page = flags("man/miredo-server.8");
    assert_eq!(page, options(&cli::Options::command()));
    let page = flags("man/teredo-probe.1");
    assert_eq!(page, options(&probe::Options::command()));
}

#[test]
fn conf_5_has_every_directive() {
    let page = read("man/miredo-server.conf.5");
    let items: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Ic "))
        .filter_map(|item| item.split(' ').next())
        .collect();
    assert_eq!(items, DIRECTIVES.map(|directive| directive.name()));
}

#[test]
fn conf_5_states_every_default() {
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

/// The page has each counter with the words that status and metrics say of it, and no other counter.
#[test]
fn server_8_has_every_counter() {
    let page = read("man/miredo-server.8");
    let section = page.split("\n.Ss Counters\n").nth(1).unwrap();
    let section = section.split("\n.Sh ").next().unwrap();
    let mut said = BTreeSet::new();
    for list in section.split(".Bl ").skip(1) {
        let list = list.split("\n.El").next().unwrap();
        let mut names = Vec::new();
        for item in list.split("\n.It ").skip(1) {
            let (name, text) = item.split_once('\n').unwrap_or((item, ""));
            names.push(name.to_owned());
            let text = plain(text);
            if !text.is_empty() {
                said.extend(names.drain(..).map(|name| (name, text.clone())));
            }
        }
    }
    let outcomes = Outcome::ALL.map(|outcome| (outcome.as_str(), outcome.meaning()));
    let counters = Counters::new();
    let counters = counters
        .all()
        .map(|counter| (counter.name, counter.meaning));
    let expected: BTreeSet<_> = outcomes
        .into_iter()
        .chain(counters)
        .map(|(name, meaning)| (name.to_owned(), meaning.to_owned()))
        .collect();
    assert_eq!(said, expected);
}

/// The page has each metric with the words that go with it, and no other.
#[test]
fn server_8_has_every_metric() {
    let page = read("man/miredo-server.8");
    let section = page.split("\n.Sh METRICS\n").nth(1).unwrap();
    let section = section.split("\n.Sh ").next().unwrap();
    let items = section.split("\n.It Sy teredo_server_").skip(1);
    let said: BTreeSet<_> = items
        .map(|item| {
            let (name, text) = item.split_once('\n').unwrap();
            let name = name.split(' ').next().unwrap();
            let text = text.split("\n.El").next().unwrap();
            let text = text.split("\n.br\n").next().unwrap();
            (format!("teredo_server_{name}"), plain(text))
        })
        .collect();
    let shown = page_of_metrics();
    let lines = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "));
    let helped = lines.filter_map(|line| line.split_once(' '));
    let expected: BTreeSet<_> = helped
        .map(|(name, help)| (name.to_owned(), help.to_owned()))
        .collect();
    assert_eq!(said, expected);
}

/// What a server that has not done anything shows.
fn page_of_metrics() -> String {
    let counters = Count::all(&Counters::new());
    let status = Status {
        version: String::new(),
        state: State::Serving,
        pid: 1,
        worker_pid: None,
        start_time_seconds: 0,
        uptime_seconds: 0,
        primary: Address {
            bound: Ipv4Addr::LOCALHOST,
            public: Ipv4Addr::LOCALHOST,
        },
        secondary: None,
        prefix: String::new(),
        workers: 1,
        accelerated: vec![Accelerated {
            interface: "eth0".to_owned(),
            mode: "native".to_owned(),
        }],
        reloads: 0,
        reloads_refused: 0,
        restarts: 0,
        counters,
    };
    page::page(&status, Format::Text)
}

/// Lines of a page without macros: what a reader sees.
fn plain(lines: &str) -> String {
    let words = lines.lines().flat_map(|line| {
        let line = line.replace(".Fl -", "--");
        match line.strip_prefix('.') {
            Some(macro_line) => macro_line.split(' ').skip(1).map(str::to_owned).collect(),
            None => vec![line],
        }
    });
    words.collect::<Vec<String>>().join(" ").replace(" ,", ",")
}

/// Each message that the files of tests/conf/bad, tests/conf/good and tests/keys provoke has an item that ends in the same words.
#[test]
fn conf_5_has_every_fault() {
    let page = items("man/miredo-server.conf.5");
    let known: BTreeSet<String> = page.iter().map(|item| last_words(item)).collect();
    let directories = ["tests/conf/bad", "tests/conf/good", "tests/keys"];
    let files = directories.map(|directory| fs::read_dir(directory).unwrap());
    let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|kind| kind == "expected")) {
        let said = fs::read(&path).unwrap();
        for line in String::from_utf8_lossy(&said).lines() {
            let error = line.split_once(": error: ");
            let Some((_, fault)) = error.or_else(|| line.split_once(": warning: ")) else {
                continue;
            };
            assert!(
                known.contains(&last_words(fault)),
                "{}: {fault}",
                path.display()
            );
        }
    }
}

/// The last three words before a colon, without values: what is not in lower case stands for any such word.
fn last_words(message: &str) -> String {
    // Not after the second colon of "fe80::".
    let mut heads = message
        .match_indices(": ")
        .map(|(at, _)| message.split_at(at).0);
    let message = heads.find(|head| !head.ends_with(':')).unwrap_or(message);
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == ',');
    let words = message
        .split(' ')
        .map(|word| if plain(word) { word } else { "*" });
    let mut last: Vec<&str> = words.rev().take(3).collect();
    last.reverse();
    last.join(" ")
}

/// The sample loads and is the default.
#[test]
fn the_sample_is_the_default() {
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
            conf::Directive::ServerBindAddress | conf::Directive::PublicAddress => "192.0.2.1",
            conf::Directive::ServerBindAddress2 | conf::Directive::PublicAddress2 => "192.0.2.2",
            conf::Directive::SecureQualificationKeys => "/etc/miredo/keys",
            conf::Directive::StatisticsSocket => "/var/run/miredo-server.sock",
            // No default would be on.
            conf::Directive::MetricsAddress => "127.0.0.1:9544",
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

/// The items of a page's lists.
fn items(page: &str) -> BTreeSet<String> {
    let page = read(page);
    let items = page.lines().filter_map(|line| line.strip_prefix(".It "));
    items.map(str::to_owned).collect()
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
