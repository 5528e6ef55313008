//! The proxy, between `psql` and a real PostgreSQL, and between `redis-cli` and a real Redis.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sanderling_testkit::{Fault, Message, Postgres, Process, Proxy, Redis, Signal, until};

const SOON: Duration = Duration::from_secs(30);
const INSERT: &str = "INSERT INTO t VALUES (1)";

/// A database with an empty table `t`, and a proxy in front of it.
struct Scene {
    url: String,
    proxy: Proxy,
}

impl Scene {
    fn new() -> Self {
        let url = Postgres::shared().create_database();
        Postgres::shared().sql(&url, "CREATE TABLE t (n integer)");
        let proxy = Proxy::postgres(&url);
        Self { url, proxy }
    }

    /// `psql` through the proxy.
    fn psql(&self, statement: &str) -> Process {
        let mut command = Process::command("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-d",
            self.proxy.url(),
            "-c",
            statement,
        ]);
        command.env("PGAPPNAME", "by-psql");
        Process::spawn(command)
    }

    /// Rows of `t`, seen without the proxy.
    fn rows(&self) -> String {
        Postgres::shared().sql(&self.url, "SELECT count(*) FROM t")
    }

    fn until_rows(&self, rows: &str) {
        until(SOON, "rows", || {
            let seen = self.rows();
            (seen == rows).then_some(()).ok_or(seen)
        });
    }
}

#[test]
fn everything_passes_and_is_counted() {
    let scene = Scene::new();
    let ended = scene.psql("SELECT 6 * 7").wait_with_deadline(SOON);
    assert_eq!((ended.code(), ended.stdout.trim()), (Some(0), "42"));
    assert_eq!((scene.proxy.queries(), scene.proxy.queries()), (1, 0));
    assert_eq!((scene.proxy.connections(), scene.proxy.others()), (1, 0));
    until(SOON, "the end of the connection", || {
        (scene.proxy.open() == 0).then_some(())
    });
}

#[test]
fn a_message_is_held_whole_until_it_is_released() {
    let scene = Scene::new();
    let trap = scene
        .proxy
        .trap(Message::to_server().containing(INSERT), Fault::Hold);
    let mut psql = scene.psql(INSERT);
    trap.wait(SOON);
    // Others pass meanwhile.
    assert_eq!(
        scene.psql("SELECT 1").wait_with_deadline(SOON).code(),
        Some(0)
    );
    assert!(psql.is_running() && scene.rows() == "0");
    trap.release();
    assert_eq!(psql.wait_with_deadline(SOON).code(), Some(0));
    assert!(trap.is_delivered() && scene.rows() == "1");
}

#[test]
fn the_message_of_a_dead_client_arrives_late() {
    for fault in [Fault::Hold, Fault::HoldAfter(11)] {
        let scene = Scene::new();
        let trap = scene
            .proxy
            .trap(Message::to_server().containing(INSERT), fault);
        let mut psql = scene.psql(INSERT);
        trap.wait(SOON);
        psql.signal(Signal::Kill);
        psql.wait_with_deadline(SOON);
        until(SOON, "its connection's end", || {
            trap.is_client_gone().then_some(())
        });
        assert_eq!(scene.rows(), "0");
        trap.release();
        assert!(trap.wait_answer(SOON).contains("INSERT 0 1"), "{fault:?}");
        assert_eq!(scene.rows(), "1");
        assert_eq!(
            scene.proxy.open(),
            1,
            "the server was not told of the client's end"
        );
    }
}

#[test]
fn a_client_is_killed_while_its_message_is_held() {
    let scene = Scene::new();
    let trap = scene
        .proxy
        .trap(Message::to_server().containing(INSERT), Fault::Hold);
    let mut psql = scene.psql(INSERT);
    trap.wait(SOON);
    trap.kill_client();
    assert_ne!(psql.wait_with_deadline(SOON).code(), Some(0));
    assert_eq!(scene.rows(), "0");
    trap.release();
    assert!(trap.wait_answer(SOON).contains("INSERT 0 1"));
}

#[test]
fn an_answer_is_held_after_the_server_has_acted() {
    for lost in [false, true] {
        let scene = Scene::new();
        let trap = scene
            .proxy
            .trap(Message::to_server().containing(INSERT), Fault::HoldAnswer);
        let mut psql = scene.psql(INSERT);
        assert!(trap.wait_answer(SOON).contains("INSERT 0 1"));
        assert!(psql.is_running() && scene.rows() == "1");
        if lost {
            trap.kill_client();
        } else {
            trap.release();
        }
        assert_eq!(psql.wait_with_deadline(SOON).code() != Some(0), lost);
    }
}

#[test]
fn a_message_that_is_cut_has_no_effect() {
    for fault in [Fault::Cut(9), Fault::Reset(9)] {
        let scene = Scene::new();
        let trap = scene
            .proxy
            .trap(Message::to_server().containing(INSERT), fault);
        let ended = scene.psql(INSERT).wait_with_deadline(SOON);
        assert_ne!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(trap.is_sprung() && scene.rows() == "0");
    }
}

#[test]
fn after_a_half_close_the_answer_still_comes() {
    let scene = Scene::new();
    let message = Message::to_server().containing(INSERT);
    scene.proxy.trap(message, Fault::HalfClose);
    assert_eq!(scene.psql(INSERT).wait_with_deadline(SOON).code(), Some(0));
    scene.until_rows("1");
}

