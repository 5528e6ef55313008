//! The compose stack, as far as it can be held without an engine: what its files say of each other.
//!
//! Its parts, started by hand with these very files, are rolled in `tests/system/stack.rs`.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::{none, shipped, text, yaml};

const COMPOSE: &str = "docker-compose.yml";

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    json[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn services(compose: &Value) -> BTreeMap<&str, &Value> {
    let services = compose["services"].as_object().expect("there are services");
    services
        .iter()
        .map(|(name, service)| (name.as_str(), service))
        .collect()
}

/// Complaints about one service: what it mounts, publishes, waits for, and may do.
fn service(name: &str, service: &Value, all: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut must = |holds: bool, says: &str| {
        if !holds {
            complaints.push(format!("{name}: {says}"));
        }
    };
    for mount in list(service, "volumes") {
        let source = mount.split(':').next().unwrap_or_default();
        if source.starts_with('.') {
            must(
                shipped(source).exists(),
                &format!("{source} is mounted, and is not there"),
            );
            must(mount.ends_with(":ro"), &format!("{mount} can be written"));
        }
    }
    for port in list(service, "ports") {
        must(
            port.starts_with("127.0.0.1:"),
            &format!("{port} is open to everybody"),
        );
    }
    let image = service["image"].as_str().unwrap_or_default();
    let tag = image.split_once(':').map_or("", |(_, tag)| tag);
    must(
        !matches!(tag, "" | "latest"),
        &format!("image {image} is not pinned"),
    );
    must(
        service["read_only"] == true,
        "its file system can be written",
    );
    must(service["cap_drop"][0] == "ALL", "it keeps capabilities");
    let ours = !service["build"].is_null();
    must(
        ours || service["user"].is_string(),
        "it runs as whom the image says",
    );
    let after = service["depends_on"].as_object();
    for (other, how) in after.into_iter().flatten() {
        must(
            how["condition"] == "service_healthy",
            "it waits for a start, not for health",
        );
        let healthy = all
            .get(other.as_str())
            .is_some_and(|of| !of["healthcheck"].is_null());
        must(
            healthy,
            &format!("it waits for {other}, which never says that it is well"),
        );
    }
    let by_hand = !service["profiles"].is_null();
    must(
        by_hand || !service["healthcheck"].is_null(),
        "no healthcheck",
    );
    complaints
}

/// Complaints about the whole file.
fn compose(file: &Value) -> Vec<String> {
    let all = services(file);
    all.iter()
        .flat_map(|(name, of)| service(name, of, &all))
        .collect()
}

#[test]
fn compose_mounts_what_is_there_and_publishes_nothing_to_the_world() {
    let file = yaml(COMPOSE);
    none(compose(&file));
    let names: Vec<_> = services(&file).into_keys().collect();
    let wanted = [
        "coordinator-1",
        "coordinator-2",
        "grafana",
        "postgres",
        "prometheus",
        "redis",
        "sanderling",
        "worker-1",
        "worker-2",
        "worker-3",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn planted_faults_are_found() {
    let sound = yaml(COMPOSE);
    for (at, value) in [
        ("/services/redis/image", Value::from("redis")),
        ("/services/redis/user", Value::Null),
        ("/services/redis/healthcheck", Value::Null),
        ("/services/redis/read_only", false.into()),
        ("/services/redis/cap_drop", Value::Null),
        ("/services/grafana/ports/0", "3000:3000".into()),
        (
            "/services/grafana/volumes/0",
            "./deploy/gone:/etc:ro".into(),
        ),
        (
            "/services/grafana/volumes/0",
            "./deploy/grafana:/etc".into(),
        ),
        (
            "/services/grafana/depends_on/prometheus/condition",
            "service_started".into(),
        ),
        (
            "/services/grafana/depends_on",
            serde_json::json!({"nobody": {"condition": "service_healthy"}}),
        ),
    ] {
        let mut broken = sound.clone();
        *broken.pointer_mut(at).unwrap() = value;
        assert!(!compose(&broken).is_empty(), "{at}");
    }
}

/// Every command that a service gives to the program is one that it has.
#[test]
fn the_program_knows_every_command_of_the_stack() {
    let file = yaml(COMPOSE);
    let mut known = 0;
    for (name, service) in services(&file) {
        if service["build"].is_null() {
            continue;
        }
        let run = |more: &[&str]| {
            let command: Vec<_> = list(service, "command")
                .chain(more.iter().copied())
                .collect();
            let ended = Command::new(env!("CARGO_BIN_EXE_sanderling"))
                .args(command)
                .output();
            let ended = ended.unwrap();
            (
                ended.status.code(),
                String::from_utf8_lossy(&ended.stderr).into_owned(),
            )
        };
        let (code, said) = run(&["--help"]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let (code, _) = run(&["--no-such-flag", "--help"]);
        assert_eq!(code, Some(2), "{name}: help hides what is wrong before it");
        known += 1;
    }
    assert_eq!(known, 6);
}

/// The configuration as it is mounted, its hosts by the names of services, is one that the program begins with: what it
/// complains of are servers that do not answer.
#[test]
fn the_program_accepts_the_configuration_of_the_stack() {
    let run = |config: &str| {
        let ended = Command::new(env!("CARGO_BIN_EXE_sanderling"))
            .args(["--config", config, "ping"])
            .current_dir(shipped(""))
            .env("CONTROL_PASSWORD", "unused")
            .env("SHOPS_PASSWORD", "unused")
            .output();
        let ended = ended.unwrap();
        (
            ended.status.code(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        )
    };
    let (code, said) = run("deploy/docker/sanderling.toml");
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run("deploy/docker/Dockerfile");
    assert_eq!(code, Some(2), "{said}");
}

/// What Prometheus scrapes are services, at the ports that they listen on, and all of them.
#[test]
fn prometheus_scrapes_every_process_where_it_listens() {
    let (file, scraped) = (yaml(COMPOSE), yaml("deploy/prometheus/prometheus.yml"));
    let jobs = scraped["scrape_configs"].as_array().unwrap();
    let ours = jobs.iter().filter(|job| job["job_name"] != "prometheus");
    let mut targets: Vec<_> = ours
        .flat_map(|job| list(&job["static_configs"][0], "targets"))
        .collect();
    let mut listening: Vec<_> = services(&file)
        .into_iter()
        .filter_map(|(name, service)| {
            let mut command = list(service, "command").skip_while(|word| *word != "--listen");
            let port = command.nth(1)?.strip_prefix("0.0.0.0:")?;
            let checked = service["healthcheck"]["test"].to_string();
            assert!(
                checked.contains(&format!("/127.0.0.1/{port} ")),
                "{name}: {checked}"
            );
            Some(format!("{name}:{port}"))
        })
        .collect();
    targets.sort_unstable();
    listening.sort_unstable();
    assert_eq!(targets, listening);
    assert_eq!(targets.len(), 5);
}

/// Grafana finds its data source, its dashboards where they are mounted, and rates over intervals that have samples.
#[test]
fn grafana_finds_what_is_mounted() {
    let file = yaml(COMPOSE);
    let source = &yaml("deploy/grafana/provisioning/datasources/sanderling.yaml")["datasources"][0];
    let provider = &yaml("deploy/grafana/provisioning/dashboards/sanderling.yaml")["providers"][0];
    let prometheus = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(source["url"], "http://prometheus:9090");
    assert_eq!(source["type"], "prometheus");
    assert!(source["uid"].is_string());
    assert_eq!(
        source["jsonData"]["timeInterval"],
        prometheus["global"]["scrape_interval"]
    );
    assert_eq!(provider["allowUiUpdates"], false);
    let grafana = &file["services"]["grafana"];
    let path = provider["options"]["path"].as_str().unwrap();
    let mounted = format!("./deploy/grafana/dashboards:{path}:ro");
    assert!(
        list(grafana, "volumes").any(|mount| mount == mounted),
        "{mounted}"
    );
    let home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str();
    let home = home.and_then(|home| home.strip_prefix(path)).unwrap();
    assert!(
        shipped(&format!("deploy/grafana/dashboards{home}")).is_file(),
        "{home}"
    );
}

/// Every schema that the tenant file names is made by the script, and no other.
#[test]
fn the_fleet_has_the_schemas_that_its_script_makes() {
    let rows = text("deploy/docker/tenants/shops.csv");
    let schemas: Vec<_> = rows
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(2).unwrap())
        .collect();
    let wanted: Vec<_> = (1..=300).map(|shop| format!("shop_{shop:03}")).collect();
    assert_eq!(schemas, wanted);
    let script = text("deploy/docker/postgres/10-fleet.sql");
    for line in [
        "FOR shop IN 1..300 LOOP",
        "'shop_' || to_char(shop, 'FM000')",
    ] {
        assert!(script.contains(line), "{line}");
    }
}

/// What the build needs is in the build's context, by the names that the ignore file lets through.
#[test]
fn the_image_is_built_from_what_the_ignore_file_lets_through() {
    let ignore = text(".dockerignore");
    let let_through: Vec<_> = ignore
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let manifest = text("crates/sanderling/Cargo.toml");
    let outside = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"../../"));
    let needed = outside.map(|path| path.split('/').next().unwrap());
    for name in needed.chain(["Cargo.toml", "Cargo.lock", "crates"]) {
        assert!(
            let_through.contains(&name),
            "{name} is not in the build's context"
        );
        assert!(shipped(name).exists(), "{name}");
    }
    let dockerfile = text("deploy/docker/Dockerfile");
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(
        last.contains("\nUSER 65532:65532\n"),
        "the last stage runs as root"
    );
    assert!(last.contains("ENTRYPOINT [\"sanderling\"]"), "{last}");
    let manifest = text("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let wanted = format!("FROM rust:{}-", version.unwrap().trim_matches('"'));
    assert!(
        dockerfile.contains(&wanted),
        "the compiler is not {wanted}…"
    );
}
