//! Bad input: a clear error that names tenant or file and the way out; nothing half done, other tenants unharmed.

use sanderling_testkit::{Ended, Postgres, free_port};

use crate::fleet::{Fleet, sqlite};

fn small() -> Fleet {
    let fleet = Fleet::embedded().files(3).written();
    fleet.probe_migrations(2);
    fleet
}

#[track_caller]
fn assert_says(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "'{word}' is missing in: {}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

fn nothing_happened(fleet: &Fleet) {
    assert!(
        !fleet.path("control.db").exists(),
        "a refused command made a control store"
    );
    assert_eq!(
        std::fs::read_dir(fleet.path("data")).unwrap().count(),
        0,
        "a refused command made tenants"
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let fleet = Fleet::embedded()
        .files(1)
        .settings("[retry.lock_timeout]\natempts = 3")
        .written();
    fleet.probe_migrations(1);
    assert_says(
        &fleet.expect(2, &["up"]),
        &["atempts", "attempts", "sanderling.toml"],
    );
    nothing_happened(&fleet);
}

#[test]
fn a_missing_configuration_says_what_to_do() {
    let fleet = small();
    std::fs::remove_file(fleet.path("sanderling.toml")).unwrap();
    assert_says(
        &fleet.expect(2, &["status"]),
        &["sanderling.toml", "--config"],
    );
}

#[test]
fn an_unresolved_reference_names_variable_and_host() {
    let fleet = Fleet::embedded()
        .files(2)
        .settings("[hosts.eu1]\nurl = \"postgres://migrator:${NOT_SET_ANYWHERE}@127.0.0.1:1/app\"")
        .written();
    fleet.probe_migrations(1);
    fleet.write("tenants/more.csv", "id,host,schema\nacme,eu1,acme\n");
    let ended = fleet.expect(4, &["up"]);
    assert_says(&ended, &["NOT_SET_ANYWHERE", "acme"]);
    fleet.assert_exactly_once(1);
}

#[test]
fn duplicate_ids_and_shared_places_are_all_named() {
    let fleet = small();
    fleet.write(
        "tenants/more.csv",
        "id,host,file\nfile001,files,other.db\nzeta,files,file002.db\n",
    );
    let ended = fleet.expect(1, &["up"]);
    assert_says(
        &ended,
        &["file001", "more.csv:2", "fleet.csv:3", "zeta", "file002.db"],
    );
    nothing_happened(&fleet);
}

#[test]
fn names_that_are_too_long_or_lead_elsewhere_are_refused() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .files(1)
        .written();
    fleet.probe_migrations(1);
    let long = "s".repeat(64);
    fleet.write(
        "tenants/more.csv",
        format!("id,host,schema,file\nlong,pg,{long},\nup,files,,../escape.db\nnul,pg,a\0b,\n"),
    );
    let ended = fleet.expect(1, &["up"]);
    assert_says(
        &ended,
        &["long", "63", "more.csv:2", "escape", "more.csv:3"],
    );
    assert!(!fleet.path("escape.db").exists());
}

#[test]
fn hostile_names_are_only_names() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(2)
        .files(1)
        .written();
    fleet.probe_migrations(2);
    let hostile =
        r#""evil""; DROP SCHEMA t0000 CASCADE; --",pg,"a""; DROP SCHEMA t0001 CASCADE; --","#;
    let unicode = "žluťoučký-kůň 🐎,pg,Ťenant 'x' \\ $$,";
    fleet.write(
        "tenants/more.csv",
        format!("id,host,schema,file\n{hostile}\n{unicode}\n"),
    );
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"], 5, "{summary}");
    fleet.assert_exactly_once(2);
    let count = postgres.sql(
        fleet.tenants_url(),
        r#"SELECT count(*) FROM "a""; DROP SCHEMA t0001 CASCADE; --".probe"#,
    );
    assert_eq!(count.trim(), "2");
    assert_eq!(fleet.json(0, &["verify"])["checked"], 5);
}

#[test]
fn an_unreachable_host_hurts_only_its_tenants() {
    let port = free_port();
    let fleet = Fleet::embedded()
        .files(3)
        .settings(&format!(
            "[hosts.gone]\nurl = \"postgres://nobody:s3cr3t@127.0.0.1:{port}/app\""
        ))
        .written();
    fleet.probe_migrations(1);
    fleet.write("tenants/more.csv", "id,host,schema\nacme,gone,acme\n");
    let ended = fleet.expect(4, &["--json", "up"]);
    assert_says(&ended, &["acme", "gone"]);
    assert!(!ended.stderr.contains("s3cr3t") && !ended.stdout.contains("s3cr3t"));
    let summary = crate::fleet::last_json(&ended.stdout);
    assert_eq!(
        (
            summary["succeeded"].as_u64(),
            summary["unreachable"].as_u64()
        ),
        (Some(3), Some(1)),
        "{summary}"
    );
    fleet.assert_exactly_once(1);
}

