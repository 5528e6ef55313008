#![doc = include_str!("../README.md")]

mod cli;
mod commands;
mod exit;
mod follow;
mod printer;
mod progress;
mod render;
mod render_gate;
mod settings;
mod signals;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::printer::Printer;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(&cli.global);
    // Before the first TLS connection of any library: sqlx and redis share one provider.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        printer.warn("a TLS provider had been installed already; using that one");
    }
    let exit = match commands::run(cli, printer) {
        Ok(exit) => exit,
        Err(error) => {
            printer.error(&format!("{error:#}"));
            exit::of_error(&error)
        }
    };
    ExitCode::from(exit.code())
}
