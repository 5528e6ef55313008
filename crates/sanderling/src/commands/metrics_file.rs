//! `--metrics-file`: metrics of a command that ends by itself, for whoever reads files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sanderling_coordinator::{Fleet, StatusReport};
use sanderling_core::Micros;
use sanderling_store::RolloutRecord;
use sanderling_telemetry::{Board, Look, Metrics, UPKEEP};
use tokio_util::task::AbortOnDropHandle;

use crate::cli::Command;

/// A file that is written anew while the command runs, and once more at its end.
pub(crate) struct MetricsFile {
    metrics: Metrics,
    path: PathBuf,
    /// What is known at the end, and shown then.
    board: Board,
}

impl MetricsFile {
    /// Where the command was told to write to, if it was. A place that cannot be written to is an error before anything
    /// has begun.
    pub(crate) fn of(command: &Command, fleet: &str) -> anyhow::Result<Option<Self>> {
        let (process, path) = match command {
            Command::Up(args) => ("up", &args.measured.metrics_file),
            Command::Down(args) => ("down", &args.measured.metrics_file),
            Command::Redo(args) => ("redo", &args.measured.metrics_file),
            Command::Status(args) => ("status", &args.measured.metrics_file),
            _ => return Ok(None),
        };
        let begin = |path: &PathBuf| Self::begin(fleet, process, path);
        path.as_ref().map(begin).transpose()
    }

    fn begin(fleet: &str, process: &str, path: &Path) -> anyhow::Result<Self> {
        let file = Self {
            metrics: Metrics::install(fleet, process, env!("CARGO_PKG_VERSION"))?,
            path: path.to_owned(),
            board: Board::new(),
        };
        file.write()?;
        Ok(file)
    }

    /// Writes what is known now.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        self.metrics.write(&self.path)
    }

    /// Writes every few seconds, as long as the answer is kept.
    pub(crate) fn keep_writing(&self) -> AbortOnDropHandle<()> {
        let (metrics, path) = (self.metrics.clone(), self.path.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                metrics.upkeep();
                if let Err(error) = metrics.write(&path) {
                    tracing::warn!("{error:#}");
                }
            }
        }))
    }

    /// The rollout that the command followed has come to this.
    pub(crate) fn ended(&self, record: &RolloutRecord) {
        let samples = sanderling_telemetry::rollout(&record.rollout, record.now, None);
        self.board.show(samples);
    }

    /// The command has looked at the fleet.
    pub(crate) fn seen(&self, fleet: &Fleet, report: &StatusReport, took: Duration) {
        self.board.show(sanderling_telemetry::fleet(&Look {
            status: &report.summary,
            hosts: fleet.by_host(),
            at: now(),
            took,
        }));
    }
}

fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
