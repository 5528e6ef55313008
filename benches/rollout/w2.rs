//! W2: one ADD COLUMN on tenants that have a table and a ledger, and exact counts of what it took.

use std::sync::Arc;

use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, Redis, until};

use crate::asked::Asked;
use crate::floors::{self, Change, Tenants};
use crate::measured::Measured;
use crate::ours::Ours;
use crate::peer;
use crate::schemas::{SERVER, fleet, make, places};
use crate::spent::Spent;
use crate::wire::Wire;

const BASE: &str = "CREATE TABLE invoices (id bigint PRIMARY KEY, cents bigint NOT NULL)";
/// The variants, in the order of the first repeat. Each has a database of its own, of its name.
const VARIANTS: [&str; 5] = ["naive", "guarded", "embedded", "cluster", "peer"];

/// Servers, fleets and what was measured so far.
struct Bench<'a> {
    asked: &'a Asked,
    n: usize,
    postgres: Postgres,
    redis: Redis,
    embedded: Ours,
    cluster: Ours,
    all: Measured,
    spent: Spent,
}

/// Runs it and prints.
pub(crate) fn run(asked: &Asked) {
    let n = asked.n.unwrap_or(2_000);
    let mut bench = Bench::prepared(asked, n);
    for repeat in 0..asked.repeats {
        let version = format!("{:04}", repeat + 2);
        for turn in 0..VARIANTS.len() {
            bench.variant(VARIANTS[(turn + repeat) % VARIANTS.len()], repeat, &version);
        }
        bench.check(&version);
    }
    println!(
        "W2: one ADD COLUMN, {n} schemas of one database, {}",
        asked.said()
    );
    bench.all.print(n, [Some(0.90), Some(0.50), Some(8.0)]);
    bench.spent.print();
    bench.counts();
}

impl<'a> Bench<'a> {
    /// Every variant's tenants at the first version.
    fn prepared(asked: &'a Asked, n: usize) -> Self {
        let (postgres, redis) = (Postgres::private_with(SERVER), Redis::private());
        let mut admin = Wire::connect(postgres.url());
        for what in VARIANTS.into_iter().chain(["control"]) {
            admin.ask(&format!("CREATE DATABASE {what}"));
        }
        let url = |what: &str| postgres.url_of(what);
        for what in ["naive", "guarded", "embedded", "cluster"] {
            make(&mut Wire::connect(&url(what)), what, n, what == "naive");
        }
        let mut wire = Wire::connect(&url("naive"));
        for i in 0..n {
            wire.ask(&format!("SET search_path TO naive{i:05}; {BASE}"));
        }
        let control = url("control");
        let embedded = ("sqlite://control.db", "memory://");
        let embedded = fleet(asked, &url("embedded"), "embedded", n, embedded, "version");
        let cluster = (control.as_str(), redis.url());
        let mut cluster = fleet(asked, &url("cluster"), "cluster", n, cluster, "version");
        cluster.start(asked.workers);
        for fleet in [&embedded, &cluster] {
            fleet.migration("0001", &format!("{BASE};"));
            fleet.up();
        }
        let mut bench = Self {
            asked,
            n,
            postgres,
            redis,
            embedded,
            cluster,
            all: Measured::named("naive floor"),
            spent: Spent::default(),
        };
        bench.guarded(1, "0001", BASE);
        bench.all.guarded.seconds.clear();
        if peer::program().is_some() {
            make(
                &mut Wire::connect(&bench.url("peer")),
                "peer",
                peer::TENANTS,
                false,
            );
            bench.peer("0001", BASE);
            bench.all.peer.seconds.clear();
        }
        bench
    }

    fn url(&self, what: &str) -> String {
        self.postgres.url_of(what)
    }

