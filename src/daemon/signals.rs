//! Signals as a descriptor to wait on.

use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level::pipe};

use platform::OsError;

use super::Fault;

/// What a signal asks of the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGINT or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGINFO, which the BSDs and macOS have, and send on Ctrl-T.
    Report,
}

/// The signals of the monitor. Its descriptor is readable when [`Signals::take`] may return something.
#[derive(Debug)]
pub struct Signals {
    woken: UnixStream,
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
    /// Standard error is a terminal, and SIGHUP ends the server when it is gone.
    terminal: bool,
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        const REPORT: [i32; 0] = [];
    } else {
        const REPORT: [i32; 1] = [signal_hook::consts::SIGINFO];
    }
}

impl Signals {
    /// Catches SIGHUP, SIGINT and SIGTERM, and makes SIGUSR1 and SIGUSR2 do nothing. What the caller ignored or blocked is
    /// inherited; this undoes it.
    ///
    /// # Errors
    /// Of sigaction(2), sigprocmask(2) or socketpair(2).
    pub fn catch() -> Result<Self, Fault> {
        Self::set_up().map_err(fault)
    }

    /// Takes SIGHUP for a stop where it comes because the terminal of standard error was closed: nobody sees the server any more.
    #[must_use]
    pub fn until_terminal_closes(self) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { terminal, ..self }
    }

    /// What was asked since the last call: first a stop, then a reload, then a report.
    pub fn take(&mut self) -> Option<Request> {
        let mut sink = [0; 64];
        // The stream is emptied before the flags are read: a signal in between may be seen twice, but is not lost.
        while matches!(self.woken.read(&mut sink), Ok(read) if read > 0) {}
        let asked = [
            (&self.stop, Request::Stop),
            (&self.reload, Request::Reload),
            (&self.report, Request::Report),
        ];
        let request = asked
            .into_iter()
            .find_map(|(seen, request)| seen.swap(false, Ordering::SeqCst).then_some(request))?;
        let closed = self.terminal && !io::stderr().is_terminal();
        Some(match request {
            Request::Reload if closed => Request::Stop,
            _ => request,
        })
    }

    fn set_up() -> io::Result<Self> {
        let (woken, wake) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let (stop, reload, report) = (Arc::default(), Arc::default(), Arc::default());
        let caught = [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reload)];
        for (signal, seen) in caught
            .into_iter()
            .chain(REPORT.map(|signal| (signal, &report)))
        {
            // In this order: when the descriptor is readable, the flag is set.
            flag::register(signal, Arc::clone(seen))?;
            pipe::register(signal, wake.try_clone()?)?;
        }
        // It tells to look after workers. Where it is ignored, nobody learns how one ended, and its number may soon be another
        // process's.
        flag::register(SIGCHLD, Arc::default())?;
        pipe::register(SIGCHLD, wake)?;
        ignore(&[SIGUSR1, SIGUSR2])?;
        SigSet::all().thread_unblock()?;
        Ok(Self {
            woken,
            stop,
            reload,
            report,
            terminal: false,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Makes the signals do nothing in a worker, which Ctrl-C at a terminal and `pkill` by name reach too. The monitor decides.
///
/// # Errors
/// Of sigaction(2).
pub fn leave_to_monitor() -> Result<(), Fault> {
    ignore(&[SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2]).map_err(fault)
}

/// Sets handlers that do nothing. SIG_IGN would need unsafe code, and programs that are executed would inherit it.
fn ignore(signals: &[i32]) -> io::Result<()> {
    for &signal in signals {
        flag::register(signal, Arc::default())?;
    }
    Ok(())
}

fn fault(error: io::Error) -> Fault {
    OsError::new("set up", "signals", error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    #[test]
    fn each_signal_asks_for_what_the_manual_says() {
        let mut signals = Signals::catch().unwrap();
        assert_eq!(signals.take(), None);
        for (signal, request) in [
            (SIGHUP, Some(Request::Reload)),
            (SIGINT, Some(Request::Stop)),
            (SIGTERM, Some(Request::Stop)),
            (SIGUSR1, None),
            (SIGUSR2, None),
        ] {
            raise(signal).unwrap();
            assert_eq!(signals.take(), request, "signal {signal}");
        }
        raise(SIGHUP).unwrap();
        raise(SIGTERM).unwrap();
        assert_eq!(signals.take(), Some(Request::Stop));
        assert_eq!(signals.take(), Some(Request::Reload));
    }
}
