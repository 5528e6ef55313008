//! The one subscriber of a process.

use std::io::{self, IsTerminal};

use anyhow::{Context, anyhow};
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

/// How a line of log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes: coloured on a terminal.
    #[default]
    Human,
    /// For machines: one JSON object a line.
    Json,
}

/// Sends this process's events to stderr from now on, from `level` up.
///
/// `level` is a word or a filter, as the crate's page says.
///
/// # Errors
/// When `level` cannot be read, and when the process has a subscriber already.
pub fn init(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    match format {
        LogFormat::Human => install(
            fmt()
                .with_env_filter(filter)
                .with_writer(io::stderr)
                .with_ansi(colours())
                .finish(),
        ),
        LogFormat::Json => install(
            fmt()
                .json()
                .flatten_event(true)
                .with_env_filter(filter)
                .with_writer(io::stderr)
                .finish(),
        ),
    }
}

/// Reads a level or a filter.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let level = level.trim();
    if level.is_empty() {
        return Err(anyhow!(
            "the log level is empty; use error, warn, info, debug, trace or off"
        ));
    }
    // A single word that is no level would be taken for a module's name, and mute everything else.
    let word = level.chars().all(|c| c.is_ascii_alphanumeric());
    if word
        && level
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_err()
    {
        return Err(anyhow!(
            "log level {level:?} is not one of error, warn, info, debug, trace, off"
        ));
    }
    EnvFilter::try_new(level).with_context(|| {
        format!(
            "log level {level:?} cannot be read; use a level, or a filter as in \
             info,sanderling_worker=debug"
        )
    })
}

fn install(subscriber: impl Subscriber + Send + Sync + 'static) -> anyhow::Result<()> {
    subscriber
        .try_init()
        .context("logging of this process is set up already")
}

/// Colours are for people who have not asked to be spared them (<https://no-color.org>).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_read() {
        for level in ["info", " DEBUG ", "off", "info,sanderling_worker=debug"] {
            filter(level).unwrap();
        }
    }

    #[test]
    fn what_is_no_level_is_refused_by_name() {
        for level in ["", "  ", "loud", "info,worker=loud"] {
            let said = format!("{:#}", filter(level).unwrap_err());
            assert!(said.contains(level.trim()), "{said}");
        }
    }

    #[test]
    fn the_second_subscriber_is_an_error() {
        init(LogFormat::Json, "info").unwrap();
        let refusal = init(LogFormat::Human, "info").unwrap_err();
        assert!(refusal.to_string().contains("already"), "{refusal}");
    }
}
