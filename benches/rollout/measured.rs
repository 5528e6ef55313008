//! Two floors and two ways to run Sanderling, side by side.

use crate::ours::Ours;
use crate::table::{Series, rates, ratio};

/// Everything that is measured side by side.
pub(crate) struct Measured {
    pub(crate) naive: Series,
    pub(crate) guarded: Series,
    /// A peer, where there is one.
    pub(crate) peer: Series,
    embedded: [Series; 2],
    cluster: [Series; 2],
}

impl Measured {
    /// With the plain floor called this.
    pub(crate) fn named(naive: &str) -> Self {
        let both = |what: &str, whole: &str| [Series::new(what), Series::new(whole)];
        Self {
            naive: Series::new(naive),
            guarded: Series::new("guarded floor"),
            peer: Series::new("dbmate migrate, xargs -P4"),
            embedded: both("embedded", "embedded, whole process"),
            cluster: both("cluster", "cluster, whole `up`"),
        }
    }

    /// Runs one rollout of a fleet, and notes what it took.
    pub(crate) fn rollout(&mut self, what: &str, fleet: &Ours, version: &str, body: &str) {
        fleet.migration(version, &format!("{body};"));
        self.note(what, fleet);
    }

    /// Runs what is pending.
    pub(crate) fn note(&mut self, what: &str, fleet: &Ours) {
        let took = fleet.up();
        let [rollout, process] = match what {
            "embedded" => &mut self.embedded,
            _ => &mut self.cluster,
        };
        rollout.seconds.push(took.rollout);
        process.seconds.push(took.process);
    }

    /// Prints rates and ratios, with the goals of an embedded rollout: of the guarded floor, the plain one and a peer.
    pub(crate) fn print(&self, n: usize, [of_guarded, of_naive, of_peer]: [Option<f64>; 3]) {
        let (embedded, cluster) = (&self.embedded, &self.cluster);
        let mut all = vec![&self.naive, &self.guarded, &self.peer];
        all.extend(embedded.iter().chain(cluster));
        all.retain(|series| !series.seconds.is_empty());
        rates(&all, n);
        println!("ratios: the floor's seconds by ours, within each repeat: median (least to most)");
        ratio(&embedded[0], &self.guarded, of_guarded);
        ratio(&embedded[0], &self.naive, of_naive);
        ratio(&cluster[0], &self.guarded, None);
        ratio(&cluster[0], &self.naive, None);
        ratio(&self.guarded, &self.naive, None);
        ratio(&embedded[0], &self.peer, of_peer);
        ratio(&cluster[0], &self.peer, None);
    }
}
