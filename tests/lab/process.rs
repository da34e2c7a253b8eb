//! Long-lived processes with their output captured.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::{DEADLINE, wait_until};

/// A process that is killed on drop, with all of its process group.
pub(crate) struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// What the process wrote to both streams, line by line in order of arrival.
#[derive(Default)]
struct Output {
    text: Mutex<String>,
    grown: Condvar,
}

impl Process {
    /// Starts `command`; `name` is for people who read a failure.
    pub(crate) fn spawn(mut command: Command, name: &str) -> Self {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let output = Arc::new(Output::default());
        output.clone().collect(child.stdout.take().unwrap());
        output.clone().collect(child.stderr.take().unwrap());
        Self {
            name: name.to_owned(),
            child,
            output,
        }
    }

    /// Everything written so far.
    pub(crate) fn output(&self) -> String {
        self.output.text.lock().unwrap().clone()
    }

    /// Waits until the process has written `needle`; panics after `deadline`.
    #[track_caller]
    pub(crate) fn wait_for_output(&self, needle: &str, deadline: Duration) {
        let text = self.output.text.lock().unwrap();
        let waited = self
            .output
            .grown
            .wait_timeout_while(text, deadline, |text| !text.contains(needle));
        let (text, timeout) = waited.unwrap();
        let text = text.clone();
        assert!(
            !timeout.timed_out(),
            "{} did not write {needle:?} but:\n{text}",
            self.name
        );
    }

    /// The process id of the command itself (`ip netns exec` leaves no process of its own).
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a signal to the process alone, not to its children.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }

    /// The exit status, once the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the process to end by itself; panics when it does not.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(&format!("the end of {}", self.name), DEADLINE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// SIGTERM, then [`Process::wait`].
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither fails but for processes that are gone already.
        let _gone = killpg(self.pid(), Signal::SIGKILL);
        let _reaped = self.child.wait();
        if thread::panicking() {
            let text = self
                .output
                .text
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            eprintln!("--- {} wrote:\n{text}---", self.name);
        }
    }
}

impl Output {
    /// Collects a stream on a thread of its own, which ends with the stream.
    fn collect(self: Arc<Self>, stream: impl Read + Send + 'static) {
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&line));
                line.clear();
                self.grown.notify_all();
            }
        });
    }
}
