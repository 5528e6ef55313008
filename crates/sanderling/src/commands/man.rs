//! `sanderling man DIR`

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::printer::Printer;

/// Writes a manual page for the program and one for each command.
pub(crate) fn run(printer: Printer, directory: &Path) -> anyhow::Result<Exit> {
    let written = || {
        format!(
            "the manual pages could not be written to {}",
            directory.display()
        )
    };
    std::fs::create_dir_all(directory).with_context(written)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(written)?;
    printer.talk(&format!(
        "manual pages are in {0}; `man -l {0}/sanderling.1` shows the first",
        directory.display()
    ));
    Ok(Exit::Done)
}
