//! A child that holds still while /proc tells what became of it.

use std::fs;
use std::io::{Read, Write, stdin, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A directory for one case, removed at its end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(nix::unistd::mkdtemp("/tmp/miredo-test.XXXXXX").unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A child that has said a line and waits for the end of its input.
pub(crate) struct Waiting(Child);

impl Waiting {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 9];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut word)
            .unwrap();
        assert_eq!(word, *b"confined\n");
        Self(child)
    }

    pub(crate) fn proc(&self, entry: &str) -> PathBuf {
        format!("/proc/{}/{entry}", self.0.id()).into()
    }

    /// The value of one line of /proc/PID/status, its words parted by single spaces.
    pub(crate) fn status(&self, key: &str) -> String {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(crate) fn assert_powerless(&self, uid: &str) {
        assert_eq!(self.status("Uid"), [uid; 4].join(" "));
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(self.status(set), "0000000000000000", "{set}");
        }
        assert_eq!(self.status("NoNewPrivs"), "1");
        assert_eq!(self.status("Threads"), "1");
        // What cannot be dumped is owned by root in /proc (proc(5)).
        let owner = fs::metadata(self.proc("mem")).unwrap().uid();
        assert_eq!(owner, 0);
    }

    pub(crate) fn finish(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

pub(crate) fn wait_confined() {
    let mut out = stdout();
    out.write_all(b"confined\n").unwrap();
    out.flush().unwrap();
    stdin().read_to_end(&mut Vec::new()).unwrap();
}
