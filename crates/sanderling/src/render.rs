//! Values as text for a person.

use std::time::Duration;

use crate::render_gate;
use sanderling_core::halt::Rule;
use sanderling_core::rollout::{CauseGroup, Halt};
use sanderling_core::summary::AwayHost;
use sanderling_core::{
    Direction, Failure, Micros, Outcome, OutcomeCounts, Rollout, RolloutState, Version,
};

/// `1 tenant`, `8,000 tenants`.
pub(crate) fn tenants(n: u64) -> String {
    format!("{} tenant{}", number(n), if n == 1 { "" } else { "s" })
}

/// `8,000`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1st`, `11th`, `1,002nd`.
pub(crate) fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{}{suffix}", number(u64::from(n)))
}

/// `320 ms`, `12 s`, `4m 05s`, `2h 10m`.
pub(crate) fn duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 => format!("{} ms", duration.as_millis()),
        1..=119 => format!("{secs} s"),
        120..=7_199 => format!("{}m {:02}s", secs / 60, secs % 60),
        _ => format!("{}h {:02}m", secs / 3_600, secs % 3_600 / 60),
    }
}

/// RFC 3339, UTC.
pub(crate) fn time(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at.0)
        .map_or_else(|_| format!("{} µs", at.0), |t| t.to_string())
}

/// Where, what and which class: `20260101_x.sql:3:12: column "a" does not exist (migration_sql 42703)`.
pub(crate) fn failure(failure: &Failure) -> String {
    let place = failure
        .location()
        .map(|l| format!("{l}: "))
        .unwrap_or_default();
    format!(
        "{place}{} ({} {})",
        failure.message, failure.cause.class, failure.cause.code
    )
}

/// What happened, and why where that was said.
pub(crate) fn because(what: String, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    }
}

/// One line: rule, numbers, cause.
pub(crate) fn halt_line(halt: &Halt) -> String {
    let scope = halt
        .wave
        .as_ref()
        .map_or_else(|| "the rollout".to_owned(), |wave| format!("wave {wave}"));
    if let (None, Some(detail)) = (&halt.cause, &halt.detail) {
        return match halt.rule {
            Rule::Gate => format!("halted by {} after {scope}: {detail}", halt.rule.as_str()),
            _ => format!("halted by {}: {detail}", halt.rule.as_str()),
        };
    }
    let last = match (&halt.tenant, &halt.cause) {
        (Some(tenant), Some(cause)) => format!("; the last one was {tenant} ({cause})"),
        _ => String::new(),
    };
    format!(
        "halted by {}: {} failed in {scope}, {} tolerated{last}",
        halt.rule.as_str(),
        halt.failures,
        halt.tolerated
    )
}

/// `host pg is away since 2026-11-27T02:00:00Z: connection refused; its tenants wait`.
pub(crate) fn away(host: &AwayHost) -> String {
    let (verb, said) = host.reason.split_once(": ").unwrap_or((&host.reason, ""));
    format!(
        "host {} {verb} since {}: {said}; its tenants wait, and go on by themselves when it is back",
        host.host,
        time(host.since)
    )
}

/// Failures grouped by cause, the commonest first.
pub(crate) fn causes(rollout: &Rollout) -> String {
    let mut groups: Vec<&CauseGroup> = rollout.causes.values().collect();
    groups.sort_by(|a, b| {
        b.tenants
            .cmp(&a.tenants)
            .then_with(|| a.failure.cause.cmp(&b.failure.cause))
    });
    let mut out = String::new();
    for group in groups {
        let examples: Vec<_> = group.examples.iter().map(|t| t.as_str()).collect();
        let state = match (group.tenants - group.moved.min(group.tenants), group.moved) {
            (unchanged, 0) => format!("{unchanged} unchanged"),
            (0, moved) => format!("{moved} kept earlier versions of this rollout"),
            (unchanged, moved) => {
                format!("{unchanged} unchanged, {moved} kept earlier versions of this rollout")
            }
        };
        out.push_str(&format!(
            "  {}: {}\n    {} ({state})\n",
            tenants(group.tenants),
            failure(&group.failure),
            examples.join(", ")
        ));
    }
    out
}

