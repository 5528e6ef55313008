//! Gates as text: what they ask, what they have seen.

use std::time::Duration;

use sanderling_core::Rollout;
use sanderling_core::gate::{Gate, GateKind, GateState};

use crate::render;

/// Milliseconds as text: `600 ms`, `10m 00s`.
fn millis(ms: u64) -> String {
    render::duration(Duration::from_millis(ms))
}

/// A gate in a plan, one line: what must be seen before the next wave opens.
pub(crate) fn planned(gate: &Gate) -> String {
    match &gate.kind {
        GateKind::Bake(bake) => {
            let time = format!("    then {} of bake", millis(bake.duration_ms));
            match &bake.samples {
                None => format!("{time}\n"),
                Some(samples) => format!(
                    "{time}, and {}; given up after {}\n",
                    gate.kind,
                    millis(samples.give_up_after_ms)
                ),
            }
        }
        GateKind::Promql(promql) => format!(
            "    then gate {}: {}; {} measurements, {} at least\n",
            gate.name,
            gate.kind,
            promql.count,
            millis(gate.least_ms())
        ),
    }
}

/// The gates of a rollout with their evidence; empty where it has none.
pub(crate) fn evidence(rollout: &Rollout) -> String {
    let mut out = String::new();
    for wave in &rollout.waves {
        for gate in &wave.gates {
            out.push_str(&one(&wave.name, gate));
        }
    }
    if out.is_empty() {
        out
    } else {
        format!("gates:\n{out}")
    }
}

fn one(wave: &str, gate: &GateState) -> String {
    let why = gate.why().map(|why| format!(": {why}")).unwrap_or_default();
    let again = match gate.evaluation {
        1 => String::new(),
        n => format!(", evaluation {n}"),
    };
    let mut out = format!(
        "  {} after {wave}{again}: {}{why}\n    {}\n",
        gate.gate.name,
        gate.state(),
        gate.gate.kind
    );
    let left = (gate.tally.total() as usize).saturating_sub(gate.measurements.len());
    if left > 0 {
        out.push_str(&format!("    {left} earlier ones are in the events\n"));
    }
    for seen in &gate.measurements {
        out.push_str(&format!(
            "    {}. {}  {:<12}  {}\n",
            seen.number,
            render::time(seen.at),
            seen.result,
            seen.why
        ));
    }
    out
}

/// The gate that a rollout stands at and waits or halted for, as `(wave, gate)`.
pub(crate) fn at(rollout: &Rollout) -> Option<(&str, &GateState)> {
    let (wave, gate) = rollout.at_gate()?;
    let wave = &rollout.waves[wave];
    let gate = &wave.gates[gate];
    gate.verdict.map(|_| (wave.name.as_str(), gate))
}
