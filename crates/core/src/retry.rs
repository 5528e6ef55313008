//! Retry by error class: only what may pass by itself, with full jitter, each class in its own budget.

use std::collections::BTreeMap;

use crate::cause::ErrorClass;
use crate::policy::Backoff;

/// The budgets of a rollout that configures none.
///
/// A class that is absent is never retried: the same text would fail again (`migration_sql`, `precondition`,
/// `permission`), or nobody knows what happened (`internal`). `resource` and `timeout` have one attempt: a full disk
/// and a slow statement do not pass within a backoff, but an operator may raise the number. `worker_lost` counts the
/// workers that died with the tenant in hand.
pub fn defaults() -> BTreeMap<ErrorClass, Backoff> {
    [
        (ErrorClass::LockTimeout, 5, 250, 15_000),
        (ErrorClass::Deadlock, 5, 100, 5_000),
        (ErrorClass::Connection, 8, 500, 30_000),
        (ErrorClass::Resource, 1, 1_000, 60_000),
        (ErrorClass::Timeout, 1, 1_000, 60_000),
        (ErrorClass::WorkerLost, 4, 1_000, 60_000),
    ]
    .into_iter()
    .map(|(class, attempts, base_ms, max_ms)| {
        let backoff = Backoff {
            attempts,
            base_ms,
            max_ms,
        };
        (class, backoff)
    })
    .collect()
}

/// How long to wait, in milliseconds, before the attempt after one that failed with `class`; `None` when the class
/// is not retried or its budget is used up.
///
/// `attempts_so_far` counts the attempts before this one that ended in a retry of the class, so it is 0 at the first
/// failure. `random` in `0.0..=1.0` comes from the caller (what lies outside is clamped): the delay is that share of
/// `min(max, base * 2^attempts_so_far)`, so that tenants which failed together do not come back together.
pub fn delay(
    policy: &BTreeMap<ErrorClass, Backoff>,
    class: ErrorClass,
    attempts_so_far: u32,
    random: f64,
) -> Option<u64> {
    let backoff = policy.get(&class)?;
    if attempts_so_far.saturating_add(1) >= backoff.attempts {
        return None;
    }
    Some(wait(backoff, attempts_so_far, random))
}

/// How long to wait, in milliseconds, after `n` waits before this one, whatever the number of attempts: a share of
/// `min(max, base * 2^n)`, as in [`delay`].
pub fn wait(backoff: &Backoff, n: u32, random: f64) -> u64 {
    let factor = 1u64.checked_shl(n).unwrap_or(u64::MAX);
    let ceiling = backoff.base_ms.saturating_mul(factor).min(backoff.max_ms);
    share(ceiling, random)
}

/// The share of a number of milliseconds, rounded to the nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share in 0..=1 of a delay is not negative, and exact to the millisecond for centuries"
)]
fn share(ceiling: u64, random: f64) -> u64 {
    let share = if random.is_nan() {
        1.0
    } else {
        random.clamp(0.0, 1.0)
    };
    ((ceiling as f64) * share).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_ceiling_and_end_with_the_budget() {
        let policy = defaults();
        let ceilings: Vec<_> = (0..8)
            .map(|n| delay(&policy, ErrorClass::LockTimeout, n, 1.0))
            .collect();
        assert_eq!(
            ceilings[..5],
            [Some(250), Some(500), Some(1000), Some(2000), None]
        );
        assert_eq!(ceilings[5..], [None, None, None]);
        assert_eq!(delay(&policy, ErrorClass::Connection, 6, 1.0), Some(30_000));
    }

    #[test]
    fn the_same_text_is_not_tried_again() {
        for class in ErrorClass::ALL.into_iter().filter(|c| c.is_deterministic()) {
            assert_eq!(delay(&defaults(), class, 0, 0.5), None);
        }
        assert_eq!(delay(&defaults(), ErrorClass::Timeout, 0, 0.5), None);
    }

    #[test]
    fn jitter_is_full_and_its_input_is_never_trusted() {
        let policy = defaults();
        let at = |random| delay(&policy, ErrorClass::Deadlock, 1, random);
        assert_eq!((at(0.0), at(0.5), at(1.0)), (Some(0), Some(100), Some(200)));
        assert_eq!(
            (at(-3.0), at(9.0), at(f64::NAN)),
            (Some(0), Some(200), Some(200))
        );
        let endless = BTreeMap::from([(
            ErrorClass::Connection,
            Backoff {
                attempts: u32::MAX,
                base_ms: 100,
                max_ms: 30_000,
            },
        )]);
        assert_eq!(
            delay(&endless, ErrorClass::Connection, 4000, 1.0),
            Some(30_000)
        );
    }
}
