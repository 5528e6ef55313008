//! What was asked for on the command line.

/// The benchmark and its sizes.
pub(crate) struct Asked {
    /// Which one.
    pub(crate) what: String,
    /// Tenants, where said.
    pub(crate) n: Option<usize>,
    /// Connections to the tenants' host.
    pub(crate) k: usize,
    /// Targets in flight.
    pub(crate) in_flight: usize,
    /// Interleaved repeats.
    pub(crate) repeats: usize,
    /// Workers of a cluster.
    pub(crate) workers: usize,
}

impl Asked {
    /// Reads the arguments: a name, then `--n`, `--k`, `--in-flight`, `--repeats`, `--workers` with a number each.
    pub(crate) fn read() -> Self {
        let words: Vec<String> = std::env::args()
            .skip(1)
            .filter(|a| a != "--bench")
            .collect();
        let number = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            Some(words.get(at + 1)?.parse().unwrap())
        };
        let k = number("--k").unwrap_or(4);
        Self {
            what: words.first().cloned().unwrap_or_default(),
            n: number("--n"),
            k,
            in_flight: number("--in-flight").unwrap_or(16 * k),
            repeats: number("--repeats").unwrap_or(5),
            workers: number("--workers").unwrap_or(1),
        }
    }

    /// The sizes, for the head of a table.
    pub(crate) fn said(&self) -> String {
        format!(
            "{} connections, {} in flight, {} interleaved repeats, cluster of {} worker(s)",
            self.k, self.in_flight, self.repeats, self.workers
        )
    }
}
