//! A worker and a monitor that do not understand each other, or not any more.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg_attr(
    not(target_os = "linux"),
    allow(unused_imports, reason = "of what is asked on Linux alone")
)]

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};

use harness::system::wait;
use harness::{Client, DEADLINE, Scratch, Server, addresses, may_run, root};
use miredo_server::daemon::messages::VERSION;
use nix::sys::signal::Signal;

/// A worker that this test is the monitor of.
struct Worker {
    child: Child,
    monitor: UnixStream,
}

impl Worker {
    fn start(scratch: &Scratch, more: &[&str]) -> Self {
        let (monitor, control) = UnixStream::pair().unwrap();
        monitor.set_read_timeout(Some(DEADLINE)).unwrap();
        let control = platform::keep(&control).unwrap();
        let child = Command::new(scratch.program())
            .arg("--worker")
            .arg(format!("--control={}", control.as_raw_fd()))
            .args(more)
            .spawn()
            .unwrap();
        Self { child, monitor }
    }

    /// What it answers before it ends, which it does without success.
    fn answer(mut self, order: &str) -> String {
        // Nobody reads it where the answer is there already.
        let _ = self.monitor.write_all(order.as_bytes());
        let _ = self.monitor.shutdown(Shutdown::Write);
        assert_eq!(wait(&mut self.child).code(), Some(1));
        let mut answer = [0; 4096];
        let len = self.monitor.read(&mut answer).unwrap();
        String::from_utf8(answer[..len].to_vec()).unwrap()
    }
}

const OTHER_VERSION: &str = "the installed program is of another version than the one that runs: \
                             stop the server and start it again";

/// A monitor that tells all by arguments is answered in its form.
#[test]
fn an_old_monitor_is_answered() {
    let scratch = Scratch::new();
    // As version 6957105 of this program started its workers.
    let worker = Worker::start(
        &scratch,
        &[
            "--udp=4,5",
            "--primary=192.0.2.1",
            "--prefix=2001::",
            "--mtu=1280",
            "--log=syslog:daemon",
            "--raw=6",
            "--secondary=192.0.2.2",
            "--rate-limit=10000/10000",
            "--owner=65534:65534",
            "--allow-private",
        ],
    );
    assert_eq!(worker.answer(""), format!("failed {OTHER_VERSION}\n"));
}

