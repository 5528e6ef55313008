//! Questions that are out: an answer takes time, and neither leadership nor another rollout waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use sanderling_core::gate::{Gate, Measurement, Question};
use sanderling_core::{Rollout, RolloutId};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::Providers;

/// Questions by the rollout that waits for them; each stands at one gate at most.
#[derive(Default)]
pub(crate) struct Asked {
    out: HashMap<RolloutId, Out>,
    answered: Arc<Notify>,
}

/// One question that is out.
struct Out {
    question: Question,
    answer: oneshot::Receiver<Measurement>,
    task: AbortHandle,
}

impl Asked {
    /// The answer to a question if it is there; asks where nobody has. An answer to another question, of an earlier
    /// evaluation say, is thrown away.
    pub(crate) fn answer(
        &mut self,
        providers: &Arc<Providers>,
        rollout: &Rollout,
        question: &Question,
    ) -> Option<Measurement> {
        if let Some(mut out) = self.out.remove(&rollout.id) {
            if out.question == *question {
                match out.answer.try_recv() {
                    Ok(measurement) => return Some(measurement),
                    Err(TryRecvError::Empty) => {
                        self.out.insert(rollout.id.clone(), out);
                        return None;
                    }
                    // Its task broke down: it is asked again.
                    Err(TryRecvError::Closed) => {}
                }
            } else {
                out.task.abort();
            }
        }
        let gate = rollout.waves.get(question.wave)?.gates.get(question.gate)?;
        self.ask(providers.clone(), &rollout.id, gate.gate.clone(), question);
        None
    }

    fn ask(&mut self, providers: Arc<Providers>, id: &RolloutId, gate: Gate, question: &Question) {
        let (asked, answered) = (question.clone(), self.answered.clone());
        let (sender, answer) = oneshot::channel();
        let task = tokio::spawn(async move {
            let measurement = providers.measure(&gate, &asked).await;
            // Whoever asked may have gone meanwhile.
            let _ = sender.send(measurement);
            answered.notify_one();
        });
        let out = Out {
            question: question.clone(),
            answer,
            task: task.abort_handle(),
        };
        self.out.insert(id.clone(), out);
    }

    /// Keeps the questions of these rollouts alone: nobody waits for the others any more.
    pub(crate) fn only(&mut self, waiting: impl Fn(&RolloutId) -> bool) {
        self.out.retain(|id, out| {
            let kept = waiting(id);
            if !kept {
                out.task.abort();
            }
            kept
        });
    }

    /// Who no longer leads forgets what it asked.
    pub(crate) fn forget(&mut self) {
        for (_, out) in self.out.drain() {
            out.task.abort();
        }
    }

    /// Is notified when an answer has come in.
    pub(crate) fn answered(&self) -> Arc<Notify> {
        self.answered.clone()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.forget();
    }
}
