//! Gates between waves, on a real Prometheus that scrapes a real application.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sanderling_testkit::{App, Ended, Postgres, Prometheus, Proxy, Redis, until};
use serde_json::Value;

use crate::chaos::events;
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, last_json};

/// The share of requests that fail; a sum of two rates, so that no series at all is no data.
const QUERY: &str = "sum(rate(app_errors_total[3s])) / sum(rate(app_requests_total[3s]))";

/// A fleet of which five go first, with this gate after them.
fn gated(tenants: usize, url: &str, gate: &str) -> Fleet {
    let fleet = Fleet::embedded()
        .files(tenants)
        .rollout(&waves(gate))
        .settings(&provider(url))
        .written();
    fleet.probe_migrations(1);
    fleet
}

fn waves(gate: &str) -> String {
    format!(
        "[[rollout.waves]]\nname = \"canary\"\ncount = 5\n{gate}\n\
         [[rollout.waves]]\nname = \"rest\"\nrest = true\n"
    )
}

fn provider(url: &str) -> String {
    format!("[gates.providers.main]\nurl = \"{url}\"\n")
}

/// A bake with enough requests, then the application's errors.
fn bake_then_errors() -> String {
    format!(
        "bake = {{ duration = \"4s\", min_samples = 100, samples = \"sum(app_requests_total)\", interval = \"500ms\" }}\n\
         gates = [{{ name = \"errors\", promql = \"{QUERY}\", pass = \"value < 0.01\", fail = \"value >= 0.05\", \
         interval = \"500ms\", count = 3 }}]"
    )
}

/// The rate of the application's requests is known: it has been scraped for a while.
fn scraped(prometheus: &Prometheus) {
    until(DEADLINE, "Prometheus to know a rate", || {
        let query = "/api/v1/query?query=sum(rate(app_requests_total%5B3s%5D))";
        let port = prometheus
            .url()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse::<u16>()
            .unwrap();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "GET {query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.contains("\"value\":[").then_some(()).ok_or(answer)
    });
}

fn opened(ended: &Ended) -> Vec<Value> {
    let of = |e: &Value| (e["type"] == "wave_opened").then(|| e["wave"].clone());
    events(&ended.stdout).iter().filter_map(of).collect()
}

#[test]
fn a_healthy_application_lets_the_next_wave_open() {
    let app = App::start();
    let prometheus = Prometheus::scraping(&app);
    scraped(&prometheus);
    let fleet = gated(500, &prometheus.url(), &bake_then_errors());
    let plan = fleet.expect(0, &["plan"]).stdout;
    for line in [
        "then 4 s of bake",
        "then gate errors: ",
        "3 measurements, 1 s at least",
    ] {
        assert!(plan.contains(line), "{plan}");
    }

    let up = fleet.expect(0, &["--json", "up"]);

    assert_eq!(opened(&up), ["canary", "rest"], "{}", up.stdout);
    let summary = last_json(&up.stdout);
    assert_eq!(summary["succeeded"], 500, "{summary}");
    let gates = &summary["gates"];
    for (index, name, measured) in [(0, "bake", 1), (1, "errors", 3)] {
        let gate = &gates[index];
        assert_eq!(
            (&gate["gate"], &gate["state"]),
            (&name.into(), &"pass".into())
        );
        assert!(gate["measured"].as_u64() >= Some(measured), "{gates}");
    }
    let evidence: Vec<_> = events(&up.stdout)
        .into_iter()
        .filter(|e| e["type"] == "gate_measured")
        .collect();
    for measured in &evidence {
        let query = measured["measurement"]["query"].as_str().unwrap();
        let answer = measured["measurement"]["answer"].as_str().unwrap();
        assert!(query.contains("app_"), "{measured}");
        assert!(answer.contains("\"status\":\"success\""), "{measured}");
    }
    assert!(evidence.len() >= 4, "{evidence:?}");
    fleet.verified_clean();
}

#[test]
fn errors_during_the_bake_keep_the_next_wave_shut() {
    let app = App::start();
    let prometheus = Prometheus::scraping(&app);
    scraped(&prometheus);
    let fleet = gated(500, &prometheus.url(), &bake_then_errors());
    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "the canary to end", || {
        let ended = up.stdout().matches("\"type\":\"ended\"").count();
        (ended == 5).then_some(()).ok_or(ended)
    });

    app.fall_ill();

    let up = up.wait_with_deadline(DEADLINE);
    assert_eq!(up.code(), Some(3), "{}\n{}", up.stdout, up.stderr);
    assert_eq!(opened(&up), ["canary"], "{}", up.stdout);
    let summary = last_json(&up.stdout);
    let halt = &summary["halt"];
    assert_eq!(
        (&halt["rule"], &halt["wave"]),
        (&"gate".into(), &"canary".into())
    );
    assert_eq!(halt["cause"], Value::Null, "{summary}");
    assert_eq!(
        (&summary["succeeded"], &summary["pending"]),
        (&5.into(), &495.into())
    );
    let show = fleet.expect(0, &["rollout", "show"]).stdout;
    for words in [
        "halted by gate after wave canary: gate errors: ",
        " fail, 0 tolerated",
        "bake after canary: pass",
        "errors after canary: fail",
        "app_errors_total[3s]",
        "meets fail: value >= 0.05",
        "rollout resume",
        "skip",
        "(not open)",
    ] {
        assert!(show.contains(words), "{words} is missing in {show}");
    }
    let tables = |file: &str| fleet.path(&format!("data/{file}.db")).exists();
    let touched: Vec<_> = fleet.file_names().iter().filter(|f| tables(f)).collect();
    assert_eq!(touched.len(), 5, "{touched:?}");
}

