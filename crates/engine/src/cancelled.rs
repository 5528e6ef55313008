//! A tenant that a person cancels while its claim is at work: how a session hears of it, and what it says then.

use sanderling_core::{ErrorClass, Failure};
use tokio::sync::watch;

/// A person cancelled the tenant before its migration was done.
pub(crate) fn cancelled() -> Failure {
    Failure::new(
        ErrorClass::Cancelled,
        "cancelled",
        "the tenant was cancelled before its migration was done",
    )
}

/// Returns once it was said that the tenant is cancelled; never where nobody can say it any more.
pub(crate) async fn said(cancelled: &mut Option<watch::Receiver<bool>>) {
    if let Some(cancelled) = cancelled
        && cancelled.wait_for(|said| *said).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
