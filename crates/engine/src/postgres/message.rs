//! The one message that takes a tenant through a version: what is in it, and which part of it an error belongs to.

use sanderling_core::Failure;

use super::connect::milliseconds;
use super::guard::{AS_LOGIN, BETWEEN, CHECKING, Guard, RESET, TRUSTING};
use crate::port::{Limits, Step};

/// What a part of a message is. Each part is one statement, so each completes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Opening the transaction.
    Prologue,
    /// Lock, fence, ledger.
    Guard,
    /// Taking on the role that the migration runs as.
    Role,
    /// A setting of ours between guard and tail.
    Setting,
    /// A statement of a migration: index of the step, index of the statement.
    Body(usize, usize),
    /// The transaction's proof and the ledger row of a step.
    Tail(usize),
    /// COMMIT.
    Commit,
    /// The ledger row, read back.
    Evidence,
    /// Clearing up behind the migration.
    Reset,
}

/// A message under construction, and afterwards the map of it.
#[derive(Default)]
pub(crate) struct Message {
    text: String,
    /// Characters in `text`.
    chars: usize,
    /// Each part with the character it begins at.
    parts: Vec<(Part, usize)>,
}

/// A random word that stands in a message: nothing that a migration says can be taken for it.
pub(crate) fn marker() -> String {
    format!("sd{:032x}", rand::random::<u128>())
}

impl Message {
    /// Lays out the message for these steps, in order, as one transaction. `again`: a version may be in the ledger as
    /// taken back.
    pub(crate) fn new(
        guard: &Guard,
        limits: &Limits,
        steps: &[&Step<'_>],
        database_oid: &str,
        marker: &str,
        again: bool,
    ) -> Result<Self, Failure> {
        let mut message = Self::default();
        message.push(Part::Prologue, "BEGIN");
        message.push(Part::Prologue, TRUSTING);
        let enter = guard.enter(marker, database_oid, steps, again)?;
        message.push(Part::Guard, &enter);
        message.push(Part::Setting, CHECKING);
        let made = steps
            .iter()
            .any(|step| !step.has_ledger && step.direction.is_up());
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                for statement in BETWEEN {
                    message.push(Part::Setting, statement);
                }
                message.push(Part::Setting, &guard.search_path());
            }
            message.body(guard, limits, marker, (index, step))?;
            message.push(Part::Setting, TRUSTING);
            let leave = guard.leave(marker, step, made, again)?;
            message.push(Part::Tail(index), &leave);
        }
        message.commit(guard.assume_role(marker)?);
        if let Some(last) = steps.last() {
            message.push(Part::Evidence, &guard.evidence(marker, last)?);
        }
        for statement in RESET {
            message.push(Part::Reset, statement);
        }
        Ok(message)
    }

    /// A step's statements with the role and the limits that they run under, and the way back to the login role.
    pub(crate) fn body(
        &mut self,
        guard: &Guard,
        limits: &Limits,
        marker: &str,
        (index, step): (usize, &Step<'_>),
    ) -> Result<(), Failure> {
        if let Some(role) = guard.assume_role(marker)? {
            self.push(Part::Role, &role);
        }
        self.limits(limits, step);
        for (number, statement) in step.statements.iter().enumerate() {
            self.push(Part::Body(index, number), &statement.text);
        }
        for statement in AS_LOGIN {
            self.push(Part::Setting, statement);
        }
        Ok(())
    }

    /// The text to send.
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }

    /// The part that an error belongs to, and the character inside it where the server named one. What completed
    /// decides; the position does where nothing completed (the whole message was refused), else it only says where
    /// in the part: it may count bytes (SQL_ASCII), or mean a text that is not ours (an index defined anew).
    pub(crate) fn part_of(
        &self,
        position: Option<usize>,
        completed: usize,
    ) -> (Part, Option<usize>) {
        let last = self.parts.len().saturating_sub(1);
        let counted = completed.min(last);
        let placed = position.and_then(|position| {
            let after = self.parts.partition_point(|(_, start)| *start <= position);
            let at = after.checked_sub(1)?;
            let (_, start) = self.parts.get(at)?;
            (completed == 0 || at == counted).then_some((at, position - start))
        });
        let (at, offset) = match placed {
            Some((at, offset)) => (at, Some(offset)),
            None => (counted, None),
        };
        let part = self.parts.get(at).map_or(Part::Prologue, |(part, _)| *part);
        (part, offset)
    }

    /// What a migration has deferred to the commit (triggers, constraints) runs as the role that it runs as, not as
    /// the login role.
    pub(super) fn commit(&mut self, role: Option<String>) {
        if let Some(role) = role {
            self.push(Part::Commit, &role);
            self.push(Part::Commit, "SET CONSTRAINTS ALL IMMEDIATE");
            for statement in AS_LOGIN {
                self.push(Part::Commit, statement);
            }
        }
        self.push(Part::Commit, "COMMIT");
    }

    /// A step's own limits; what it does not set is the session's, set at start-up.
    fn limits(&mut self, limits: &Limits, step: &Step<'_>) {
        let settings = [
            ("lock_timeout", step.lock_timeout_ms, limits.lock_timeout_ms),
            (
                "statement_timeout",
                step.statement_timeout_ms,
                limits.statement_timeout_ms,
            ),
        ];
        for (name, own, session) in settings {
            if let Some(own) = own.filter(|own| *own != session) {
                let value = milliseconds(own);
                self.push(Part::Setting, &format!("SET LOCAL {name} = '{value}'"));
            }
        }
    }

    /// The newline keeps a comment at the end of a piece from swallowing the semicolon.
    pub(super) fn push(&mut self, part: Part, statement: &str) {
        self.parts.push((part, self.chars));
        self.chars += statement.chars().count() + 3;
        self.text.push_str(statement);
        self.text.push_str("\n;\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Message {
        let mut message = Message::default();
        message.push(Part::Prologue, "BEGIN");
        message.push(Part::Body(0, 0), "SELECT 'é' -- end");
        message.push(Part::Body(0, 1), "SELECT x");
        message.push(Part::Commit, "COMMIT");
        message
    }

    #[test]
    fn positions_are_characters_and_map_to_parts() {
        let message = sample();
        let at = message
            .text
            .chars()
            .collect::<String>()
            .find("x\n")
            .unwrap();
        let chars = message.text[..at].chars().count();
        assert_eq!(message.part_of(Some(chars), 0), (Part::Body(0, 1), Some(7)));
        assert_eq!(message.part_of(Some(chars), 2), (Part::Body(0, 1), Some(7)));
        assert_eq!(message.part_of(Some(0), 0), (Part::Prologue, Some(0)));
    }

    #[test]
    fn a_position_elsewhere_does_not_move_the_blame() {
        let message = sample();
        // A position in a text of the server's, and one that counts bytes.
        assert_eq!(message.part_of(Some(3), 2), (Part::Body(0, 1), None));
        assert_eq!(message.part_of(Some(999), 1), (Part::Body(0, 0), None));
    }

    #[test]
    fn without_a_position_the_completed_statements_decide() {
        let message = sample();
        assert_eq!(message.part_of(None, 1), (Part::Body(0, 0), None));
        assert_eq!(message.part_of(None, 3), (Part::Commit, None));
        assert_eq!(message.part_of(None, 9), (Part::Commit, None));
    }

    #[test]
    fn a_comment_at_the_end_does_not_swallow_what_follows() {
        assert!(sample().text.contains("-- end\n;\n"));
    }
}
