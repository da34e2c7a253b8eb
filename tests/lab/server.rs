//! The server under test.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{DEADLINE, Namespace, PrivateDir, Process};

/// The UDP port of a Teredo server, on both of its addresses.
pub(crate) const PORT: u16 = 3544;

/// Which server binary is under test.
///
/// Ours, unless the environment variable `MIREDO_SERVER_SUBJECT` names another with the same
/// command line: `/usr/sbin/miredo-server` of Debian's package is the reference, and what it
/// cannot pass no client needs.
pub(crate) struct Subject(PathBuf);

impl Subject {
    /// The subject of this run.
    pub(crate) fn chosen() -> Self {
        match std::env::var_os("MIREDO_SERVER_SUBJECT") {
            Some(path) => Self(path.into()),
            None => Self::ours(),
        }
    }

    /// The binary of this package, whatever the environment says.
    pub(crate) fn ours() -> Self {
        Self(env!("CARGO_BIN_EXE_miredo-server").into())
    }

    /// A binary at a given path.
    pub(crate) fn at(path: &str) -> Self {
        Self(path.into())
    }

    /// True when the subject is this package's binary.
    pub(crate) fn is_ours(&self) -> bool {
        self.0 == Path::new(env!("CARGO_BIN_EXE_miredo-server"))
    }

    /// Starts the subject in `host` with `-f`, `-u nobody` and the text of a configuration file,
    /// and waits until `sockets` UDP sockets are bound to port 3544 there.
    #[track_caller]
    pub(crate) fn start(&self, host: &Namespace, configuration: &str, sockets: usize) -> Server {
        let dir = PrivateDir::new();
        let file = dir.write("miredo-server.conf", configuration);
        let pid_file = dir.path().join("miredo-server.pid");
        let [program, file, pid_file] =
            [&self.0, &file, &pid_file].map(|path| path.to_str().unwrap());
        let process = host.spawn(program, &["-f", "-u", "nobody", "-c", file, "-p", pid_file]);
        let mut server = Server { process, dir };
        server.wait_until_bound(host, sockets);
        server
    }
}

/// A running server; stopped on drop.
pub(crate) struct Server {
    process: Process,
    dir: PrivateDir,
}

impl Server {
    /// Its process, for signals and output.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where it was told to write its process id.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.path().join("miredo-server.pid")
    }

    /// Replaces the text of its configuration file; [`Server::reload`] makes it read it.
    pub(crate) fn configure(&self, configuration: &str) {
        self.dir.write("miredo-server.conf", configuration);
    }

    /// SIGHUP.
    pub(crate) fn reload(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.process.terminate()
    }

    #[track_caller]
    fn wait_until_bound(&mut self, host: &Namespace, sockets: usize) {
        let start = Instant::now();
        while host.udp_sockets_on(PORT) < sockets {
            let ended = self.process.ended();
            assert!(
                ended.is_none() && start.elapsed() < DEADLINE,
                "the server did not bind UDP port {PORT} ({ended:?})"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}
