//! What is asked by machines: metrics, and whether the process lives and can work.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sanderling_telemetry::{CONTENT_TYPE, Metrics};

/// Whether the process can work; where it cannot, why.
pub type Ready = dyn Fn() -> Result<(), String> + Send + Sync;

/// The routes.
pub(crate) fn routes(metrics: Metrics, ready: Arc<Ready>) -> Router {
    Router::new()
        .route("/metrics", get(move || async move { text(&metrics) }))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(ready()) }))
}

fn text(metrics: &Metrics) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response()
        }
    }
}

fn readiness(ready: Result<(), String>) -> Response {
    match ready {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        )
            .into_response(),
    }
}
