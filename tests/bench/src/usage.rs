//! What a process and all its descendants cost, as /proc tells (proc(5)).

use std::fs;
use std::path::PathBuf;

use crate::Fault;

/// A process and its descendants.
pub(crate) struct Family(u32);

/// What they have used since they began, and hold now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a processor, user and system, in nanoseconds.
    pub(crate) cpu: u64,
    /// Resident memory in KiB, shared pages counted for each.
    pub(crate) resident: u64,
    /// The same with shared pages divided among those that share them, and private pages alone.
    pub(crate) proportional: u64,
    /// How often a thread gave up its processor to wait.
    pub(crate) waits: u64,
    pub(crate) processes: u64,
    pub(crate) threads: u64,
}

impl Family {
    pub(crate) fn of(process: u32) -> Self {
        Self(process)
    }

    /// Adds up all of them. What has ended, or ends meanwhile, counts nothing.
    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for process in self.members() {
            let home = PathBuf::from(format!("/proc/{process}"));
            let field = |file: &str, name: &str| number_after(&read(home.join(file)), name);
            usage.processes += 1;
            usage.resident += field("status", "VmRSS:");
            usage.proportional += field("smaps_rollup", "Pss:");
            for task in fs::read_dir(home.join("task"))
                .into_iter()
                .flatten()
                .flatten()
            {
                usage.threads += 1;
                // Exact, where utime and stime of proc_pid_stat(5) come in hundredths of a second.
                usage.cpu += number_after(&read(task.path().join("schedstat")), "");
                usage.waits += number_after(
                    &read(task.path().join("status")),
                    "\nvoluntary_ctxt_switches:",
                );
            }
        }
        usage
    }

    fn members(&self) -> Vec<u32> {
        let mut members = vec![self.0];
        let mut next = 0;
        while let Some(parent) = members.get(next) {
            next += 1;
            let tasks = fs::read_dir(format!("/proc/{parent}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let children = read(task.path().join("children"));
                members.extend(children.split_whitespace().flat_map(str::parse::<u32>));
            }
        }
        members
    }
}

/// UDP datagrams that programs of this namespace have received: `InDatagrams` of /proc/net/snmp (RFC 4113).
pub(crate) fn received() -> Result<u64, Fault> {
    let text = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let values = text.lines().filter(|line| line.starts_with("Udp:")).nth(1);
    let value = values.and_then(|line| line.split_whitespace().nth(1));
    Ok(value.ok_or("/proc/net/snmp has no UDP")?.parse()?)
}

/// The number behind `name`, or 0.
fn number_after(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.parse().unwrap_or(0)
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Family::of(std::process::id()).usage();
        assert!(usage.processes >= 1 && usage.threads >= 1);
        assert!(usage.cpu > 0 && usage.resident > 0 && usage.proportional > 0);
    }

    #[test]
    fn numbers_follow_their_names() {
        let text = "Name:\tx\nVmRSS:\t  2048 kB\n";
        assert_eq!(number_after(text, "VmRSS:"), 2048);
        assert_eq!(number_after(text, "Pss:"), 0);
        assert_eq!(number_after("123 456 7", ""), 123);
    }
}
