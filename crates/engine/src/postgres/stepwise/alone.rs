//! Statements that must run alone: what is asked before the first time, after a crash, and after they broke off.

use sanderling_core::{ErrorClass, Failure};
use sanderling_sql::{Alone, Trace};

use super::traces::{Attached, Named, Seen};
use crate::port::Step;
use crate::postgres::connect::{Connection, text};
use crate::postgres::errors::{ServerError, Trouble};
use crate::postgres::guard::Guard;
use crate::postgres::names::literal;

/// What is known of a statement whose end nobody heard.
pub(super) enum Verdict {
    /// It took effect.
    Done,
    /// It did not, and nothing of it is left: it may be sent.
    Again,
    /// A person has to decide.
    Open(Box<Failure>),
}

/// What a statement does, as far as the catalog shows it.
enum Mark {
    Made { index: Named, if_not_exists: bool },
    Gone { index: Named, if_exists: bool },
    Rebuilt { named: Named, is_table: bool },
    Detached { parent: Named, partition: Named },
    Repeatable,
    Unknown,
}

/// One such statement.
pub(super) struct Lonely<'a> {
    guard: &'a Guard,
    step: &'a Step<'a>,
    alone: &'a Alone,
    mark: Mark,
}

impl<'a> Lonely<'a> {
    /// Takes the statement's names apart.
    pub(super) fn new(
        guard: &'a Guard,
        step: &'a Step<'a>,
        alone: &'a Alone,
    ) -> Result<Self, Failure> {
        let named = |schema: &Option<String>, name: &str| {
            Named::new(&guard.schema, schema.as_deref(), name)
        };
        let mark = match &alone.trace {
            Trace::IndexMade {
                schema,
                name,
                if_not_exists,
            } => Mark::Made {
                index: named(schema, name)?,
                if_not_exists: *if_not_exists,
            },
            Trace::IndexGone {
                schema,
                name,
                if_exists,
            } => Mark::Gone {
                index: named(schema, name)?,
                if_exists: *if_exists,
            },
            Trace::Rebuilt {
                table,
                schema,
                name,
            } => Mark::Rebuilt {
                named: named(schema, name)?,
                is_table: *table,
            },
            Trace::Detached {
                parent_schema,
                parent,
                schema,
                name,
            } => Mark::Detached {
                parent: named(parent_schema, parent)?,
                partition: named(schema, name)?,
            },
            Trace::Repeatable => Mark::Repeatable,
            Trace::Unknown => Mark::Unknown,
        };
        Ok(Self {
            guard,
            step,
            alone,
            mark,
        })
    }

    /// What it is called.
    pub(super) fn what(&self) -> &'static str {
        self.alone.what
    }

    /// Whether it waits until every older transaction has ended.
    pub(super) fn waits_for_all(&self) -> bool {
        self.alone.waits_for_all
    }

    /// Why the statement may not be announced for the first time: afterwards, what stands in the catalog under its
    /// index's name is taken for its own.
    pub(super) async fn before(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<Failure>, Trouble> {
        match &self.mark {
            Mark::Made {
                index,
                if_not_exists,
            } => Ok(match index.look(connection).await? {
                Seen::Nothing => None,
                Seen::Invalid => Some(Failure::new(
                    ErrorClass::Precondition,
                    "invalid_index",
                    format!(
                        "index {called} is there and INVALID, and this migration did not begin it: make sure that nobody is building \
                         it now, DROP INDEX CONCURRENTLY {called}, and retry",
                        called = index.ident
                    ),
                )),
                _ if *if_not_exists => None,
                _ => Some(Failure::new(
                    ErrorClass::MigrationSql,
                    "42P07",
                    format!("{} is there already", index.ident),
                )),
            }),
            Mark::Gone {
                index,
                if_exists: false,
            } => Ok((index.look(connection).await? == Seen::Nothing).then(|| {
                Failure::new(
                    ErrorClass::MigrationSql,
                    "42704",
                    format!("there is no index {}", index.ident),
                )
            })),
            Mark::Detached { parent, partition } => {
                Ok(match partition.attached_to(parent, connection).await? {
                    Attached::Yes => None,
                    Attached::No => Some(Failure::new(
                        ErrorClass::MigrationSql,
                        "42P01",
                        format!("{} is not a partition of {}", partition.ident, parent.ident),
                    )),
                    Attached::Pending => Some(Failure::new(
                        ErrorClass::Precondition,
                        "pending_detach",
                        format!(
                            "a detach of {} is pending, and this migration did not begin it: make sure that nobody is at it now, \
                             {}, and take the statement out",
                            partition.ident,
                            finalize(parent, partition)
                        ),
                    )),
                })
            }
            _ => Ok(None),
        }
    }

    /// What became of the statement, whose end nobody heard. What it left half done is cleared away.
    pub(super) async fn after(&self, connection: &mut Connection) -> Result<Verdict, Trouble> {
        match &self.mark {
            Mark::Made { index, .. } => match index.look(connection).await? {
                Seen::Valid => Ok(Verdict::Done),
                Seen::NoIndex => Ok(Verdict::Open(Box::new(self.undecided()))),
                Seen::Nothing | Seen::Invalid => {
                    self.clear(connection).await?;
                    Ok(Verdict::Again)
                }
            },
            Mark::Gone { index, .. } => Ok(match index.look(connection).await? {
                Seen::Nothing => Verdict::Done,
                _ => Verdict::Again,
            }),
            Mark::Rebuilt { .. } => {
                self.clear(connection).await?;
                Ok(Verdict::Again)
            }
            Mark::Detached { parent, partition } => {
                match partition.attached_to(parent, connection).await? {
                    Attached::Yes => return Ok(Verdict::Again),
                    Attached::No => {}
                    Attached::Pending => {
                        connection.rows(finalize(parent, partition)).await?;
                    }
                }
                Ok(Verdict::Done)
            }
            Mark::Repeatable => Ok(Verdict::Again),
            Mark::Unknown => Ok(Verdict::Open(Box::new(self.undecided()))),
        }
    }

    /// Clears away what the statement left when it broke off: indexes that answer no query and may cost every write.
    /// Says which.
    pub(super) async fn clear(&self, connection: &mut Connection) -> Result<Vec<String>, Trouble> {
        let left = match &self.mark {
            Mark::Made { index, .. } => match index.look(connection).await? {
                Seen::Invalid => vec![index.ident.clone()],
                _ => Vec::new(),
            },
            Mark::Rebuilt { named, is_table } => named.leftovers(connection, *is_table).await?,
            _ => Vec::new(),
        };
        for index in &left {
            drop_invalid(connection, index)
                .await
                .map_err(|trouble| of_toast(trouble, index))?;
        }
        Ok(left)
    }

    /// Why the statement, which met no error, has not done what it is for.
    pub(super) async fn unproved(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<Failure>, Trouble> {
        let index = match &self.mark {
            Mark::Made { index, .. } => index,
            Mark::Rebuilt {
                named,
                is_table: false,
            } => named,
            _ => return Ok(None),
        };
        let is = match index.look(connection).await? {
            Seen::Valid => return Ok(None),
            Seen::Invalid => "INVALID",
            Seen::NoIndex => "not an index",
            Seen::Nothing => "not there",
        };
        Ok(Some(Failure::new(
            ErrorClass::MigrationSql,
            "invalid_index",
            format!("it met no error, yet {} is {is}", index.ident),
        )))
    }

    /// What an error that broke the statement off may have left and nothing clears away: then it stays announced, and
    /// the next attempt, or a person, says what became of it.
    pub(super) async fn half_done(
        &self,
        connection: &mut Connection,
        class: ErrorClass,
    ) -> Result<Option<&'static str>, Trouble> {
        Ok(match &self.mark {
            Mark::Unknown if breaks_off(class) => Some("what it did before that is not known"),
            Mark::Detached { parent, partition } => {
                match partition.attached_to(parent, connection).await? {
                    Attached::Yes => None,
                    Attached::Pending => {
                        Some("its detach is left pending, and the next attempt ends it by FINALIZE")
                    }
                    Attached::No => {
                        Some("yet the partition is detached, which the next attempt notes")
                    }
                }
            }
            _ => None,
        })
    }

    fn undecided(&self) -> Failure {
        let (tenant, version) = (&self.guard.tenant, self.step.version);
        Failure::new(
            ErrorClass::Precondition,
            "undecided",
            format!(
                "{what} was begun here, its end was not heard, and the catalog cannot tell whether it took effect: look at the \
                 tenant, then say `sanderling repair step --tenant {tenant} --version {version} --done --reason \"…\"`, or \
                 `--again` if it did not",
                what = self.alone.what
            ),
        )
    }
}

