//! Builds the XDP program of `platform/xdp` if the feature `xdp` asks for it. Nothing else is built here.
//!
//! The program is for another processor, the BPF machine of Linux, so it takes a compiler with the source of its library `core`,
//! and a linker for that machine:
//!
//! | variable | default | what it is |
//! | --- | --- | --- |
//! | `MIREDO_XDP_RUSTC` | `rustc` | a compiler whose sysroot has the source of `core` (rustup: the component rust-src; Debian: rustc-web and rust-web-src) |
//! | `MIREDO_XDP_LINKER` | `bpf-linker` | bpf-linker, built with an LLVM at least as new as the compiler's |

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=xdp");
    println!("cargo::rerun-if-env-changed=MIREDO_XDP_RUSTC");
    println!("cargo::rerun-if-env-changed=MIREDO_XDP_LINKER");
    println!("cargo::rustc-check-cfg=cfg(has_xdp)");
    println!("cargo::rustc-check-cfg=cfg(has_xdp_bench)");
    let is = |name: &str, values: &[&str]| {
        env::var(name).is_ok_and(|value| values.contains(&value.as_str()))
    };
    // Elsewhere the feature changes nothing.
    if env::var_os("CARGO_FEATURE_XDP").is_none()
        || !is("CARGO_CFG_TARGET_OS", &["linux"])
        || !is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"])
        || !is("CARGO_CFG_TARGET_ENDIAN", &["little"])
    {
        return ExitCode::SUCCESS;
    }
    let bench = env::var_os("CARGO_FEATURE_XDP_BENCH").is_some();
    match build(bench) {
        Ok(programs) => {
            let program = |name: &str| programs.join(name).display().to_string();
            println!("cargo::rustc-cfg=has_xdp");
            println!(
                "cargo::rustc-env=MIREDO_XDP_PROGRAM={}",
                program("miredo-xdp")
            );
            if bench {
                println!("cargo::rustc-cfg=has_xdp_bench");
                let program = program("miredo-xdp-bench");
                println!("cargo::rustc-env=MIREDO_XDP_BENCH={program}");
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!(
                "the feature xdp: {fault}; README.md says what it takes (Driver acceleration)"
            );
            ExitCode::FAILURE
        }
    }
}

/// Builds the program, and those of the bench if it is for that; says where they are.
fn build(bench: bool) -> Result<PathBuf, String> {
    let variable = |name: &str| env::var_os(name).ok_or(format!("no {name}"));
    let target = Path::new(&variable("OUT_DIR")?).join("xdp");
    let source = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("xdp");
    let mut command = Command::new(variable("CARGO")?);
    command
        .args([
            "build",
            "--locked",
            "--release",
            "--target",
            "bpfel-unknown-none",
        ])
        .args(["--bin", "miredo-xdp"])
        .args(
            bench
                .then_some(["--bin", "miredo-xdp-bench"])
                .iter()
                .flatten(),
        )
        .args(["-Z", "build-std=core", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC", or(env::var_os("MIREDO_XDP_RUSTC"), "rustc"))
        // To build `core` is unstable, and so is what the target needs.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?)
        // Of the compiler and the build around this one.
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN");
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !status.success() {
        return Err(format!("cargo build of platform/xdp: {status}"));
    }
    Ok(target.join("bpfel-unknown-none/release"))
}

fn flags() -> Result<OsString, String> {
    let processor = env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| error.to_string())?;
    let mut linker = OsString::from("-Clinker=");
    linker.push(or(env::var_os("MIREDO_XDP_LINKER"), "bpf-linker"));
    let flags = [
        linker,
        "-Cpanic=abort".into(),
        // Instructions of Linux 5.1 and later.
        "-Ctarget-cpu=v3".into(),
        // Headers lie at odd addresses, and these processors read there.
        "-Ctarget-feature=+allows-misaligned-mem-access".into(),
        format!("--cfg=bpf_target_arch=\"{processor}\"").into(),
    ];
    Ok(flags.join(OsStr::new(SEPARATOR)))
}

fn or(value: Option<OsString>, default: &str) -> OsString {
    value.unwrap_or_else(|| default.into())
}