/// `312 succeeded, 2 failed`: outcomes that occur, in the order of the summary.
pub(crate) fn outcomes(rollout: &Rollout) -> String {
    counts(&rollout.outcomes())
}

/// The same of any counts.
pub(crate) fn counts(counts: &OutcomeCounts) -> String {
    let parts: Vec<_> = Outcome::ALL
        .into_iter()
        .filter(|o| counts.get(*o) > 0)
        .map(|o| format!("{} {}", number(counts.get(o)), o.as_str().replace('_', " ")))
        .collect();
    if parts.is_empty() {
        "no tenants".into()
    } else {
        parts.join(", ")
    }
}

/// `at version 42`; `down to version 41`; `down to nothing`.
pub(crate) fn whither(direction: Direction, target: &Version) -> String {
    match direction {
        Direction::Up => format!("at version {target}"),
        Direction::Down => format!("down to {}", stays(target)),
    }
}

/// The newest version that the way down leaves in effect.
pub(crate) fn stays(target: &Version) -> String {
    match *target == Version::nothing() {
        true => "nothing".to_owned(),
        false => format!("version {target}"),
    }
}

/// What to type to go on with a rollout, or to do again what it does.
pub(crate) fn again(rollout: &Rollout) -> String {
    match rollout.direction {
        Direction::Up => "`sanderling up`".to_owned(),
        Direction::Down => format!(
            "`sanderling down --to {}` with the same --tenants",
            rollout.target
        ),
    }
}

/// The whole end of a rollout, as it stands alone in a log at 3 a.m.
pub(crate) fn ending(rollout: &Rollout) -> String {
    let id = &rollout.id;
    let again = again(rollout);
    let again = again.replace('`', "");
    let mut out = format!(
        "rollout {id}: {} {}: {}\n",
        rollout.state.as_str().replace('_', " "),
        whither(rollout.direction, &rollout.target),
        outcomes(rollout)
    );
    if let Some(halt) = &rollout.halt {
        out.push_str(&format!("{}\n", halt_line(halt)));
    }
    if !rollout.causes.is_empty() {
        out.push_str("failures by cause:\n");
        out.push_str(&causes(rollout));
    }
    match rollout.state {
        RolloutState::Waiting | RolloutState::Halted if render_gate::at(rollout).is_some() => {
            out.push_str(&at_gate(rollout));
        }
        RolloutState::Halted if is_halted_by_gate(rollout) => out.push_str(&format!(
            "what now:\n  \
             go on past the gate                sanderling rollout resume {id} --acknowledge\n  \
             end it                             sanderling rollout cancel {id} --reason \"…\"\n"
        )),
        RolloutState::Halted | RolloutState::CompletedWithFailures => {
            out.push_str("what now:\n");
            for (why, command) in after_failures(rollout, &again) {
                out.push_str(&format!("  {why:<35}{command}\n"));
            }
        }
        RolloutState::Waiting if rollout.waits_for_holds() => out.push_str(&format!(
            "it waits for {}, and goes on by itself when they are let go\nwhat now:\n  \
             see who they are                   sanderling rollout show {id}\n  \
             let one go                         sanderling tenants release --tenants ID\n  \
             leave one out                      sanderling rollout skip {id} --tenant ID --reason \"…\"\n  \
             end it                             sanderling rollout cancel {id} --reason \"…\"\n",
            tenants_held(rollout)
        )),
        RolloutState::Paused | RolloutState::Waiting => out.push_str(&format!(
            "what now:\n  \
             let it go on                       sanderling rollout resume {id}, then {again}\n  \
             end it                             sanderling rollout cancel {id} --reason \"…\"\n"
        )),
        _ => {}
    }
    out
}

