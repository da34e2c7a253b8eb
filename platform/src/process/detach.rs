//! Going into the background, with a parent that waits until all is well.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process;

use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::confine::Privileges;
use crate::error::OsError;

/// A process in the background whose starter still waits for its word. Dropped unsaid, the starter waits on for the
/// end of the process and exits as it does.
#[derive(Debug)]
pub struct Starting {
    starter: File,
    // Opened early: after a chroot it may be out of reach.
    null: File,
}

/// Forks and returns in the child alone, which leads a new session, works in `/` and creates files for its user only
/// (umask 077). The parent waits: it exits 0 when the child is [ready](Starting::ready), or with the child's exit code
/// if that ends before (1 if a signal ended it). Standard input, output and error stay until then, so that errors
/// reach whoever started the process.
///
/// # Errors
/// `pipe`, `fork`, `setsid`, or that threads exist already: fork would copy only one of them.
pub fn detach<S: Privileges>() -> Result<Starting, OsError> {
    S::single_thread("detach")?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| OsError::new("open", "/dev/null", error))?;
    let (reader, writer) = pipe()?;
    // SAFETY: the process has one thread (checked where the system tells, demanded above elsewhere), so the child
    // finds every lock free and may run any code.
    let forked = unsafe { fork() }.map_err(|error| OsError::new("fork", "", error))?;
    match forked {
        ForkResult::Parent { child } => {
            drop(writer);
            exit_with(File::from(reader), child)
        }
        ForkResult::Child => {
            drop(reader);
            setsid().map_err(|error| OsError::new("setsid", "", error))?;
            umask(Mode::from_bits_truncate(0o077));
            chdir("/").map_err(|error| OsError::new("chdir", "/", error))?;
            Ok(Starting {
                starter: writer.into(),
                null,
            })
        }
    }
}

impl Starting {
    /// Points standard input, output and error at /dev/null and lets the starter exit 0.
    ///
    /// # Errors
    /// `dup2`; or `write` because the starter is gone, killed by whoever lost patience with it.
    pub fn ready(mut self) -> Result<(), OsError> {
        dup2_stdin(&self.null)
            .and_then(|()| dup2_stdout(&self.null))
            .and_then(|()| dup2_stderr(&self.null))
            .map_err(|error| OsError::new("dup2", "/dev/null", error))?;
        self.starter
            .write_all(&[0])
            .map_err(|error| OsError::new("write", "to the starting process", error))
    }
}

/// The parent's part.
fn exit_with(mut child_says: File, child: Pid) -> ! {
    if child_says.read_exact(&mut [0]).is_ok() {
        process::exit(0);
    }
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => process::exit(code),
            // Whoever exits has said why.
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                let _ = writeln!(
                    io::stderr(),
                    "miredo-server: ended by {} before it served",
                    signal.as_str()
                );
                process::exit(1)
            }
            Err(nix::errno::Errno::EINTR) => {}
            _ => process::exit(1),
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), OsError> {
    let (reader, writer) = std::io::pipe().map_err(|error| OsError::new("pipe", "", error))?;
    Ok((reader.into(), writer.into()))
}
