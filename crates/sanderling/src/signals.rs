//! SIGINT and SIGTERM: the first drains, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Interrupt};
use crate::printer::Printer;

/// What the signals have asked for so far.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    drain: CancellationToken,
    seen: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on. `advice` is said on the first signal.
    pub(crate) fn listen(printer: Printer, advice: &'static str) -> anyhow::Result<Self> {
        let (mut int, mut term) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let signals = Self {
            drain: CancellationToken::new(),
            seen: Arc::default(),
        };
        let this = signals.clone();
        tokio::spawn(async move {
            loop {
                let interrupt = tokio::select! {
                    Some(()) = int.recv() => Interrupt::Sigint,
                    Some(()) = term.recv() => Interrupt::Sigterm,
                    else => return,
                };
                let exit = Exit::Interrupted(interrupt);
                if this.seen.swap(exit.code(), Ordering::SeqCst) == 0 {
                    printer.talk(advice);
                    this.drain.cancel();
                } else {
                    end_now(exit);
                }
            }
        });
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub(crate) fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// The exit that the first signal asks for, if there was one.
    pub(crate) fn exit(&self) -> Option<Exit> {
        [Interrupt::Sigint, Interrupt::Sigterm]
            .map(Exit::Interrupted)
            .into_iter()
            .find(|exit| exit.code() == self.seen.load(Ordering::SeqCst))
    }
}

/// Every moment is a safe point to die at: a migration that is cut off rolls back or is found by its ledger row.
#[expect(clippy::exit, reason = "the second signal means now")]
fn end_now(exit: Exit) {
    std::process::exit(i32::from(exit.code()))
}
