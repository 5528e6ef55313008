//! `sanderling demo`: a fleet that lasts a minute, and a rollout in which much goes wrong. Every step is the command that
//! an operator would type, run as a process of its own.

mod fleet;
mod shell;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::{Demo, Global};
use crate::exit::Exit;
use crate::printer::Printer;
use crate::signals::Signals;
use crate::wiring::Wiring;
use shell::Shell;

/// Tenants that must be done before the worker is killed, so that it is in the middle of it.
const DONE_BEFORE_THE_KILL: u64 = 60;

/// Tells the story. Its directory goes when it ends, unless it was named, or something went otherwise than told.
pub(crate) async fn run(printer: Printer, global: &Global, args: &Demo) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let directory = directory(args)?;
    fleet::write(&directory)?;
    let shell = Shell {
        printer,
        program: std::env::current_exe().context("this program does not know its own file")?,
        directory: directory.clone(),
    };
    let signals = Signals::listen(
        printer,
        "interrupted: the demo ends with the command that runs now",
    )?;
    let told = story(&shell, global, &signals).await;
    let kept = args.directory.is_some() || (told.is_err() && signals.exit().is_none());
    if kept {
        let here = directory.display();
        shell.remark(&format!(
            "The fleet is kept in {here}: `cd {here}` and look around, or remove it."
        ));
    } else {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("{} cannot be removed", directory.display()))?;
    }
    if let Some(exit) = signals.exit() {
        return Ok(exit);
    }
    told?;
    let seconds = begun.elapsed().as_secs();
    printer.json(&json!({ "seconds": seconds, "directory": kept.then_some(directory) }))?;
    shell.remark(&format!("That took {seconds} seconds."));
    Ok(Exit::Done)
}

/// A directory of its own. A temporary one is made anew and for nobody else: what is in it is run.
fn directory(args: &Demo) -> anyhow::Result<PathBuf> {
    let Some(named) = &args.directory else {
        let name = format!("sanderling-demo-{}", uuid::Uuid::now_v7());
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        return Ok(directory);
    };
    let directory = std::path::absolute(named)?;
    if std::fs::read_dir(&directory).is_ok_and(|mut files| files.next().is_some()) {
        bail!(
            "{} is not empty; the demo wants a directory of its own",
            directory.display()
        );
    }
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    Ok(directory)
}

async fn story(shell: &Shell, global: &Global, signals: &Signals) -> anyhow::Result<()> {
    let interrupted = || signals.exit().is_some();
    shell.remark("300 shops, each with a SQLite file of its own, and their first migration.");
    shell.types(&["up"], Exit::Done).await?;

    shell.remark("The next migration has a mistake in it.");
    fleet::spoil(&shell.directory)?;
    shell.shows(fleet::SECOND)?;
    shell.types(&["plan"], Exit::Done).await?;
    shell.types(&["up"], Exit::Halted).await?;
    if interrupted() {
        return Ok(());
    }

    shell.remark("One shop of 300 has tried it, and has changed nothing. The file is mended, and said to be.");
    fleet::mend(&shell.directory)?;
    let id = shell.newest_rollout().await?;
    let amend = [
        "rollout",
        "retry",
        &id,
        "--amend",
        fleet::SECOND_VERSION,
        "--reason",
        "a typing error",
    ];
    shell.types(&amend, Exit::Done).await?;

    shell.remark("It goes on. In the middle of it the machine dies.");
    let store = of(&shell.directory, global, shell.printer)?;
    shell
        .killed(&["up"], &store, &id, DONE_BEFORE_THE_KILL)
        .await?;
    shell.types(&["rollout", "show"], Exit::Done).await?;
    if interrupted() {
        return Ok(());
    }

    shell.remark("The same command goes on where it stood. What the dead worker had in hand is taken over when its lease has ended.");
    shell.types(&["up"], Exit::Done).await?;
    shell.remark("Every ledger, every catalog and the control store, held against each other.");
    shell.types(&["verify"], Exit::Done).await
}

/// What the demo's own configuration makes.
fn of(directory: &Path, global: &Global, printer: Printer) -> anyhow::Result<Wiring> {
    let global = Global {
        config: directory.join("sanderling.toml"),
        ..global.clone()
    };
    Wiring::load(&global, printer)
}
