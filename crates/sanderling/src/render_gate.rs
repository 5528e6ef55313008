//! Gates as text: what they ask, what they have seen.

use std::time::Duration;

use sanderling_core::Rollout;
use sanderling_core::gate::GateState;
use sanderling_core::summary::PlannedGateSummary;

use crate::render;

/// Milliseconds as text: `600 ms`, `10m 00s`.
fn millis(ms: u64) -> String {
    render::duration(Duration::from_millis(ms))
}

/// A gate in a plan, one line: what must be seen before the next wave opens.
pub(crate) fn planned(gate: &PlannedGateSummary) -> String {
    let least = millis(gate.least_ms);
    match (gate.measurements, gate.give_up_after_ms) {
        (Some(count), _) => format!(
            "    then gate {}: {}; {count} measurements, {least} at least\n",
            gate.gate, gate.asks
        ),
        (None, Some(give_up)) => format!(
            "    then {least} of bake, and {}; given up after {}\n",
            gate.asks,
            millis(give_up)
        ),
        (None, None) => format!("    then {least} of bake\n"),
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

/// The gate that a rollout waits or halted for, as `(wave, gate)`.
pub(crate) fn at(rollout: &Rollout) -> Option<(&str, &GateState)> {
    let (wave, gate) = rollout.kept_by_gate()?;
    let wave = &rollout.waves[wave];
    Some((wave.name.as_str(), &wave.gates[gate]))
}
