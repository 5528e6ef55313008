//! Waiting for a condition, never for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks, milliseconds.
const PAUSE: Duration = Duration::from_millis(5);

/// What a probe saw: the value waited for, or what there was instead.
pub trait Observation {
    /// The value waited for.
    type Value;

    /// The value, or the words for what was seen instead.
    fn settle(self) -> Result<Self::Value, String>;
}

impl<T> Observation for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|seen| seen.to_string())
    }
}

/// Polls `probe` until it gives a value and returns that.
///
/// A probe gives `Some(value)`/`Ok(value)` when it is content, else `None` or `Err(what it saw)`.
///
/// # Panics
/// When `deadline` has passed; the message holds `what` and the last observation.
#[track_caller]
pub fn until<O: Observation>(
    deadline: Duration,
    what: &str,
    mut probe: impl FnMut() -> O,
) -> O::Value {
    let start = Instant::now();
    loop {
        match probe().settle() {
            Ok(value) => return value,
            Err(seen) if start.elapsed() >= deadline => {
                panic!("waited {deadline:?} for {what}; last seen: {seen}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// [`until`] for probes that await; one look that hangs is cut off at the deadline.
///
/// # Panics
/// As [`until`].
pub async fn until_async<O: Observation>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> O,
) -> O::Value {
    let end = tokio::time::Instant::now() + deadline;
    let mut last = "nothing yet".to_owned();
    loop {
        match tokio::time::timeout_at(end, probe()).await {
            Ok(observed) => match observed.settle() {
                Ok(value) => return value,
                Err(seen) => last = seen,
            },
            Err(_) => last = format!("{last}, then a look that never ended"),
        }
        if tokio::time::Instant::now() >= end {
            panic!("waited {deadline:?} for {what}; last seen: {last}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_first_value() {
        let mut looks = 0;
        let value = until(Duration::from_secs(5), "three looks", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "last seen: 7 rows")]
    fn says_what_it_saw_last() {
        until(Duration::ZERO, "8 rows", || Err::<(), _>("7 rows"));
    }

    #[tokio::test]
    #[should_panic(expected = "a look that never ended")]
    async fn a_look_that_hangs_meets_the_deadline() {
        until_async(Duration::from_millis(20), "for ever", async || {
            std::future::pending::<Option<()>>().await
        })
        .await;
    }
}
