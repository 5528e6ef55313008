//! A plan over 6,000 tenants as text, and each number of it in the document.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::assess::Assessment;
use sanderling_core::plan::LeftOut;
use sanderling_core::planner::{Assessed, PlanInput, explained, planned_size};
use sanderling_core::policy::{Atomic, HOST_PATIENCE_MS, Policy};
use sanderling_core::summary::{PlanContext, PlanSummary};
use sanderling_core::waves::{Coverage, HaltSpec, Select, WaveSpec, default_waves};
use sanderling_core::{
    BundleHash, ErrorClass, Failure, HostName, Outcome, Place, Selector, Tenant, TenantId, Version,
};
use serde_json::Value;

use super::text;

const FLEET: u32 = 6_000;

fn versions() -> Vec<Version> {
    ["0039", "0040", "0041", "0042"].map(Version::new).into()
}

/// 4,990 tenants are one version behind, 900 two, three three; a whale alone on its host; two are away and one is
/// ahead. Five are held: the store says so, so that they are added to the plan by hand.
fn tenant(n: u32) -> Assessed {
    let host = match n {
        0 => "whale",
        n if n % 3 == 0 => "eu2",
        n if n % 500 == 1 => "files",
        _ => "eu1",
    };
    let plan = match n {
        n if n % 40 == 5 => "enterprise",
        n if n % 7 == 2 => "pro",
        _ => "free",
    };
    let pending = |behind: usize| Assessment::Pending {
        from: versions().iter().rev().nth(behind).cloned(),
        versions: versions().split_off(4 - behind),
        has_ledger: true,
        missing: false,
    };
    let away = Failure::new(ErrorClass::Connection, "refused", "connection refused");
    let assessment = match n {
        1 | 2 => Assessment::Unreachable(away),
        3 => Assessment::Ahead {
            versions: vec![Version::new("0043")],
            complete: true,
        },
        4..=102 => Assessment::UpToDate,
        103..=105 => pending(3),
        106..=1_005 => pending(2),
        _ => pending(1),
    };
    let engine = if host == "files" {
        "sqlite"
    } else {
        "postgres"
    };
    Assessed {
        tenant: Tenant {
            id: TenantId::new(format!("t{n:04}")),
            place: Place {
                host: HostName::new(host),
                database: None,
                schema: Some(format!("t{n:04}")),
                file: None,
            },
            labels: [("plan".to_owned(), plan.to_owned())].into(),
            size: Some(if n == 0 { 1 << 40 } else { 1_000 }),
        },
        assessment,
        traits: [("engine".to_owned(), engine.to_owned())].into(),
    }
}

fn summary() -> PlanSummary {
    let tenants: Vec<Assessed> = (0..FLEET)
        .map(|n| match n {
            0 => Assessed {
                assessment: tenant(2_000).assessment,
                ..tenant(0)
            },
            n => tenant(n),
        })
        .collect();
    let held: BTreeSet<TenantId> = (5_995..FLEET).map(|n| tenant(n).tenant.id).collect();
    let (held, tenants): (Vec<_>, Vec<_>) = tenants
        .into_iter()
        .partition(|t| held.contains(&t.tenant.id));
    let mut waves = default_waves();
    waves[0].select = Select::Coverage(Coverage {
        keys: vec!["engine".into(), "plan".into()],
        ..Coverage::default()
    });
    let whales = Selector::parse("host=whale").unwrap();
    waves.insert(1, WaveSpec::new("whales", Select::Labels(whales)));
    waves[3].halt.stall_after_ms = Some(600_000);
    waves[3].halt.class_limits = [(
        ErrorClass::MigrationSql,
        sanderling_core::waves::Amount::Count(10),
    )]
    .into();
    let whole = HaltSpec {
        max_failure_percent: Some(2.0),
        ..HaltSpec::default()
    };
    let policy = Policy {
        concurrency: 16,
        atomic: Atomic::Version,
        lock_timeout_ms: 1_000,
        statement_timeout_ms: 0,
        host_patience_ms: HOST_PATIENCE_MS,
        create_missing: false,
        limits: whole.resolve(planned_size(&tenants)),
        retry: BTreeMap::new(),
    };
    let hosts = [("eu1", 8), ("eu2", 8), ("files", 2), ("whale", 4)]
        .map(|(host, n)| (HostName::new(host), n))
        .into();
    let exclude = Selector::parse("plan=enterprise").unwrap();
    let (mut plan, explanation) = explained(&PlanInput {
        fleet: "prod",
        bundle: &BundleHash::new("b"),
        target: &Version::new("0042"),
        direction: sanderling_core::Direction::Up,
        versions: &versions(),
        waves: &waves,
        policy: &policy,
        hosts: &hosts,
        tenants: &tenants,
        previous: None,
        canary_exclude: Some(&exclude),
        known_failures: None,
    })
    .unwrap();
    plan.left_out.extend(held.into_iter().map(|held| LeftOut {
        tenant: held.tenant.id,
        place: held.tenant.place,
        outcome: Outcome::Held,
        failure: None,
    }));
    let context = PlanContext {
        explanation: &explanation,
        canary_exclude: Some(&exclude),
        hosts: &hosts,
        in_flight: &hosts,
        version_ms: Some(40),
        saw_store: true,
    };
    PlanSummary::new(&plan, &context)
}

