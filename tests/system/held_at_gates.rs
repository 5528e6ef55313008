//! A tenant that is held while its rollout waits at a gate.

use std::net::TcpListener;

use sanderling_testkit::Postgres;

use crate::fleet::Fleet;

/// A provider that nobody answers for.
fn nobody() -> String {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", nobody.local_addr().unwrap())
}

/// A rollout whose canary has ended but for `t0003`, who is held, and which waits at the gate after it.
fn waiting() -> (Fleet, String) {
    let postgres = Postgres::shared();
    let gate = "gates = [{ name = \"errors\", promql = \"vector(0)\", pass = \"value < 1\", interval = \"100ms\", \
        count = 1, timeout = \"1s\", error_limit = 0 }]";
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(7)
        .rollout(&format!(
            "[[rollout.waves]]\nname = \"canary\"\ncount = 5\n{gate}\n[[rollout.waves]]\nname = \"rest\"\nrest = true\n"
        ))
        .settings(&format!("[gates.providers.main]\nurl = \"{}\"\n", nobody()))
        .written();
    fleet.probe_migrations(1);
    postgres.sql(
        fleet.tenants_url(),
        "CREATE SCHEMA t0000; CREATE TABLE t0000.probe (mine integer)",
    );
    let halted = fleet.json(3, &["up"]);
    let id = halted["rollout"].as_str().unwrap().to_owned();
    postgres.sql(fleet.tenants_url(), "DROP TABLE t0000.probe");
    let hold = ["tenants", "hold", "--tenants", "t0003", "--reason", "moves"];
    assert_eq!(fleet.json(0, &hold)["targets"], 1);
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);
    let up = fleet.json(5, &["up"]);
    assert_eq!(
        (&up["succeeded"], &up["held"], &up["pending"]),
        (&4.into(), &1.into(), &2.into()),
        "{up}"
    );
    (fleet, id)
}

#[test]
fn a_release_at_a_gate_is_migrated_and_the_gate_is_measured_anew() {
    let (fleet, id) = waiting();
    let shown = fleet.expect(0, &["rollout", "show", &id]).stdout;
    for words in [
        "gate errors after wave canary is error",
        "held: t0003",
        &format!("rollout skip {id} --gate errors"),
    ] {
        assert!(shown.contains(words), "no {words} in {shown}");
    }

    fleet.expect(0, &["tenants", "release", "--tenants", "t0003"]);

    let up = fleet.json(5, &["up"]);
    assert_eq!(
        (&up["succeeded"], &up["held"], &up["pending"]),
        (&5.into(), &0.into(), &2.into()),
        "{up}"
    );
    let gate = &up["gates"][0];
    assert_eq!(
        (&gate["evaluation"], &gate["state"]),
        (&2.into(), &"error".into())
    );
    let skip = [
        "rollout", "skip", &id, "--gate", "errors", "--reason", "moved",
    ];
    fleet.expect(0, &skip);
    assert_eq!(fleet.json(0, &["up"])["succeeded"], 7);
    fleet.assert_exactly_once(1);
    fleet.verified_clean();
}

#[test]
fn a_release_while_it_is_paused_at_a_gate_waits_for_the_resume() {
    let (fleet, id) = waiting();
    fleet.expect(0, &["rollout", "pause", &id]);
    fleet.expect(0, &["tenants", "release", "--tenants", "t0003"]);
    let skip = [
        "rollout", "skip", &id, "--gate", "errors", "--reason", "moved",
    ];
    fleet.expect(0, &skip);
    let up = fleet.expect(5, &["up"]);
    assert!(
        up.stdout.contains(&format!("rollout resume {id}")),
        "{}",
        up.stdout
    );
    fleet.expect(0, &["rollout", "resume", &id]);
    let up = fleet.json(0, &["up"]);
    assert_eq!(up["succeeded"], 7, "{up}");
    assert_eq!(up["gates"][0]["state"], "skipped", "{up}");
}
