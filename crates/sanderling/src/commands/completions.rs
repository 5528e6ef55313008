//! `sanderling completions SHELL`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;

/// Prints a completion script.
pub(crate) fn run(shell: Shell) -> Exit {
    clap_complete::generate(
        shell,
        &mut Cli::command(),
        "sanderling",
        &mut std::io::stdout(),
    );
    Exit::Done
}
