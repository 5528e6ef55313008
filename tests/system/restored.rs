//! Backups come back: a control store, a schema, a file, a copy of a tenant under another name.

use std::path::PathBuf;

use sanderling_testkit::{Postgres, Process, Redis};
use serde_json::{Value, json};

use crate::fleet::{DEADLINE, Fleet, sqlite};
use crate::verify::assert_only;

/// Where the control store lives.
#[derive(Clone, Copy)]
enum Control {
    File,
    Server,
}

impl Control {
    fn fleet(self) -> Fleet {
        let postgres = Postgres::shared();
        let fleet = match self {
            Self::File => Fleet::embedded().with_postgres(postgres),
            Self::Server => Fleet::cluster(postgres, Redis::shared()),
        };
        let fleet = fleet.schemas(5).files(3).written();
        fleet.probe_migrations(2);
        up(&fleet);
        fleet
    }

    /// Copies the store.
    fn back_up(self, fleet: &Fleet) {
        match self {
            Self::File => {
                // Not the file alone: what was committed last may be in its -wal.
                let backup = format!(".backup '{}'", fleet.path("backup").display());
                sqlite(&fleet.path("control.db"), &backup);
            }
            Self::Server => recreate(&format!("{}_backup", database(fleet)), &database(fleet)),
        }
    }

    fn restore(self, fleet: &Fleet) {
        match self {
            Self::File => {
                for newer in ["control.db-wal", "control.db-shm"] {
                    let _ = std::fs::remove_file(fleet.path(newer));
                }
                std::fs::copy(fleet.path("backup"), fleet.path("control.db")).unwrap();
            }
            Self::Server => recreate(&database(fleet), &format!("{}_backup", database(fleet))),
        }
    }

    fn audited(self, fleet: &Fleet) -> String {
        let sql = "SELECT count(*) FROM audit WHERE verb = 'repair_epochs' AND detail LIKE '%: lost a disk'";
        match self {
            Self::File => sqlite(&fleet.path("control.db"), sql).trim().to_owned(),
            Self::Server => Postgres::shared().sql(
                fleet.control_url(),
                &sql.replace("audit", "sanderling_control.audit"),
            ),
        }
    }
}

fn database(fleet: &Fleet) -> String {
    fleet.control_url().rsplit('/').next().unwrap().to_owned()
}

/// Makes a database anew as a copy of another.
fn recreate(database: &str, template: &str) {
    let postgres = Postgres::shared();
    let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    postgres.sql(postgres.url(), &drop);
    let create = format!("CREATE DATABASE {database} TEMPLATE {template}");
    // A session that has said goodbye takes a moment to go.
    sanderling_testkit::until(DEADLINE, "the template to be free", || {
        postgres.try_sql(postgres.url(), &create)
    });
}

fn up(fleet: &Fleet) -> Value {
    fleet.json(0, &["up", "--yes", "--embedded"])
}

fn kinds(verdict: &Value) -> Vec<&str> {
    let violations = verdict["violations"].as_array().unwrap();
    violations
        .iter()
        .map(|v| v["kind"].as_str().unwrap())
        .collect()
}

fn a_restored_store_learns_its_epochs(control: Control) {
    let fleet = control.fleet();
    control.back_up(&fleet);
    fleet.probe_migrations(3);
    up(&fleet);
    control.restore(&fleet);
    let verdict = fleet.json(6, &["verify"]);
    assert_eq!(kinds(&verdict), ["fence"; 8], "{verdict}");

    let would = fleet.json(0, &["repair", "epochs", "--dry-run"]);
    assert_eq!(would["raised"].as_array().unwrap().len(), 8, "{would}");
    assert_eq!(
        kinds(&fleet.json(6, &["verify"])).len(),
        8,
        "a dry run changes nothing"
    );
    let one = [
        "repair",
        "epochs",
        "--tenants",
        "id=t0002",
        "--reason",
        "lost a disk",
    ];
    let first = fleet.json(0, &one);
    assert_eq!(
        first["raised"],
        json!([{"tenant": "t0002", "from": 1, "to": 2}]),
        "{first}"
    );
    let all = ["repair", "epochs", "--reason", "lost a disk"];
    let rest = fleet.json(0, &all);
    assert_eq!(
        (rest["raised"].as_array().unwrap().len(), &rest["sound"]),
        (7, &json!(1)),
        "{rest}"
    );
    assert_eq!(
        fleet.json(0, &all)["raised"],
        json!([]),
        "again there is nothing to raise"
    );
    assert_eq!(control.audited(&fleet), "8");
    assert_eq!(kinds(&fleet.json(0, &["verify"])).len(), 0);

    fleet.probe_migrations(4);
    let ended = fleet.expect(0, &["--json", "up", "--yes", "--embedded"]);
    assert!(
        !ended.stdout.contains("\"reissued\""),
        "no fence refused a claim: {}",
        ended.stdout
    );
    fleet.assert_exactly_once(4);
    fleet.verified_clean();
}

#[test]
fn a_restored_store_in_a_file_learns_its_epochs() {
    a_restored_store_learns_its_epochs(Control::File);
}

#[test]
fn a_restored_store_on_a_server_learns_its_epochs() {
    a_restored_store_learns_its_epochs(Control::Server);
}

/// Without the repair each claim is refused once, and goes beyond what it found.
fn claims_go_past_the_fences(control: Control) {
    let fleet = control.fleet();
    control.back_up(&fleet);
    fleet.probe_migrations(3);
    up(&fleet);
    control.restore(&fleet);
    fleet.probe_migrations(4);
    let ended = fleet.expect(0, &["--json", "up", "--yes", "--embedded"]);
    assert_eq!(
        ended.stdout.matches("\"reissued\"").count(),
        8,
        "{}",
        ended.stdout
    );
    fleet.assert_exactly_once(4);
    fleet.verified_clean();
}

