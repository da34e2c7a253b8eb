//! The command line of a worker. The monitor writes it; everything that a worker has to know comes through its control socket.

use std::ffi::OsString;
use std::os::fd::RawFd;

use clap::Parser;

/// The first argument of a worker.
pub const WORKER: &str = "--worker";

/// What a worker is started with.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "miredo-server: worker", disable_help_flag = true)]
pub struct Arguments {
    /// Marks a worker.
    #[arg(long, required = true)]
    worker: bool,
    /// The inherited descriptor of the socket to the monitor.
    #[arg(long)]
    pub control: RawFd,
    /// What a monitor adds that does not know of messages: addresses, sockets, directives.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<OsString>,
}

impl Arguments {
    /// The arguments of this process, if it was started as a worker.
    ///
    /// Ends the process with exit code 2 when somebody typed `--worker` and got the rest wrong.
    pub fn of_worker(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.peekable();
        let program = arguments.next()?;
        if arguments.peek()? != WORKER {
            return None;
        }
        Some(Self::parse_from(std::iter::once(program).chain(arguments)))
    }

    /// What to start a worker with.
    pub fn to_worker(control: RawFd) -> [String; 2] {
        [WORKER.to_owned(), format!("--control={control}")]
    }

    /// Whether the monitor is of a version that sends no messages, and reads a line of text.
    pub fn monitor_is_older(&self) -> bool {
        !self.more.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn read(words: &[&str]) -> Option<Arguments> {
        Arguments::of_worker(words.iter().map(OsString::from))
    }

    #[test]
    fn the_parser_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_a_monitor_writes_is_read() {
        let [worker, control] = Arguments::to_worker(7);
        let arguments = read(&["miredo-server", &worker, &control]).unwrap();
        assert_eq!(arguments.control, 7);
        assert!(!arguments.monitor_is_older());
    }

    #[test]
    fn what_an_older_monitor_writes_is_known_as_such() {
        let arguments = read(&[
            "miredo-server",
            "--worker",
            "--control=3",
            "--udp=4,5",
            "--primary=192.0.2.1",
            "--allow-private",
        ]);
        let arguments = arguments.unwrap();
        assert_eq!(arguments.control, 3);
        assert!(arguments.monitor_is_older());
    }

    #[test]
    fn other_command_lines_are_no_worker_s() {
        for words in [
            &[][..],
            &["miredo-server"],
            &["miredo-server", "-f", WORKER],
        ] {
            assert_eq!(read(words), None);
        }
    }
}
