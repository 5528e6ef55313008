//! The commands of every day: a fleet from nothing, the next migration, waiting for servers, a look at somebody's fleet.

use std::path::Path;

use sanderling_testkit::{Ended, Postgres, Process, Redis, until};

use crate::fleet::{DEADLINE, Fleet, last_json};

/// The program in a directory, with variables of its own and none of the tests'.
fn sanderling(directory: &Path, variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
    command
        .env_remove("DATABASE_URL")
        .envs(variables.iter().copied())
        .args(args)
        .current_dir(directory);
    Process::spawn(command).wait_with_deadline(DEADLINE)
}

#[track_caller]
fn done(directory: &Path, args: &[&str]) -> Ended {
    let ended = sanderling(directory, &[], args);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    ended
}

#[test]
fn a_fleet_from_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let wrote = done(here, &["init"]).stdout;
    assert_eq!(wrote.matches("wrote ").count(), 3, "{wrote}");
    let up = last_json(&done(here, &["--json", "up"]).stdout);
    assert_eq!(up["succeeded"], 2, "{up}");

    let made = last_json(&done(here, &["--json", "new", "add invoices"]).stdout);
    assert_eq!(made["version"], "0002");
    let file = made["file"].as_str().unwrap();
    assert!(file.ends_with("migrations/0002_add_invoices.sql"), "{file}");
    // What was not filled in is not applied.
    let empty = sanderling(here, &[], &["up"]);
    assert_eq!(empty.code(), Some(1));
    assert!(
        empty.stderr.contains("holds no statement"),
        "{}",
        empty.stderr
    );
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replacen("Up\n", "Up\nCREATE TABLE invoices (id integer);\n", 1);
    std::fs::write(file, text).unwrap();
    let up = last_json(&done(here, &["--json", "up"]).stdout);
    assert_eq!(up["succeeded"], 2, "{up}");
    done(here, &["verify"]);

    let again = sanderling(here, &[], &["init"]);
    assert_eq!(again.code(), Some(1));
    assert!(
        again.stderr.contains("never overwritten"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_fleet_from_what_an_application_has() {
    let postgres = Postgres::shared();
    let url = postgres.create_database();
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::create_dir_all(here.join("db/migrations")).unwrap();
    let migration = "-- migrate:up\nCREATE TABLE a (n integer);\n-- migrate:down\nDROP TABLE a;\n";
    let path = here.join("db/migrations/20200101000000_a.sql");
    std::fs::write(&path, migration).unwrap();
    std::fs::write(
        here.join(".env"),
        format!("export DATABASE_URL=\"{url}\"\nDBMATE_MIGRATIONS_TABLE=applied\n"),
    )
    .unwrap();

    let ended = done(here, &["init", "--from", "."]);
    let configuration = std::fs::read_to_string(here.join("sanderling.toml")).unwrap();
    assert!(
        configuration.contains("url = \"${DATABASE_URL}\""),
        "{configuration}"
    );
    assert!(
        !configuration.contains(&url),
        "what may be a secret is not written down"
    );
    assert!(configuration.contains("migrations = \"db/migrations\""));
    for word in ["a.sql:2:1", "dbmate", "DBMATE_MIGRATIONS_TABLE", "set -a"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }

    let native = migration
        .replace("-- migrate:up", "-- +migrate Up")
        .replace("-- migrate:down", "-- +migrate Down");
    std::fs::write(&path, native).unwrap();
    let up = sanderling(here, &[("DATABASE_URL", &url)], &["--json", "up", "--yes"]);
    assert_eq!(up.code(), Some(0), "{}\n{}", up.stdout, up.stderr);
    assert_eq!(
        postgres.sql(&url, "SELECT count(*) FROM public.a").trim(),
        "0"
    );

    let elsewhere = tempfile::tempdir().unwrap();
    let ended = sanderling(elsewhere.path(), &[], &["init", "--from", "."]);
    assert_eq!(ended.code(), Some(2));
    assert!(
        ended.stderr.contains("DATABASE_URL is neither set nor in"),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn ping_waits_until_a_server_answers() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .schemas(1)
        .written();
    fleet.expect(0, &["ping"]);
    postgres.kill();
    let silent = fleet.expect(1, &["ping"]);
    assert!(silent.stdout.contains("FAIL  host pg"), "{}", silent.stdout);

    let mut waiting = fleet.spawn(&["--json", "ping", "--wait", "4m"]);
    until(DEADLINE, "ping to say for whom it waits", || {
        let said = waiting.stderr();
        said.contains("waiting for host pg")
            .then_some(())
            .ok_or(said)
    });
    postgres.restart();
    let ended = waiting.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let checks = last_json(&ended.stdout);
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["ok"] == true),
        "{checks}"
    );
    assert_eq!(fleet.run(&["ping", "--wait", "soon"]).code(), Some(2));
}

/// Somebody's fleet: no configuration, no store, a role that may only read, and a server that counts what is written.
#[test]
fn a_fleet_that_nobody_configured_is_looked_at() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .schemas(5)
        .written();
    fleet.probe_migrations(2);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(3);
    let url = fleet.tenants_url();
    let schemas = fleet.schema_names();
    let grants: String = schemas
        .iter()
        .map(|s| format!("GRANT USAGE ON SCHEMA {s} TO reader; GRANT SELECT ON {s}.sanderling_migrations TO reader;"))
        .collect();
    postgres.sql(url, &format!("CREATE ROLE reader LOGIN; {grants}"));
    let reader = url.replace("postgres@", "reader@");
    let migrations = fleet.path("migrations");
    let empty = tempfile::tempdir().unwrap();
    let written = || {
        postgres.sql(
            url,
            "SELECT pg_stat_force_next_flush(); SELECT sum(tup_inserted), sum(tup_updated), sum(tup_deleted), sum(temp_files) \
             FROM pg_stat_database; SELECT count(*) FROM pg_class; SELECT count(*) FROM pg_namespace",
        )
    };
    let before = written();

    let args = [
        "--json",
        "status",
        "--discover",
        "${READER}",
        "--schemas",
        "t0%",
        "--migrations",
    ];
    let args: Vec<&str> = args
        .into_iter()
        .chain([migrations.to_str().unwrap()])
        .collect();
    let ended = sanderling(empty.path(), &[("READER", &reader)], &args);

    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let status = last_json(&ended.stdout);
    assert_eq!(
        (&status["tenants"], &status["behind"]),
        (&5.into(), &5.into()),
        "{status}"
    );
    assert!(
        status["rollouts"].is_null(),
        "what only a store knows: {status}"
    );
    assert_eq!(
        written(),
        before,
        "inserted, updated, deleted, temporary files; tables; schemas"
    );
    assert_eq!(
        std::fs::read_dir(empty.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_pattern_that_nobody_fits_is_told() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(1)
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    let look = |url, pattern| {
        let args = [
            "status",
            "--discover",
            url,
            "--schemas",
            pattern,
            "--migrations",
            "migrations",
        ];
        fleet.expect(2, &args).stderr
    };
    for pattern in ["pg_%", "sanderling", "nobody%"] {
        let said = look(fleet.tenants_url(), pattern);
        let words = format!("no schema of this database is like `{pattern}`");
        assert!(said.contains(&words), "{said}");
    }
    let said = look("sqlite://data", "%");
    assert!(
        said.contains("takes the URL of a PostgreSQL database"),
        "{said}"
    );
    fleet.expect(2, &["status", "--schemas", "t%"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    done(directory.path(), &["man", "pages"]);
    let pages: Vec<String> = std::fs::read_dir(directory.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for page in [
        "sanderling.1",
        "sanderling-up.1",
        "sanderling-rollout-retry.1",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page}: {pages:?}");
    }
}

/// What is not there yet and would be missed in the middle of a rollout is said before it.
#[test]
fn doctor_says_what_a_rollout_would_lack() {
    let postgres = Postgres::private();
    let redis = Redis::private_with(&[("maxmemory", "16mb"), ("maxmemory-policy", "allkeys-lru")]);
    let fleet = Fleet::cluster(&postgres, &redis)
        .schemas(1)
        .pg_connections(250)
        .written();
    fleet.probe_migrations(1);
    let url = fleet.tenants_url();
    let text = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let (hosts, tenants) = text.split_once("[hosts.pg]").unwrap();
    let limited = format!(
        "{hosts}[hosts.pg]{}",
        tenants.replacen("postgres@", "limited@", 1)
    );
    fleet.write("sanderling.toml", limited);
    postgres.sql(url, "CREATE ROLE limited LOGIN CONNECTION LIMIT 100");
    let said = fleet.expect(1, &["doctor"]).stdout;
    assert!(
        said.contains("FAIL  host pg: ") && said.contains("GRANT CREATE ON DATABASE"),
        "{said}"
    );
    assert!(
        said.contains("warn  claims: it drops keys by allkeys-lru"),
        "{said}"
    );
    assert!(
        said.contains("role limited may have 100 connections, and `connections` asks for 250"),
        "{said}"
    );

    let database = url.rsplit('/').next().unwrap();
    postgres.sql(
        url,
        &format!(
            "GRANT CREATE ON DATABASE {database} TO limited; ALTER ROLE limited CONNECTION LIMIT -1"
        ),
    );
    let checks = fleet.json(0, &["doctor"]);
    let host = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "host pg");
    assert_eq!(host.unwrap()["warnings"], serde_json::json!([]), "{checks}");
    postgres.sql(url, "ALTER SYSTEM SET superuser_reserved_connections = 200");
    postgres.restart();
    let said = fleet.expect(0, &["doctor"]).stdout;
    assert!(
        said.contains("connections are free now, and `connections` asks for 250"),
        "{said}"
    );
}
