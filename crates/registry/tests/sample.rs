//! The sample fleet at the root of the repository can be read, and says what its comments say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sanderling_core::HostName;
use sanderling_registry::{migrations, tenants};
use sanderling_sql::Dialect;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_sample_tenants_are_312_companies() {
    let hosts = BTreeSet::from([HostName::new("files")]);
    let patterns = ["tenants/*.yaml".to_owned(), "tenants/*.csv".to_owned()];
    let read = tenants::load(root(), &patterns, &hosts).unwrap();
    assert_eq!(read.tenants.len(), 312);
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    let mut plans = BTreeMap::new();
    for tenant in &read.tenants {
        *plans.entry(tenant.labels["plan"].as_str()).or_insert(0) += 1;
        assert!(["eu", "us", "ap"].contains(&tenant.labels["region"].as_str()));
    }
    assert_eq!(
        plans.into_keys().collect::<Vec<_>>(),
        ["enterprise", "free", "team"]
    );
}

#[test]
fn the_sample_migrations_can_be_done_and_undone_on_both_engines() {
    let read = migrations::load(&root().join("migrations"), &Dialect::ALL).unwrap();
    assert_eq!(read.files.len(), 7);
    assert!(read.notes.is_empty(), "{:?}", read.notes);
    for file in &read.files {
        for dialect in Dialect::ALL {
            assert!(!file.statements(dialect).unwrap().is_empty());
            assert!(!file.down_statements(dialect).unwrap().unwrap().is_empty());
        }
    }
}
