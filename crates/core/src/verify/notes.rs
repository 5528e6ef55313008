//! What is no violation and still ought to be said: what could not be seen or judged, and places that look like copies.

use std::collections::BTreeMap;

use super::Facts;
use crate::ids::{StoreId, TenantId};
use crate::ledger::Standing;

/// Tenants named in a note.
const EXAMPLES: usize = 3;

/// One sentence for each thing, with the tenants it is about.
pub(super) fn notes(store: Option<&StoreId>, tenants: &[Facts]) -> Vec<String> {
    let mut about: BTreeMap<String, Vec<&TenantId>> = BTreeMap::new();
    for facts in tenants {
        for note in of_tenant(store, facts) {
            about.entry(note).or_default().push(&facts.tenant);
        }
    }
    about
        .into_iter()
        .map(|(note, tenants)| format!("{}: {note}", named(&tenants)))
        .collect()
}

fn of_tenant(store: Option<&StoreId>, facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(inspection) = &facts.inspection {
        notes.extend(inspection.unseen.iter().cloned());
        if store.is_none() {
            notes.extend(inspection.holders.iter().map(|holder| {
                format!(
                    "{}; without the control store nobody can tell whether it may",
                    holder.what
                )
            }));
        }
    }
    if store.is_some() {
        notes.extend(super::fence::note(facts));
    }
    if store.is_some() && is_copy(facts) {
        notes.push(
            "the control store never claimed it, though its ledger has versions that a rollout applied: it is a copy of \
             another tenant's place, or was renamed, or another store migrated it; it is taken as it stands"
                .to_owned(),
        );
    }
    notes
}

/// Whether a rollout wrote to its ledger, and none of this store's ever had to do with it.
fn is_copy(facts: &Facts) -> bool {
    let Standing::Present { rows, .. } = &facts.standing else {
        return false;
    };
    !facts.moving && facts.belief.is_none() && rows.iter().any(|row| row.rollout.is_some())
}

/// `tenant a`, `2 tenants (a, b)`, `9 tenants (a, b, c and 6 more)`.
fn named(tenants: &[&TenantId]) -> String {
    let names: Vec<&str> = tenants
        .iter()
        .take(EXAMPLES)
        .map(|tenant| tenant.as_str())
        .collect();
    let names = names.join(", ");
    match tenants.len() {
        1 => format!("tenant {names}"),
        n if n <= EXAMPLES => format!("{n} tenants ({names})"),
        n => format!("{n} tenants ({names} and {} more)", n - EXAMPLES),
    }
}
