//! Two tenants with one id, and two tenants in one place.

use std::collections::{BTreeMap, HashMap};

use sanderling_core::{HostName, Place};

use super::check::HostKind;
use super::load::Sink;

/// Finds ids and places that occur twice, and names both ends.
pub(super) fn find(sink: &mut Sink<'_>) {
    let mut found = Vec::new();
    {
        let mut ids: HashMap<&str, usize> = HashMap::with_capacity(sink.tenants.len());
        let mut places: HashMap<Key<'_>, usize> = HashMap::with_capacity(sink.tenants.len());
        for (index, tenant) in sink.tenants.iter().enumerate() {
            if let Some(first) = ids.get(tenant.id.as_str()) {
                found.push((
                    index,
                    format!(
                        "the id is used twice; first at {}",
                        sink.show(sink.places[*first])
                    ),
                ));
                continue;
            }
            ids.insert(tenant.id.as_str(), index);
            if let Some(first) = places.insert(key(&tenant.place, sink.hosts), index) {
                found.push((
                    index,
                    format!(
                        "lives at {}, and so does tenant {:?} at {}; one place holds one tenant",
                        tenant.place,
                        sink.tenants[first].id.as_str(),
                        sink.show(sink.places[first])
                    ),
                ));
            }
        }
    }
    for (index, message) in found {
        let id = sink.tenants[index].id.clone();
        sink.problem(sink.places[index], Some(id.as_str()), message);
    }
}

type Key<'a> = (
    &'a HostName,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

/// A place with its host's defaults filled in.
fn key<'a>(place: &'a Place, hosts: &'a BTreeMap<HostName, HostKind>) -> Key<'a> {
    let own = match hosts.get(&place.host) {
        Some(HostKind::Server { database }) => database.as_deref(),
        _ => None,
    };
    let database = place.database.as_deref().or(own);
    (
        &place.host,
        database,
        place.schema.as_deref(),
        place.file.as_deref(),
    )
}
