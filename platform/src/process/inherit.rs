//! Descriptors passed on to another program over exec, by number.
//!
//! One process [keeps](keep) descriptors open over exec and tells their numbers; the program that it executes
//! [claims](Inherited::claim) the right to take them over.
//!
//! # Why taking a number over is sound
//! Making an owner of a number is sound if the descriptor is open and nobody else in the process owns it.
//! [`Inherited::take`] therefore demands that it is open *without* the close-on-exec flag. Such a descriptor, other than
//! the standard three, which are refused, can come from three places:
//! 1. From exec: no descriptor with the flag survives one. It has no owner yet.
//! 2. From [`keep`]: a process that has kept something cannot claim, and one that has claimed cannot keep.
//! 3. From code in this process that opens without the flag, or clears it. The standard library, socket2 and async-io
//!    always set it, and so must every other call in this project.
//!
//! Taking sets the flag and remembers the number, which is refused from then on.
//!
//! What comes from exec unasked is [`take_inherited`]: taken over in the same way, before anything is kept or claimed.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::open_descriptors::{Descriptors, flags};
use crate::error::OsError;

/// The first number that is not one of the standard three.
const FIRST: RawFd = 3;

const UNDECIDED: u8 = 0;
const KEPT: u8 = 1;
const CLAIMED: u8 = 2;

/// Whether this process has kept descriptors for a program that it executes, or claimed those that it inherited: never both.
static USE: AtomicU8 = AtomicU8::new(UNDECIDED);

/// Duplicates a descriptor so that it stays open over exec, with a number of 3 or more. The duplicate is closed when
/// dropped: drop it once the other program runs, lest more programs inherit it.
///
/// # Errors
/// `fcntl`, or that this process has claimed what it inherited itself.
pub fn keep(descriptor: &impl AsFd) -> Result<OwnedFd, OsError> {
    let descriptor = descriptor.as_fd();
    let object = descriptor.as_raw_fd();
    let before = USE.compare_exchange(UNDECIDED, KEPT, Ordering::Relaxed, Ordering::Relaxed);
    if before == Err(CLAIMED) {
        return Err(OsError::refused(
            "keep",
            object,
            "inherited descriptors were claimed before",
        ));
    }
    let duplicate = fcntl(descriptor, FcntlArg::F_DUPFD(FIRST))
        .map_err(|error| OsError::new("fcntl F_DUPFD", object, error))?;
    // SAFETY: fcntl has just opened this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

/// Takes over whatever the process was started with beside the standard three, to be dropped. A worker must not
/// inherit it: a directory of the caller's leads out of a chroot. Nor must a daemon hold it, as somebody may wait for
/// its end, or for a lock on it. They stay open until dropped: the configuration may be among them.
///
/// # Errors
/// After [`keep`] or [`Inherited::claim`], which leave descriptors of this process that look the same.
pub fn take_inherited<S: Descriptors>() -> Result<Vec<OwnedFd>, OsError> {
    if USE.load(Ordering::Relaxed) != UNDECIDED {
        return Err(OsError::refused(
            "take over",
            "inherited descriptors",
            "inherited descriptors were claimed or kept before",
        ));
    }
    let mut inherited = Inherited { taken: Vec::new() };
    let open = S::open_descriptors().into_iter();
    open.filter(|number| *number >= FIRST)
        .filter(|number| flags(*number).is_ok_and(|flags| !flags.contains(FdFlag::FD_CLOEXEC)))
        .map(|number| inherited.take(number))
        .collect()
}

/// The right to take over descriptors that the process was started with.
#[derive(Debug)]
pub struct Inherited {
    taken: Vec<RawFd>,
}

impl Inherited {
    /// Claims them. Call it before the process has threads: where the system sets close-on-exec in a second step,
    /// another thread's new descriptor may briefly lack it.
    ///
    /// # Errors
    /// The second time in a process, and after [`keep`].
    pub fn claim() -> Result<Self, OsError> {
        USE.compare_exchange(UNDECIDED, CLAIMED, Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| Self { taken: Vec::new() })
            .map_err(|_| {
                OsError::refused(
                    "claim",
                    "inherited descriptors",
                    "inherited descriptors were claimed or kept before",
                )
            })
    }

    /// Takes over the descriptor of this number, and closes it on exec from now on.
    ///
    /// # Errors
    /// A number that is not open, was not inherited, has been taken, or is one of the standard three.
    pub fn take(&mut self, number: RawFd) -> Result<OwnedFd, OsError> {
        let refused = |why| Err(OsError::refused("inherit descriptor", number, why));
        if number < FIRST {
            return refused("not the number of an inheritable descriptor");
        }
        let flags = match flags(number) {
            Ok(flags) => flags,
            Err(Errno::EBADF) => return refused("not open"),
            Err(error) => return Err(OsError::new("fcntl F_GETFD", number, error)),
        };
        if self.taken.contains(&number) || flags.contains(FdFlag::FD_CLOEXEC) {
            return refused("not inherited, or already taken");
        }
        self.taken.push(number);
        // SAFETY: open, and without another owner: see the head of this module.
        let taken = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&taken, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
            .map_err(|error| OsError::new("fcntl F_SETFD", number, error))?;
        Ok(taken)
    }
}
