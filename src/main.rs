//! The order of start-up.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;

use log::{error, info, warn};
use miredo_server::cli::{self, Options};
use miredo_server::daemon::ask::ask;
use miredo_server::daemon::file_id::FileId;
use miredo_server::daemon::invocation::{self, Invocation};
use miredo_server::daemon::metrics::Listener;
use miredo_server::daemon::monitor::Monitor;
use miredo_server::daemon::pidfile::PidFile;
use miredo_server::daemon::plan::Plan;
use miredo_server::daemon::program::Program;
use miredo_server::daemon::reader::{self, Reader};
use miredo_server::daemon::signals::Signals;
use miredo_server::daemon::sockets::Sockets;
use miredo_server::daemon::statistics::Statistics;
use miredo_server::daemon::status::Started;
use miredo_server::daemon::waiting::Waiting;
use miredo_server::daemon::{Fault, accelerator, exporter, identity, worker};
use miredo_server::logging::{self, Target};
use platform::accelerator::{Accelerator, UNSUPPORTED};
use platform::{Access, Here, OsError};

fn main() -> ExitCode {
    if let Some(arguments) = cli::worker::Arguments::of_worker(std::env::args_os()) {
        return worker::main(&arguments);
    }
    if let Some(arguments) = reader::arguments_of_reader(std::env::args_os()) {
        return reader::main(arguments);
    }
    if let Some(control) = exporter::control_of_exporter(std::env::args_os()) {
        return exporter::main(control);
    }
    if let Some(control) = accelerator::control_of_accelerator(std::env::args_os()) {
        return accelerator::main(control);
    }
    let options = Options::from_command_line();
    let outcome = match options.status {
        true => show_status(&options),
        false => serve(options),
    };
    logging::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tell(&format_args!("miredo-server: {fault}"));
            ExitCode::from(fault.exit_status())
        }
    }
}

fn serve(options: Options) -> Result<(), Fault> {
    if invocation::logs_to_stderr(&options) {
        logging::init(Target::Stderr);
    }
    let program = Program::current()?;
    // Before descriptors that were inherited are closed: the configuration may be one of them, as a shell's <(...) is.
    let reader = Reader::start(&program, &options)?;
    let plan = reader.wait(&mut |diagnostic| tell(diagnostic))?;
    if options.check {
        say_good(&options, &plan);
        return Ok(());
    }
    let configuration = options.config_file().and_then(FileId::of);
    drop(platform::take_inherited()?);
    let owner = identity::owner(&options)?;
    // The last moment to fork: there is no thread yet, and nothing is open.
    let mut starting = if options.stays() {
        None
    } else {
        Some(platform::detach()?)
    };
    logging::init(invocation::target(&options, &plan));
    if let Some(warning) = owner.warning() {
        warn!("{warning}");
    }
    if let Err(error) = platform::allow_files() {
        warn!("{error}");
    }
    let mut signals = Signals::catch()?;
    if options.local {
        signals = signals.until_terminal_closes();
    }
    let raw = Sockets::open_raw(&plan)?;
    let create = |path| PidFile::create(path, configuration);
    let _pidfile = options.pid_file().map(create).transpose()?;
    let statistics = Statistics::of_plan(&options, &plan)?;
    let metrics = Listener::of_plan(&plan)?;
    restrict(&options, &program, statistics.as_ref())?;
    logging::start().map_err(|error| OsError::new("start thread", "log", error))?;
    let invocation = Invocation {
        options,
        owner,
        program,
        started: Started::now(),
    };
    let started = Cell::new(false);
    let log_fault = |fault: &Fault| {
        // What keeps it from starting goes to standard error alone, as every other such fault does.
        if started.get() {
            error!("stopped; {fault}");
        }
    };
    let opened = Waiting::new(&invocation, &mut signals, plan, raw, statistics, metrics)
        .open(|address| {
            started.set(true);
            let Some(starting) = starting.take() else {
                return Ok(());
            };
            tell(&format_args!("miredo-server: waiting for {address}"));
            Ok(starting.ready()?)
        })
        .inspect_err(log_fault)?;
    let Some(opened) = opened else {
        info!("stopped; it has served nobody");
        return Ok(());
    };
    let counters = Monitor::new(invocation, opened, signals)
        .run(|plan| {
            if let Some(starting) = starting {
                starting.ready()?;
            }
            info!("serving {plan}");
            started.set(true);
            Ok(())
        })
        .inspect_err(log_fault)?;
    info!("stopped; {counters}");
    Ok(())
}

/// Prints what a running server tells of itself.
fn show_status(options: &Options) -> Result<(), Fault> {
    let status = ask(options, &mut |diagnostic| tell(diagnostic))?;
    let text = match options.json {
        true => {
            serde_json::to_string(&status).map_err(|error| Fault::new(error.to_string()))? + "\n"
        }
        false => status.to_string(),
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| OsError::new("write", "standard output", error).into())
}

/// Says what comes of a configuration without errors.
fn say_good(options: &Options, plan: &Plan) {
    let file = options.config_file().filter(|path| path.exists());
    let file = file.unwrap_or(Path::new("command line")).display();
    let primary = plan.addresses.primary;
    if let Some(example) = [primary.bound, primary.public]
        .into_iter()
        .find(Ipv4Addr::is_documentation)
    {
        tell(&format_args!(
            "{file}: warning: {example} is an address for examples (RFC 5737): write one of this server instead"
        ));
    }
    if plan.accelerates() && !Here::BUILT_IN {
        tell(&format_args!("{file}: warning: Accelerate: {UNSUPPORTED}"));
    }
    let _ = writeln!(io::stdout(), "{file}: no errors; to serve {plan}");
}

/// Writes to standard error. eprintln panics if that is a pipe without a reader, or a file on a full disk.
fn tell(words: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// Restricts the process that stays root to the files that it still needs, where the system can.
fn restrict(
    options: &Options,
    program: &Program,
    statistics: Option<&Statistics>,
) -> Result<(), Fault> {
    let files = [
        (options.pid_file(), Access::Remove),
        (statistics.map(Statistics::path), Access::Remove),
        (Some(program.path()), Access::Execute),
    ];
    let files = files
        .iter()
        .filter_map(|(file, access)| Some(((*file)?, *access)));
    Ok(platform::restrict_monitor(&files.collect::<Vec<_>>())?)
}
