//! Errors of system calls, told so that they need no debugger.

use std::borrow::Cow;
use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::unistd::Uid;

/// A system call that failed: which one, on what, why, and what helps.
///
/// Reads `bind 192.0.2.1:3544: address not assigned to this host`, or with a remedy
/// `socket raw IPv6: not permitted; run as root`.
#[derive(Debug)]
pub struct OsError {
    call: &'static str,
    object: String,
    source: io::Error,
    remedy: Option<Cow<'static, str>>,
}

impl OsError {
    /// `call` failed on `object` (an address, a path; empty where the call has none) with `source`.
    pub fn new(
        call: &'static str,
        object: impl fmt::Display,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            call,
            object: object.to_string(),
            source: source.into(),
            remedy: None,
        }
    }

    /// A failure that no system call reported; `why` is told as it stands.
    pub fn refused(call: &'static str, object: impl fmt::Display, why: &'static str) -> Self {
        Self::new(call, object, io::Error::other(why))
    }

    /// Says what it is about, where the call did not know.
    #[must_use]
    #[cfg(has_xdp)]
    pub(crate) fn about(mut self, object: impl fmt::Display) -> Self {
        self.object = object.to_string();
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds what helps where the call was not permitted: `user` unless root made it, and `root` if root did.
    #[must_use]
    pub fn permission(self, user: &'static str, root: impl Into<Cow<'static, str>>) -> Self {
        match (self.kind(), Uid::effective().is_root()) {
            (io::ErrorKind::PermissionDenied, true) => self.remedy(root),
            (io::ErrorKind::PermissionDenied, false) => self.remedy(user),
            _ => self,
        }
    }

    /// Adds what helps where the kernel has no IPv6.
    #[must_use]
    pub fn without_ipv6(self) -> Self {
        const OFF: &str = if cfg!(target_os = "linux") {
            "IPv6 is switched off: start the kernel without ipv6.disable=1, or load the module ipv6"
        } else {
            "this kernel has no IPv6"
        };
        match self.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT) => self.remedy(OFF),
            _ => self,
        }
    }

    /// The kind of the operating system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The `errno` value, if a system call set one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.call)?;
        if !self.object.is_empty() {
            write!(out, " {}", self.object)?;
        }
        write!(out, ": {}", Reason(self.call, &self.source))?;
        match &self.remedy {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for OsError {
    // `source` stays out of the chain: Display has told it already, and a chain is printed in full.
}

impl From<OsError> for io::Error {
    fn from(error: OsError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Whether a receive error tells of the network or of the moment, and not of the socket: an ICMP error that an earlier send
/// provoked, an interface that is down, memory that is short, a signal.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error
            .raw_os_error()
            .map_or(Errno::UnknownErrno, Errno::from_raw),
        Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::ECONNABORTED
            | Errno::EHOSTUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENETUNREACH
            | Errno::ENETDOWN
            | Errno::ENETRESET
            | Errno::ENOPROTOOPT
            | Errno::EPROTO
            | Errno::EMSGSIZE
            | Errno::EOPNOTSUPP
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EINTR
    )
}

/// Whether a send error says that there is no room for the message now.
pub(crate) fn is_full(error: Errno) -> bool {
    matches!(error, Errno::EAGAIN | Errno::ENOBUFS)
}

struct Reason<'a>(&'static str, &'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(call, error) = self;
        let Some(number) = error.raw_os_error() else {
            return error.fmt(out);
        };
        match (*call, Errno::from_raw(number)) {
            ("bind", Errno::EADDRNOTAVAIL) => out.write_str("address not assigned to this host"),
            ("bind", Errno::EADDRINUSE) => out.write_str("port already in use by another process"),
            ("setuid" | "setgid", Errno::EINVAL) => {
                out.write_str("no such id in this user namespace")
            }
            (_, Errno::EACCES | Errno::EPERM) => out.write_str("not permitted"),
            (_, Errno::EMFILE | Errno::ENFILE) => out.write_str("too many open files"),
            _ => {
                // std appends the number, which tells an administrator nothing.
                let text = error.to_string();
                let suffix = format!(" (os error {number})");
                out.write_str(text.strip_suffix(&suffix).unwrap_or(&text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_call_object_reason_and_remedy() {
        let cases = [
            (
                "bind",
                Errno::EADDRNOTAVAIL,
                "bind x: address not assigned to this host",
            ),
            (
                "bind",
                Errno::EADDRINUSE,
                "bind x: port already in use by another process",
            ),
            ("socket", Errno::EPERM, "socket x: not permitted"),
            ("open", Errno::ENOENT, "open x: No such file or directory"),
        ];
        for (call, errno, told) in cases {
            assert_eq!(OsError::new(call, "x", errno).to_string(), told);
        }
        // What a kernel answers that was started with ipv6.disable=1.
        let error = OsError::new("socket", "raw IPv6", Errno::EAFNOSUPPORT).without_ipv6();
        let told = error.to_string();
        assert!(told.contains("IPv6"), "{told}");
        assert!(told.contains("; ") && !told.contains("root"), "{told}");
        let other = OsError::new("socket", "x", Errno::EMFILE).without_ipv6();
        assert_eq!(other.to_string(), "socket x: too many open files");
        let error = OsError::new("chroot", "", Errno::EPERM).remedy("run as root");
        assert_eq!(error.to_string(), "chroot: not permitted; run as root");
        assert_eq!(
            io::Error::from(error).kind(),
            io::ErrorKind::PermissionDenied
        );
    }

    #[test]
    fn permission_is_no_remedy_of_others() {
        let told = |errno| {
            let error = OsError::new("socket", "x", errno);
            error.permission("start as root", "see jail(8)").to_string()
        };
        let helps = match Uid::effective().is_root() {
            true => "see jail(8)",
            false => "start as root",
        };
        assert_eq!(
            told(Errno::EPERM),
            format!("socket x: not permitted; {helps}")
        );
        assert!(!told(Errno::EAFNOSUPPORT).contains(';'));
    }
}
