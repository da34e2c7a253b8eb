//! Opening syslog(3) with any facility; writing to it is `nix::syslog::syslog`'s business.

use std::mem::MaybeUninit;

/// Opens the system log for this process, now and not at the first line: while its socket is in reach of this
/// process's root directory. Lines carry the process id. A later call changes the facility.
///
/// The time zone, too, is read while its file is in reach: with it the C libraries of FreeBSD (`vsyslog1`, lib/libc/gen/syslog.c),
/// NetBSD and Linux write the time of each line, and syslogd(8) passes that on as it is.
///
/// nix 0.31 knows neither authpriv, cron nor ftp, and on all systems but Linux it hands openlog(3) a name that is gone
/// after the call, while that function keeps the pointer.
pub fn open(facility: i32) {
    let flags = libc::LOG_PID | libc::LOG_NDELAY;
    // SAFETY: the name is static, as openlog(3) keeps its address; it has no other demands.
    unsafe { libc::openlog(c"miredo-server".as_ptr(), flags, facility) }
    let mut now = MaybeUninit::uninit();
    // SAFETY: it reads the time and the environment, which nothing here changes, and writes no more than it is given room for.
    unsafe { libc::localtime_r(&0, now.as_mut_ptr()) };
}
