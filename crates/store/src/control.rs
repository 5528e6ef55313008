//! The port, verb by verb: arguments are copied into a verb, and the verb is performed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::amend::Amendment;
use sanderling_core::rollout::Action;
use sanderling_core::{
    Bundle, BundleFile, BundleHash, Epoch, Event, HostName, Micros, Nonce, RolloutId, Serves,
    StoreId, TenantId, Version, WorkerId,
};

use crate::perform::Control;
use crate::port::{
    Away, Believed, Budget, Candidate, Command, CommandReceipt, Grant, Held, Hold, HoldRecord,
    Idle, Leadership, NewestTarget, Receipt, RenewedClaim, Report, RolloutRecord, Store,
    StoreError, Submission, Submitted, TargetFilter, TargetRecord, TenantsReceipt, Wanted,
    WorkerRecord, WrittenHostRecord,
};
use crate::verbs::{
    abandon, act, amend, believed, bundles, cancel, cancel_tenants, candidates, events, hold, lead,
    list, newest, note, pause, raise, read, reissue, renew, report, resume, retry, skip, skip_gate,
    start, submit, workers, written_hosts,
};

/// An open store.
pub(crate) struct Handle(pub(crate) Arc<Control>);

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl Store for Handle {
    fn id(&self) -> &StoreId {
        &self.0.id
    }

    async fn now(&self) -> Answer<Micros> {
        self.0.perform(read::Now).await
    }

    async fn put_bundle(&self, bundle: &Bundle) -> Answer<()> {
        let bundle = bundle.clone();
        self.0.perform(bundles::PutBundle { bundle }).await
    }

    async fn bundle(&self, hash: &BundleHash) -> Answer<Option<Bundle>> {
        let hash = hash.clone();
        self.0.perform(bundles::GetBundle { hash }).await
    }

    async fn files_of_version(&self, version: &Version) -> Answer<Vec<BundleFile>> {
        let version = version.clone();
        self.0.perform(bundles::FilesOfVersion { version }).await
    }

    async fn submit(&self, submission: &Submission) -> Answer<Submitted> {
        let submission = submission.clone();
        self.0.perform(submit::Submit { submission }).await
    }

    async fn rollout(&self, id: &RolloutId) -> Answer<Option<RolloutRecord>> {
        let id = id.clone();
        self.0.perform(read::GetRollout { id }).await
    }

    async fn rollouts(&self, active_only: bool, limit: u32) -> Answer<Vec<RolloutRecord>> {
        self.0.perform(read::Rollouts { active_only, limit }).await
    }

    async fn targets(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Answer<Vec<TargetRecord>> {
        let (id, after) = (id.clone(), after.cloned());
        let verb = list::Targets {
            id,
            filter,
            after,
            limit,
        };
        self.0.perform(verb).await
    }

    async fn newest_targets(&self, tenants: &[TenantId]) -> Answer<Vec<NewestTarget>> {
        let tenants = tenants.to_vec();
        self.0.perform(newest::Newest { tenants }).await
    }

    async fn believed(&self, after: Option<&TenantId>, limit: u32) -> Answer<Vec<Believed>> {
        let after = after.cloned();
        self.0.perform(believed::Beliefs { after, limit }).await
    }

    async fn candidates(
        &self,
        hosts: &[HostName],
        serves: &Serves,
        limit: u32,
    ) -> Answer<Vec<Candidate>> {
        let verb = candidates::Candidates {
            hosts: hosts.to_vec(),
            serves: serves.clone(),
            limit,
        };
        self.0.perform(verb).await
    }

    async fn start(
        &self,
        worker: &WorkerId,
        wanted: &[Wanted],
        hosts: &BTreeMap<HostName, Budget>,
        serves: &Serves,
        lease: Duration,
    ) -> Answer<Vec<Grant>> {
        let verb = start::Start {
            worker: worker.clone(),
            wanted: wanted.to_vec(),
            hosts: hosts.clone(),
            serves: serves.clone(),
            lease,
        };
        self.0.perform(verb).await
    }

    async fn renew(
        &self,
        worker: &WorkerId,
        held: &[Held],
        lease: Duration,
    ) -> Answer<Vec<RenewedClaim>> {
        let verb = renew::Renew {
            worker: worker.clone(),
            held: held.to_vec(),
            lease,
        };
        self.0.perform(verb).await
    }

    async fn may_continue(&self, held: &Held) -> Answer<RenewedClaim> {
        let held = held.clone();
        self.0.perform(renew::MayContinue { held }).await
    }

    async fn reissue(
        &self,
        held: &Held,
        at_least: Epoch,
        nonce: &Nonce,
        lease: Duration,
    ) -> Answer<Epoch> {
        let verb = reissue::Reissue {
            held: held.clone(),
            at_least,
            nonce: nonce.clone(),
            lease,
        };
        self.0.perform(verb).await
    }

    async fn abandon(&self, held: &Held) -> Answer<()> {
        let held = held.clone();
        self.0.perform(abandon::Abandon { held }).await
    }

    async fn report(&self, reports: &[Report]) -> Answer<Vec<Receipt>> {
        let reports = reports.to_vec();
        self.0.perform(report::Reporting { reports }).await
    }

    async fn lead(&self, holder: &WorkerId, lease: Duration) -> Answer<Option<Leadership>> {
        let holder = holder.clone();
        self.0.perform(lead::Lead { holder, lease }).await
    }

    async fn resign(&self, leadership: &Leadership) -> Answer<()> {
        let leadership = leadership.clone();
        self.0.perform(lead::Resign { leadership }).await
    }

    async fn act(
        &self,
        leadership: &Leadership,
        id: &RolloutId,
        seen_seq: i64,
        action: &Action,
    ) -> Answer<()> {
        let verb = act::Act {
            leadership: leadership.clone(),
            id: id.clone(),
            seen_seq,
            action: action.clone(),
        };
        self.0.perform(verb).await
    }

    async fn command(
        &self,
        id: &RolloutId,
        command: &Command,
        actor: &str,
    ) -> Answer<CommandReceipt> {
        let (id, actor) = (id.clone(), actor.to_owned());
        match command.clone() {
            Command::Resume {
                acknowledge,
                reason,
            } => {
                let verb = resume::Resume {
                    id,
                    actor,
                    acknowledge,
                    reason,
                };
                self.0.perform(verb).await
            }
            Command::SkipGate { gate, reason } => {
                let verb = skip_gate::SkipGate {
                    id,
                    actor,
                    gate,
                    reason,
                };
                self.0.perform(verb).await
            }
            Command::Pause { reason } => self.0.perform(pause::Pause { id, actor, reason }).await,
            Command::Retry { class, reason } => {
                let verb = retry::Retry {
                    id,
                    actor,
                    what: retry::What::Failed(class),
                    reason,
                };
                self.0.perform(verb).await
            }
            Command::RetryNotStarted { reason } => {
                let verb = retry::Retry {
                    id,
                    actor,
                    what: retry::What::NotStarted,
                    reason,
                };
                self.0.perform(verb).await
            }
            Command::Amend(amend) => self.0.perform(amend::Amending { id, actor, amend }).await,
            Command::Skip { tenant, reason } => {
                let verb = skip::Skip {
                    id,
                    actor,
                    tenant,
                    reason,
                };
                self.0.perform(verb).await
            }
            Command::Cancel { reason } => {
                self.0.perform(cancel::Cancel { id, actor, reason }).await
            }
        }
    }

    async fn hold(&self, hold: &Hold, actor: &str) -> Answer<TenantsReceipt> {
        let (hold, actor) = (hold.clone(), actor.to_owned());
        self.0.perform(hold::Pin { hold, actor }).await
    }

    async fn release(&self, tenants: &[TenantId], actor: &str) -> Answer<TenantsReceipt> {
        let (tenants, actor) = (tenants.to_vec(), actor.to_owned());
        self.0.perform(hold::LetGo { tenants, actor }).await
    }

    async fn cancel_tenants(
        &self,
        tenants: &[TenantId],
        reason: &str,
        actor: &str,
    ) -> Answer<TenantsReceipt> {
        let verb = cancel_tenants::CancelTenants {
            tenants: tenants.to_vec(),
            reason: reason.to_owned(),
            actor: actor.to_owned(),
        };
        self.0.perform(verb).await
    }

    async fn amendments(&self) -> Answer<Vec<Amendment>> {
        self.0.perform(amend::Amendments).await
    }

    async fn holds(&self) -> Answer<Vec<HoldRecord>> {
        self.0.perform(hold::Holds).await
    }

    async fn events(&self, id: &RolloutId, after_seq: i64, limit: u32) -> Answer<Vec<Event>> {
        let id = id.clone();
        let verb = events::Events {
            id,
            after_seq,
            limit,
        };
        self.0.perform(verb).await
    }

    async fn note(&self, actor: &str, verb: &str, detail: &str) -> Answer<()> {
        let verb = note::Note {
            actor: actor.to_owned(),
            verb: verb.to_owned(),
            detail: detail.to_owned(),
        };
        self.0.perform(verb).await
    }

    async fn raise_epochs(
        &self,
        epochs: &[(TenantId, Epoch)],
        actor: &str,
        reason: &str,
    ) -> Answer<Vec<TenantId>> {
        let verb = raise::RaiseEpochs {
            epochs: epochs.to_vec(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        };
        self.0.perform(verb).await
    }

    async fn beat(
        &self,
        worker: &WorkerId,
        hosts: &BTreeMap<HostName, Idle>,
        serves: &Serves,
        lease: Duration,
    ) -> Answer<()> {
        let verb = workers::Beat {
            worker: worker.clone(),
            hosts: hosts.clone(),
            serves: serves.clone(),
            lease,
        };
        self.0.perform(verb).await
    }

    async fn away(&self, worker: &WorkerId, hosts: &[Away]) -> Answer<()> {
        let verb = workers::NoteAway {
            worker: worker.clone(),
            hosts: hosts.to_vec(),
        };
        self.0.perform(verb).await
    }

    async fn written_hosts(&self, after: i64) -> Answer<Vec<WrittenHostRecord>> {
        self.0.perform(written_hosts::Since { after }).await
    }

    async fn workers(&self) -> Answer<Vec<WorkerRecord>> {
        self.0.perform(workers::Workers).await
    }
}