/// Every number of a document, and every text that is one.
fn numbers(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Number(number) => found.extend(number.as_u64()),
        Value::String(text) => found.extend(in_text(text).into_iter().map(|(n, _)| n)),
        Value::Array(values) => values.iter().for_each(|value| numbers(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| numbers(value, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The numbers of a text, each with what follows it.
fn in_text(text: &str) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[at..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != ',')
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let unit: String = after.trim_start().chars().take(2).collect();
        if let Ok(number) = digits.replace(',', "").parse() {
            found.push((number, unit));
        }
        rest = after;
    }
    found
}

#[test]
fn the_text_of_a_large_plan() {
    let shown = text(&summary());
    // Where the words change on purpose: UPDATE=1 cargo test.
    if std::env::var_os("UPDATE").is_some() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/commands/plan/snapshot.txt"
        );
        std::fs::write(file, &shown).unwrap();
        return;
    }
    assert_eq!(shown, include_str!("snapshot.txt"), "\n{shown}");
}

#[test]
fn every_number_of_the_text_is_in_the_document() {
    let summary = summary();
    let mut known = BTreeSet::new();
    numbers(&serde_json::to_value(&summary).unwrap(), &mut known);
    let shown = text(&summary);
    let body = shown
        .rsplit_once("plan ")
        .map_or(&shown[..], |(body, _)| body);
    let mut seen = 0;
    for line in body.lines() {
        for (number, unit) in in_text(line) {
            let here = match unit.as_str() {
                // An ordinal is the one after what is tolerated.
                "st" | "nd" | "rd" | "th" => {
                    known.contains(&number) || known.contains(&(number - 1))
                }
                // Durations are in seconds or milliseconds there, and two units here.
                "m" | "m " | "s," | "s" | "ms" | "h " => true,
                // A chance in a hundred, and how many values are covered of how many.
                _ if line.contains("times in 100") && number == 100 => true,
                _ if line.trim_start().starts_with("covers ") => true,
                _ => known.contains(&number),
            };
            assert!(
                here,
                "{number} {unit:?} of this line is not in the document: {line}"
            );
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} numbers in\n{shown}");
    let covered = |c: &&sanderling_core::summary::CoverageSummary| c.covered_by.is_some();
    let (some, all) = (
        summary.coverage.iter().filter(covered).count(),
        summary.coverage.len(),
    );
    assert!(
        shown.contains(&format!("covers {some} of {all} values of engine, plan")),
        "{shown}"
    );
    let seconds = std::time::Duration::from_secs(summary.estimate_seconds.unwrap());
    assert!(shown.contains(&format!("estimate: {}", crate::render::duration(seconds))));
    let counts = [
        summary.pending,
        summary.up_to_date,
        summary.ahead,
        summary.held.unwrap(),
        summary.dirty,
        summary.unreachable,
    ];
    assert_eq!(counts.iter().sum::<u64>(), summary.tenants);
    assert_eq!(
        (summary.tenants, summary.paths.len()),
        (u64::from(FLEET), 3)
    );
    assert_eq!(
        (summary.ahead, summary.held, summary.unreachable),
        (1, Some(5), 2)
    );
}