/// A query alone, asked fast, that gives up fast.
fn fast(query: &str) -> String {
    format!(
        "gates = [{{ name = \"errors\", promql = \"{query}\", pass = \"value < 0.01\", fail = \"value >= 0.05\", \
         interval = \"100ms\", count = 2, timeout = \"1s\", error_limit = 1 }}]"
    )
}

/// Runs into the gate, and expects that it opens nothing and says why.
#[track_caller]
fn waits(url: &str, query: &str, state: &str, why: &str) -> Fleet {
    let fleet = gated(12, url, &fast(query));
    let up = fleet.expect(5, &["--json", "up"]);
    assert_eq!(opened(&up), ["canary"], "{}", up.stdout);
    let summary = last_json(&up.stdout);
    assert_eq!(summary["state"], "waiting", "{summary}");
    let gate = &summary["gates"][0];
    assert_eq!(gate["state"], state, "{gate}");
    let reason = gate["reason"].as_str().unwrap();
    assert!(reason.contains(why), "{reason}");
    fleet
}

#[test]
fn no_evidence_never_opens_a_wave() {
    let app = App::start();
    let prometheus = Prometheus::scraping(&app);
    scraped(&prometheus);
    let url = prometheus.url();
    for (query, state, why) in [
        ("app_nothing_total", "inconclusive", "no data"),
        (
            "0 * (sum(app_requests_total) - sum(app_requests_total)) / 0",
            "inconclusive",
            "NaN",
        ),
        ("{__name__=~'app_.+'}", "inconclusive", "2 series"),
        ("app_requests_total[1m]", "error", "not a number"),
        ("'zero'", "error", "a string"),
        ("sum(", "error", "HTTP 400"),
    ] {
        waits(&url, query, state, why);
    }
    let sealed = url.replace("http://", "https://");
    waits(
        &sealed,
        "vector(0)",
        "error",
        "provider main: error sending",
    );
    let proxy = Proxy::raw(&url);
    proxy.refuse();
    waits(proxy.url(), "vector(0)", "error", "provider main");
    proxy.heal();
    proxy.blackhole();
    let fleet = waits(
        proxy.url(),
        "vector(0)",
        "error",
        "did not answer within 1000 ms",
    );

    // The provider is back: a person lets it be measured anew, and only that opens the wave.
    proxy.heal();
    fleet.expect(0, &["rollout", "resume", &rollout(&fleet)]);
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["gates"][0]["evaluation"], 2, "{summary}");
    assert_eq!(summary["succeeded"], 12, "{summary}");
}

fn rollout(fleet: &Fleet) -> String {
    let list = fleet.json(0, &["rollout", "list"]);
    list[0]["rollout"].as_str().unwrap().to_owned()
}

#[test]
fn a_gate_is_skipped_by_name_and_with_a_reason() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let fleet = waits(&url, "vector(0)", "error", "provider main");
    let id = rollout(&fleet);
    let skip = [
        "rollout", "skip", &id, "--gate", "errors", "--reason", "moved",
    ];
    let refused = fleet.expect(
        1,
        &["rollout", "skip", &id, "--gate", "eror", "--reason", "x"],
    );
    assert!(refused.stderr.contains("errors"), "{}", refused.stderr);
    assert_eq!(fleet.json(0, &skip)["changed"], true);
    assert_eq!(fleet.json(0, &skip)["changed"], false);
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["gates"][0]["state"], "skipped", "{summary}");
    let show = fleet.expect(0, &["rollout", "show"]).stdout;
    assert!(show.contains("skipped by "), "{show}");
}

