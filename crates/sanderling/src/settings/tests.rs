//! Settings as operators write them, right and wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sanderling_core::policy::Atomic;
use sanderling_core::waves::Select;
use sanderling_core::{ErrorClass, HostName};
use sanderling_registry::HostKind;

use super::error::SettingsError;
use super::url::ConfiguredUrl;
use super::*;

pub(super) const LEAST: &str = "[fleet]\nname = \"prod\"\ntenants = [\"t/*.csv\"]\n[hosts.eu1]\nurl = \"postgres://u:hunter2@h/app\"\n";

pub(super) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.toml");
    std::fs::write(&file, text).unwrap();
    let variables: Vec<_> = variables
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Settings::load_with(&file, variables).map_err(|e| SettingsError {
        problems: e
            .problems
            .iter()
            .map(|p| p.replace(&format!("{}/", dir.path().display()), ""))
            .collect(),
    })
}

pub(super) fn more(text: &str) -> Settings {
    load(&format!("{LEAST}{text}"), &[]).unwrap()
}

/// The only problem of a small file with something added.
pub(super) fn problem(text: &str) -> String {
    let error = load(&format!("{LEAST}{text}"), &[]).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn a_small_file_gets_the_defaults() {
    let settings = more("");
    assert_eq!(settings.fleet_name, "prod");
    assert_eq!(settings.migrations_dir, Path::new("migrations"));
    assert!(!settings.create_missing);
    assert_eq!(settings.control.lease, Duration::from_secs(30));
    assert_eq!(settings.control.poll, Duration::from_secs(1));
    assert_eq!(settings.claims.url.resolve().unwrap().expose(), "memory://");
    assert_eq!(
        (settings.worker_slots, settings.rollout.concurrency),
        (16, 16)
    );
    assert_eq!(settings.rollout.lock_timeout, Duration::from_secs(1));
    assert_eq!(settings.rollout.statement_timeout, Duration::ZERO);
    assert_eq!(settings.hosts[0].connections, 8);
    assert_eq!(settings.rollout.retry[&ErrorClass::LockTimeout].attempts, 5);
    assert!(settings.rollout.waves.is_empty());
    let control = settings.control.url.resolve().unwrap();
    let expected = format!(
        "sqlite://{}/.sanderling/control.db",
        settings.base_dir.display()
    );
    assert_eq!(control.expose(), expected);
}

#[test]
fn everything_can_be_set() {
    let settings = more(
        "connections = 3\n[hosts.files]\nurl = 'sqlite://data'\n[control]\nurl = 'postgres://c/d'\nlease = '5s'\npoll = '100ms'\n\
         [claims]\nurl = 'redis://r'\nttl = '2s'\n[worker]\nslots = 4\n[rollout]\nconcurrency = 9\natomic = 'tenant'\n\
         lock_timeout = '250ms'\nstatement_timeout = '1m'\nhalt = { max_failure_percent = 1.5, same_cause = 3 }\n\
         [[rollout.waves]]\nname = 'canary'\ncount = 5\nconcurrency = 1\nhalt = { max_failures = 0 }\n\
         [[rollout.waves]]\nlabels = { plan = 'free' }\n[[rollout.waves]]\nname = 'tenth'\npercent = 10\n\
         [[rollout.waves]]\nname = 'rest'\nrest = true\n[retry.lock_timeout]\nattempts = 7\n[retry.timeout]\nbase = '1s'\nmax = '3s'\n",
    );
    let files = &settings.hosts[1];
    assert!(files.is_sqlite && files.connections == 2 && !settings.hosts[0].is_sqlite);
    let kinds = settings.host_kinds();
    assert_eq!(kinds[&HostName::new("files")], HostKind::Directory);
    assert_eq!(
        kinds[&HostName::new("eu1")],
        HostKind::Server {
            database: Some("app".into()),
            address: Some("h:5432".into()),
        }
    );
    assert_eq!(kinds.len(), 2);
    let rollout = &settings.rollout;
    assert_eq!((rollout.concurrency, rollout.atomic), (9, Atomic::Tenant));
    assert_eq!(rollout.halt.max_failure_percent, Some(1.5));
    assert_eq!(rollout.halt.same_cause, Some(3));
    let names: Vec<_> = rollout.waves.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["canary", "wave-2", "tenth", "rest"]);
    assert_eq!(rollout.waves[0].select, Select::Count(5));
    assert_eq!(rollout.waves[0].halt.max_failures, Some(0));
    assert_eq!(rollout.waves[2].select, Select::Percent(10.0));
    assert_eq!(rollout.retry[&ErrorClass::LockTimeout].attempts, 7);
    assert_eq!(rollout.retry[&ErrorClass::Timeout].max_ms, 3000);
}

