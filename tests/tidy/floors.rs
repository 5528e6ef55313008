//! Who may use whom, and which room a dependency may be used in.

use serde_json::Value;

/// A crate uses only crates on lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("sanderling-core", 0),
    ("sanderling-sql", 0),
    ("sanderling-failpoints", 0),
    ("sanderling-telemetry", 1),
    ("sanderling-secrets", 1),
    ("sanderling-simulator", 1),
    ("sanderling-engine", 2),
    ("sanderling-store", 2),
    ("sanderling-claims", 2),
    ("sanderling-registry", 3),
    ("sanderling-coordinator", 4),
    ("sanderling-worker", 4),
    ("sanderling-api", 5),
    ("sanderling", 6),
];

/// Beside the house: used by tests, using none of it.
const SIDE: &str = "sanderling-testkit";

/// Dependencies with homes. A name that ends with `*` stands for all that begin so.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx*", &["sanderling-engine", "sanderling-store"]),
    ("redis*", &["sanderling-claims"]),
    (
        "reqwest",
        &["sanderling-registry", "sanderling-coordinator"],
    ),
    ("axum*", &["sanderling-api"]),
    ("clap*", &["sanderling"]),
    ("config", &["sanderling"]),
    ("indicatif", &["sanderling"]),
    ("metrics*", &["sanderling-telemetry"]),
    ("tracing-subscriber", &["sanderling-telemetry"]),
    ("croner", &["sanderling-core"]),
    ("jiff", &["sanderling-core", "sanderling"]),
    ("squawk*", &["sanderling-sql"]),
    ("stateright", &["sanderling-simulator"]),
    ("csv", &["sanderling-registry"]),
    ("fail", &["sanderling-failpoints"]),
    // In `sanderling` for tests: rules, provisioning and the compose file are YAML.
    ("serde-saphyr", &["sanderling-registry", "sanderling"]),
];

/// One direct dependency of a member.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    dev: bool,
}

/// Complaints about members that use a crate on their own floor or above, or testkit outside tests.
pub(crate) fn floors(metadata: &Value) -> Vec<String> {
    let unknown = members(metadata)
        .filter(|name| *name != SIDE && floor(name).is_none())
        .map(|name| format!("{name} has no floor in tests/tidy/floors.rs"));
    let wrong = edges(metadata).into_iter().filter_map(|edge| {
        let Edge { from, to, dev } = edge;
        if from == SIDE {
            return floor(to).map(|_| format!("{from} uses {to}: it must know none of the house"));
        }
        if to == SIDE {
            return (!dev).then(|| format!("{from} uses {to} outside [dev-dependencies]"));
        }
        let (above, below) = (floor(from)?, floor(to)?);
        (below >= above)
            .then(|| format!("{from} (floor {above}) uses {to} (floor {below}): not a lower floor"))
    });
    unknown.chain(wrong).collect()
}

/// Complaints about dependencies used outside their homes; tests are no exception.
pub(crate) fn homes(metadata: &Value) -> Vec<String> {
    edges(metadata)
        .into_iter()
        .filter_map(|Edge { from, to, .. }| {
            let (_, homes) = HOMES.iter().find(|(name, _)| matches(name, to))?;
            (!homes.contains(&from))
                .then(|| format!("{from} uses {to}: its home is {}", homes.join(", ")))
        })
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn floor(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, floor)| *floor)
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn members(metadata: &Value) -> impl Iterator<Item = &str> {
    packages(metadata).filter_map(|package| package["name"].as_str())
}

fn edges(metadata: &Value) -> Vec<Edge<'_>> {
    packages(metadata)
        .flat_map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            dependencies.filter_map(|dependency| {
                Some(Edge {
                    from: package["name"].as_str()?,
                    to: dependency["name"].as_str()?,
                    dev: dependency["kind"] == "dev",
                })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(from: &str, to: &str, kind: Option<&str>) -> Value {
        json!({"packages": [{"name": from, "dependencies": [{"name": to, "kind": kind}]}]})
    }

    #[test]
    fn lower_floors_and_homes_are_fine() {
        for good in [
            one("sanderling-engine", "sanderling-core", None),
            one("sanderling-engine", "sanderling-testkit", Some("dev")),
            one("sanderling-engine", "sqlx", None),
            one("sanderling", "clap_complete", None),
        ] {
            assert!(
                floors(&good).is_empty() && homes(&good).is_empty(),
                "{good}"
            );
        }
    }

    #[test]
    fn higher_floors_same_floors_and_strangers_are_not() {
        for bad in [
            one("sanderling-core", "sanderling-engine", None),
            one("sanderling-engine", "sanderling-store", None),
            one("sanderling-core", "sanderling-sql", Some("dev")),
            one("sanderling-engine", "sanderling-testkit", None),
            one("sanderling-testkit", "sanderling-core", None),
            one("sanderling-utils", "serde", None),
        ] {
            assert_eq!(floors(&bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn dependencies_away_from_home_are_found_also_in_tests() {
        for bad in [
            one("sanderling-worker", "sqlx", None),
            one("sanderling", "sqlx-core", Some("dev")),
            one("sanderling-store", "redis", Some("dev")),
            one("sanderling-worker", "clap", None),
            one("sanderling-worker", "tracing-subscriber", None),
        ] {
            assert_eq!(homes(&bad).len(), 1, "{bad}");
        }
    }
}