#[test]
fn the_nth_message_of_one_client_is_meant() {
    let scene = Scene::new();
    let nth = Message::to_server().containing(INSERT).nth(2);
    let second = scene.proxy.trap(nth, Fault::Cut(0));
    let stranger = Message::to_server()
        .containing(INSERT)
        .of_client("somebody");
    let strangers = scene.proxy.trap(stranger, Fault::Cut(0));
    let answer = Message::to_client()
        .of_client("by-psql")
        .containing("INSERT 0 1")
        .nth(2);
    let answers = scene.proxy.trap(answer, Fault::Hold);
    assert_eq!(scene.psql(INSERT).wait_with_deadline(SOON).code(), Some(0));
    assert!(!second.is_sprung());
    assert_ne!(scene.psql(INSERT).wait_with_deadline(SOON).code(), Some(0));
    assert!(second.is_sprung() && !strangers.is_sprung());
    let mut third = scene.psql(INSERT);
    answers.wait(SOON);
    assert!(third.is_running() && scene.rows() == "2");
    answers.release();
    assert_eq!(third.wait_with_deadline(SOON).code(), Some(0));
}

#[test]
fn a_delayed_message_arrives() {
    let scene = Scene::new();
    let delay = Fault::Delay(Duration::from_millis(200));
    let trap = scene
        .proxy
        .trap(Message::to_server().containing(INSERT), delay);
    let mut psql = scene.psql(INSERT);
    trap.wait(SOON);
    assert_eq!(psql.wait_with_deadline(SOON).code(), Some(0));
    assert!(trap.is_delivered() && scene.rows() == "1");
    scene.proxy.delay(Duration::from_millis(10));
    assert_eq!(scene.psql(INSERT).wait_with_deadline(SOON).code(), Some(0));
}

#[test]
fn a_black_hole_swallows_and_heals() {
    let scene = Scene::new();
    let message = Message::to_server().containing("'into it'");
    let trap = scene.proxy.trap(message, Fault::Blackhole);
    let mut one = scene.psql("SELECT 'into it'");
    trap.wait(SOON);
    scene.proxy.blackhole();
    let mut two = scene.psql(INSERT);
    until(SOON, "a second connection", || {
        (scene.proxy.connections() == 2).then_some(())
    });
    assert!(one.is_running() && two.is_running());
    scene.proxy.heal();
    assert_eq!(two.wait_with_deadline(SOON).code(), Some(0));
    assert!(one.is_running());
    trap.release();
    assert_eq!(one.wait_with_deadline(SOON).stdout.trim(), "into it");
}

#[test]
fn connections_are_refused_reset_and_closed() {
    let scene = Scene::new();
    scene.proxy.refuse();
    assert_ne!(
        scene.psql("SELECT 1").wait_with_deadline(SOON).code(),
        Some(0)
    );
    assert_eq!(scene.proxy.connections(), 0);
    scene.proxy.heal();
    let message = Message::to_server().containing("pg_sleep");
    let trap = scene.proxy.trap(message, Fault::Delay(Duration::ZERO));
    let mut psql = scene.psql("SELECT pg_sleep(60)");
    trap.wait(SOON);
    scene.proxy.close();
    assert_ne!(psql.wait_with_deadline(SOON).code(), Some(0));
    assert_eq!(
        scene.psql("SELECT 1").wait_with_deadline(SOON).code(),
        Some(0)
    );
}

/// What a client's socket sees, beneath what its program says of it.
#[test]
fn a_reset_is_an_error_and_a_close_is_an_end() {
    let proxy = Proxy::raw(Redis::shared().url());
    let talk = |end: &dyn Fn(), further: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).unwrap();
        end();
        // A reset that is seen by a write is not seen again.
        stream.write_all(further).unwrap();
        stream.read(&mut answer).map_err(|error| error.kind())
    };
    let on = || Message::to_server().containing("ECHO");
    assert_eq!(
        talk(&|| proxy.reset(), b""),
        Err(ErrorKind::ConnectionReset)
    );
    let cut = || drop(proxy.trap(on(), Fault::Reset(3)));
    assert_eq!(talk(&cut, b"ECHO on\r\n"), Err(ErrorKind::ConnectionReset));
    let cut = || drop(proxy.trap(on(), Fault::Cut(3)));
    assert_eq!(talk(&cut, b"ECHO on\r\n"), Ok(0));
    proxy.refuse();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    let refused = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_redis_command_is_held_and_its_client_killed() {
    let redis = Redis::shared();
    let proxy = Proxy::raw(redis.url());
    let key = sanderling_testkit::unique("proxy");
    let trap = proxy.trap(Message::to_server().containing(&key), Fault::Hold);
    let mut command = Process::command("redis-cli");
    command.args(["-u", proxy.url(), "SET", &key, "late"]);
    let mut client = Process::spawn(command);
    trap.wait_async(SOON).await;
    trap.kill_client();
    client.wait_with_deadline(SOON);
    assert_eq!(redis.command(&["EXISTS", &key]), "0");
    trap.release();
    assert_eq!(trap.wait_answer_async(SOON).await, "+OK\r\n");
    assert_eq!(redis.command(&["GET", &key]), "late");
}
