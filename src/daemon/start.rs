//! What a worker, an exporter and an accelerator do alike before their work.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use log::debug;
use nix::unistd::{Gid, Uid, setsid};
use platform::{Alarm, Confined, Identity, Inherited, OsError, RootDirectory, Work};

use super::Fault;
use super::channel::{Channel, Message};
use super::messages::{OTHER_VERSION, TIMEOUT};
use super::signals;

/// What a process says that cannot have its threads.
pub(super) const NO_THREAD: &str =
    "start thread: too many processes of this user; raise its limit (ulimit -u)";

/// The descriptor of the stream to the monitor, in a process whose first argument is `name`. One that nobody could have inherited
/// where somebody typed that.
pub(super) fn control_of(name: &str, arguments: impl Iterator<Item = OsString>) -> Option<RawFd> {
    let mut arguments = arguments.skip(1);
    if arguments.next()? != name {
        return None;
    }
    let control = arguments.next()?.to_str()?.parse();
    Some(control.unwrap_or(-1))
}

/// Takes over the stream to the monitor.
///
/// # Errors
/// The monitor has not passed it on.
pub(super) fn claim(control: RawFd) -> Result<(Inherited, UnixStream), Fault> {
    let mut inherited = Inherited::claim()?;
    let control = inherited.take(control)?;
    Ok((inherited, control.into()))
}

/// Speaks with the monitor through its stream, also in a panic, of which `failed` makes a message.
///
/// # Errors
/// Of ioctl(2).
pub(super) fn connect<In: Message, Out: Message + 'static>(
    stream: UnixStream,
    who: &'static str,
    failed: impl Fn(&str) -> Out + Send + Sync + 'static,
) -> Result<Channel<In, Out>, Fault> {
    let monitor = Channel::new(stream).map_err(|error| OsError::new("ioctl", "FIONBIO", error))?;
    let sender = monitor.sender();
    abort_on_panic(who, move |words| {
        let _ = sender.send(&failed(words), TIMEOUT);
    });
    Ok(monitor)
}

/// The order of the monitor: its first message, of which `order` takes the order if the version is this one's.
///
/// # Errors
/// There is none, or it is of another version.
pub(super) fn take_order<In: Message, Out: Message, Order>(
    monitor: &mut Channel<In, Out>,
    order: impl FnOnce(In) -> Option<Order>,
) -> Result<Order, Fault> {
    match monitor.receive(Some(TIMEOUT)) {
        Ok(Some(message)) => order(message).ok_or_else(|| Fault::new(OTHER_VERSION)),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(Fault::new(OTHER_VERSION)),
        Ok(None) => Err(Fault::new("the monitor ended before it gave an order")),
        Err(error) => Err(Fault::new(format!("no order from the monitor: {error}"))),
    }
}

/// Makes a panic of any thread end the process, so that the monitor replaces it. A worker without one of its threads would
/// never answer the clients that the kernel assigns to that thread's sockets.
fn abort_on_panic(who: &'static str, tell: impl Fn(&str) + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |panic| {
        tell(&told(who, panic));
        process::abort();
    }));
}

/// A panic in a sentence. Where a crate cannot start a thread, it knows no better than to panic; and where its source was when
/// this was built is of use to nobody.
fn told(who: &str, panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let words = payload.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| payload.downcast_ref().copied());
    let words = words.unwrap_or("without a word");
    if words.contains("spawn") && words.contains("thread") {
        return NO_THREAD.to_owned();
    }
    match panic.location() {
        Some(at) if Path::new(at.file()).is_relative() => {
            format!("{who} panicked at {}:{}: {words}", at.file(), at.line())
        }
        _ => format!("{who} panicked: {words}"),
    }
}

/// Leaves signals, and the terminal, to the monitor.
///
/// # Errors
/// Of sigaction(2) or setsid(2).
pub(super) fn leave_the_monitor() -> Result<(), Fault> {
    signals::leave_to_monitor()?;
    // In the foreground, standard error is root's terminal. A process whose controlling terminal it is can type into it
    // (TIOCSTI, ioctl_tty(2)).
    setsid().map_err(|error| OsError::new("setsid", "", error))?;
    Ok(())
}

/// Gives up all privilege: becomes the owner in the root directory of an order, or, where the monitor has no root to give up,
/// gives up what it has.
///
/// # Errors
/// Those of [`platform::confine`].
pub(super) fn confine(
    owner: Option<(u32, u32)>,
    root: Option<&OsString>,
) -> Result<Confined, OsError> {
    let Some((uid, gid)) = owner else {
        return platform::confine_unprivileged();
    };
    let identity = Identity {
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(gid),
    };
    let root = root.map(PathBuf::from);
    let root = root.map_or_else(platform::default_root, RootDirectory::Directory);
    platform::confine(&identity, &root)
}

/// Leaves the process nothing that its work does not need. Its threads all exist.
///
/// # Errors
/// Those of [`platform::lock_down`].
pub(super) fn lock_down(
    proof: &Confined,
    work: Work,
    monitor: &impl AsFd,
    forbidden_call: [&str; 2],
) -> Result<(), OsError> {
    let copy = monitor.as_fd().try_clone_to_owned();
    let descriptor = copy.map_err(|error| OsError::new("dup", "", error))?;
    let [before, after] = forbidden_call.map(Vec::from);
    let alarm = Alarm {
        descriptor,
        before,
        after,
    };
    let missing = platform::lock_down(proof, work, alarm)?;
    for missing in proof.missing().iter().chain(&missing) {
        debug!("confined without {missing}");
    }
    Ok(())
}

/// Says why it ends, where there is no monitor to tell: standard error is a copy of the monitor's socket, or a terminal if
/// somebody typed this.
pub(super) fn fail_on_stderr(fault: &Fault) -> ExitCode {
    let _ = writeln!(io::stderr(), "miredo-server: {fault}");
    ExitCode::FAILURE
}
