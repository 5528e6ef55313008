//! How a rollout's progress looks: a bar on a terminal, plain lines when piped, one event a line with `--json`.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sanderling_core::summary::AwayHost;
use sanderling_core::{Event, EventKind, HostName, Outcome, Rollout};
use sanderling_store::RolloutRecord;
use serde_json::json;

use crate::printer::Printer;
use crate::render;

/// Plain progress lines are this far apart.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Failures shown one by one; the rest is in the summary, grouped by cause.
const FAILURES_SHOWN: u32 = 10;

/// Shows progress.
pub(crate) struct Progress {
    printer: Printer,
    bar: Option<ProgressBar>,
    failures: u32,
    since: Instant,
    last_line: Instant,
    done_at_first: Option<u64>,
    away: Vec<HostName>,
}

impl Progress {
    pub(crate) fn new(printer: Printer) -> Self {
        let bar = printer.bars().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} tenants  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        Self {
            printer,
            bar,
            failures: 0,
            since: now,
            last_line: now,
            done_at_first: None,
            away: Vec::new(),
        }
    }

    /// Says something without tearing the bar.
    pub(crate) fn talk(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.talk(text)),
            None => self.printer.talk(text),
        }
    }

    /// One event, in order.
    pub(crate) fn event(&mut self, rollout: &Rollout, event: &Event) {
        if self.printer.is_json() {
            if let Err(error) = self.printer.json(&event_json(rollout, event)) {
                self.printer
                    .error(&format!("event {} cannot be shown: {error}", event.seq));
            }
            return;
        }
        if let Some(line) = self.line(rollout, &event.kind) {
            self.talk(&line);
        }
    }

    fn line(&mut self, rollout: &Rollout, kind: &EventKind) -> Option<String> {
        match kind {
            EventKind::WaveOpened { wave } => {
                let wave = rollout.waves.get(*wave)?;
                Some(format!(
                    "wave {} opened: {}",
                    wave.name,
                    render::tenants(wave.planned)
                ))
            }
            EventKind::Ended {
                tenant,
                outcome: Outcome::Failed | Outcome::Dirty,
                failure: Some(failure),
                ..
            } => {
                self.failures += 1;
                match self.failures {
                    n if n <= FAILURES_SHOWN => {
                        Some(format!("failed: {tenant}: {}", render::failure(failure)))
                    }
                    n if n == FAILURES_SHOWN + 1 => {
                        Some("more tenants failed; they are grouped by cause below".into())
                    }
                    _ => None,
                }
            }
            EventKind::Swept { wave, targets } => Some(format!(
                "the rest of wave {} has ended: {} whose locks were not to be had get their last try",
                rollout.waves.get(*wave)?.name,
                render::tenants(*targets)
            )),
            EventKind::Halted { halt } => Some(render::halt_line(halt)),
            EventKind::GateJudged {
                wave,
                gate,
                verdict,
                reason,
                ..
            } => Some(format!(
                "gate {gate} after wave {} says {verdict}: {reason}",
                rollout.waves.get(*wave)?.name
            )),
            other => verb_line(other),
        }
    }

    /// The hosts that workers cannot work on: said when one goes, and when it is back.
    pub(crate) fn hosts(&mut self, hosts: Vec<AwayHost>) {
        for host in hosts.iter().filter(|host| !self.away.contains(&host.host)) {
            self.talk(&render::away(host));
        }
        for back in &self.away {
            if !hosts.iter().any(|host| host.host == *back) {
                self.talk(&format!("host {back} is back"));
            }
        }
        self.away = hosts.into_iter().map(|host| host.host).collect();
    }

    /// Where the rollout stands.
    pub(crate) fn state(&mut self, record: &RolloutRecord) {
        let planned: u64 = record.rollout.waves.iter().map(|w| w.planned).sum();
        let pending: u64 = record
            .rollout
            .waves
            .iter()
            .map(|w| w.pending() + w.deferred() + w.held())
            .sum();
        let done = planned.saturating_sub(pending);
        let first = *self.done_at_first.get_or_insert(done);
        let failed = record.rollout.outcomes().get(Outcome::Failed);
        let mut message = format!(
            "{failed} failed, {} in flight",
            record.rollout.in_flight.len()
        );
        for host in &self.away {
            message.push_str(&format!(", host {host} away"));
        }
        if let Some((wave, gate)) = record.rollout.at_gate() {
            let wave = &record.rollout.waves[wave];
            let gate = &wave.gates[gate].gate.name;
            message.push_str(&format!(", at gate {gate} after wave {}", wave.name));
        }
        if let Some(left) = self.time_left(done - first.min(done), pending) {
            message.push_str(&format!(", about {} left", render::duration(left)));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(planned);
            bar.set_position(done);
            bar.set_message(message);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.talk(&format!(
                "{done} of {} done, {message}",
                render::tenants(planned)
            ));
        }
    }

    /// From the pace since this process began to follow; nothing is said before it means something.
    fn time_left(&self, done: u64, pending: u64) -> Option<Duration> {
        let elapsed = self.since.elapsed();
        if done < 10 || pending == 0 || elapsed < Duration::from_secs(2) {
            return None;
        }
        Some(elapsed.mul_f64(pending as f64 / done as f64))
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a person did, what came of holds, and what gates have seen. Nothing is said of the other kinds here.
fn verb_line(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Paused { .. }
        | EventKind::Resumed { .. }
        | EventKind::Amended { .. }
        | EventKind::Retried { .. } => steering_line(kind),
        EventKind::Skipped {
            tenant,
            actor,
            reason,
            ..
        } => Some(format!("{tenant} skipped by {actor}: {reason}")),
        EventKind::Held {
            targets,
            actor,
            reason,
            ..
        } => {
            let n: u64 = targets.iter().map(|t| t.targets).sum();
            let by = actor
                .as_ref()
                .map_or_else(String::new, |actor| format!(" by {actor}"));
            let what = format!("{} held{by}", render::tenants(n));
            (n > 0).then(|| render::because(what, reason.as_deref()))
        }
        EventKind::HoldEnded { actor, targets, .. } => {
            let n = render::tenants(targets.iter().map(|(_, n)| n).sum());
            Some(match actor {
                Some(actor) => format!("{actor} lets {n} go"),
                None => format!("the hold on {n} is over"),
            })
        }
        EventKind::Waiting { held } => Some(format!(
            "nothing is left but {} held; the rollout waits for them",
            render::tenants(*held)
        )),
        EventKind::TenantCancelled {
            tenant,
            actor,
            reason,
            ..
        } => Some(format!("{tenant} cancelled by {actor}: {reason}")),
        EventKind::CancelAsked {
            tenant,
            actor,
            reason,
            ..
        } => Some(format!(
            "{tenant}, in flight, is to be cancelled by {actor}: {reason}"
        )),
        EventKind::Cancelled { actor, reason, .. } => {
            Some(format!("cancelled by {actor}: {reason}"))
        }
        EventKind::GateMeasured {
            gate, measurement, ..
        } => Some(format!(
            "gate {gate}: {}: {}",
            measurement.result, measurement.why
        )),
        EventKind::GateSkipped {
            gate,
            actor,
            reason,
            ..
        } => Some(format!("gate {gate} skipped by {actor}: {reason}")),
        EventKind::Submitted { .. }
        | EventKind::WaveOpened { .. }
        | EventKind::GateJudged { .. }
        | EventKind::Swept { .. }
        | EventKind::Started { .. }
        | EventKind::Reissued { .. }
        | EventKind::Ended { .. }
        | EventKind::Released { .. }
        | EventKind::Halted { .. }
        | EventKind::Finished { .. } => None,
    }
}

