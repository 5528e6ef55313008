//! The recorder of a process, and its text for Prometheus.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use metrics::{KeyName, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::board;
use crate::catalogue::{ALL, BUILD_INFO};
use crate::metric::Kind;

/// How often durations are sorted into their buckets; in between each takes eight bytes.
pub const UPKEEP: Duration = Duration::from_secs(5);

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

static RECORDING: AtomicBool = AtomicBool::new(false);

/// Whether this process records. Where it does not, nobody need go and find out what could be shown.
pub fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    recorded: PrometheusHandle,
    fleet: String,
}

impl Metrics {
    /// Records what this process does from now on. `process` is what it is: `coordinator`, `worker` or `up`. Call
    /// [`Metrics::upkeep`] every [`UPKEEP`].
    ///
    /// # Errors
    /// The process records already.
    pub fn install(fleet: &str, process: &str, version: &str) -> anyhow::Result<Self> {
        let recorder = recorder(fleet)?;
        let recorded = recorder.handle();
        metrics::set_global_recorder(recorder).context("this process records metrics already")?;
        RECORDING.store(true, Ordering::Relaxed);
        BUILD_INFO.set([version, process], 1.0);
        Ok(Self {
            recorded,
            fleet: fleet.to_owned(),
        })
    }

    /// Sorts what was recorded into its buckets.
    pub fn upkeep(&self) {
        self.recorded.run_upkeep();
    }

    /// Everything as text, version 0.0.4 of the exposition format.
    ///
    /// # Errors
    /// The catalogue cannot be put to use: a fault of this program.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut text = self.recorded.render();
        let shown = recorder(&self.fleet)?;
        for sample in board::shown().iter() {
            sample.record(&shown);
        }
        text.push_str(&shown.handle().render());
        Ok(text)
    }

    /// Writes the text to a file, for the textfile collector of a node exporter: a reader sees either all of the former
    /// text or all of this one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = self.render()?;
        replace(path, &text).with_context(|| format!("metrics file {}", path.display()))
    }
}

/// A recorder that knows the catalogue and has recorded nothing.
fn recorder(fleet: &str) -> anyhow::Result<PrometheusRecorder> {
    let mut builder = PrometheusBuilder::new().add_global_label("fleet", fleet);
    for about in ALL.iter().filter(|about| about.kind == Kind::Histogram) {
        builder =
            builder.set_buckets_for_metric(Matcher::Full(about.name.to_owned()), about.buckets)?;
    }
    let recorder = builder.build_recorder();
    for about in ALL {
        let name = KeyName::from_const_str(about.name);
        let help = about.help.trim_end_matches('.').into();
        match about.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram => recorder.describe_histogram(name, None, help),
        }
    }
    Ok(recorder)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What could not be finished is nobody's; the first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    written
}