#[test]
fn claims_of_a_restored_store_in_a_file_go_past_the_fences() {
    claims_go_past_the_fences(Control::File);
}

#[test]
fn claims_of_a_restored_store_on_a_server_go_past_the_fences() {
    claims_go_past_the_fences(Control::Server);
}

/// A schema as plain SQL.
fn dump(fleet: &Fleet, schema: &str) -> String {
    let mut command = Process::command("pg_dump");
    command.args(["--inserts", "-n", schema, fleet.tenants_url()]);
    let ended = Process::spawn(command).wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    ended.stdout
}

fn load(fleet: &Fleet, sql: &str) {
    fleet.write("dump.sql", sql);
    let mut command = Process::command("psql");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]);
    command.arg(fleet.path("dump.sql")).arg(fleet.tenants_url());
    let ended = Process::spawn(command).wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

/// What is said about a tenant whose ledger went back by one version, and that `up` brings it forward, once.
fn assert_brought_forward(fleet: &Fleet, tenant: &str) {
    let found = assert_only(fleet, tenant, "missing_row");
    let detail = found["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("no row for version 0003, though the control store has seen it at 0003"),
        "{detail}"
    );
    assert!(
        detail.contains(&format!("sanderling up --tenants id={tenant}")),
        "{detail}"
    );
    assert_eq!(fleet.json(0, &["status"])["behind"], 1);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(
        plan["paths"],
        json!([{"from": "0002", "to": "0003", "tenants": 1}]),
        "{plan}"
    );
    let summary = fleet.json(0, &["up", "--yes", "--tenants", &format!("id={tenant}")]);
    assert_eq!(
        (&summary["succeeded"], &summary["tenants"]),
        (&json!(1), &json!(1)),
        "{summary}"
    );
    fleet.assert_exactly_once(3);
    fleet.verified_clean();
}

#[test]
fn a_schema_from_an_older_backup_is_found_and_brought_forward() {
    let fleet = Control::File.fleet();
    let backup = dump(&fleet, "t0003");
    fleet.probe_migrations(3);
    up(&fleet);
    Postgres::shared().sql(fleet.tenants_url(), "DROP SCHEMA t0003 CASCADE");
    assert_only(&fleet, "t0003", "store_mismatch");
    load(&fleet, &backup);
    assert_brought_forward(&fleet, "t0003");
}

#[test]
fn a_file_from_an_older_backup_is_found_and_brought_forward() {
    let fleet = Control::File.fleet();
    let file = fleet.path("data/file001.db");
    let backup = fleet.path("file001.backup");
    std::fs::copy(&file, &backup).unwrap();
    fleet.probe_migrations(3);
    up(&fleet);
    // A -wal of the newer file would not fit the older one.
    let wal: PathBuf = fleet.path("data/file001.db-wal");
    assert!(!wal.exists());
    std::fs::copy(&backup, &file).unwrap();
    assert_brought_forward(&fleet, "file001");
}

/// A copy has another's ledger, rollouts and epochs in it, and no fence: it is taken as it stands.
#[test]
fn a_schema_copied_under_another_name_is_a_tenant_like_any_other() {
    let fleet = Control::File.fleet();
    load(&fleet, &dump(&fleet, "t0003").replace("t0003", "copy_of_3"));
    fleet.write("tenants/more.csv", "id,host,schema\ncopy,pg,copy_of_3\n");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["checked"], 9, "{verdict}");
    let notes = verdict["notes"].to_string();
    assert!(
        notes.contains("tenant copy: the control store never claimed it"),
        "{verdict}"
    );
    assert_eq!(fleet.json(0, &["status"])["up_to_date"], 9);
    fleet.probe_migrations(3);
    assert_eq!(up(&fleet)["succeeded"], 9);
    fleet.assert_exactly_once(3);
    let probes = "SELECT string_agg(version::text, ',' ORDER BY version) FROM copy_of_3.probe";
    assert_eq!(Postgres::shared().sql(fleet.tenants_url(), probes), "1,2,3");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["notes"], json!([]), "{verdict}");
}

/// The fence comes along with a database that is copied by TEMPLATE: `verify` says so, and the first claim empties it.
#[test]
fn a_copied_database_brings_a_fence_that_blocks_nobody() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .databases(2)
        .written();
    for versions in 1..=2 {
        fleet.probe_migrations(versions);
        up(&fleet);
    }
    let original = &fleet.database_names()[0];
    let copy = format!("{original}_copy");
    recreate(&copy, original);
    fleet.write(
        "tenants/more.csv",
        format!("id,host,database\ncopy,pg,{copy}\n"),
    );
    let found = assert_only(&fleet, "copy", "fence");
    let detail = found["detail"].as_str().unwrap();
    assert!(
        detail.contains("is at epoch 2, and this control store has given out none above 0"),
        "{detail}"
    );

    fleet.probe_migrations(3);
    let ended = fleet.expect(0, &["--json", "up", "--yes"]);
    assert!(
        !ended.stdout.contains("\"reissued\""),
        "the copied fence refused a claim: {}",
        ended.stdout
    );
    let probes = "SELECT string_agg(version::text, ',' ORDER BY version) FROM probe";
    assert_eq!(postgres.sql(&postgres.url_of(&copy), probes), "1,2,3");
    fleet.assert_exactly_once(3);
    fleet.verified_clean();
}