    fn variant(&mut self, what: &str, repeat: usize, version: &str) {
        let body = format!("ALTER TABLE invoices ADD COLUMN column_{version} text");
        match what {
            "naive" => {
                let bodies = [(version.to_owned(), body)];
                let message = |i| floors::naive_message(&format!("naive{i:05}"), i, &bodies);
                let messages: Vec<_> = (0..self.n).map(message).collect();
                let took = floors::naive(&self.url(what), self.asked.k, &messages);
                self.all.naive.seconds.push(took);
            }
            "guarded" => self.guarded(i64::try_from(repeat).unwrap() + 2, version, &body),
            "embedded" => self.all.rollout(what, &self.embedded, version, &body),
            "cluster" => {
                let everybody = (&self.postgres, &self.redis, &self.cluster);
                let rollout = || self.all.rollout(what, &self.cluster, version, &body);
                self.spent.watch(everybody, self.n, rollout);
            }
            _ => self.peer(version, &body),
        }
    }

    fn guarded(&mut self, epoch: i64, version: &str, body: &str) {
        let tenants = Arc::new(Tenants {
            places: places("guarded", self.n),
            changes: vec![Change::new(version, body, Dialect::Postgres)],
        });
        let url = self.url("guarded");
        let took = floors::guarded(&url, self.asked.k, &tenants, epoch > 1, epoch);
        self.all.guarded.seconds.push(took);
    }

    fn peer(&mut self, version: &str, body: &str) {
        if let Some(program) = peer::program() {
            let (url, bodies) = (self.url("peer"), [(version.to_owned(), body.to_owned())]);
            peer::run(&mut self.all.peer, &program, &url, "peer", self.n, &bodies);
        }
    }

    /// Not only time passed: every tenant of every variant has the column.
    fn check(&self, version: &str) {
        let sql = format!("SELECT count(*) FROM pg_attribute WHERE attname = 'column_{version}'");
        for what in ["naive", "guarded", "embedded", "cluster"] {
            let found = Wire::connect(&self.url(what)).ask(&sql);
            assert_eq!(
                found,
                [self.n.to_string()],
                "{what}: every tenant got its column"
            );
        }
    }

    /// What all rollouts of the cluster took, by the servers' own counters.
    fn counts(self) {
        let rollouts = self.asked.repeats + 1;
        let targets = (self.n * rollouts) as f64;
        let (control, cluster) = (self.url("control"), self.url("cluster"));
        drop(self.cluster);
        // Sessions hand their counters in when they end.
        let gone = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname IN ('control', 'cluster') AND application_name LIKE 'sanderling%'";
        let mut admin = Wire::connect(self.postgres.url());
        until(
            std::time::Duration::from_secs(30),
            "the sessions to end",
            || {
                let left = admin.ask(gone);
                (left == ["0"]).then_some(()).ok_or(format!("{left:?}"))
            },
        );
        let number =
            |url: &str, sql: &str| -> f64 { Wire::connect(url).ask(sql)[0].parse().unwrap() };
        let writes = number(
            &control,
            "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'rollouts'",
        );
        let sessions = number(
            &cluster,
            "SELECT sessions FROM pg_stat_database WHERE datname = 'cluster'",
        );
        let said = self.redis.command(&["INFO", "commandstats"]);
        let evals = said
            .lines()
            .find_map(|line| {
                line.strip_prefix("cmdstat_eval:calls=")?
                    .split(',')
                    .next()?
                    .parse::<f64>()
                    .ok()
            })
            .unwrap_or_default();
        println!(
            "counts of the cluster, over {rollouts} rollouts of {} tenants:",
            self.n
        );
        println!(
            "  control store: {:.3} transactions of a rollout per tenant (goal 0.15 at k = 8)",
            writes / targets
        );
        println!(
            "  Redis: {:.3} calls per tenant (goal 0.15 at k = 8)",
            evals / targets
        );
        println!(
            "  sessions of the tenants' database: {:.1} per rollout, surveys included (goal {})",
            // This program looks in once for each.
            sessions / rollouts as f64 - 1.0,
            self.asked.k + 2
        );
    }
}
