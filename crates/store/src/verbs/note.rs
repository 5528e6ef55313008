//! `note`: an operator's act that changed no rollout of ours, kept beside those that did.

use async_trait::async_trait;

use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};

/// The arguments of `Store::note`.
pub(crate) struct Note {
    pub(crate) actor: String,
    pub(crate) verb: String,
    pub(crate) detail: String,
}

#[async_trait]
impl Verb for Note {
    type Out = ();
    const NAME: &str = "note";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let sql =
            "INSERT INTO audit (fleet, at, actor, verb, rollout, state_before, state_after, detail)
            VALUES ($1, {now}, $2, $3, '', '', '', $4)";
        let args = values![
            self.actor.as_str(),
            self.verb.as_str(),
            self.detail.as_str()
        ];
        tx.exec(sql, args).await?;
        Ok(())
    }
}