/// How a person steered the whole rollout.
fn steering_line(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Paused { actor, reason } => Some(render::because(
            format!("paused by {actor}"),
            reason.as_deref(),
        )),
        EventKind::Resumed { actor, reason } => Some(render::because(
            format!("resumed by {actor}"),
            reason.as_deref(),
        )),
        EventKind::Amended {
            actor,
            reason,
            amendment,
            ..
        } => Some(format!(
            "version {} amended by {actor}: {reason}",
            amendment.version
        )),
        EventKind::Retried {
            actor,
            targets,
            reason,
        } => {
            let n = targets.iter().map(|t| t.targets).sum();
            let what = format!("{actor} lets {} be tried again", render::tenants(n));
            Some(render::because(what, reason.as_deref()))
        }
        _ => None,
    }
}

/// An event as scripts see it: wave by name, time in RFC 3339.
fn event_json(rollout: &Rollout, event: &Event) -> serde_json::Value {
    let mut value = serde_json::to_value(&event.kind)
        .unwrap_or_else(|error| json!({ "type": "unreadable", "error": error.to_string() }));
    if let Some(fields) = value.as_object_mut() {
        let wave = fields
            .get("wave")
            .and_then(serde_json::Value::as_u64)
            .and_then(|i| usize::try_from(i).ok());
        if let Some(wave) = wave.and_then(|i| rollout.waves.get(i)) {
            fields.insert("wave".into(), json!(wave.name));
        }
        fields.insert("seq".into(), json!(event.seq));
        fields.insert("at".into(), json!(render::time(event.at)));
        fields.insert("rollout".into(), json!(rollout.id));
    }
    value
}
