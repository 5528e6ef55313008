//! Reads a history by plain SQL, from the control store and from the tenants.

use std::collections::BTreeMap;

use sanderling_core::{Event, EventKind, Micros};
use sanderling_testkit::Postgres;
use serde_json::Value;

use super::{History, Row};
use crate::fleet::{Fleet, sqlite};

impl Fleet {
    /// The history of a rollout. Effects are the rows of `probe` (see [`Fleet::probe_migrations`]); their versions are
    /// numbers there. Of one that went down the ledger's reverted rows and the rows of `undone`, where each way back adds one.
    pub(crate) fn history(&self, rollout: &str) -> History {
        let events = self.control(&format!(
            "SELECT seq || ' ' || at || ' ' || kind FROM {{}}events WHERE rollout = '{rollout}' ORDER BY seq"
        ));
        let plan = self.control(&format!(
            "SELECT plan FROM {{}}rollouts WHERE id = '{rollout}'"
        ));
        let plan: Value = serde_json::from_str(plan.trim()).unwrap();
        let most_in_wave: Vec<_> = plan["waves"]
            .as_array()
            .unwrap()
            .iter()
            .map(|wave| wave["max_in_flight"].as_u64().unwrap())
            .collect();
        let widest = most_in_wave.iter().copied().max().unwrap_or(0);
        let mut history = History {
            rollout: rollout.to_owned(),
            events: events
                .lines()
                .filter(|l| !l.is_empty())
                .map(event)
                .collect(),
            most: widest.min(plan["policy"]["concurrency"].as_u64().unwrap()),
            most_in_wave,
            ledger: Vec::new(),
            effects: BTreeMap::new(),
        };
        let (state, table) = match plan["direction"].as_str() {
            Some("down") => ("reverted", "undone"),
            _ => ("applied", "probe"),
        };
        history.ledger = self.ledgers(state);
        history.effects = self.effects(table);
        history
    }

    /// The id of the newest rollout.
    pub(crate) fn newest_rollout(&self) -> String {
        let sql = "SELECT id FROM {}rollouts ORDER BY number DESC LIMIT 1";
        self.control(sql).trim().to_owned()
    }

    /// Plain SQL on the control store; `{}` stands before its tables' names.
    fn control(&self, sql: &str) -> String {
        match self.control_url().strip_prefix("sqlite://") {
            Some(file) => sqlite(&self.path(file), &sql.replace("{}", "")),
            None => {
                let sql = sql.replace("{}", "sanderling_control.");
                Postgres::shared().sql(self.control_url(), &sql)
            }
        }
    }

    fn ledgers(&self, state: &str) -> Vec<Row> {
        let select = |tenant: &str, at: &str, table: &str| {
            format!(
                "SELECT '{tenant} ' || version || ' ' || epoch || ' ' || coalesce(rollout, '-') || ' ' || {at} FROM {table} \
                 WHERE state = '{state}'"
            )
        };
        let micros = "(extract(epoch FROM applied_at) * 1000000)::bigint";
        self.lines_of("sanderling_migrations", |tenant, schema| match schema {
            Some(schema) => select(
                tenant,
                micros,
                &format!("\"{schema}\".sanderling_migrations"),
            ),
            None => select(tenant, "applied_at", "sanderling_migrations"),
        })
        .iter()
        .map(|line| row(line))
        .collect()
    }

    fn effects(&self, table: &str) -> BTreeMap<(String, String), u64> {
        let lines = self.lines_of(table, |tenant, schema| match schema {
            Some(schema) => {
                format!(
                    "SELECT '{tenant} ' || lpad(version::text, 4, '0') FROM \"{schema}\".{table}"
                )
            }
            None => format!("SELECT '{tenant} ' || printf('%04d', version) FROM {table}"),
        });
        let mut counts = BTreeMap::new();
        for line in lines {
            let (tenant, version) = line.trim().split_once(' ').unwrap();
            *counts
                .entry((tenant.to_owned(), version.to_owned()))
                .or_default() += 1;
        }
        counts
    }

    /// What `select` gives for each tenant that has the table, given the tenant and its schema (none: a SQLite file).
    fn lines_of(&self, table: &str, select: impl Fn(&str, Option<&str>) -> String) -> Vec<String> {
        let postgres = Postgres::shared();
        let there = format!("SELECT schemaname FROM pg_tables WHERE tablename = '{table}'");
        let mut said = Vec::new();
        if !self.schema_names().is_empty() {
            let found = postgres.sql(self.tenants_url(), &there);
            let ours = |name: &&str| self.schema_names().iter().any(|schema| schema == name);
            let all: Vec<_> = found
                .lines()
                .filter(ours)
                .map(|schema| select(schema, Some(schema)))
                .collect();
            if !all.is_empty() {
                said.push(postgres.sql(self.tenants_url(), &all.join(" UNION ALL ")));
            }
        }
        for database in self.database_names() {
            let (server, _) = self.tenants_url().rsplit_once('/').unwrap();
            let url = format!("{server}/{database}");
            // A database that nothing was begun in may not be there.
            if postgres
                .try_sql(&url, &there)
                .is_ok_and(|found| found.contains("public"))
            {
                said.push(postgres.sql(&url, &select(database, Some("public"))));
            }
        }
        let there = format!("SELECT count(*) FROM sqlite_master WHERE name = '{table}'");
        for file in self.file_names() {
            let path = self.path(&format!("data/{file}.db"));
            if path.exists() && sqlite(&path, &there).trim() == "1" {
                said.push(sqlite(&path, &select(file, None)));
            }
        }
        let lines = said.iter().flat_map(|text| text.lines());
        lines
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn event(line: &str) -> Event {
    let mut parts = line.splitn(3, ' ');
    let mut next = || parts.next().unwrap();
    Event {
        seq: next().parse().unwrap(),
        at: Micros(next().parse().unwrap()),
        kind: serde_json::from_str::<EventKind>(next()).unwrap(),
    }
}

fn row(line: &str) -> Row {
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut next = || words.next().unwrap();
    Row {
        tenant: next(),
        version: next(),
        epoch: next().parse().unwrap(),
        rollout: next(),
        at: next().parse().unwrap(),
    }
}
