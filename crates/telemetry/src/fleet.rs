//! What the leader shows of the fleet, after a look at all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use sanderling_core::Micros;
use sanderling_core::summary::StatusSummary;

use crate::board::Samples;
use crate::catalogue::{
    SURVEY_DURATION, SURVEY_TIME, TENANTS, TENANTS_BY_STATE, TENANTS_BY_VERSION, TENANTS_HELD,
};
use crate::hosts::host_label;
use crate::rollouts::{seconds, to_f64};

/// Versions that are told apart: the newest ones.
const VERSIONS: usize = 10;

/// What a look at the fleet has shown.
#[derive(Debug)]
pub struct Look<'a> {
    /// What `status` says.
    pub status: &'a StatusSummary,
    /// Tenants of the registry by engine and host.
    pub hosts: BTreeMap<(String, String), u64>,
    /// When it was.
    pub at: Micros,
    /// How long it took.
    pub took: Duration,
}

/// The values of a look.
pub fn fleet(look: &Look<'_>) -> Samples {
    let status = look.status;
    let mut samples = Samples::default();
    samples.set(&SURVEY_TIME, [], seconds(look.at));
    samples.set(&SURVEY_DURATION, [], look.took.as_secs_f64());
    let mut hosts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for ((engine, host), tenants) in &look.hosts {
        *hosts.entry((engine, host_label(host))).or_default() += tenants;
    }
    for ((engine, host), tenants) in hosts {
        samples.set(&TENANTS, [engine, host], to_f64(tenants));
    }
    for (state, tenants) in [
        ("up_to_date", status.up_to_date),
        ("behind", status.behind),
        ("ahead", status.ahead),
        ("edited", status.edited),
        ("dirty", status.dirty),
        ("unreachable", status.unreachable),
    ] {
        samples.set(&TENANTS_BY_STATE, [state], to_f64(tenants));
    }
    if let Some(held) = status.held {
        samples.set(&TENANTS_HELD, [], to_f64(held));
    }
    versions(&mut samples, status);
    samples
}

fn versions(samples: &mut Samples, status: &StatusSummary) {
    let (mut older, mut none, mut shown) = (0, 0, 0);
    // Ascending in the document.
    for line in status.versions.iter().rev() {
        match &line.version {
            None => none += line.tenants,
            Some(version) if shown < VERSIONS => {
                shown += 1;
                samples.set(
                    &TENANTS_BY_VERSION,
                    [version.as_str()],
                    to_f64(line.tenants),
                );
            }
            Some(_) => older += line.tenants,
        }
    }
    samples.set(&TENANTS_BY_VERSION, ["older"], to_f64(older));
    samples.set(&TENANTS_BY_VERSION, ["none"], to_f64(none));
}