#[test]
fn variables_win_over_the_file_and_strangers_are_left_alone() {
    let settings = load(
        LEAST,
        &[
            ("SANDERLING_CONTROL__URL", "postgres://c"),
            ("SANDERLING_WORKER__SLOTS", "3"),
            ("SANDERLING_FLEET__CREATE_MISSING", "true"),
            ("SANDERLING_FLEET__TENANTS", "a.csv, b.yaml"),
            ("SANDERLING_HOSTS__EU1__CONNECTIONS", "5"),
            ("SANDERLING_ROLLOUT__HALT__MAX_FAILURE_PERCENT", "2.5"),
            ("SANDERLING_ROLLOUT__LOCK_TIMEOUT", "2s"),
            ("SANDERLING_CLAIMS__TTL", ""),
            ("SANDERLING_LOG", "debug"),
            ("SANDERLING_TEST_POSTGRES", "postgres://t"),
            ("SANDERLING_TEST__X", "1"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.control.url.scheme().as_deref(), Some("postgres"));
    assert_eq!((settings.worker_slots, settings.create_missing), (3, true));
    assert_eq!(settings.tenant_patterns, ["a.csv", "b.yaml"]);
    assert_eq!(settings.hosts[0].connections, 5);
    assert_eq!(
        settings.hosts[0].url.resolve().unwrap().expose(),
        "postgres://u:hunter2@h/app"
    );
    assert_eq!(settings.rollout.halt.max_failure_percent, Some(2.5));
    assert_eq!(settings.rollout.lock_timeout, Duration::from_secs(2));
}

#[test]
fn wrong_variables_are_named() {
    let wrong = |name, value| load(LEAST, &[(name, value)]).unwrap_err().to_string();
    assert_eq!(
        wrong("SANDERLING_CONTROL_URL", "x"),
        "SANDERLING_CONTROL_URL is no setting; did you mean SANDERLING_CONTROL__URL?"
    );
    assert_eq!(
        wrong("SANDERLING_WORKER__SLOTS", "many"),
        "SANDERLING_WORKER__SLOTS: must be a whole number, without quotes"
    );
    assert_eq!(
        wrong("SANDERLING_WORKER__SLOT", "1"),
        "SANDERLING_WORKER__SLOT: unknown key; did you mean `slots`?"
    );
    assert_eq!(
        wrong("SANDERLING_WORKR__SLOTS", "1"),
        "SANDERLING_WORKR__SLOTS: unknown key; did you mean `worker`?"
    );
    assert!(
        wrong("SANDERLING_ROLLOUT__WAVES__0__COUNT", "1")
            .contains("waves cannot be given by a variable")
    );
}

#[test]
fn unknown_keys_name_the_nearest_and_the_line() {
    for (text, expected) in [
        (
            "[rollout]\nconcurency = 3\n",
            "s.toml:7: rollout.concurency: unknown key; did you mean `concurrency`?",
        ),
        (
            "[rolout]\nx = 1\n",
            "s.toml:6: rolout: unknown key; did you mean `rollout`?",
        ),
        (
            "conections = 3\n",
            "s.toml:6: hosts.eu1.conections: unknown key; did you mean `connections`?",
        ),
        (
            "[worker]\nbananas = 1\n",
            "s.toml:7: worker.bananas: unknown key; known here: slots, serves",
        ),
        (
            "[[rollout.waves]]\nrest = true\nhalt = { max_failure = 1 }\n",
            "s.toml:8: rollout.waves.0.halt.max_failure: unknown key; did you mean `max_failures`?",
        ),
        (
            "[retry.lock_timeout]\ntimes = 1\n",
            "s.toml:7: retry.lock_timeout.times: unknown key; known here: attempts, base, max",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn what_comes_later_is_refused_as_such() {
    for text in [
        "[schedules.nightly]\ncron = '0 2 * * *'\n",
        "[hosts.m]\nurl = 'mysql://u@h/d'\n",
    ] {
        assert!(problem(text).contains("not supported yet"), "{text}");
    }
    let format = load(&LEAST.replace("name", "format = 'dbmate'\nname"), &[]).unwrap_err();
    assert!(
        format
            .to_string()
            .contains("only \"native\" is supported yet")
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (text, part) in [
        (
            "[control]\nlease = '500ms'\n",
            "control.lease: must be at least 1s",
        ),
        (
            "[control]\nlease = '2s'\npoll = '3s'\n",
            "control.poll: must not be longer than `lease`",
        ),
        (
            "[claims]\nttl = '10ms'\n",
            "claims.ttl: must be at least 1s",
        ),
        ("[claims]\nttl = 30\n", "must be a duration such as"),
        (
            "[claims]\nurl = 'http://x'\n",
            "http:// is not supported here; one of memory://, redis://, rediss://, redis+unix://, redis+sentinel://, rediss+sentinel:// is needed",
        ),
        ("[control]\nurl = 'sqlite::memory:'\n", "would be lost"),
        ("[control]\nurl = 'control.db'\n", "is not a URL"),
        (
            "[worker]\nslots = 0\n",
            "s.toml:7: worker.slots: must be at least 1, not 0",
        ),
        (
            "[worker]\nslots = '4'\n",
            "must be a whole number, without quotes",
        ),
        ("[worker]\nslots = 5000000000\n", "is too large"),
        (
            "connections = 0\n",
            "hosts.eu1.connections: must be at least 1",
        ),
        (
            "[rollout]\nconcurrency = -1\n",
            "must be at least 1, not -1",
        ),
        (
            "[rollout]\natomic = 'all'\n",
            "must be \"version\" or \"tenant\"",
        ),
        ("[rollout]\nlock_timeout = '0s'\n", "must be at least 1ms"),
    ] {
        assert!(problem(text).contains(part), "{text}: {}", problem(text));
    }
}

#[test]
fn hosts_and_workers_out_of_range_are_refused() {
    for (text, part) in [
        (
            "[hosts.EU2]\nurl = 'postgres://x'\n",
            "a host's name must be",
        ),
        (
            "[hosts.eu2]\nconnections = 1\n",
            "hosts.eu2.url: is missing",
        ),
        (
            "[hosts.eu2]\nurl = 'postgres://{{lable.x}}'\n",
            "has the unknown placeholder {{lable.x}}",
        ),
        (
            "[hosts.eu2]\nurl = 'postgres://u:hunter2@{{label.x}}'\n",
            "hosts.eu2.url: holds a password as it is",
        ),
        (
            "[hosts.eu2]\nurl = 'postgres://u@{{label.x}}:y/d'\n",
            "has a port that is no number when its template is filled in",
        ),
        (
            "[hosts.eu2]\nurl = 'sqlite://{{label.x}}'\n",
            "which is for PostgreSQL",
        ),
        (
            "[control]\nurl = 'postgres://{{label.x}}/d'\n",
            "only the url of a host",
        ),
        (
            "[worker]\nserves = 'acme'\n",
            "worker.serves: `acme` names tenants by id",
        ),
        (
            "[hosts.eu2]\nurl = 'postgres://x'\nsearch_path = ['public']\n",
            "hosts.eu2.search_path: must begin with \"{{schema}}\", not \"public\"",
        ),
        (
            "[hosts.f2]\nurl = 'sqlite://x'\nsearch_path = ['{{schema}}', 'a']\n",
            "hosts.f2.search_path: is for PostgreSQL",
        ),
    ] {
        assert!(problem(text).contains(part), "{text}: {}", problem(text));
    }
}

#[test]
fn what_is_missing_is_asked_for() {
    let text = load("", &[]).unwrap_err().to_string();
    for part in ["fleet.name: is missing", "fleet.tenants: is missing"] {
        assert!(text.contains(part), "{text}");
    }
    for name in ["Prod", "a b", "", &"x".repeat(41)] {
        let error = load(&LEAST.replace("\"prod\"", &format!("\"{name}\"")), &[]).unwrap_err();
        assert!(error.to_string().contains("fleet.name: "), "{error}");
    }
}

#[test]
fn a_missing_file_says_what_to_write() {
    let error = Settings::load_with(Path::new("/nowhere/s.toml"), [])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nowhere/s.toml does not exist; name another file with --config FILE")
    );
    assert!(error.contains("[hosts.main]"));
}

#[test]
fn broken_toml_names_the_place_and_no_secret() {
    let text = LEAST.replace("/app\"", "/app");
    let error = load(&text, &[]).unwrap_err().to_string();
    assert!(error.starts_with("s.toml:5:"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = problem("[control]\nurl = 'ftp://u:hunter2@h'\n");
    assert!(!error.contains("hunter2"), "{error}");
    assert!(!format!("{:?}", more("")).contains("hunter2"));
}

#[test]
fn references_are_resolved_only_when_used() {
    let settings = more(
        "[hosts.b]\nurl = 'postgres://u:${SANDERLING_NO_SUCH_VARIABLE}@h/d'\n[hosts.c]\nurl = '${SANDERLING_NO_SUCH_VARIABLE}'\n",
    );
    for (host, key) in settings.hosts[..2]
        .iter()
        .zip(["hosts.b.url", "hosts.c.url"])
    {
        let error = host.url.resolve().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "{key}: environment variable SANDERLING_NO_SUCH_VARIABLE is not set"
            )),
            "{error}"
        );
    }
}

#[test]
fn relative_sqlite_paths_start_at_the_file() {
    let at = |written: &str| {
        let url = ConfiguredUrl::new(written, "k".into(), &PathBuf::from("/cfg/$x"));
        url.resolve().unwrap().expose().to_owned()
    };
    assert_eq!(at("sqlite://data"), "sqlite:///cfg/$x/data");
    assert_eq!(at("sqlite://./data"), "sqlite:///cfg/$x/data");
    assert_eq!(at("sqlite:data/b"), "sqlite:///cfg/$x/data/b");
    assert_eq!(at("sqlite:///data"), "sqlite:///data");
    assert_eq!(at("sqlite://${PATH}").matches("/cfg").count(), 0);
    assert_eq!(at("postgres://h/d"), "postgres://h/d");
}

#[test]
fn the_sample_fleet_s_file_is_good() {
    let file = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../sanderling.toml"
    ));
    let settings = Settings::load_with(file, []).unwrap();
    assert!(settings.create_missing && settings.hosts[0].is_sqlite);
    assert_eq!(settings.claims.url.scheme().as_deref(), Some("memory"));
    assert_eq!(settings.wave_specs().len(), 3);
    assert_eq!(settings.halt_spec().max_failure_percent, Some(2.0));
    sanderling_core::waves::validate(&settings.wave_specs()).unwrap();
    sanderling_core::waves::validate(&more("").wave_specs()).unwrap();
}

#[test]
fn a_host_may_have_a_direct_url_and_a_role() {
    let text = format!(
        "{LEAST}[hosts.pg]\nurl = 'postgres://u@pooler:6432/alias'\ndirect_url = 'postgres://u:${{PW}}@db:5432/app'\nrole = '{{{{schema}}}}_owner'\n"
    );
    let settings = load(&text, &[]).unwrap();
    let host = settings
        .hosts
        .iter()
        .find(|h| h.name.as_str() == "pg")
        .unwrap();
    assert!(host.direct_url.is_some() && host.role.is_some());
    let kind = &settings.host_kinds()[&host.name];
    let database = Some("app".to_owned());
    let address = Some("db:5432".to_owned());
    assert_eq!(*kind, HostKind::Server { database, address });
    for (lines, expected) in [
        (
            "url = 'postgres://u@h/d'\nrole = '{{tenant}}'\n",
            "s.toml:8: hosts.x.role: \"{{tenant}}\" has the unknown placeholder {{tenant}}; {{schema}} and {{database}} are known",
        ),
        (
            "url = 'postgres://u@h/d'\nrole = ''\n",
            "s.toml:8: hosts.x.role: \"\" names no role; leave it out to migrate as the login role itself",
        ),
        (
            "url = 'sqlite://d'\nrole = 'r'\n",
            "s.toml:8: hosts.x.role: is for PostgreSQL; this host is a directory of SQLite files",
        ),
        (
            "url = 'postgres://u@h/d'\ndirect_url = 'sqlite://d'\n",
            "s.toml:8: hosts.x.direct_url: sqlite:// is not supported here; one of postgres://, postgresql:// is needed",
        ),
    ] {
        assert_eq!(problem(&format!("[hosts.x]\n{lines}")), expected);
    }
}
