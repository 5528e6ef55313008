//! What must be true after every case, whatever was done to it.

use sanderling_testkit::until;

use super::scene::{BUDGET, Expected, MARKED, Scene};
use crate::cluster::drain;
use crate::fleet::{DEADLINE, last_json};
use crate::history::{History, assert_possible};

impl Scene {
    /// Waits for the end and looks at everything: summary, effects, history, connections, `verify`.
    pub(super) fn judge(&mut self) {
        let peak = self.finished();
        let history = self.fleet.history(&self.fleet.newest_rollout());
        self.judge_effects(&history);
        assert_possible(&history);
        self.judge_verify();
        // One visit may stand beside sessions that have the whole budget; so may one in each process that looks.
        let most = BUDGET + 1 + self.coordinators.len() + self.workers.len();
        assert!(
            peak <= most,
            "{peak} connections at once, of a budget of {BUDGET}"
        );
        drain(&mut self.workers);
        drain(&mut self.coordinators);
    }

    /// The rollout's end, and the highest number of connections seen until then.
    fn finished(&mut self) -> usize {
        let ended = self.ended();
        let (code, state) = match self.expected() {
            Expected::Done => (4, "completed_with_failures"),
            Expected::Halted => (3, "halted"),
            Expected::Down => (0, "succeeded"),
        };
        assert_eq!(
            ended.code(),
            Some(code),
            "{}\n{}",
            ended.stdout,
            ended.stderr
        );
        let summary = last_json(&ended.stdout);
        assert_eq!(summary["state"], state, "{summary}");
        let failed = i32::from(self.expected() != Expected::Down);
        assert_eq!(summary["failed"], failed, "{summary}");
        match self.expected() {
            Expected::Done => assert_eq!(summary["succeeded"], self.size() - 1, "{summary}"),
            Expected::Halted => assert_eq!(summary["started_after_halt"], 0, "{summary}"),
            Expected::Down => assert_eq!(summary["succeeded"], self.size(), "{summary}"),
        }
        self.peak().unwrap_or_default()
    }

    /// Every tenant has every version exactly once, the marked one those before the one that fails. On the way down:
    /// every tenant has undone all but the first.
    fn judge_effects(&self, history: &History) {
        let counts = &history.effects;
        let twice: Vec<_> = counts.iter().filter(|(_, n)| **n != 1).collect();
        assert!(twice.is_empty(), "applied other than once: {twice:?}");
        if self.expected() == Expected::Down {
            assert_eq!(counts.len(), self.size() * 4, "versions taken back");
            return;
        }
        let of_marked: Vec<_> = counts
            .keys()
            .filter(|(tenant, _)| tenant == MARKED)
            .map(|(_, version)| version.as_str())
            .collect();
        assert_eq!(of_marked, ["0001", "0002", "0003"], "of the marked tenant");
        if self.expected() == Expected::Done {
            let most = (self.size() - 1) * 5 + 3;
            assert_eq!(counts.len(), most, "tenant versions with an effect");
        }
    }

    /// Clean within moments of the end: what a dead process left has been cleared away by then.
    fn judge_verify(&self) {
        until(DEADLINE, "a clean verify", || {
            let ended = self.run(&["--json", "verify"]);
            (ended.code() == Some(0))
                .then_some(())
                .ok_or_else(|| format!("{}\n{}", ended.stdout, ended.stderr))
        });
    }
}
