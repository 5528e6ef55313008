//! The servers themselves: started, shared, frozen, restarted, gone with their parent.

use std::path::Path;
use std::time::Duration;

use sanderling_testkit::{Postgres, Process, Redis, Signal, until};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn databases_of_a_shared_server_are_apart() {
    let postgres = Postgres::shared();
    let (one, two) = (postgres.create_database(), postgres.create_database());
    postgres.sql(&one, "CREATE TABLE t AS SELECT 7 AS n");
    assert_eq!(postgres.sql(&one, "SELECT n FROM t"), "7");
    let refusal = postgres.try_sql(&two, "SELECT n FROM t").unwrap_err();
    assert!(refusal.contains("does not exist"), "{refusal}");
}

#[test]
fn a_private_postgres_keeps_its_settings_log_and_data_over_a_crash() {
    let postgres = Postgres::private_with(&[("log_statement", "all")]);
    postgres.sql(postgres.url(), "CREATE TABLE kept AS SELECT 1 AS n");
    let before = postgres.pid();
    postgres.restart();
    assert_ne!(postgres.pid(), before);
    assert_eq!(postgres.sql(postgres.url(), "SELECT n FROM kept"), "1");
    let log = std::fs::read_to_string(postgres.log_path()).unwrap();
    assert!(log.contains("CREATE TABLE kept"), "{log}");
}

#[test]
fn members_of_needs_password_must_give_theirs() {
    let postgres = Postgres::private();
    postgres.sql(
        postgres.url(),
        "CREATE ROLE needs_password; CREATE ROLE careful LOGIN PASSWORD 'right' IN ROLE needs_password",
    );
    let url = |password| {
        postgres
            .url()
            .replace("postgres@", &format!("careful:{password}@"))
    };
    assert_eq!(
        postgres.sql(&url("right"), "SELECT current_user"),
        "careful"
    );
    let refusal = postgres.try_sql(&url("wrong"), "SELECT 1").unwrap_err();
    assert!(
        refusal.contains("password authentication failed"),
        "{refusal}"
    );
}

#[test]
fn a_private_redis_is_empty_after_a_restart() {
    let redis = Redis::private();
    redis.command(&["SET", "k", "v"]);
    redis.stop();
    redis.cont();
    assert_eq!(redis.command(&["GET", "k"]), "v");
    redis.restart();
    assert_eq!(redis.command(&["DBSIZE"]), "0");
}

#[test]
fn output_is_readable_while_a_process_runs() {
    let mut command = Process::command("sh");
    // Runs on after its first line until it is told to end.
    command.args(["-c", "echo ready; echo oops >&2; exec tail -f /dev/null"]);
    let mut running = Process::spawn(command);
    until(SOON, "its first line", || {
        running.stderr().contains("oops").then_some(())
    });
    assert_eq!(running.stdout(), "ready\n");
    running.signal(Signal::Term);
    let ended = running.wait_with_deadline(SOON);
    assert_eq!(ended.code(), None);
    assert!(ended.stderr.contains("oops"), "{}", ended.stderr);
}

#[test]
fn servers_die_with_a_parent_that_is_killed() {
    let mut command = Process::command(env!("CARGO_BIN_EXE_with-servers"));
    command.args(["--", "sh", "-c"]);
    command.arg("echo $SANDERLING_TEST_REDIS $SANDERLING_TEST_POSTGRES; exec tail -f /dev/null");
    let mut run = Process::spawn(command);
    let ports = until(SOON, "both servers to be announced", || {
        let text = run.stdout();
        let ports: Vec<u16> = text
            .split([':', '/', '\n', ' '])
            .filter_map(|word| word.parse().ok())
            .collect();
        (ports.len() == 2).then_some(ports)
    });
    assert!(ports.iter().all(|port| listens(*port)), "{ports:?}");
    run.signal(Signal::Kill);
    until(SOON, "both servers to be gone", || {
        ports.iter().all(|port| !listens(*port)).then_some(())
    });
}

#[test]
fn with_servers_forwards_the_exit_code() {
    let mut command = Process::command(env!("CARGO_BIN_EXE_with-servers"));
    command.args(["--", "sh", "-c", "exit 7"]);
    assert_eq!(
        Process::spawn(command).wait_with_deadline(SOON).code(),
        Some(7)
    );
}

#[test]
fn a_terminated_run_takes_its_command_and_its_servers_along() {
    let mut command = Process::command(env!("CARGO_BIN_EXE_with-servers"));
    command.args(["--", "sh", "-c", "echo $$; exec tail -f /dev/null"]);
    let mut run = Process::spawn(command);
    let pid = until(SOON, "the command to start", || {
        run.stdout().trim().parse::<u32>().ok()
    });
    run.signal(Signal::Term);
    assert_eq!(run.wait_with_deadline(SOON).code(), Some(128 + 15));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}
