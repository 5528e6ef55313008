//! What was measured, as lines to read: medians, the least and the most, and ratios within one repeat.

/// One variant's seconds, repeat by repeat.
pub(crate) struct Series {
    /// What ran.
    pub(crate) name: String,
    /// Seconds of each repeat, in the order of repeats.
    pub(crate) seconds: Vec<f64>,
}

impl Series {
    /// Nothing measured yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            seconds: Vec::new(),
        }
    }
}

/// Prints tenants per second of each series.
pub(crate) fn rates(series: &[&Series], tenants: usize) {
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "tenants per second", "median", "min", "max"
    );
    for one in series {
        let rates = one.seconds.iter().map(|s| tenants as f64 / s).collect();
        let (median, least, most) = spread(rates);
        println!("{:<34} {median:>9.0} {least:>9.0} {most:>9.0}", one.name);
    }
}

/// Prints how near `ours` comes to a floor: the floor's seconds by ours, repeat by repeat.
pub(crate) fn ratio(ours: &Series, floor: &Series, goal: Option<f64>) {
    if ours.seconds.is_empty() || floor.seconds.is_empty() {
        return;
    }
    let ratios = floor.seconds.iter().zip(&ours.seconds).map(|(f, o)| f / o);
    let (median, least, most) = spread(ratios.collect());
    let goal = goal.map_or_else(String::new, |goal| format!("  goal {goal:.2}"));
    let name = format!("{} / {}", ours.name, floor.name);
    println!("{name:<54} {median:>6.2} ({least:.2} to {most:.2}){goal}");
}

/// Median, least and most.
pub(crate) fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    let median = if values.len() % 2 == 1 {
        values[last / 2]
    } else {
        f64::midpoint(values[last / 2], values[last / 2 + 1])
    };
    (median, values[0], values[last])
}
