//! The guard of the way down: what must be in the ledger before a version is taken back, and what its row says after.

use sanderling_core::{Failure, Version};

use super::errors::state;
use super::guard::Guard;
use super::names::literal;
use crate::port::Step;

impl Guard {
    /// Raises unless each of the versions is in effect, by the text whose Down section follows, and none stands above
    /// them all but themselves.
    pub(super) fn may_undo(&self, steps: &[&Step<'_>]) -> Result<String, Failure> {
        let ledger = self.schema.ledger();
        let mut wanting = Vec::with_capacity(steps.len() + 1);
        let mut versions = Vec::with_capacity(steps.len());
        for step in steps {
            let version = literal(step.version.as_str())?.to_string();
            let texts = texts(step)?;
            wanting.push(format!(
                "NOT EXISTS (SELECT FROM {ledger} WHERE version::text = {version} AND state::text = 'applied' AND checksum::text IN ({texts}))"
            ));
            versions.push(version);
        }
        if let Some(lowest) = steps.iter().map(|step| step.version).min() {
            wanting.push(format!(
                "EXISTS (SELECT FROM {ledger} WHERE state::text <> 'reverted' AND version::text NOT IN ({})
 AND {})",
                versions.join(", "),
                above(lowest)?
            ));
        }
        Ok(format!(
            "IF {} THEN
 RAISE EXCEPTION USING ERRCODE = '{ALREADY}', MESSAGE = 'the ledger does not have the version as its newest';
END IF;
",
            wanting.join("\n OR "),
            ALREADY = state::ALREADY,
        ))
    }

    /// Moves the row of a version that this transaction takes back. The row stays: it is history, and what applying the
    /// version again is compared with.
    pub(super) fn undo_row(&self, step: &Step<'_>) -> Result<String, Failure> {
        let Self {
            rollout,
            worker,
            epoch,
            schema,
            ..
        } = self;
        Ok(format!(
            "UPDATE {ledger} AS l SET name = {name}, checksum = {checksum}, state = 'reverted', step = 0, steps = 0, epoch = {epoch}, rollout = {rollout},
 applied_at = pg_catalog.clock_timestamp(),
 duration_ms = (extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000::numeric)::bigint, applied_by = {worker}
 {ours}
 AND l.version::text = {version} AND l.checksum::text IN ({texts})
 AND l.state::text = 'applied' AND l.epoch <= {epoch}::bigint",
            ledger = schema.ledger(),
            ours = self.ours(),
            version = literal(step.version.as_str())?,
            name = literal(step.name)?,
            checksum = literal(step.checksum.as_str())?,
            texts = texts(step)?,
        ))
    }
}

/// The texts that a version may have been applied from: the bundle's, and those that it was amended from.
fn texts(step: &Step<'_>) -> Result<String, Failure> {
    let others = step.accepted.into_iter().flatten();
    let texts = std::iter::once(step.checksum)
        .chain(others)
        .map(|text| Ok(literal(text.as_str())?.to_string()))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(texts.join(", "))
}

/// Whether a row's version is above another, as versions are compared: as numbers, whatever zeros they begin with.
fn above(version: &Version) -> Result<String, Failure> {
    let digits = version.significant();
    let row = "pg_catalog.ltrim(version::text, '0'::text)";
    Ok(format!(
        "(pg_catalog.length({row}) > {length}::integer OR pg_catalog.length({row}) = {length}::integer AND {row} COLLATE pg_catalog.\"C\" > {digits}::text)",
        length = digits.len(),
        digits = literal(digits)?,
    ))
}
