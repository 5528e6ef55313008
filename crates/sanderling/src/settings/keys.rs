//! Every key that `sanderling.toml` may have, and those that a later release will have.

use config::{Value, ValueKind};
use sanderling_registry::nearest;

/// What may stand at a place.
pub(super) enum Node {
    /// A value; its type is checked where it is read.
    Leaf,
    /// A value, or a table as this one.
    Or(&'static Node),
    /// A table of these keys.
    Table(&'static [(&'static str, Node)]),
    /// A table of any names, or a list: each element looks like this.
    Each(&'static Node),
    /// Planned, documented, and not there yet.
    Later,
}

use Node::{Each, Later, Leaf, Or, Table};

/// The whole file.
pub(super) static ROOT: Node = Table(&[
    (
        "fleet",
        Table(&[
            ("name", Leaf),
            ("migrations", Leaf),
            ("tenants", Leaf),
            ("create_missing", Leaf),
            ("format", Leaf),
        ]),
    ),
    (
        "control",
        Table(&[("url", Leaf), ("lease", Leaf), ("poll", Leaf)]),
    ),
    (
        "claims",
        Table(&[
            ("url", Leaf),
            ("ttl", Leaf),
            ("ca", Leaf),
            ("cert", Leaf),
            ("key", Leaf),
            ("plaintext", Leaf),
        ]),
    ),
    ("coordinator", Table(&[("survey", Leaf)])),
    ("worker", Table(&[("slots", Leaf), ("serves", Leaf)])),
    ("metrics", Table(&[("listen", Leaf)])),
    (
        "hosts",
        Each(&Table(&[
            ("url", Leaf),
            ("direct_url", Leaf),
            ("connections", Leaf),
            ("in_flight", Leaf),
            ("role", Leaf),
            ("search_path", Leaf),
        ])),
    ),
    (
        "rollout",
        Table(&[
            ("concurrency", Leaf),
            ("atomic", Leaf),
            ("lock_timeout", Leaf),
            ("statement_timeout", Leaf),
            ("host_patience", Leaf),
            ("waves", Each(&WAVE)),
            ("halt", HALT),
            ("canary_exclude", Leaf),
            ("known_failures", Table(&[("halt", HALT)])),
        ]),
    ),
    (
        "retry",
        Each(&Table(&[("attempts", Leaf), ("base", Leaf), ("max", Leaf)])),
    ),
    ("schedule", Later),
    ("schedules", Later),
    ("windows", Later),
    ("freezes", Later),
    (
        "gates",
        Table(&[(
            "providers",
            Each(&Table(&[
                ("url", Leaf),
                ("headers", Each(&Leaf)),
                ("ca", Leaf),
            ])),
        )]),
    ),
    ("notify", Later),
    ("api", Later),
    ("policy", Later),
]);

static WAVE: Node = Table(&[
    ("name", Leaf),
    ("count", Leaf),
    ("percent", Leaf),
    ("labels", Each(&Leaf)),
    ("rest", Leaf),
    ("concurrency", Leaf),
    ("halt", HALT),
    ("tenants", Leaf),
    (
        "coverage",
        Table(&[("keys", Leaf), ("min", Leaf), ("max", Leaf)]),
    ),
    ("bake", Or(&BAKE)),
    ("gates", Each(&GATE)),
]);

static BAKE: Node = Table(&[
    ("duration", Leaf),
    ("min_samples", Leaf),
    ("samples", Leaf),
    ("provider", Leaf),
    ("interval", Leaf),
    ("timeout", Leaf),
    ("give_up_after", Leaf),
]);

static GATE: Node = Table(&[
    ("name", Leaf),
    ("provider", Leaf),
    ("promql", Leaf),
    ("pass", Leaf),
    ("fail", Leaf),
    ("baseline", Leaf),
    ("max_ratio", Leaf),
    ("min_abs", Leaf),
    ("reduce", Leaf),
    ("on_no_data", Leaf),
    ("initial_delay", Leaf),
    ("interval", Leaf),
    ("count", Leaf),
    ("timeout", Leaf),
    ("failure_limit", Leaf),
    ("inconclusive_limit", Leaf),
    ("error_limit", Leaf),
]);

const HALT: Node = Table(&[
    ("max_failures", Leaf),
    ("max_failure_percent", Leaf),
    ("max_consecutive", Leaf),
    ("same_cause", Leaf),
    ("class_limits", Each(&Leaf)),
    ("stall_after", Leaf),
    ("max_duration", Leaf),
]);

/// Reports every key of `value` that is unknown or not supported yet, as its path and what is wrong with it.
pub(super) fn check(
    value: &Value,
    node: &Node,
    path: &[String],
    report: &mut impl FnMut(&[String], String),
) {
    match (node, &value.kind) {
        (Later, _) => report(path, "is not supported yet; remove it".into()),
        (Table(keys), ValueKind::Table(table)) => {
            let mut names: Vec<_> = table.keys().collect();
            names.sort();
            for name in names {
                let below = [path, std::slice::from_ref(name)].concat();
                match keys.iter().find(|(key, _)| key == name) {
                    Some((_, node)) => check(&table[name], node, &below, report),
                    None => report(&below, unknown(name, keys)),
                }
            }
        }
        (Each(node), ValueKind::Table(table)) => {
            let mut names: Vec<_> = table.keys().collect();
            names.sort();
            for name in names {
                check(
                    &table[name],
                    node,
                    &[path, std::slice::from_ref(name)].concat(),
                    report,
                );
            }
        }
        (Each(node), ValueKind::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                check(value, node, &[path, &[index.to_string()]].concat(), report);
            }
        }
        (Table(_), _) => report(
            path,
            "must be a table of settings, not a single value".into(),
        ),
        (Each(_), _) => report(
            path,
            "must hold named tables or a list of tables, not a single value".into(),
        ),
        (Or(node), ValueKind::Table(_)) => check(value, node, path, report),
        (Leaf | Or(_), _) => {}
    }
}

fn unknown(name: &str, keys: &[(&'static str, Node)]) -> String {
    let known = keys.iter().map(|(key, _)| *key);
    match nearest(name, known.clone()) {
        Some(meant) => format!("unknown key; did you mean `{meant}`?"),
        None => {
            let ready: Vec<_> = keys
                .iter()
                .filter(|(_, n)| !matches!(n, Later))
                .map(|(k, _)| *k)
                .collect();
            format!("unknown key; known here: {}", ready.join(", "))
        }
    }
}
