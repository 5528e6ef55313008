//! A cluster that rolls until it halts, and the Prometheus that saw it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sanderling_testkit::{Ended, Postgres, Process, Prometheus, Redis, Signal, free_port, until};
use serde_json::Value;

use super::numbers;
use crate::fleet::{DEADLINE, Fleet};

const SERVICES: [&str; 5] = [
    "coordinator-1",
    "coordinator-2",
    "worker-1",
    "worker-2",
    "worker-3",
];

/// What each tenant does: it takes a second; one tenant meets a deadlock twice, three fail.
const TROUBLE: &str = "CREATE SEQUENCE public.tries;\n\
    CREATE FUNCTION public.trouble() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n\
      PERFORM pg_sleep(1);\n\
      IF current_schema() = 't0001' AND nextval('public.tries') < 3 THEN\n\
        RAISE EXCEPTION 'a deadlock' USING ERRCODE = '40P01';\n\
      END IF;\n\
      IF current_schema() IN ('t0030', 't0040', 't0050') THEN RAISE EXCEPTION 'a mistake'; END IF;\n\
    END $$;";

/// What was played, and all that still runs: the halt is there for as long as somebody looks at it.
pub(super) struct Scene {
    prometheus: Prometheus,
    _running: Option<(Vec<Process>, Fleet, Redis, Postgres)>,
    began: u64,
    ended: u64,
}

impl Scene {
    /// Plays it: see the module above.
    pub(super) fn played() -> Self {
        let began = now();
        let ports: Vec<_> = SERVICES.iter().map(|_| free_port()).collect();
        let prometheus = scraping(&ports);
        let spare = Postgres::private();
        let redis = Redis::private();
        let control = Postgres::private();
        let fleet = fleet(&spare, &redis, &prometheus).with_control(control.create_database());
        let fleet = fleet.written();
        let mut holder = holding_the_lock_of("t0010", &fleet);
        let spawn = |index: usize| {
            let (kind, _) = SERVICES[index].split_once('-').unwrap();
            let listen = format!("127.0.0.1:{}", ports[index]);
            let mut command = fleet.command(&[kind, "--listen", &listen]);
            command.env("SANDERLING_COORDINATOR__SURVEY", "1s");
            Process::spawn(command)
        };
        let mut processes: Vec<_> = (0..SERVICES.len()).map(spawn).collect();
        let mut scene = Self {
            prometheus,
            _running: None,
            began,
            ended: began,
        };
        scene.once("sum(up{job=~\"sanderling-.+\"}) == 5");

        let mut up = fleet.spawn(&["up", "--yes"]);
        until(DEADLINE, "the second wave to open", || {
            let said = format!("{}{}", up.stdout(), up.stderr());
            assert!(up.is_running(), "{said}");
            let open = "sum(sanderling_wave_state{wave=\"rest\",state=\"open\"}) == 1";
            let opened = !scene.values(open).is_empty();
            let logs = processes.iter().map(Process::stderr);
            opened
                .then_some(())
                .ok_or_else(|| said + &logs.collect::<String>())
        });
        let leads = scene.labels("sanderling_leader == 1", "instance");
        let leader = ports
            .iter()
            .position(|port| leads == [format!("127.0.0.1:{port}")]);
        processes[leader.expect("one leads")].signal(Signal::Kill);
        // Its tenants come a little later: nobody has them in hand.
        spare.kill();
        processes[3].signal(Signal::Stop);
        redis.kill();
        scene.once("sum(sanderling_claims_locks_total{result=\"error\"}) > 0");
        redis.restart();
        holder.signal(Signal::Kill);
        let frozen = format!("up{{instance=\"127.0.0.1:{}\"}}", ports[3]);
        scene.once(&format!("sum_over_time((1 - {frozen})[20s:1s]) > 5"));
        processes[3].signal(Signal::Cont);
        scene.once("max(sanderling_workers_away) > 0");

        let Ended {
            stdout,
            stderr,
            status,
        } = up.wait_with_deadline(DEADLINE);
        assert_eq!(status.code(), Some(3), "{stdout}\n{stderr}");
        control.kill();
        scene.once("sum(rate(sanderling_store_errors_total{kind=\"unavailable\"}[4s])) >= 0");
        control.restart();
        scene.once("ALERTS{alertname=\"SanderlingHaltedClean\"}");
        scene.ended = now() + 1;
        scene._running = Some((processes, fleet, redis, control));
        scene
    }

    /// How long it took.
    pub(super) fn seconds(&self) -> u64 {
        self.ended - self.began
    }

    /// What the API of Prometheus says.
    pub(super) fn api(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let body = self.prometheus.ask(path, query);
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer
    }

