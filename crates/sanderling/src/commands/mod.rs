//! The commands: one file each, `<noun>/<verb>.rs`.

mod completions;
mod demo;
mod discover;
mod doctor;
mod down;
mod init;
mod joined;
mod man;
pub(crate) mod metrics_file;
mod new;
mod ping;
mod plan;
mod process;
mod redo;
mod repair;
mod rollout;
mod selection;
mod serving;
mod status;
mod tenants;
mod up;
mod verify;

use std::sync::Arc;

use sanderling_telemetry::LogFormat;

use crate::cli::{self, Cli, Command};
use crate::exit::Exit;
use crate::printer::Printer;
use crate::wiring::Wiring;
use metrics_file::MetricsFile;

/// Runs what was typed.
pub(crate) fn run(cli: Cli, printer: Printer) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Completions { shell } => return Ok(completions::run(*shell)),
        Command::Man { directory } => return man::run(printer, directory),
        Command::Init(args) => return init::run(printer, &cli.global.config, args),
        _ => {}
    }
    let (format, level) = match &cli.command {
        Command::Coordinator(process) | Command::Worker(cli::Worker { process, .. })
            if process.log_json =>
        {
            (LogFormat::Json, "info")
        }
        Command::Coordinator(_) | Command::Worker(_) => (LogFormat::Human, "info"),
        _ => (LogFormat::Human, "error"),
    };
    sanderling_telemetry::init(format, level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Command::Status(args) = &cli.command
        && let Some(request) = discover::Request::of(args)
    {
        return runtime.block_on(discover::run(printer, &request));
    }
    if let Command::Demo(args) = &cli.command {
        return runtime.block_on(demo::run(printer, &cli.global, args));
    }
    let mut wiring = Wiring::load(&cli.global, printer)?;
    wiring.metrics = MetricsFile::of(&cli.command, &wiring.settings.fleet_name)?;
    let wiring = Arc::new(wiring);
    runtime.block_on(async {
        let _writing = wiring.metrics.as_ref().map(MetricsFile::keep_writing);
        let exit = dispatch(&wiring, cli.command, printer, &cli.global).await;
        if let Some(Err(error)) = wiring.metrics.as_ref().map(MetricsFile::write) {
            printer.warn(&format!("{error:#}"));
        }
        exit
    })
}

async fn dispatch(
    wiring: &Arc<Wiring>,
    command: Command,
    printer: Printer,
    global: &cli::Global,
) -> anyhow::Result<Exit> {
    match command {
        Command::Up(args) => up::run(wiring, &args).await,
        Command::Down(args) => down::run(wiring, &args).await,
        Command::Redo(args) => redo::run(wiring, &args).await,
        Command::Plan(args) => plan::run(wiring, &args).await,
        Command::Status(args) => status::run(wiring, &args).await,
        Command::Verify(args) => verify::run(wiring, &args).await,
        Command::Rollout(args) => rollout::run(wiring, &args).await,
        Command::Tenants(args) => tenants::run(wiring, &args).await,
        Command::Repair(verb) => repair::run(wiring, &verb).await,
        Command::Doctor(args) => doctor::run(wiring, &args).await,
        Command::Coordinator(args) => process::coordinator(wiring, &args).await,
        Command::Worker(args) => process::worker(wiring, &args).await,
        Command::New { name } => new::run(wiring, &name),
        Command::Ping { wait } => ping::run(wiring, wait.as_deref()).await,
        Command::Completions { shell } => Ok(completions::run(shell)),
        Command::Man { directory } => man::run(printer, &directory),
        Command::Init(args) => init::run(printer, &global.config, &args),
        Command::Demo(args) => demo::run(printer, global, &args).await,
    }
}
