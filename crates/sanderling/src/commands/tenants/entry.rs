//! A tenant as scripts see it.

use sanderling_coordinator::TenantReport;
use sanderling_core::Failure;
use sanderling_store::{HoldRecord, NewestTarget};
use serde_json::{Value, json};

use crate::render;

/// The document of one tenant; `store` says whether a control store was read.
pub(super) fn entry(report: &TenantReport, store: bool) -> Value {
    let tenant = &report.tenant;
    json!({
        "tenant": tenant.id,
        "host": tenant.place.host,
        "database": tenant.place.database,
        "schema": tenant.place.schema,
        "file": tenant.place.file,
        "labels": tenant.labels,
        "size": tenant.size,
        "state": report.state,
        "version": report.version,
        "to_apply": report.to_apply,
        "remark": report.remark,
        "held": store.then_some(report.hold.is_some()),
        "hold": report.hold.as_ref().map(hold),
        "newest": report.newest.as_ref().map(newest),
    })
}

fn hold(hold: &HoldRecord) -> Value {
    json!({
        "actor": hold.actor,
        "reason": hold.reason,
        "at": render::time(hold.at),
        "until": hold.until.map(render::time),
    })
}

fn newest(newest: &NewestTarget) -> Value {
    let record = &newest.record;
    json!({
        "rollout": record.target.rollout,
        "rollout_state": newest.state,
        "target": record.version,
        "outcome": record.outcome,
        "in_flight": newest.in_flight,
        "applied": record.applied,
        "failure": record.failure.as_ref().map(failure),
    })
}

fn failure(failure: &Failure) -> Value {
    json!({
        "cause": failure.cause.to_string(),
        "class": failure.cause.class,
        "code": failure.cause.code,
        "message": failure.message,
        "version": failure.cause.version,
        "statement": failure.cause.statement,
        "file": failure.file,
        "line": failure.line,
    })
}
