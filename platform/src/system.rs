//! A module for each system, and the choice of one.

#[cfg(not(target_os = "linux"))]
pub(crate) mod bsd;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        pub(crate) mod linux;
        pub(crate) use linux as sys;
    } else if #[cfg(target_os = "freebsd")] {
        pub(crate) mod freebsd;
        pub(crate) use freebsd as sys;
    } else if #[cfg(target_os = "openbsd")] {
        pub(crate) mod openbsd;
        pub(crate) use openbsd as sys;
    } else if #[cfg(target_os = "netbsd")] {
        pub(crate) mod netbsd;
        pub(crate) use netbsd as sys;
    } else if #[cfg(target_os = "dragonfly")] {
        pub(crate) mod dragonfly;
        pub(crate) use dragonfly as sys;
    } else if #[cfg(target_os = "macos")] {
        pub(crate) mod macos;
        pub(crate) use macos as sys;
    } else {
        compile_error!("this system has no module in platform/src yet: see \"A new system\" in platform/src/lib.rs");
    }
}