/// What ends a detach that broke off.
fn finalize(parent: &Named, partition: &Named) -> String {
    format!(
        "ALTER TABLE {} DETACH PARTITION {} FINALIZE",
        parent.ident, partition.ident
    )
}

/// Whether an error of the class can end a statement after a part of it has taken effect: the server's limits, its
/// resources and its own faults strike anywhere.
fn breaks_off(class: ErrorClass) -> bool {
    [
        ErrorClass::LockTimeout,
        ErrorClass::Timeout,
        ErrorClass::Cancelled,
        ErrorClass::Deadlock,
        ErrorClass::Resource,
        ErrorClass::Internal,
        ErrorClass::Connection,
    ]
    .contains(&class)
}

async fn drop_invalid(connection: &mut Connection, index: &str) -> Result<(), Trouble> {
    if let Some(held) = held_by_others(connection, index).await? {
        return Err(Trouble::Server(held));
    }
    let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
    connection.rows(drop).await.map(|_| ())
}

/// The server lets nobody but a superuser into its schema of TOAST tables.
fn of_toast(mut trouble: Trouble, index: &str) -> Trouble {
    if let Trouble::Server(error) = &mut trouble
        && error.code == "42501"
        && index.starts_with("pg_toast.")
    {
        error.message = format!(
            "{}; a superuser has to say DROP INDEX CONCURRENTLY {index}",
            error.message
        );
    }
    trouble
}

/// An INVALID index may be one that somebody is building at this moment: to drop it would end the build in a deadlock.
/// Who builds or repairs one holds its table against others who would.
async fn held_by_others(
    connection: &mut Connection,
    index: &str,
) -> Result<Option<ServerError>, Trouble> {
    let called = match literal(index) {
        Ok(called) => called,
        Err(failure) => return Err(Trouble::Lost(failure)),
    };
    let ask = format!(
        "SELECT k.pid::text FROM pg_catalog.pg_locks k JOIN pg_catalog.pg_index x ON k.relation OPERATOR(pg_catalog.=) x.indrelid
         WHERE x.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({called})::oid
         AND k.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
         WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
         AND k.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
         AND k.mode OPERATOR(pg_catalog.=) ANY (ARRAY['ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
         'ExclusiveLock', 'AccessExclusiveLock']::text[])"
    );
    let rows = connection.rows(ask).await?;
    let pid = rows.first().and_then(|row| text(row, 0));
    Ok(pid.map(|pid| ServerError {
        code: "55P03".to_owned(),
        message: format!(
            "session {pid} holds the table of index {index}, perhaps to build it: nothing is dropped under its hands; see              pg_stat_progress_create_index, and try again when it is done"
        ),
        position: None,
    }))
}
