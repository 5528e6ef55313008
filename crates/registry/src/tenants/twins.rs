//! Two tenants with one id, and two tenants in one place.

use std::collections::HashMap;

use sanderling_core::Place;

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
            if let Some(first) = places.insert(key(&tenant.place, sink), index) {
                found.push((index, lives_there(sink, &tenant.place, first)));
            }
        }
    }
    for (index, message) in found {
        let id = sink.tenants[index].id.clone();
        sink.problem(sink.places[index], Some(id.as_str()), message);
    }
}

/// Two places can be one under two names; then both names are said.
fn lives_there(sink: &Sink<'_>, place: &Place, first: usize) -> String {
    let other = &sink.tenants[first];
    let named = if other.place == *place {
        String::new()
    } else {
        format!(" (written as {}, which is the same place)", other.place)
    };
    format!(
        "lives at {place}, and so does tenant {:?} at {}{named}; one place holds one tenant",
        other.id.as_str(),
        sink.show(sink.places[first])
    )
}

/// Server, database, schema, file. An address has a colon, which no alias has.
type Key<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// A place with its host's defaults filled in; a whole database is its schema `public`.
///
/// A server may have several names: a host of the settings, another one beside it, a row's URL. Its address is one.
fn key<'a>(place: &'a Place, sink: &'a Sink<'_>) -> Key<'a> {
    let (own, address) = match sink.hosts.get(&place.host) {
        Some(HostKind::Server { database, address }) => (database.as_deref(), address.as_deref()),
        _ => (None, None),
    };
    let implicit = || Some(sink.implicit.get(&place.host)?.0.address.as_str());
    let server = address.or_else(implicit).unwrap_or(place.host.as_str());
    let database = place.database.as_deref().or(own);
    let whole = place.database.is_some() && place.file.is_none();
    let schema = place.schema.as_deref().or(whole.then_some("public"));
    (server, database, schema, place.file.as_deref())
}