    /// Whether the expression had a number at some time of the scene.
    pub(super) fn finds(&self, expr: &str) -> bool {
        let (start, end) = (self.began.to_string(), self.ended.to_string());
        let query = [
            ("query", expr),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        let answer = self.api("/api/v1/query_range", &query);
        numbers(&answer).any(|number| number.parse::<f64>().is_ok_and(f64::is_finite))
    }

    /// The values of a label, as `label_values` of Grafana finds them, sorted.
    pub(super) fn label_values(&self, series: &str, label: &str) -> Vec<String> {
        let (start, end) = (self.began.to_string(), self.ended.to_string());
        let path = format!("/api/v1/label/{label}/values");
        let answer = self.api(
            &path,
            &[("match[]", series), ("start", &start), ("end", &end)],
        );
        let values = answer["data"].as_array().unwrap().iter();
        values
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    }

    /// The names of all series that it has of ours.
    pub(super) fn names(&self) -> Vec<String> {
        let answer = self.api("/api/v1/label/__name__/values", &[]);
        let names = answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str);
        names
            .filter(|name| name.starts_with("sanderling_"))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until the expression has a value now.
    fn once(&self, expr: &str) {
        until(DEADLINE, expr, || match self.values(expr).is_empty() {
            false => Ok(()),
            true => Err(format!("nothing; there are {:?}", self.names())),
        });
    }

    /// What the expression has now.
    fn values(&self, expr: &str) -> Vec<String> {
        let answer = self.api("/api/v1/query", &[("query", expr)]);
        numbers(&answer).map(str::to_owned).collect()
    }

    /// A label of what the expression finds now.
    fn labels(&self, expr: &str, label: &str) -> Vec<String> {
        let answer = self.api("/api/v1/query", &[("query", expr)]);
        let series = answer["data"]["result"].as_array().unwrap().iter();
        series
            .map(|one| one["metric"][label].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The shipped configuration and rules, once a second, for processes at these ports.
fn scraping(ports: &[u16]) -> Prometheus {
    let shipped = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../deploy/prometheus")
            .join(path);
        std::fs::read_to_string(path).unwrap()
    };
    let mut config = shipped("prometheus.yml");
    for (from, to) in [
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("scrape_timeout: 10s", "scrape_timeout: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ] {
        assert!(config.contains(from), "{config}");
        config = config.replace(from, to);
    }
    for (service, port) in SERVICES.iter().zip(ports) {
        let from = format!("\"{service}:9464\"");
        assert!(config.contains(&from), "{config}");
        config = config.replace(&from, &format!("\"127.0.0.1:{port}\""));
    }
    let rules = shipped("rules/sanderling.rules.yml");
    Prometheus::configured(&config, &[("rules/sanderling.rules.yml", &rules)])
}

/// Sixty schemas, and three on a server that goes away; a canary with a bake and a gate.
fn fleet(spare: &Postgres, redis: &Redis, prometheus: &Prometheus) -> Fleet {
    let postgres = Postgres::shared();
    let fleet = Fleet::cluster(postgres, redis);
    let spare = spare.create_database();
    let settings = format!(
        "[hosts.spare]\nurl = \"{spare}\"\nconnections = 4\n\
         [gates.providers.main]\nurl = \"{}\"\n\
         [rollout.halt]\nmax_failures = 2\n\
         [[rollout.waves]]\nname = \"canary\"\ncount = 3\nbake = \"3s\"\nhalt = {{ max_failures = 0 }}\n\
         [[rollout.waves.gates]]\nname = \"up\"\npromql = \"sum(up)\"\npass = \"value >= 5\"\ninterval = \"1s\"\ncount = 2\n\
         [[rollout.waves]]\nname = \"rest\"\nrest = true\nconcurrency = 4\nhalt = {{ max_failures = 2 }}\n",
        prometheus.url()
    );
    let fleet = fleet.schemas(60).settings(&settings).written();
    fleet.write(
        "tenants/spare.csv",
        "id,host,schema,size\nx1,spare,x1,25\nx2,spare,x2,26\nx3,spare,x3,27\n",
    );
    let up = "CREATE TABLE probe (version integer);\nSELECT public.trouble();";
    fleet.migration("0001", "slow", up, "DROP TABLE probe;");
    postgres.sql(fleet.tenants_url(), TROUBLE);
    fleet
}

/// A session that has a tenant's lock, as `docs/reference/ledger.md` says it is made.
fn holding_the_lock_of(schema: &str, fleet: &Fleet) -> Process {
    let key = format!(
        "('x' || encode(substring(sha256(convert_to('sanderling tenant lock 1', 'UTF8') || '\\x00'::bytea \
         || convert_to((SELECT oid::text FROM pg_database WHERE datname = current_database()), 'UTF8') \
         || '\\x00'::bytea || convert_to('{schema}', 'UTF8')) from 1 for 8), 'hex'))::bit(64)::bigint"
    );
    let lock = format!("SELECT pg_advisory_lock({key}), 'there'");
    let mut command = Process::command("psql");
    command
        .args(["-X", "-c", &lock, "-c", "SELECT pg_sleep(600)"])
        .arg(fleet.tenants_url());
    let session = Process::spawn(command);
    until(DEADLINE, "a session to have the lock", || {
        session.stdout().contains("there").then_some(())
    });
    session
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
