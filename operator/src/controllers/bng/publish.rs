//! Writes a gateway's status, no more often than a reader needs it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use lastmile_crds::{BNG, BngStatus};
use lastmile_types::BngId;
use serde_json::json;

use super::{
    MANAGER,
    fall_backs::FallBacks,
    status::{Prepared, status},
};
use crate::{Chain, context::Context};

/// Between two writes that only change numbers of sessions.
const COUNTS: Duration = Duration::from_secs(2);
/// Between two writes that only change load and times.
const LOAD: Duration = Duration::from_secs(30);

/// What is known of each gateway's status.
#[derive(Default)]
pub struct Published {
    entries: Mutex<HashMap<BngId, Arc<tokio::sync::Mutex<Entry>>>>,
}

struct Entry {
    bng: Arc<BNG>,
    prepared: Prepared,
    written: BngStatus,
    at: Option<Instant>,
    fall_backs: FallBacks,
}

/// Whether the status in Kubernetes is the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Current,
    /// Something is held back for a moment.
    HeldBack,
}

impl Published {
    /// Takes what the reconciler prepared.
    pub async fn prepare(&self, id: &BngId, bng: &Arc<BNG>, prepared: Prepared) {
        let entry = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || {
                let written = bng.status.clone().unwrap_or_default();
                Arc::new(tokio::sync::Mutex::new(Entry {
                    bng: bng.clone(),
                    prepared: prepared.clone(),
                    written,
                    at: None,
                    fall_backs: FallBacks::default(),
                }))
            };
            entries.entry(id.clone()).or_insert_with(fresh).clone()
        };
        let mut entry = entry.lock().await;
        if entry.bng.meta().uid != bng.meta().uid {
            // Another object of the same name.
            entry.written = bng.status.clone().unwrap_or_default();
        }
        entry.bng = bng.clone();
        entry.prepared = prepared;
    }

    /// Forgets a gateway.
    pub fn forget(&self, id: &BngId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Writes the status if it is due.
pub async fn publish(context: &Context, id: &BngId) -> Outcome {
    let entry = context.published.entries.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
    let Some(entry) = entry else { return Outcome::Current };
    let mut entry = entry.lock().await;
    let observation = context.observers.observation(id);
    let bng = entry.bng.clone();
    entry.fall_backs.announce(context, &bng, observation.status.as_deref()).await;
    let fresh = status(&entry.prepared, &observation, &entry.written, Timestamp::now());
    if fresh == entry.written {
        return Outcome::Current;
    }
    if !due(&entry.written, &fresh, entry.at.map(|at| at.elapsed())) {
        let only_load = entry.written.sessions == fresh.sessions;
        return if only_load { Outcome::Current } else { Outcome::HeldBack };
    }
    match write(context, id, &fresh).await {
        Ok(()) => {
            announce(context, &entry.bng, &entry.written, &fresh).await;
            entry.written = fresh;
            entry.at = Some(Instant::now());
            Outcome::Current
        }
        Err(kube::Error::Api(answer)) if answer.code == 404 => Outcome::Current,
        Err(error) => {
            tracing::warn!(bng = %id, "the status of BNG {id} is not written, trying again: {}", Chain(&error));
            Outcome::HeldBack
        }
    }
}

/// Conditions and places are written at once, numbers of sessions every two seconds, all else every thirty.
fn due(written: &BngStatus, fresh: &BngStatus, since: Option<Duration>) -> bool {
    let Some(since) = since else { return true };
    let told = |status: &BngStatus| BngStatus {
        sessions: None,
        cpu: None,
        memory: None,
        last_event_seq: None,
        committed_event_seq: None,
        last_heartbeat: None,
        ..status.clone()
    };
    told(written) != told(fresh) || since >= LOAD || (written.sessions != fresh.sessions && since >= COUNTS)
}

async fn write(context: &Context, id: &BngId, status: &BngStatus) -> Result<(), kube::Error> {
    let api: Api<BNG> = Api::namespaced(context.client.clone(), id.namespace());
    let patch = json!({
        "apiVersion": BNG::api_version(&()), "kind": BNG::kind(&()), "metadata": { "name": id.name() }, "status": status,
    });
    api.patch_status(id.name(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&patch)).await.map(drop)
}

/// An Event where Ready changed; a pod that is only on its way is no news.
async fn announce(context: &Context, bng: &BNG, before: &BngStatus, now: &BngStatus) {
    let ready = |status: &BngStatus| status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned();
    let (was, Some(is)) = (ready(before), ready(now)) else { return };
    if was.is_some_and(|was| was.status == is.status && was.reason == is.reason)
        || is.status == "Unknown"
        || is.reason == "NoPod"
    {
        return;
    }
    let event = Event {
        type_: if is.status == "True" { EventType::Normal } else { EventType::Warning },
        reason: is.reason,
        note: Some(is.message),
        action: "Reconcile".into(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &bng.object_ref(&())).await {
        tracing::debug!("an Event was not written: {}", Chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wait_and_conditions_do_not() {
        let old = BngStatus { phase: Some("Running".into()), ..BngStatus::default() };
        let load = BngStatus { cpu: Some("3m".into()), ..old.clone() };
        let counts = BngStatus { sessions: Some(lastmile_crds::SessionCounts::default()), ..old.clone() };
        let phase = BngStatus { phase: Some("Degraded".into()), ..old.clone() };
        let after = |fresh: &BngStatus, seconds| due(&old, fresh, Some(Duration::from_secs(seconds)));
        assert!(!after(&load, 29) && after(&load, 30));
        assert!(!after(&counts, 1) && after(&counts, 2));
        assert!(after(&phase, 0));
        assert!(due(&old, &load, None), "the first is written at once");
    }
}
