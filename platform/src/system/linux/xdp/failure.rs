//! What aya tells of failures, in the words of this crate.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;

use crate::error::OsError;

/// Who may load and attach programs.
pub(super) const PRIVILEGE: &str =
    "give the service CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and the call bpf(2)";

const LOAD: &str = "load XDP program";
const MAP: &str = "bpf map of XDP program";

/// What the program as it was built lacks.
pub(super) fn missing(name: &'static str) -> OsError {
    OsError::refused(LOAD, name, "it is not in the program")
}

/// Maps are made before the program is loaded.
pub(super) fn load_failed(error: EbpfError) -> OsError {
    match error {
        EbpfError::MapError(error) => map_failed(error),
        error => told(LOAD, &error),
    }
}

/// A map that cannot be made, read or written.
pub(super) fn map_failed(error: MapError) -> OsError {
    let failed = match error {
        MapError::CreateError { io_error, .. } => OsError::new(MAP, "", io_error),
        MapError::SyscallError(error) => OsError::new(MAP, error.call, error.io_error),
        MapError::IoError(error) => OsError::new(MAP, "", error),
        error => told(MAP, &error),
    };
    failed.permission(PRIVILEGE, PRIVILEGE)
}

/// A program that cannot be loaded or run. Of what the kernel's verifier says, the last line says why.
pub(super) fn program_failed(error: ProgramError) -> OsError {
    let (io_error, log) = match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => (io_error, verifier_log.to_string()),
        ProgramError::SyscallError(error) => {
            return OsError::new(LOAD, error.call, error.io_error).permission(PRIVILEGE, PRIVILEGE);
        }
        error => return told(LOAD, &error),
    };
    let numbers = ["processed ", "stack depth ", "verification time "];
    let mut lines = log.lines().rev().map(str::trim);
    match lines.find(|line| !line.is_empty() && !numbers.iter().any(|word| line.starts_with(word)))
    {
        Some(line) => {
            let why = format!("the kernel's verifier refuses it: {line}");
            let refused = OsError::new(LOAD, "", io::Error::other(why));
            // Whom it takes for !root lacks CAP_PERFMON.
            match line.contains("!root") {
                true => refused.remedy(PRIVILEGE),
                false => refused,
            }
        }
        None => OsError::new(LOAD, "", io_error).permission(PRIVILEGE, PRIVILEGE),
    }
}

fn told(call: &'static str, error: &impl ToString) -> OsError {
    OsError::new(call, "", io::Error::other(error.to_string()))
}
