//! What must be true after every case, whatever was done to it.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_testkit::{Postgres, until};
use serde_json::Value;

use super::scene::{BUDGET, Expected, MARKED, Scene};
use crate::cluster::drain;
use crate::fleet::{DEADLINE, last_json};

impl Scene {
    /// Waits for the end and looks at everything: summary, effects, history, connections, `verify`.
    pub(super) fn judge(&mut self) {
        let peak = self.finished();
        self.judge_effects();
        let history = self.history();
        let limits = self.limits();
        let wrong = violations(&history, &limits);
        assert!(wrong.is_empty(), "history: {wrong:#?}");
        self.judge_verify();
        // One visit may stand beside sessions that have the whole budget; so may one in each process that looks.
        let most = BUDGET + 1 + self.coordinators.len() + self.workers.len();
        assert!(
            peak <= most,
            "{peak} connections at once, of a budget of {BUDGET}"
        );
        drain(&mut self.workers);
        drain(&mut self.coordinators);
    }

    /// The rollout's end, and the highest number of connections seen until then.
    fn finished(&mut self) -> usize {
        let ended = self.ended();
        let (code, state, size) = match self.expected() {
            Expected::Done => (4, "completed_with_failures", self.size()),
            Expected::Halted => (3, "halted", self.size()),
        };
        assert_eq!(
            ended.code(),
            Some(code),
            "{}\n{}",
            ended.stdout,
            ended.stderr
        );
        let summary = last_json(&ended.stdout);
        assert_eq!(summary["state"], state, "{summary}");
        assert_eq!(summary["failed"], 1, "{summary}");
        if self.expected() == Expected::Done {
            assert_eq!(summary["succeeded"], size - 1, "{summary}");
        } else {
            assert_eq!(summary["started_after_halt"], 0, "{summary}");
        }
        self.peak().unwrap_or_default()
    }

    /// Every tenant has every version exactly once, the marked one those before the one that fails.
    fn judge_effects(&self) {
        let counts = self.effects();
        let twice: Vec<_> = counts.iter().filter(|(_, n)| **n != 1).collect();
        assert!(twice.is_empty(), "applied other than once: {twice:?}");
        let of_marked: Vec<_> = counts
            .keys()
            .filter(|(tenant, _)| tenant == MARKED)
            .map(|(_, version)| version.as_str())
            .collect();
        assert_eq!(of_marked, ["1", "2", "3"], "of the marked tenant");
        if self.expected() == Expected::Done {
            let most = (self.size() - 1) * 5 + 3;
            assert_eq!(counts.len(), most, "tenant versions with an effect");
        }
    }

    /// Rows of `probe` per tenant and version, by plain SQL.
    fn effects(&self) -> BTreeMap<(String, String), u64> {
        let url = self.fleet.tenants_url();
        let mut counts = BTreeMap::new();
        for schema in lines(url, TOUCHED) {
            count(&mut counts, &schema, url, &format!("{schema}.probe"));
        }
        let (server, _) = url.rsplit_once('/').unwrap();
        for tenant in self.fleet.database_names() {
            let url = format!("{server}/{tenant}");
            // A database that nobody has come to is not there.
            if Postgres::shared().try_sql(&url, "SELECT 1").is_ok()
                && !lines(&url, TOUCHED).is_empty()
            {
                count(&mut counts, tenant, &url, "public.probe");
            }
        }
        for file in self.fleet.file_names() {
            if self.expected() == Expected::Done {
                counts.extend(self.fleet.probes_in_file(file));
            }
        }
        counts
    }

    /// Clean within moments of the end: what a dead process left has been cleared away by then.
    fn judge_verify(&self) {
        until(DEADLINE, "a clean verify", || {
            let ended = self.run(&["--json", "verify"]);
            (ended.code() == Some(0))
                .then_some(())
                .ok_or_else(|| format!("{}\n{}", ended.stdout, ended.stderr))
        });
    }

    /// The most in flight that the plan printed, per wave.
    fn limits(&self) -> Vec<i64> {
        let plan = self.store("SELECT plan FROM sanderling_control.rollouts");
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let waves = plan["waves"].as_array().unwrap();
        waves
            .iter()
            .map(|wave| wave["max_in_flight"].as_i64().unwrap())
            .collect()
    }
}

const TOUCHED: &str = "SELECT schemaname FROM pg_tables WHERE tablename = 'probe'";

fn lines(url: &str, sql: &str) -> Vec<String> {
    let said = Postgres::shared().sql(url, sql);
    said.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn count(counts: &mut BTreeMap<(String, String), u64>, tenant: &str, url: &str, table: &str) {
    for version in lines(url, &format!("SELECT version FROM {table}")) {
        *counts.entry((tenant.to_owned(), version)).or_default() += 1;
    }
}

/// What is wrong with a history, given the most that may be in flight per wave.
fn violations(history: &[Value], limits: &[i64]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut epochs: BTreeMap<String, i64> = BTreeMap::new();
    let mut open: BTreeMap<String, i64> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let (mut opened, mut halted) = (-1, false);
    for event in history {
        let (seq, kind) = (&event["seq"], &event["kind"]);
        let tenant = kind["tenant"].as_str().unwrap_or_default().to_owned();
        let (wave, epoch) = (kind["wave"].as_i64(), kind["epoch"].as_i64());
        let mut say = |what: &str| wrong.push(format!("event {seq}: {what}: {kind}"));
        match kind["type"].as_str().unwrap_or_default() {
            "wave_opened" => {
                if wave != Some(opened + 1) || !open.is_empty() {
                    say("a wave out of turn, or over one that is not done");
                }
                opened = wave.unwrap_or(-1);
            }
            "started" => {
                let takeover = open.insert(tenant.clone(), wave.unwrap_or(-1)).is_some();
                if kind["takeover"] == false && takeover {
                    say("started twice");
                }
                if halted && !takeover {
                    say("started after the halt");
                }
                if wave != Some(opened) || ended.contains(&tenant) {
                    say("started out of turn");
                }
            }
            "ended" | "released" => {
                if open.remove(&tenant).is_none() {
                    say("ended without a start");
                }
                // What is deferred comes back once, in the sweep.
                if kind["type"] == "ended" && kind["outcome"] != "deferred" {
                    ended.insert(tenant.clone());
                }
            }
            "halted" => halted = true,
            _ => {}
        }
        if let (Some(epoch), Some("started" | "reissued")) = (epoch, kind["type"].as_str())
            && epochs
                .insert(tenant, epoch)
                .is_some_and(|before| before >= epoch)
        {
            say("an epoch that did not grow");
        }
        if let Some(limit) = usize::try_from(opened)
            .ok()
            .and_then(|wave| limits.get(wave))
            && i64::try_from(open.len()).unwrap() > *limit
        {
            say("more in flight than printed");
        }
    }
    if !open.is_empty() {
        wrong.push(format!("still in flight at the end: {open:?}"));
    }
    wrong
}
