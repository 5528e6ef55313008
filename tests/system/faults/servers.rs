//! The tenants' PostgreSQL: sessions ended, the server killed and started again, a table that an application holds.

use std::process::Command;

use sanderling_testkit::{Postgres, Process, until};

use super::locks::under_way;
use super::nemesis::{Nemesis, under_seeds};
use super::scene::{ALTERED, Scene};
use crate::fleet::DEADLINE;

/// Sessions that are at work are ended by an administrator, or killed so that the server starts itself anew.
#[test]
fn tenant_sessions_killed() {
    under_seeds(
        "tenant_sessions_killed",
        Scene::with_own_tenants,
        |nemesis, scene| {
            under_way(nemesis, scene);
            let kill = nemesis.turn(&[true, false]);
            for _ in 0..=nemesis.below(2) {
                let session = until_at_work(scene);
                if kill {
                    let status = Command::new("kill").args(["-9", &session]).status();
                    assert!(status.unwrap().success());
                } else {
                    let end = format!("SELECT pg_terminate_backend({session})");
                    Postgres::shared().sql(scene.fleet.tenants_url(), &end);
                }
                nemesis.struck(format!("session {session} ended, by SIGKILL: {kill}"));
                until_back(scene);
            }
        },
    );
}

/// The server is killed with all its sessions and started again, as after a power cut.
#[test]
fn tenant_server_restarted() {
    under_seeds("tenant_server_restarted", Scene::with_own_tenants, restart);
}

/// The same while versions are taken back.
#[test]
fn tenant_server_restarted_on_the_way_down() {
    let stage = || Scene::with_own_tenants().descending();
    under_seeds("tenant_server_restarted_on_the_way_down", stage, restart);
}

fn restart(nemesis: &mut Nemesis, scene: &mut Scene) {
    under_way(nemesis, scene);
    let session = until_at_work(scene);
    let server = scene.tenants.as_ref().unwrap();
    server.restart();
    nemesis.struck(format!(
        "killed while session {session} was at work, and restarted"
    ));
    until_back(scene);
}

/// An application's transaction holds the table that the last version alters, until the tenant has been refused twice.
#[test]
fn tenant_table_held_by_an_application() {
    let fault = "tenant_table_held_by_an_application";
    under_seeds(fault, Scene::on_shared, |nemesis, scene| {
        let tenant = format!("t{:04}", nemesis.below(20));
        let mut application = hold_table(scene, &tenant);
        nemesis.note(format!(
            "an application reads {tenant}.{ALTERED} and does not end"
        ));
        scene.begin();
        let sql = format!(
            "SELECT count(*) FROM sanderling_control.events WHERE kind::jsonb @> '{{\"type\": \"released\", \"tenant\": \"{tenant}\", \"class\": \"lock_timeout\"}}'"
        );
        until(DEADLINE, "the tenant to be refused twice", || {
            let seen = scene.store(&sql);
            (seen.trim().parse::<u64>().unwrap_or(0) >= 2)
                .then_some(())
                .ok_or_else(|| format!("{seen}; {}", scene.printed()))
        });
        nemesis.struck("refused twice by lock_timeout; the application ends");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the application'";
        Postgres::shared().sql(scene.fleet.tenants_url(), end);
        application.wait_with_deadline(DEADLINE);
    });
}

fn hold_table(scene: &Scene, tenant: &str) -> Process {
    let url = scene.fleet.tenants_url();
    let plant = format!("CREATE SCHEMA {tenant}; CREATE TABLE {tenant}.{ALTERED} (id integer)");
    Postgres::shared().sql(url, &plant);
    let hold = format!(
        "SET application_name = 'the application'; BEGIN; SELECT * FROM {tenant}.{ALTERED}; SELECT pg_sleep(3600)"
    );
    let mut psql = Process::command("psql");
    psql.args(["-X", "-q", "-d", url, "-c", &hold]);
    let application = Process::spawn(psql);
    until(DEADLINE, "the application to hold the table", || {
        let sql = format!(
            "SELECT 1 FROM pg_locks WHERE relation = '{tenant}.{ALTERED}'::regclass AND mode = 'AccessShareLock'"
        );
        let seen = Postgres::shared().sql(url, &sql);
        seen.contains('1').then_some(()).ok_or(seen)
    });
    application
}

fn until_at_work(scene: &Scene) -> String {
    until(DEADLINE, "a session at work", || {
        scene
            .active_sessions()
            .pop()
            .ok_or_else(|| format!("none; {}", scene.printed()))
    })
}

fn until_back(scene: &Scene) {
    until(DEADLINE, "the server to answer", || {
        Postgres::shared().try_sql(scene.fleet.tenants_url(), "SELECT 1")
    });
}