/// A monitor of another version is told what to do.
#[test]
fn another_version_is_told() {
    let scratch = Scratch::new();
    let plan = r#"{"addresses":{"primary":{"bound":"192.0.2.1","public":"192.0.2.1"},"secondary":null},"service":{"policy":{"prefix":536936448,"mtu":1280,"allow_private":false,"rate_limit":null,"qualification":null},"wait_for_address":false,"facility":"daemon","workers":"Auto","receive_buffer":"Auto","echo_path":"Native","statistics":"Off","metrics":null,"accelerate":"Off"},"threads":1,"local":false}"#;
    let order = |version: u32, more: &str| {
        format!(
            r#"{{"order":{{"version":{version},"plan":{plan},"udp":[{{"primary":1000000,"secondary":null}}],"raw":null,"owner":null,"root":null,"log":"INFO"{more}}}}}"#
        ) + "\n"
    };
    let failed = format!("{{\"failed\":\"{OTHER_VERSION}\"}}\n");
    for order in [
        order(0, ""),
        order(u32::MAX, ""),
        // Of a form that this version does not know.
        order(VERSION, r#","key":"value""#),
        format!("{{\"order\":{{\"version\":{}}}}}\n", VERSION + 1),
        "\"count\"\n".to_owned(),
        "serve\n".to_owned(),
    ] {
        assert_eq!(
            Worker::start(&scratch, &[]).answer(&order),
            failed,
            "{order}"
        );
    }
    // The order of this version gets further: there is no such descriptor.
    let answer = Worker::start(&scratch, &[]).answer(&order(VERSION, ""));
    assert!(!answer.contains("version"), "{answer}");
}

#[test]
fn half_an_order_is_none() {
    let scratch = Scratch::new();
    for (order, words) in [
        ("", "the monitor ended before it gave an order"),
        ("{\"order\":", "the stream ends within a message"),
    ] {
        let answer = Worker::start(&scratch, &[]).answer(order);
        assert!(answer.contains(words), "{answer}");
    }
}

/// Puts a program in place of the installed one whose workers say these words, and serve nothing.
#[cfg(target_os = "linux")]
fn install(scratch: &Scratch, words: &str) {
    let words = scratch.write("words", words);
    let script = format!(
        "#!/bin/bash\n[ \"$1\" = --worker ] || exec {} \"$@\"\neval \"cat {} >&${{2#--control=}}\"\n",
        env!("CARGO_BIN_EXE_miredo-server"),
        words.display()
    );
    let path = scratch.write("new", &script);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    fs::rename(path, scratch.path("miredo-server")).unwrap();
}

/// A worker that does not say one whole thing does not serve.
#[test]
#[cfg(target_os = "linux")]
fn half_a_message_serves_nobody() {
    if !root() || !may_run(Path::new("/bin/bash").exists(), "needs /bin/bash") {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\nWorkers 1\n");
    let config = scratch.write("conf", &config);
    let mut command = Command::new(scratch.program());
    command.arg("-f").arg("-c").arg(config);
    let mut server = Server::start(command.arg("-p").arg(scratch.path("pid")));
    let worker = server.worker();
    for (says, words) in [
        ("\"ready\"", "the stream ends within a message"),
        (
            "\"ready\"{\"failed\":\"it panicked\"}\n\n",
            "trailing characters",
        ),
        (
            "\"rea{\"failed\":\"it panicked\"}\ndy\"\n",
            "unknown variant `rea{`",
        ),
        ("ready\n", "expected value"),
        ("\n", "EOF"),
        ("{\"counted\":[1,2]}\n", "2 counters, not "),
        (
            "{\"\\n\\u001b[31m\":0}\n",
            "unknown variant `\\n\\u{1b}[31m`",
        ),
        ("{\"failed\":\"two\\nlines\"}\n", ": two\\nlines"),
        ("", "the worker ended before it served: exit status: 0"),
    ] {
        install(&scratch, says);
        server.signal(Signal::SIGHUP);
        let line = server.expect("not reloaded, still serving");
        assert!(line.contains(words), "{says}: {line}");
        assert_eq!(server.worker(), worker);
        Client::new(primary).ask(primary, 1);
    }
    server.stop();
}

/// What a worker says before it ends is told, also where it does not wait for its order.
#[test]
#[cfg(target_os = "linux")]
fn an_early_word_is_heard() {
    let tool = Command::new("strace").arg("-V").output().is_ok();
    if !root() || !may_run(tool, "needs strace") {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\nWorkers 1\n");
    let config = scratch.write("conf", &config);
    let mut command = Command::new("strace");
    // The monitor's messages leave half a second late, so that the worker has ended.
    command.args(["-D", "-qq", "-e", "inject=sendto:delay_enter=500000", "-o"]);
    command.arg(scratch.path("trace")).arg(scratch.program());
    command.arg("-f").arg("-c").arg(config);
    let mut server = Server::start(command.arg("-p").arg(scratch.path("pid")));
    for (says, words) in [
        ("{\"failed\":\"it panicked\"}\n", ": it panicked"),
        ("", "the worker ended before it served: exit status: 0"),
    ] {
        install(&scratch, says);
        server.signal(Signal::SIGHUP);
        let line = server.expect("not reloaded, still serving");
        assert!(line.contains(words), "{says}: {line}");
    }
    server.stop();
}

/// The command line of a worker tells nothing.
#[test]
#[cfg(target_os = "linux")]
fn its_arguments_tell_nothing() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\n");
    let config = scratch.write("conf", &config);
    let mut command = Command::new(scratch.program());
    command.arg("-f").arg("-c").arg(config);
    let server = Server::start(command.arg("-p").arg(scratch.path("pid")));
    let line = fs::read_to_string(format!("/proc/{}/cmdline", server.worker())).unwrap();
    let arguments: Vec<&str> = line.trim_end_matches('\0').split('\0').skip(1).collect();
    let ["--worker", control] = arguments[..] else {
        panic!("{arguments:?}");
    };
    assert!(control.starts_with("--control="), "{control}");
    server.stop();
}
