//! The nemesis: chooses by a seed, strikes at what it sees, keeps a journal, and says how to see the same again.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use super::scene::Scene;

/// The first seed, and how many from there on: `scripts/chaos` sets both.
const SEED: &str = "SANDERLING_SEED";
const SEEDS: &str = "SANDERLING_SEEDS";
/// The file that gets a line per case: fault, seed, violations, milliseconds, strikes.
const LEDGER: &str = "SANDERLING_CHAOS_LEDGER";

/// One fault under one seed.
pub(crate) struct Nemesis {
    fault: &'static str,
    seed: u64,
    state: u64,
    begun: Instant,
    journal: Vec<String>,
    strikes: u32,
}

impl Nemesis {
    fn new(fault: &'static str, seed: u64) -> Self {
        let state = seed ^ 0x5a4e_4445_524c_494e;
        Self {
            fault,
            seed,
            state,
            begun: Instant::now(),
            journal: Vec::new(),
            strikes: 0,
        }
    }

    /// The next number below `below`. SplitMix64, written out: a seed means the same in every later version.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    /// The moment of this case: all of them in turn as seeds go up, so that twenty seeds leave none out.
    pub(crate) fn turn<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.seed.wrapping_sub(1)).unwrap_or(0) % all.len()]
    }

    /// Notes what is about to be done, or was seen.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let at = self.begun.elapsed().as_millis();
        self.journal.push(format!("{at:>6} ms  {}", what.into()));
    }

    /// Notes a fault that hit work in flight. A case without one is void.
    pub(crate) fn struck(&mut self, what: impl Into<String>) {
        self.strikes += 1;
        self.note(format!("STRUCK {}", what.into()));
    }

    fn report(&self) -> String {
        let mut text = String::new();
        for line in &self.journal {
            let _ = writeln!(text, "{line}");
        }
        let (fault, seed) = (self.fault, self.seed);
        let _ = write!(
            text,
            "the same again: {SEED}={seed} scripts/test -p sanderling --test system faults::{fault}"
        );
        text
    }

    #[expect(
        clippy::print_stdout,
        reason = "the runner shows it when the test fails"
    )]
    fn say(&self, well: bool) {
        let verdict = if well { "ok" } else { "VIOLATION" };
        let (fault, seed) = (self.fault, self.seed);
        println!("{fault}, seed {seed}: {verdict}\n{}", self.report());
    }

    fn enter(&self, violations: u32) {
        let Some(path) = std::env::var_os(LEDGER) else {
            return;
        };
        let millis = self.begun.elapsed().as_millis();
        let (fault, seed, strikes) = (self.fault, self.seed, self.strikes);
        let line = format!("{fault}\t{seed}\t{violations}\t{millis}\t{strikes}\n");
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the ledger of the chaos run can be written");
    }
}

/// Runs one fault under every seed asked for, one by default; fails with journal and seed at the first violation.
///
/// `stage` makes the servers and the fleet, `strike` starts the rollout and does harm, and `judge` looks at what is
/// left. Whatever panics is a violation.
pub(crate) fn under_seeds(
    fault: &'static str,
    stage: impl Fn() -> Scene,
    strike: impl Fn(&mut Nemesis, &mut Scene),
) {
    let first = number(SEED, 1);
    for seed in first..first + number(SEEDS, 1) {
        let mut nemesis = Nemesis::new(fault, seed);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut scene = stage();
            strike(&mut nemesis, &mut scene);
            assert!(nemesis.strikes > 0, "void: no fault hit work in flight");
            scene.judge();
        }));
        nemesis.enter(u32::from(ended.is_err()));
        nemesis.say(ended.is_ok());
        if let Err(panic) = ended {
            resume_unwind(panic);
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return otherwise;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
}
