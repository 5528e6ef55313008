//! `[rollout]` as operators write it, right and wrong.

use sanderling_core::ErrorClass;
use sanderling_core::selector::Glob;
use sanderling_core::waves::{Amount, Coverage, Select};

use super::tests::{LEAST, load, problem};

#[test]
fn policies_out_of_range_are_refused() {
    for (text, part) in [
        (
            "[rollout.halt]\nmax_failure_percent = 101\n",
            "must be between 0 and 100, not 101",
        ),
        (
            "[retry.lock_timeot]\nattempts = 1\n",
            "unknown error class; did you mean `lock_timeout`?",
        ),
        (
            "[retry.migration_sql]\nattempts = 2\n",
            "is not retried by itself",
        ),
        (
            "[retry.deadlock]\nbase = '3s'\nmax = '1s'\n",
            "`max` is shorter than `base`",
        ),
        (
            "[retry.deadlock]\nattempts = 0\n",
            "must be at least 1, not 0",
        ),
    ] {
        assert!(problem(text).contains(part), "{text}: {}", problem(text));
    }
}

#[test]
fn waves_out_of_range_are_refused() {
    for (text, part) in [
        (
            "[[rollout.waves]]\ncount = 5\n",
            "the last wave must have `rest = true`",
        ),
        (
            "[[rollout.waves]]\nrest = true\n[[rollout.waves]]\nname='b'\nrest = true\n",
            "it must be the last wave",
        ),
        (
            "[[rollout.waves]]\nrest = true\ncount = 5\n",
            "this one has count and rest",
        ),
        ("[[rollout.waves]]\nname = 'x'\n", "this one has none"),
        (
            "[[rollout.waves]]\ntenants = []\n[[rollout.waves]]\nrest = true\n",
            "must name at least one tenant",
        ),
        (
            "[[rollout.waves]]\ntenants = 'acme'\n[[rollout.waves]]\nrest = true\n",
            "must be a list of texts",
        ),
        (
            "[[rollout.waves]]\ncoverage = { max = '200%' }\n[[rollout.waves]]\nrest = true\n",
            "or a share in quotes such as \"2%\"",
        ),
        (
            "[[rollout.waves]]\ncoverage = { least = 5 }\n[[rollout.waves]]\nrest = true\n",
            "coverage.least: unknown key; known here: keys, min, max",
        ),
        (
            "[[rollout.waves]]\nname='known-failures'\nrest = true\n",
            "give this one another",
        ),
        (
            "[rollout]\ncanary_exclude = 'plan='\n",
            "`plan=` has no value",
        ),
        (
            "[rollout.halt.class_limits]\nconection = 1\n",
            "unknown error class; did you mean `connection`?",
        ),
        (
            "[rollout.halt]\nstall_after = '100ms'\n",
            "must be at least 1s",
        ),
        (
            "[rollout]\nstall_after = '10m'\n",
            "rollout.stall_after: unknown key",
        ),
        (
            "[[rollout.waves]]\nname='a'\npercent = 0\n[[rollout.waves]]\nrest = true\n",
            "must be more than 0",
        ),
        (
            "[[rollout.waves]]\nname='a'\ncount = 1\n[[rollout.waves]]\nname='a'\nrest = true\n",
            "names must be unique",
        ),
        (
            "[[rollout.waves]]\nlabels = {}\n[[rollout.waves]]\nrest = true\n",
            "must name at least one label",
        ),
        (
            "[[rollout.waves]]\nrest = false\n",
            "must be true, or be left out",
        ),
        ("[rollout.waves]\nrest = {}\n", "must be a list: write"),
    ] {
        assert!(problem(text).contains(part), "{text}: {}", problem(text));
    }
}

#[test]
fn waves_and_limits_in_full() {
    let text = "[rollout]
canary_exclude = 'plan=enterprise'
[rollout.known_failures]
halt = { max_failures = 3 }
[rollout.halt]
class_limits = { lock_timeout = '5%', migration_sql = 0 }
stall_after = '10m'
[[rollout.waves]]
name = 'named'
tenants = ['acme', 'beta-*']
halt = { max_duration = '1h' }
[[rollout.waves]]
name = 'covering'
coverage = { keys = ['engine', 'plan'], min = 3, max = 20 }
[[rollout.waves]]
name = 'default'
coverage = {}
[[rollout.waves]]
name = 'rest'
rest = true
";
    let rollout = load(&format!("{LEAST}{text}"), &[]).unwrap().rollout;
    let exclude = rollout.canary_exclude.map(|s| s.to_string());
    assert_eq!(exclude.as_deref(), Some("plan=enterprise"));
    assert_eq!(rollout.known_failures.max_failures, Some(3));
    let limits = rollout.halt.resolve(100);
    let classes: Vec<_> = limits.class_limits.into_iter().collect();
    assert_eq!(
        classes,
        [(ErrorClass::LockTimeout, 5), (ErrorClass::MigrationSql, 0)]
    );
    assert_eq!(limits.stall_after_ms, Some(600_000));
    assert_eq!(rollout.waves[0].halt.max_duration_ms, Some(3_600_000));
    let globs = ["acme", "beta-*"].map(Glob::new).to_vec();
    assert_eq!(rollout.waves[0].select, Select::Tenants(globs));
    let covering = Coverage {
        keys: vec!["engine".into(), "plan".into()],
        min: 3,
        max: Amount::Count(20),
    };
    assert_eq!(rollout.waves[1].select, Select::Coverage(covering));
    assert_eq!(
        rollout.waves[2].select,
        Select::Coverage(Coverage::default())
    );
}