#[test]
fn a_wrong_password_is_named_and_not_shown() {
    let hba = sanderling_testkit::scratch();
    let file = hba.path().join("pg_hba.conf");
    std::fs::write(&file, "local all all trust\nhost all migrator 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n").unwrap();
    readable_by_all(hba.path());
    let postgres = Postgres::private_with(&[("hba_file", file.to_str().unwrap())]);
    postgres.sql(
        postgres.url(),
        "CREATE ROLE migrator LOGIN PASSWORD 'right'",
    );
    let url = postgres
        .url()
        .replace("postgres@", "migrator:wr0ng-s3cret@");
    let fleet = Fleet::embedded()
        .files(2)
        .settings(&format!("[hosts.pg]\nurl = \"{url}\""))
        .written();
    fleet.probe_migrations(1);
    fleet.write("tenants/more.csv", "id,host,schema\nacme,pg,acme\n");
    let ended = fleet.expect(4, &["up"]);
    assert_says(&ended, &["acme", "password authentication failed"]);
    assert!(!ended.stderr.contains("wr0ng-s3cret"));
    fleet.assert_exactly_once(1);
}

#[test]
fn a_missing_schema_is_not_made_up() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(2)
        .written();
    fleet.probe_migrations(1);
    let text = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    fleet.write(
        "sanderling.toml",
        text.replace("create_missing = true", "create_missing = false"),
    );
    postgres.sql(fleet.tenants_url(), "CREATE SCHEMA t0000");
    let ended = fleet.expect(4, &["up"]);
    assert_says(&ended, &["t0001", "create_missing"]);
    let schemas = postgres.sql(
        fleet.tenants_url(),
        "SELECT string_agg(nspname, ' ' ORDER BY 1) FROM pg_namespace WHERE nspname LIKE 't0%'",
    );
    assert_eq!(schemas.trim(), "t0000");
}

#[test]
fn an_edited_applied_migration_shows_the_difference() {
    let fleet = small();
    fleet.expect(0, &["up"]);
    let file = "migrations/0002_step_2.sql";
    let text = std::fs::read_to_string(fleet.path(file)).unwrap();
    fleet.write(file, text.replace("name text NOT NULL", "name text"));
    fleet.migration(
        "0003",
        "more",
        "CREATE TABLE more (id integer);",
        "DROP TABLE more;",
    );
    let ended = fleet.expect(1, &["up"]);
    assert_says(
        &ended,
        &[
            "0002_step_2.sql",
            "file000",
            "-CREATE TABLE things_2",
            "+CREATE TABLE things_2",
        ],
    );
    assert_eq!(
        sqlite(
            &fleet.path("data/file000.db"),
            "SELECT count(*) FROM sanderling_migrations"
        )
        .trim(),
        "2"
    );
}

#[test]
fn a_ledger_ahead_of_the_bundle_is_named_and_left_alone() {
    let fleet = small();
    fleet.migration(
        "0003",
        "more",
        "CREATE TABLE more (id integer);",
        "DROP TABLE more;",
    );
    fleet.expect(0, &["up", "--tenants", "file001"]);
    std::fs::remove_file(fleet.path("migrations/0003_more.sql")).unwrap();
    let ended = fleet.expect(0, &["up"]);
    assert_says(&ended, &["file001", "0003"]);
    assert_eq!(fleet.json(0, &["plan"])["ahead"], 1);
    fleet.assert_exactly_once(2);
}

#[test]
fn a_lower_version_added_later_is_refused_unless_allowed() {
    let fleet = small();
    fleet.expect(0, &["up"]);
    fleet.migration(
        "0001.5".replace('.', "").as_str(),
        "odd",
        "CREATE TABLE odd (id integer);",
        "DROP TABLE odd;",
    );
    fleet.expect(0, &["up"]);
    fleet.migration(
        "0005",
        "late",
        "CREATE TABLE late (id integer);",
        "DROP TABLE late;",
    );
    let ended = fleet.expect(1, &["up"]);
    assert_says(
        &ended,
        &["0005_late.sql", "--allow-out-of-order", "file000"],
    );
    fleet.expect(0, &["up", "--allow-out-of-order"]);
    assert_eq!(fleet.json(0, &["plan"])["pending"], 0);
}

#[test]
fn migrations_that_cannot_be_right_are_refused_before_anything_runs() {
    let fleet = small();
    for (name, text, words) in [
        (
            "0003_txn.sql",
            "-- +migrate Up\nCREATE TABLE a (id integer);\nCOMMIT;\n",
            ["0003_txn.sql:3:1", "COMMIT"],
        ),
        (
            "0003_dir.sql",
            "-- +migrate Upp\nSELECT 1;\n",
            ["0003_dir.sql:1", "did you mean"],
        ),
        (
            "0003_front.sql",
            "SELECT 1;\n-- +migrate Up\nSELECT 2;\n",
            ["0003_front.sql:1:1", "-- +migrate Up"],
        ),
        (
            "0003_nul.sql",
            "-- +migrate Up\nSELECT '\0';\n",
            ["0003_nul.sql:2:9", "NUL"],
        ),
    ] {
        fleet.write(&format!("migrations/{name}"), text);
        assert_says(&fleet.expect(1, &["up"]), &words);
        std::fs::remove_file(fleet.path(&format!("migrations/{name}"))).unwrap();
    }
    nothing_happened(&fleet);
}

#[test]
fn a_selector_that_matches_nothing_is_a_usage_error() {
    let fleet = small();
    assert_says(
        &fleet.expect(2, &["up", "--tenants", "plan=nope"]),
        &["plan=nope"],
    );
    assert_says(
        &fleet.expect(2, &["plan", "--to", "0009"]),
        &["0009", "0002"],
    );
    assert_says(&fleet.expect(2, &["plan", "--waves", "5,5"]), &["rest"]);
    nothing_happened(&fleet);
}

/// The server runs as another user when the tests run as root.
fn readable_by_all(dir: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}
