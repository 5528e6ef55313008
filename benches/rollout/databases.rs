//! Tenants that have a PostgreSQL database each: the price of a change is the price of a connection.

use std::sync::Arc;

use sanderling_core::{HostName, Place};
use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, Redis};

use crate::asked::Asked;
use crate::floors::{self, Change, Tenants};
use crate::measured::Measured;
use crate::ours::{Ours, Setting};
use crate::schemas::{NAIVE_LEDGER, SERVER};
use crate::wire::Wire;

const BASE: &str = "CREATE TABLE invoices (id bigint PRIMARY KEY, cents bigint NOT NULL)";
/// The variants, in the order of the first repeat. Their databases begin with their names.
const VARIANTS: [&str; 4] = ["naive", "guarded", "embedded", "cluster"];

/// Servers, fleets and what was measured so far.
struct Bench<'a> {
    asked: &'a Asked,
    n: usize,
    postgres: Postgres,
    _redis: Redis,
    embedded: Ours,
    cluster: Ours,
    all: Measured,
}

/// W2: one ADD COLUMN.
pub(crate) fn w2(asked: &Asked) {
    let n = asked.n.unwrap_or(100);
    let mut bench = Bench::prepared(asked, n);
    for repeat in 0..asked.repeats {
        let version = format!("{:04}", repeat + 2);
        let epoch = i64::try_from(repeat).unwrap() + 2;
        for turn in 0..VARIANTS.len() {
            bench.variant(VARIANTS[(turn + repeat) % VARIANTS.len()], epoch, &version);
        }
        bench.check(&version);
    }
    println!(
        "W2: one ADD COLUMN, {n} databases of one server, {}",
        asked.said()
    );
    bench.all.print(n, [None, Some(0.90), Some(4.0)]);
}

impl<'a> Bench<'a> {
    /// Every variant's tenants at the first version.
    fn prepared(asked: &'a Asked, n: usize) -> Self {
        let (postgres, redis) = (Postgres::private_with(SERVER), Redis::private());
        let mut admin = Wire::connect(postgres.url());
        for name in VARIANTS.iter().flat_map(|what| names(what, n)) {
            admin.ask(&format!("CREATE DATABASE {name}"));
        }
        let control = postgres.create_database();
        let fleet = |what: &str, control: &str, claims: &str| {
            let row = |name: &String| format!("{name},tenants,{name},,");
            let rows: Vec<_> = names(what, n).iter().map(row).collect();
            let setting = Setting {
                control,
                claims,
                host: postgres.url(),
                k: asked.k,
                in_flight: asked.in_flight,
                atomic: "version",
            };
            let fleet = Ours::new(&setting, &rows);
            fleet.migration("0001", &format!("{BASE};"));
            fleet
        };
        let embedded = fleet("embedded", "sqlite://control.db", "memory://");
        let mut cluster = fleet("cluster", &control, redis.url());
        cluster.start(asked.workers);
        embedded.up();
        cluster.up();
        let mut bench = Self {
            asked,
            n,
            postgres,
            _redis: redis,
            embedded,
            cluster,
            all: Measured::named("connect-per-tenant floor"),
        };
        floors::naive_connecting(
            &bench.urls("naive"),
            asked.k,
            &format!("{BASE}; {NAIVE_LEDGER}"),
        );
        bench.guarded(1, "0001", BASE);
        bench.all.guarded.seconds.clear();
        bench
    }

    fn urls(&self, what: &str) -> Vec<String> {
        let url = |name: &String| self.postgres.url_of(name);
        names(what, self.n).iter().map(url).collect()
    }

    fn variant(&mut self, what: &str, epoch: i64, version: &str) {
        let body = format!("ALTER TABLE invoices ADD COLUMN column_{version} text");
        match what {
            "naive" => {
                let message = format!(
                    "BEGIN; SELECT pg_advisory_xact_lock(1); {body}; INSERT INTO naive_ledger (version) VALUES ('{version}'); COMMIT"
                );
                let took = floors::naive_connecting(&self.urls(what), self.asked.k, &message);
                self.all.naive.seconds.push(took);
            }
            "guarded" => self.guarded(epoch, version, &body),
            "embedded" => self.all.rollout(what, &self.embedded, version, &body),
            _ => self.all.rollout(what, &self.cluster, version, &body),
        }
    }

    fn guarded(&mut self, epoch: i64, version: &str, body: &str) {
        let place = |name: String| Place {
            host: HostName::new("tenants"),
            database: Some(name),
            schema: None,
            file: None,
        };
        let tenants = Arc::new(Tenants {
            places: names("guarded", self.n).into_iter().map(place).collect(),
            changes: vec![Change::new(version, body, Dialect::Postgres)],
        });
        let (url, k) = (self.postgres.url(), self.asked.k);
        let took = floors::guarded(url, k, &tenants, epoch > 1, epoch);
        self.all.guarded.seconds.push(took);
    }

    /// Not only time passed: every database has the column.
    fn check(&self, version: &str) {
        let sql = format!("SELECT count(*) FROM pg_attribute WHERE attname = 'column_{version}'");
        for url in VARIANTS.iter().flat_map(|what| self.urls(what)) {
            assert_eq!(Wire::connect(&url).ask(&sql), ["1"], "{url}");
        }
    }
}

fn names(what: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{what}{i:05}")).collect()
}
