//! Descriptors passed to another process that runs already, through a stream between the two (`SCM_RIGHTS`, unix(7), unix(4)).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::error::OsError;

/// Most descriptors that Linux passes in one message (`SCM_MAX_FD`, include/net/scm.h in the kernel). With room for them nothing
/// is cut off that would be open and unknown.
const MOST: usize = 253;

/// Passes a descriptor on, in a message of its own. The other process has a duplicate, also when `descriptor` is closed before it
/// has received that.
///
/// # Errors
/// `sendmsg`.
pub fn send_descriptor(stream: &impl AsFd, descriptor: &impl AsFd) -> Result<(), OsError> {
    let number = descriptor.as_fd().as_raw_fd();
    sendmsg::<()>(
        stream.as_fd().as_raw_fd(),
        // A stream carries none without a byte.
        &[IoSlice::new(&[0])],
        &[ControlMessage::ScmRights(&[number])],
        MsgFlags::empty(),
        None,
    )
    .map(drop)
    .map_err(|error| OsError::new("sendmsg SCM_RIGHTS", number, error))
}

/// Receives one that was passed on, without waiting. It is closed on exec.
///
/// # Errors
/// `recvmsg`, `EAGAIN` where nothing was sent; or that the message, or the end of the stream, does not carry exactly one.
pub fn receive_descriptor(stream: &impl AsFd) -> Result<OwnedFd, OsError> {
    const CALL: &str = "recvmsg SCM_RIGHTS";
    let failed = |error| OsError::new(CALL, "", error);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; MOST]);
    let message = recvmsg::<()>(
        stream.as_fd().as_raw_fd(),
        &mut bytes,
        Some(&mut space),
        MsgFlags::MSG_DONTWAIT | CLOSE_ON_EXEC,
    )
    .map_err(failed)?;
    let mut received: Vec<OwnedFd> = Vec::new();
    for control in message.cmsgs().map_err(failed)? {
        let ControlMessageOwned::ScmRights(numbers) = control else {
            continue;
        };
        received.extend(numbers.into_iter().map(|number| {
            // SAFETY: recvmsg has just opened this descriptor, and nobody else knows of it.
            unsafe { OwnedFd::from_raw_fd(number) }
        }));
    }
    // A surplus is closed here.
    let [descriptor] = <[OwnedFd; 1]>::try_from(received)
        .map_err(|_| OsError::refused(CALL, "", "not exactly one descriptor came"))?;
    close_on_exec(&descriptor)?;
    Ok(descriptor)
}

cfg_if::cfg_if! {
    if #[cfg(target_os = "macos")] {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};

        const CLOSE_ON_EXEC: MsgFlags = MsgFlags::empty();

        fn close_on_exec(descriptor: &OwnedFd) -> Result<(), OsError> {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .map(drop)
                .map_err(|error| OsError::new("fcntl F_SETFD", descriptor.as_raw_fd(), error))
        }
    } else {
        const CLOSE_ON_EXEC: MsgFlags = MsgFlags::MSG_CMSG_CLOEXEC;

        fn close_on_exec(_: &OwnedFd) -> Result<(), OsError> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use nix::errno::Errno;
    use nix::fcntl::FdFlag;

    use crate::process::open_descriptors::flags;

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn what_is_passed_is_received_in_order_and_closed_on_exec() {
        let (ours, theirs) = pair();
        let (mut first, mut second) = (pair(), pair());
        for passed in [&first.0, &second.0] {
            send_descriptor(&theirs, passed).unwrap();
        }
        drop(theirs);
        for end in [&mut first.1, &mut second.1] {
            let received = receive_descriptor(&ours).unwrap();
            let flags = flags(received.as_raw_fd()).unwrap();
            assert!(flags.contains(FdFlag::FD_CLOEXEC));
            File::from(received).write_all(b"!").unwrap();
            let mut word = [0; 1];
            end.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"!");
        }
        receive_descriptor(&ours).unwrap_err();
    }

    #[test]
    fn it_neither_waits_nor_takes_another_number() {
        let (ours, mut theirs) = pair();
        let error = receive_descriptor(&ours).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EAGAIN as i32));
        theirs.write_all(&[0]).unwrap();
        let error = receive_descriptor(&ours).unwrap_err().to_string();
        assert!(error.contains("not exactly one"), "{error}");
        let (passed, kept) = pair();
        let number = passed.as_raw_fd();
        sendmsg::<()>(
            theirs.as_raw_fd(),
            &[IoSlice::new(&[0])],
            &[ControlMessage::ScmRights(&[number, number])],
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        drop(passed);
        let error = receive_descriptor(&ours).unwrap_err().to_string();
        assert!(error.contains("not exactly one"), "{error}");
        // Both copies are closed: this is the end of the stream.
        assert_eq!((&kept).read(&mut [0]).unwrap(), 0);
    }
}
