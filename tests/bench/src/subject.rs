//! A server under load.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Fault;
use crate::namespace::Lab;
use crate::traffic::Target;
use crate::usage::{Family, Usage};

/// How one is started.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// This one, with these words after `floor`.
    Floor(String),
    /// A program with the command line of miredo-server(8), and what its configuration says besides addresses.
    Server(PathBuf, String),
}

/// A running one; stopped on drop.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) target: Target,
    child: Child,
    log: PathBuf,
}

/// No server takes longer to start or to stop.
const DEADLINE: Duration = Duration::from_secs(10);

impl Subject {
    /// Starts `program` in the servers' namespace; it may not serve yet. `dir` is for its files.
    pub(crate) fn start(
        name: &str,
        program: &Program,
        at: Ipv4Addr,
        lab: &Lab,
        dir: &Path,
    ) -> Result<Self, Fault> {
        let target = Target::at(at);
        let mut command = match program {
            Program::Floor(words) => floor(words, at)?,
            Program::Server(path, directives) => server(path, directives, target, dir, name)?,
        };
        let log = dir.join(format!("{name}.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log)?);
        let child = lab.servers.within(|| {
            command
                .spawn()
                .map_err(|error| format!("start {name}: {error}").into())
        })?;
        Ok(Self {
            name: name.to_owned(),
            target,
            child,
            log,
        })
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What all its processes have used.
    pub(crate) fn usage(&self) -> Usage {
        Family::of(self.child.id()).usage()
    }

    fn stop(&mut self) -> Result<(), Fault> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(id, Signal::SIGTERM)?;
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begin.elapsed() > DEADLINE {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Err(fault) = self.stop() {
            eprintln!("stop {}: {fault}", self.name);
        }
    }
}

fn floor(words: &str, at: Ipv4Addr) -> Result<Command, Fault> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--at", &at.to_string()]);
    command.args(words.split_whitespace());
    Ok(command)
}

fn server(
    program: &Path,
    directives: &str,
    target: Target,
    dir: &Path,
    name: &str,
) -> Result<Command, Fault> {
    let configuration = dir.join(format!("{name}.conf"));
    let (primary, secondary) = (target.primary.ip(), target.secondary.ip());
    let addresses = format!("ServerBindAddress {primary}\nServerBindAddress2 {secondary}\n");
    fs::write(&configuration, addresses + directives)?;
    let mut command = Command::new(program);
    command.args(["-f", "-u", "nobody"].map(OsStr::new));
    command.arg("-c").arg(configuration);
    command.arg("-p").arg(dir.join(format!("{name}.pid")));
    Ok(command)
}
