//! `tenants list` and `tenants show`: registry, ledgers and control store side by side.

use sanderling_testkit::Postgres;
use serde_json::Value;

use crate::fleet::Fleet;

/// Six schemas and a host that nobody can reach; the first tenant fails in the canary.
fn fleet() -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(6)
        .settings("[hosts.away]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n")
        .written();
    fleet.write(
        "tenants/away.csv",
        "id,host,schema\nunreachable,away,there\n",
    );
    fleet.probe_migrations(2);
    fleet
}

fn row<'l>(list: &'l Value, tenant: &str) -> &'l Value {
    let rows = list.as_array().unwrap();
    let found = rows.iter().find(|row| row["tenant"] == tenant);
    found.unwrap_or_else(|| panic!("no {tenant} in {list}"))
}

#[test]
fn tenants_are_listed_and_shown_before_there_is_a_store() {
    let fleet = fleet();
    let list = fleet.json(0, &["tenants", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 7, "{list}");
    let first = row(&list, "t0001");
    assert_eq!(
        (&first["state"], &first["version"], &first["to_apply"]),
        (
            &"behind".into(),
            &Value::Null,
            &serde_json::json!(["0001", "0002"])
        )
    );
    assert_eq!(
        (&first["host"], &first["schema"]),
        (&"pg".into(), &"t0001".into())
    );
    assert_eq!(first["labels"]["ring"], "r1", "{first}");
    for unknown in ["held", "hold", "newest"] {
        assert!(first.get(unknown).is_some_and(Value::is_null), "{first}");
    }
    let away = row(&list, "unreachable");
    assert_eq!(away["state"], "unreachable", "{away}");
    assert!(
        away["remark"].as_str().is_some_and(|r| !r.is_empty()),
        "{away}"
    );
    for args in [vec!["tenants", "list"], vec!["tenants", "show", "t0001"]] {
        let said = fleet.expect(0, &args).stderr;
        assert!(said.contains("no control store yet"), "{said}");
    }
    let ring = fleet.json(0, &["tenants", "list", "ring=r1,id=t*"]);
    assert_eq!(ring.as_array().unwrap().len(), 2, "{ring}");
    for (args, words) in [
        (
            ["tenants", "list", "ring=r9"],
            "matches none of the 7 tenants",
        ),
        (["tenants", "list", "ring="], "tenants list: "),
        (
            ["tenants", "show", "t0099"],
            "no tenant t0099 among the 7 tenants",
        ),
    ] {
        let refused = fleet.expect(2, &args).stderr;
        assert!(refused.contains(words), "{refused}");
    }
    assert!(!fleet.path("control.db").exists());
}

#[test]
fn what_became_of_a_tenant_is_shown_with_its_cause() {
    let fleet = fleet();
    Postgres::shared().sql(
        fleet.tenants_url(),
        "CREATE SCHEMA t0000; CREATE TABLE t0000.probe (mine integer)",
    );
    let halted = fleet.json(3, &["up", "--tenants", "id=t*"]);
    let id = halted["rollout"].as_str().unwrap();
    let hold = [
        "tenants",
        "hold",
        "--tenants",
        "t0002",
        "--reason",
        "moves house",
        "--until",
        "2h",
    ];
    fleet.expect(0, &hold);

    let list = fleet.json(0, &["tenants", "list"]);
    let (failed, held, never) = (
        row(&list, "t0000"),
        row(&list, "t0002"),
        row(&list, "unreachable"),
    );
    let newest = &failed["newest"];
    assert_eq!(
        (
            &newest["rollout"],
            &newest["rollout_state"],
            &newest["outcome"]
        ),
        (&id.into(), &"halted".into(), &"failed".into())
    );
    let cause = &newest["failure"];
    assert_eq!(cause["file"], "0001_step_1.sql", "{cause}");
    assert_eq!(cause["class"], "migration_sql", "{cause}");
    assert_eq!(
        (&held["held"], &held["newest"]["outcome"]),
        (&true.into(), &"held".into())
    );
    assert_eq!(held["hold"]["reason"], "moves house", "{held}");
    assert!(
        held["hold"]["until"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{held}"
    );
    assert_eq!(
        (&never["held"], &never["newest"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(fleet.json(0, &["tenants", "show", "t0000"]), *failed);

    let text = fleet.expect(0, &["tenants", "list"]).stdout;
    assert!(text.contains("moves house"), "{text}");
    assert!(text.contains("0001_step_1.sql:"), "{text}");
    for (tenant, words) in [
        (
            "t0000",
            format!("newest rollout: {id} to version 0002, halted: failed there"),
        ),
        ("t0000", format!("sanderling rollout show {id}")),
        (
            "t0002",
            "sanderling tenants release --tenants t0002".to_owned(),
        ),
        ("unreachable", "no rollout has had it yet".to_owned()),
    ] {
        let shown = fleet.expect(0, &["tenants", "show", tenant]).stdout;
        assert!(shown.contains(&words), "no {words} in {shown}");
    }
}
