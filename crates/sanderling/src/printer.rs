//! The only place that writes: results on stdout, talk on stderr.

use std::io::{IsTerminal, Write};

use serde::Serialize;

/// Decides what is written and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    bars: bool,
}

impl Printer {
    /// A printer for the global flags; progress bars only where stderr is a terminal.
    pub(crate) fn new(global: &crate::cli::Global) -> Self {
        let bars =
            !global.quiet && !global.no_color && !global.json && std::io::stderr().is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            bars,
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether progress bars may be drawn.
    pub(crate) fn bars(self) -> bool {
        self.bars
    }

    /// A result for a person; nothing with `--json`.
    pub(crate) fn result(self, text: &str) {
        if !self.json {
            write_line(std::io::stdout(), text);
        }
    }

    /// A result for a script: one JSON document on one line.
    pub(crate) fn json(self, value: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            write_line(std::io::stdout(), &serde_json::to_string(value)?);
        }
        Ok(())
    }

    /// Talk: what is going on. Silenced by `--quiet`.
    pub(crate) fn talk(self, text: &str) {
        if !self.quiet {
            write_line(std::io::stderr(), text);
        }
    }

    /// A warning: never silenced.
    pub(crate) fn warn(self, text: &str) {
        write_line(std::io::stderr(), &format!("warning: {text}"));
    }

    /// An error: never silenced.
    pub(crate) fn error(self, text: &str) {
        write_line(std::io::stderr(), &format!("error: {text}"));
    }
}

/// A reader that has gone away (`| head`) is no error of ours.
fn write_line(mut to: impl Write, text: &str) {
    let _ = to
        .write_all(text.trim_end_matches('\n').as_bytes())
        .and_then(|()| to.write_all(b"\n"))
        .and_then(|()| to.flush());
}