/// What to type where tenants failed, or time ran out. Those that the plan left out are no targets of the rollout, so that
/// no retry reaches them.
fn after_failures(rollout: &Rollout, again: &str) -> Vec<(&'static str, String)> {
    let id = &rollout.id;
    let fails = |counts: &OutcomeCounts| {
        Outcome::ALL
            .into_iter()
            .any(|o| o.is_failure() && counts.get(o) > 0)
    };
    let failed = rollout.waves.iter().any(|wave| fails(&wave.counts));
    let mut next = Vec::new();
    if failed {
        next.push((
            "mend the tenants, try them again",
            format!("sanderling rollout retry {id} --failed"),
        ));
    }
    // A text that was applied stays as it is: no correction on the way down.
    let corrigible = failed && rollout.direction.is_up();
    if let Some(version) = failed_version(rollout).filter(|_| corrigible) {
        next.push((
            "correct the migration's file",
            format!("sanderling rollout retry {id} --amend {version} --reason \"…\""),
        ));
    }
    if rollout.state == RolloutState::Halted {
        let go_on = if failed {
            "go on without them"
        } else {
            "go on"
        };
        next.push((
            go_on,
            format!("sanderling rollout resume {id} --acknowledge"),
        ));
        next.push((
            "change more, begin anew",
            format!("sanderling rollout cancel {id} --reason \"…\", then {again}"),
        ));
    } else if fails(&rollout.left_out) {
        next.push((
            "see to those that were left out",
            format!("sanderling status, then {again}"),
        ));
    }
    next
}

/// The version that most of the failed tenants failed at, where a version failed.
fn failed_version(rollout: &Rollout) -> Option<&str> {
    let groups = rollout.causes.values();
    let named =
        groups.filter_map(|group| Some((group.tenants, group.failure.cause.version.as_ref()?)));
    named
        .max_by_key(|(tenants, _)| *tenants)
        .map(|(_, version)| version.as_str())
}

fn is_halted_by_gate(rollout: &Rollout) -> bool {
    rollout
        .halt
        .as_ref()
        .is_some_and(|halt| halt.rule == Rule::Gate)
}

/// What a gate said that keeps it, and what to type.
fn at_gate(rollout: &Rollout) -> String {
    let id = &rollout.id;
    let Some((wave, gate)) = render_gate::at(rollout) else {
        return String::new();
    };
    let name = &gate.gate.name;
    let mut out = String::new();
    if rollout.state == RolloutState::Waiting {
        out.push_str(&format!(
            "gate {name} after wave {wave} is {}{}\n",
            gate.state(),
            gate.why().map(|why| format!(": {why}")).unwrap_or_default()
        ));
    }
    let (acknowledge, then) = match rollout.state {
        RolloutState::Halted => (" --acknowledge", ", then resume it as above"),
        _ => ("", ""),
    };
    out.push_str(&format!(
        "what now:\n  \
         see the evidence                   sanderling rollout show {id}\n  \
         measure it anew                    sanderling rollout resume {id}{acknowledge}\n  \
         go on without this gate            sanderling rollout skip {id} --gate {name} --reason \"…\"{then}\n  \
         leave the others as they are       sanderling rollout cancel {id} --reason \"…\"\n"
    ));
    out
}

/// `3 held tenants`, and until when the first of them is.
fn tenants_held(rollout: &Rollout) -> String {
    let held = rollout.held();
    let mut text = format!(
        "{} held tenant{}",
        number(held),
        if held == 1 { "" } else { "s" }
    );
    if let Some(at) = rollout.hold_ends_at {
        text.push_str(&format!(" (the first hold ends at {})", time(at)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(tenants(1), "1 tenant");
    }

    #[test]
    fn ordinals_as_they_are_spoken() {
        let texts = [1, 2, 3, 4, 11, 12, 13, 21, 111, 1_002].map(ordinal);
        assert_eq!(
            texts,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th", "1,002nd"
            ]
        );
    }

    #[test]
    fn durations_keep_two_units() {
        let texts = [0.25, 90.0, 245.0, 7_800.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["250 ms", "90 s", "4m 05s", "2h 10m"]);
    }
}
