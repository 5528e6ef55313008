//! Somebody else writes into the fleet's Redis, for the whole of a run: the result is the same as without.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sanderling_claims::LockKey;
use sanderling_core::TenantId;
use sanderling_testkit::until;

use super::nemesis::{Nemesis, under_seeds};
use super::scene::Scene;
use crate::fleet::DEADLINE;

/// What it does, each to the lock of one tenant or to the wake-up channel.
const DEEDS: &[&str] = &[
    "delete",
    "steal",
    "persist",
    "wrong type",
    "huge",
    "expire",
    "garbage",
    "flood",
];

/// What is done of each while the rollout is under way.
const ENOUGH: u64 = 20;

/// Locks of every tenant are deleted, stolen for good, given other types and huge values; wake-ups are forged and
/// flooded. One claim is held back until all of that was done.
#[test]
fn redis_forged() {
    under_seeds("redis_forged", Scene::on_shared, |nemesis, scene| {
        let hold = scene.fleet.path("hold");
        std::fs::write(&hold, "").unwrap();
        let before = 4 + nemesis.below(8);
        let asked = format!(
            "worker.before_message={before}*off->1*return(hold:{})",
            hold.display()
        );
        let pid = scene.add_worker(&[("FAILPOINTS", &asked)]);
        let adversary = Adversary::start(scene, nemesis);
        scene.begin();
        scene.until_reached(pid, "worker.before_message");
        let busy = scene.in_flight();
        adversary.until_done(ENOUGH);
        std::fs::remove_file(hold).unwrap();
        scene.until_ended(u64::MAX);
        let deeds = adversary.end();
        nemesis.struck(format!("{busy} in flight, and in all: {deeds:?}"));
    });
}

struct Adversary {
    done: Arc<AtomicBool>,
    deeds: Deeds,
    thread: JoinHandle<()>,
}

/// How often each deed was done.
type Deeds = Arc<Mutex<BTreeMap<&'static str, u64>>>;

impl Adversary {
    fn start(scene: &Scene, nemesis: &mut Nemesis) -> Self {
        let fleet = scene.fleet.name().to_owned();
        let names = scene
            .fleet
            .schema_names()
            .iter()
            .chain(scene.fleet.file_names());
        let keys: Vec<_> = names
            .map(|name| {
                format!(
                    "{fleet}:lock:{}",
                    LockKey::new(&fleet, &TenantId::new(name.as_str()))
                )
            })
            .collect();
        let (_, address) = scene.redis.url().rsplit_once('/').unwrap();
        let redis = TcpStream::connect(address).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let stop = done.clone();
        let choices: Vec<_> = (0..4096).map(|_| nemesis.below(1 << 20)).collect();
        let deeds = Deeds::default();
        let counted = deeds.clone();
        let thread = std::thread::spawn(move || {
            let breath = ["BLPOP", "nothing", "0.005"].map(|word| word.as_bytes().to_vec());
            let mut redis = BufReader::new(redis);
            for (choice, deed) in choices.iter().cycle().zip(DEEDS.iter().cycle()) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let key = &keys[choice % keys.len()];
                // A breath between deeds, at the server: the machine's cores belong to the rollout.
                call(&mut redis, &breath);
                for words in commands(deed, key, &fleet, *choice) {
                    call(&mut redis, &words);
                    *counted.lock().unwrap().entry(*deed).or_default() += 1;
                }
            }
        });
        Self {
            done,
            deeds,
            thread,
        }
    }

    /// Waits until each deed was done so often from now on.
    fn until_done(&self, times: u64) {
        let counts = || self.deeds.lock().unwrap().clone();
        let before = counts();
        until(DEADLINE, "the adversary to do its worst", || {
            let now = counts();
            let more = |deed| now.get(deed).unwrap_or(&0) - before.get(deed).unwrap_or(&0);
            let enough = DEEDS.iter().all(|deed| more(deed) >= times);
            enough.then_some(()).ok_or_else(|| format!("{now:?}"))
        });
    }

    fn end(self) -> BTreeMap<&'static str, u64> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.deeds.lock().unwrap().clone()
    }
}

fn commands(deed: &str, key: &str, fleet: &str, choice: usize) -> Vec<Vec<Vec<u8>>> {
    let words =
        |words: &[&str]| -> Vec<Vec<u8>> { words.iter().map(|w| w.as_bytes().to_vec()).collect() };
    let nonce = format!("{choice:032x}");
    let channel = format!("{fleet}:wake");
    match deed {
        "delete" => vec![words(&["DEL", key])],
        "steal" => vec![words(&["SET", key, &nonce, "PX", "1000000000"])],
        "persist" => vec![words(&["PERSIST", key])],
        "wrong type" => vec![
            words(&["DEL", key]),
            words(&["RPUSH", key, "not", "a", "lock"]),
        ],
        "huge" => vec![words(&["SET", key, &"x".repeat(1 << 18)])],
        "expire" => vec![words(&["PEXPIRE", key, "1"])],
        "garbage" => vec![vec![
            b"PUBLISH".to_vec(),
            channel.into_bytes(),
            vec![0xff; choice % 4096],
        ]],
        _ => vec![words(&["PUBLISH", &channel, "1"]); 50],
    }
}

/// Sends one command and reads its answer, whatever that says.
fn call(redis: &mut BufReader<TcpStream>, words: &[Vec<u8>]) {
    let mut message = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        message.extend(format!("${}\r\n", word.len()).into_bytes());
        message.extend(word);
        message.extend(b"\r\n");
    }
    redis.get_mut().write_all(&message).unwrap();
    let mut line = String::new();
    redis.read_line(&mut line).unwrap();
    if let Some(length) = line.strip_prefix('$')
        && let Ok(length) = length.trim().parse::<usize>()
    {
        redis.read_exact(&mut vec![0; length + 2]).unwrap();
    }
}