/// A provider that sends the asker elsewhere: nobody goes there.
#[test]
fn only_configured_hosts_are_asked() {
    let asked = Arc::new(AtomicBool::new(false));
    let (elsewhere, here) = (listen(), listen());
    let there = elsewhere.local_addr().unwrap();
    let url = format!(
        "http://user:${{GATE_PASSWORD}}@{}",
        here.local_addr().unwrap()
    );
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        if elsewhere.accept().is_ok() {
            seen.store(true, Ordering::SeqCst);
        }
    });
    std::thread::spawn(move || {
        for stream in here.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 2048]);
            let to = format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{there}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(to.as_bytes());
        }
    });
    let fleet = gated(12, &url, &fast("vector(0)"));
    let mut command = fleet.command(&["--json", "up"]);
    command
        .env("GATE_PASSWORD", "hunter2")
        .env("http_proxy", format!("http://{there}"));
    let up = sanderling_testkit::Process::spawn(command).wait_with_deadline(DEADLINE);
    assert_eq!(up.code(), Some(5), "{}\n{}", up.stdout, up.stderr);
    let summary = last_json(&up.stdout);
    let reason = summary["gates"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("HTTP 302"), "{reason}");
    assert!(
        !asked.load(Ordering::SeqCst),
        "it followed a redirect or a proxy"
    );
    let show = fleet.expect(0, &["rollout", "show"]).stdout;
    for text in [&up.stdout, &up.stderr, &show] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    for file in ["control.db", "control.db-wal"] {
        let stored = std::fs::read(fleet.path(file)).unwrap_or_default();
        let found = stored.windows(7).any(|bytes| bytes == b"hunter2");
        assert!(!found, "{file} holds the password");
    }
    assert!(fleet.path("control.db").exists());
}

/// A provider behind TLS and a password: it is asked with the header that the configuration names, and trusted by the
/// certificate that it names; without either it says nothing, which opens no wave.
#[test]
fn a_guarded_provider_answers_who_knows_it() {
    let app = App::start();
    let prometheus = Prometheus::guarded(&app);
    let ca = prometheus.certificate().unwrap().display().to_string();
    let gate = "gates = [{ name = \"one\", promql = \"vector(0)\", pass = \"value < 1\", interval = \"100ms\", \
                count = 2, error_limit = 50 }]";
    let with = |keys: &str, gate: &str| {
        let fleet = Fleet::embedded()
            .files(12)
            .rollout(&waves(gate))
            .settings(&format!("{}{keys}\n", provider(&prometheus.url())))
            .written();
        fleet.probe_migrations(1);
        fleet
    };
    let header = "headers = { Authorization = \"${TEST_LOGIN}\" }";
    let known = with(&format!("ca = \"{ca}\"\n{header}"), gate);
    let mut up = known.command(&["--json", "up"]);
    let up = up.env("TEST_LOGIN", Prometheus::LOGIN).output().unwrap();
    let said = String::from_utf8(up.stdout).unwrap();
    assert_eq!(up.status.code(), Some(0), "{said}");
    assert!(!said.contains(Prometheus::LOGIN), "{said}");

    let fast = gate.replace("error_limit = 50", "error_limit = 1");
    for (keys, login, why) in [
        (header.to_owned(), Some(Prometheus::LOGIN), "certificate"),
        (format!("ca = \"{ca}\""), None, "401"),
        (
            format!("ca = \"{ca}\"\n{header}"),
            None,
            "environment variable TEST_LOGIN is not set",
        ),
        (
            format!("ca = \"{ca}.gone\"\n{header}"),
            Some(Prometheus::LOGIN),
            "cannot be read",
        ),
    ] {
        let fleet = with(&keys, &fast);
        let mut up = fleet.command(&["--json", "up"]);
        if let Some(login) = login {
            up.env("TEST_LOGIN", login);
        }
        let up = up.output().unwrap();
        let said = String::from_utf8(up.stdout).unwrap();
        assert_eq!(up.status.code(), Some(5), "{said}");
        let reason = last_json(&said)["gates"][0]["reason"].to_string();
        assert!(reason.contains(why), "{why} is missing in {reason}");
        assert!(!said.contains(Prometheus::LOGIN), "{said}");
    }
}

/// A provider that never ends its answer: it is not read to an end that never comes, nor kept.
#[test]
fn an_answer_without_end_is_no_evidence() {
    let here = listen();
    let url = format!("http://{}", here.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in here.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b' '; 65_536]).is_ok() {}
        }
    });
    waits(
        &url,
        "vector(0)",
        "error",
        "answers with more than 1048576 bytes",
    );
}

/// While a provider is silent, the leader keeps its lease and takes another rollout to its end.
#[test]
fn a_silent_provider_keeps_no_other_rollout_waiting() {
    let silent = listen();
    silent.set_nonblocking(true).unwrap();
    let gate = fast("vector(0)").replace(
        "timeout = \"1s\", error_limit = 1",
        "timeout = \"4m\", error_limit = 0",
    );
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(8)
        .files(8)
        .rollout(&waves(&gate))
        .settings(&provider(&format!(
            "http://{}",
            silent.local_addr().unwrap()
        )))
        .written();
    fleet.probe_migrations(1);
    let mut processes = start_cluster(&fleet, 1, 1);
    let mut asking = fleet.spawn(&["--json", "up", "--yes", "--tenants", "id=t*"]);
    let held = until(DEADLINE, "the provider to be asked", || silent.accept());

    let other = ["up", "--yes", "--tenants", "id=file*", "--waves", "rest"];
    assert_eq!(fleet.json(0, &other)["succeeded"], 8);

    assert!(!asking.stdout().contains("gate_"), "{}", asking.stdout());
    drop((held, silent));
    let ended = asking.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(5), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(opened(&ended), ["canary"], "{}", ended.stdout);
    drain(&mut processes);
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
