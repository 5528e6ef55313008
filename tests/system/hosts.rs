//! How a host is reached, and as whom its tenants are migrated.

use sanderling_testkit::{Pgbouncer, Postgres, unique};

use crate::fleet::Fleet;

/// Adds lines to the host's section, after its URL.
fn configure(fleet: &Fleet, url: &str, more: &str) {
    let text = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let old = format!("url = \"{}\"\n", fleet.tenants_url());
    let new = format!("url = \"{url}\"\n{more}\n");
    fleet.write("sanderling.toml", text.replacen(&old, &new, 1));
}

/// Applications go through the pooler, Sanderling around it, and says so.
#[test]
fn a_host_behind_a_pooler_is_migrated_by_its_direct_url() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(6)
        .databases(2)
        .written();
    fleet.probe_migrations(2);
    let ignores = [("ignore_startup_parameters", "extra_float_digits, options")];
    let pooler = Pgbouncer::before_with(postgres, "transaction", &ignores);
    let through = pooler.url_of(fleet.tenants_url());
    let direct = fleet.tenants_url().to_owned();
    let before = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();

    configure(&fleet, &through, "");
    let doctor = fleet.expect(1, &["doctor"]);
    assert!(doctor.stdout.contains("FAIL  host pg"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("direct_url"), "{}", doctor.stdout);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["unreachable"], 8, "{plan}");
    let ended = fleet.expect(4, &["up"]);
    assert!(ended.stderr.contains("direct_url"), "{}", ended.stderr);
    let fenced = "SELECT count(*) FROM pg_namespace WHERE nspname = 'sanderling'";
    assert_eq!(postgres.sql(&direct, fenced), "0");

    fleet.write("sanderling.toml", before);
    configure(&fleet, &through, &format!("direct_url = \"{direct}\""));
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"], 8, "{summary}");
    fleet.assert_exactly_once(2);
    let doctor = fleet.expect(0, &["doctor"]);
    assert!(doctor.stdout.contains("by direct_url"), "{}", doctor.stdout);
}

/// Each tenant's objects belong to its own role, which is made beforehand; the rest is Sanderling's.
#[test]
fn tenants_are_migrated_as_their_own_roles() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(5)
        .written();
    fleet.probe_migrations(2);
    let (login, suffix) = (unique("login"), unique("o"));
    let url = fleet.tenants_url().to_owned();
    let database = url.rsplit_once('/').unwrap().1;
    let mut sql =
        format!("CREATE ROLE {login} LOGIN; GRANT CREATE ON DATABASE {database} TO {login};");
    // One tenant's role is forgotten.
    for schema in &fleet.schema_names()[..4] {
        sql.push_str(&format!(
            "CREATE ROLE {schema}_{suffix}; GRANT {schema}_{suffix} TO {login};"
        ));
    }
    postgres.sql(&url, &sql);
    let as_login = url.replace("postgres@", &format!("{login}@"));
    configure(
        &fleet,
        &as_login,
        &format!("role = \"{{{{schema}}}}_{suffix}\""),
    );

    let ended = fleet.expect(3, &["up", "--waves", "rest", "--max-failures", "0"]);
    let forgotten = format!("t0004_{suffix}");
    let way = format!("CREATE ROLE \"{forgotten}\"; GRANT \"{forgotten}\" TO \"{login}\"");
    assert!(ended.stderr.contains(&way), "{}", ended.stderr);
    postgres.sql(
        &url,
        &format!("CREATE ROLE {forgotten}; GRANT {forgotten} TO {login}"),
    );
    let list = fleet.json(0, &["rollout", "list"]);
    let id = list[0]["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"], 5, "{summary}");
    fleet.assert_exactly_once(2);
    let owners = "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('probe', 'things_1') AND relnamespace = 't0004'::regnamespace";
    assert_eq!(postgres.sql(&url, owners), forgotten);
    let ledgers = "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('sanderling_migrations', 'fence')";
    assert_eq!(postgres.sql(&url, ledgers), login);
}
