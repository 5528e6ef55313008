//! The fence against the numbers that the control store gave out, and against the ledger it is written with.

use super::{Facts, ViolationKind};
use crate::ids::{Epoch, StoreId};
use crate::inspection::FenceSight;
use crate::ledger::{LedgerRow, Standing};

/// At most one violation. `is_sound`: the ledger is as the store believes, so that it may speak against the fence.
pub(super) fn check(
    facts: &Facts,
    ours: &StoreId,
    is_sound: bool,
) -> Option<(ViolationKind, String)> {
    let inspection = facts.inspection.as_ref()?;
    let detail = match &inspection.fence {
        FenceSight::Unseen | FenceSight::Absent => None,
        FenceSight::Held { store, epoch } if store != ours => {
            Some(others(facts, store, *epoch, ours))
        }
        FenceSight::Held { epoch, .. } if *epoch > facts.issued => Some(ahead(facts, *epoch)),
        FenceSight::Held { epoch, .. } => proved(facts)
            .filter(|row| is_sound && row.epoch > *epoch)
            .map(|row| behind(*epoch, row)),
    }?;
    Some((ViolationKind::Fence, detail))
}

/// A note, not a violation: a tenant that is moved or restored leaves its fence behind, and that is right.
pub(super) fn note(facts: &Facts) -> Option<String> {
    let inspection = facts.inspection.as_ref()?;
    let row = proved(facts).filter(|_| inspection.fence == FenceSight::Absent)?;
    Some(format!(
        "it has no fence, though version {} was written with one: it was restored without, or the row was deleted; the \
         next claim writes it anew",
        row.version
    ))
}

/// The row of greatest epoch that a claim of the store's wrote at this place, by evidence. A copied ledger has none
/// of the tenant's own.
fn proved(facts: &Facts) -> Option<&LedgerRow> {
    let (Standing::Present { rows, .. }, Some(belief)) = (&facts.standing, &facts.belief) else {
        return None;
    };
    if facts.moving || belief.place != facts.place {
        return None;
    }
    rows.iter()
        .filter(|row| {
            row.state == belief.direction.done()
                && row.rollout.as_ref() == Some(&belief.rollout)
                && belief.applied.contains(&row.version)
        })
        .max_by_key(|row| row.epoch)
}

fn others(facts: &Facts, store: &StoreId, epoch: Epoch, ours: &StoreId) -> String {
    format!(
        "its fence belongs to control store {store} (epoch {epoch}), so every claim of this one ({ours}) is refused: \
         find out who uses {store}; when it is gone for good, `sanderling doctor --take-fence --tenant {} --reason \"…\"`",
        facts.tenant
    )
}

fn ahead(facts: &Facts, epoch: Epoch) -> String {
    format!(
        "its fence is at epoch {epoch}, and this control store has given out none above {}: the store was restored from \
         an older copy, or the place is a copy of another tenant's, or the tenant was renamed; \
         `sanderling repair epochs --tenants id={} --reason \"…\"` raises the store's number (the next claim would too)",
        facts.issued, facts.tenant
    )
}

fn behind(epoch: Epoch, row: &LedgerRow) -> String {
    format!(
        "its fence is at epoch {epoch}, though version {version} was written with it at epoch {was}: it was lowered, and \
         a late message of a dead worker could pass; find out who writes to the fence, and raise its `epoch` to {was} again",
        version = row.version,
        was = row.epoch
    )
}
