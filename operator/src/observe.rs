//! One poller per gateway: asks its endpoint how it is and has that published.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lastmile_types::{BngId, InstanceId, status::BngStatus};
use tokio::task::AbortHandle;

use crate::{
    Chain,
    context::Context,
    controllers::bng::publish,
    endpoint::Endpoint,
    metrics::{Gateway, Metrics},
};

/// How long a poll waits for news.
const WAIT: Duration = Duration::from_secs(10);
/// How long it waits where something is held back from being written.
const WAIT_HELD_BACK: Duration = Duration::from_secs(1);
/// Between two polls, however much news there is.
const PAUSE: Duration = Duration::from_millis(400);

/// What is known of a gateway by its own word.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Its last word.
    pub status: Option<Arc<BngStatus>>,
    /// When it was heard.
    pub heard_at: Option<Timestamp>,
    /// Since when it has not answered, and why.
    pub failing: Option<(Timestamp, String)>,
}

/// The pollers.
#[derive(Default)]
pub struct Observers {
    pollers: Mutex<HashMap<BngId, Poller>>,
}

struct Poller {
    address: Ipv4Addr,
    task: AbortHandle,
    observation: Arc<Mutex<Observation>>,
}

impl Observers {
    /// Starts or goes on polling; another address restarts it.
    pub fn watch(&self, context: &Arc<Context>, id: &BngId, address: Ipv4Addr) {
        let mut pollers = self.pollers.lock().unwrap_or_else(PoisonError::into_inner);
        if pollers.get(id).is_some_and(|poller| poller.address == address) {
            return;
        }
        let observation = Arc::default();
        let task = tokio::spawn(poll(context.clone(), id.clone(), address, Arc::clone(&observation))).abort_handle();
        if let Some(old) = pollers.insert(id.clone(), Poller { address, task, observation }) {
            old.task.abort();
        }
    }

    /// Ends polling.
    pub fn forget(&self, id: &BngId, metrics: &Metrics) {
        if let Some(poller) = self.pollers.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            poller.task.abort();
        }
        let labels = Gateway { bng_id: id.to_string() };
        metrics.gateway_up.remove(&labels);
        metrics.gateway_sessions.remove(&labels);
    }

    /// The instances that the gateways last said they are.
    pub fn instances(&self) -> BTreeMap<BngId, InstanceId> {
        let pollers = self.pollers.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = |poller: &Poller| locked(&poller.observation).status.as_ref().map(|status| status.instance_id);
        pollers.iter().filter_map(|(id, poller)| Some((id.clone(), heard(poller)?))).collect()
    }

    /// What is known now.
    pub fn observation(&self, id: &BngId) -> Observation {
        let pollers = self.pollers.lock().unwrap_or_else(PoisonError::into_inner);
        pollers.get(id).map(|poller| locked(&poller.observation).clone()).unwrap_or_default()
    }

    /// Sessions by policy on all gateways of a namespace, by their last words; `None` before the first.
    pub fn sessions_by_policy(&self, namespace: &str) -> Option<BTreeMap<String, i64>> {
        let pollers = self.pollers.lock().unwrap_or_else(PoisonError::into_inner);
        let here = pollers.iter().filter(|(id, _)| id.namespace() == namespace);
        let words: Vec<_> = here.filter_map(|(_, poller)| locked(&poller.observation).status.clone()).collect();
        (!words.is_empty()).then(|| sum(words.iter().map(|word| &word.policies.sessions)))
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a BTreeMap<String, u32>>) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for (policy, sessions) in counts.flatten() {
        *all.entry(policy.clone()).or_default() += i64::from(*sessions);
    }
    all
}

fn locked(observation: &Mutex<Observation>) -> std::sync::MutexGuard<'_, Observation> {
    observation.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn poll(context: Arc<Context>, id: BngId, address: Ipv4Addr, observation: Arc<Mutex<Observation>>) {
    let mut trust = context.trust.subscribe();
    let labels = Gateway { bng_id: id.to_string() };
    loop {
        let known = trust.borrow_and_update().clone();
        let Some(known) = known else {
            if trust.changed().await.is_err() {
                return;
            }
            continue;
        };
        match Endpoint::new(&id, address, &known) {
            Ok(endpoint) => {
                tokio::select! {
                    () = poll_endpoint(&context, &id, &endpoint, &observation, &labels) => (),
                    // Renewed certificates need a new client.
                    _ = trust.changed() => (),
                }
            }
            Err(error) => {
                tracing::error!(bng = %id, "no client for the gateway's endpoint: {}", Chain(&error));
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
    }
}

async fn poll_endpoint(
    context: &Arc<Context>,
    id: &BngId,
    endpoint: &Endpoint,
    observation: &Mutex<Observation>,
    labels: &Gateway,
) {
    let (mut after, mut wait) = (0, Duration::ZERO);
    loop {
        let answer = endpoint.status(after, wait).await;
        let now = Timestamp::now();
        let up = context.metrics.gateway_up.get_or_create_owned(labels);
        let pause = match answer {
            Ok(status) => {
                up.set(1);
                context.metrics.gateway_sessions.get_or_create_owned(labels).set(i64::from(status.sessions.total));
                after = status.version;
                *locked(observation) =
                    Observation { status: Some(Arc::new(status)), heard_at: Some(now), failing: None };
                PAUSE
            }
            Err(error) => {
                up.set(0);
                after = 0;
                let mut known = locked(observation);
                let since = known.failing.as_ref().map_or(now, |(since, _)| *since);
                known.failing = Some((since, Chain(&error).to_string()));
                Duration::from_secs(1)
            }
        };
        wait = match publish::publish(context, id).await {
            publish::Outcome::HeldBack => WAIT_HELD_BACK,
            publish::Outcome::Current => WAIT,
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policys_sessions_are_those_of_all_gateways() {
        let counts = |counts: &[(&str, u32)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let (one, other) = (counts(&[("gold", 2)]), counts(&[("gold", 1), ("silver", 4)]));
        assert_eq!(sum([&one, &other].into_iter()), [("gold".to_owned(), 3), ("silver".to_owned(), 4)].into());
    }
}
