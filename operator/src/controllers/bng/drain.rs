//! The end of a gateway: sessions are stopped, accounted and published before its pod goes.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Node, Pod},
};
use kube::{
    Api, ResourceExt,
    api::DeleteParams,
    runtime::{
        controller::Action,
        events::{Event, EventType},
    },
};
use lastmile_crds::{BNG, BngStatus};
use lastmile_types::BngId;

use super::{Error, cleaning, publish, reconcile::pod_name};
use crate::{Chain, context::Context, endpoint::Endpoint};

/// Whether the drain is over.
enum Drain {
    Over,
    /// Nobody is there to be drained.
    Nobody(String),
    Waiting,
}

/// The finalizer's work, called again and again until it no longer fails.
pub async fn clean_up(bng: Arc<BNG>, context: &Arc<Context>) -> Result<Action, Error> {
    let id = BngId::new(&bng.namespace().unwrap_or_default(), &bng.name_any())?;
    let began = bng.metadata.deletion_timestamp.as_ref().map_or_else(Timestamp::now, |time| time.0);
    let waited = Timestamp::now().duration_since(began).as_secs();
    let limit = i64::from(bng.spec.drain_timeout_seconds);
    let outcome = drain(&bng, &id, context).await?;
    let note = match outcome {
        Drain::Waiting if waited < limit => {
            publish::publish(context, &id).await;
            // An error is how a clean-up says that it is not over.
            return Err(Error::Draining);
        }
        Drain::Over => Note::normal("Drained", "every session was stopped, accounted and published"),
        Drain::Nobody(why) => Note::warning("NotDrained", why),
        Drain::Waiting => Note::warning("DrainTimeout", format!("not drained within {limit} s, going on")),
    };
    tell(&bng, context, "Drain", note).await;
    context.observers.forget(&id, &context.metrics);
    context.published.forget(&id);
    // The rest goes with its owner; the pod must be gone before another gateway of this name may begin.
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), id.namespace());
    match sets.delete(id.name(), &DeleteParams::foreground()).await {
        Err(kube::Error::Api(answer)) if answer.code != 404 => return Err(kube::Error::Api(answer).into()),
        _ => {}
    }
    if let Some(node) = bng.status.as_ref().and_then(|status| status.node.as_deref()) {
        cleaning::order(&bng, node, context).await?;
    }
    Ok(Action::await_change())
}

async fn drain(bng: &BNG, id: &BngId, context: &Arc<Context>) -> Result<Drain, Error> {
    let status = bng.status.clone().unwrap_or_default();
    let Some(node) = &status.node else { return Ok(Drain::Nobody("it was never placed on a node".into())) };
    if Api::<Node>::all(context.client.clone()).get_opt(node).await?.is_none() {
        return Ok(Drain::Nobody(format!("its node {node} is gone")));
    }
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), id.namespace());
    if pods.get_opt(&pod_name(bng)).await?.is_none() {
        return Ok(Drain::Nobody("its pod is gone".into()));
    }
    let Some(address) = address(&status) else { return Ok(Drain::Nobody("its endpoint is not known".into())) };
    context.observers.watch(context, id, address);
    let known = context.trust.borrow().clone();
    let Some(trust) = known else { return Err(Error::NoAuthority) };
    match context.observers.observation(id).status {
        Some(word) if word.drained => Ok(Drain::Over),
        Some(word) if word.draining => Ok(Drain::Waiting),
        _ => {
            order(id, address, &trust, true).await;
            Ok(Drain::Waiting)
        }
    }
}

/// Where its endpoint is.
pub fn address(status: &BngStatus) -> Option<Ipv4Addr> {
    status.endpoint.as_deref()?.split_once(':')?.0.parse().ok()
}

/// Orders a drain or ends it; an order that did not arrive is given again by the next reconciliation.
pub async fn order(id: &BngId, address: Ipv4Addr, trust: &crate::ca::Trust, drain: bool) {
    let what = if drain { "drain" } else { "end its drain" };
    let ordered = match Endpoint::new(id, address, trust) {
        Ok(endpoint) => endpoint.drain(drain).await,
        Err(error) => Err(error),
    };
    match ordered {
        Ok(()) => tracing::info!(bng = %id, "ordered BNG {id} to {what}"),
        Err(error) => tracing::warn!(bng = %id, "BNG {id} did not take the order to {what}: {}", Chain(&error)),
    }
}

/// What an Event says.
pub struct Note {
    type_: EventType,
    reason: &'static str,
    text: String,
}

impl Note {
    /// As it should be.
    pub fn normal(reason: &'static str, text: impl Into<String>) -> Self {
        Self { type_: EventType::Normal, reason, text: text.into() }
    }

    /// Somebody should look at it.
    pub fn warning(reason: &'static str, text: impl Into<String>) -> Self {
        Self { type_: EventType::Warning, reason, text: text.into() }
    }
}

/// Writes an Event about a gateway.
pub async fn tell(bng: &BNG, context: &Context, action: &str, Note { type_, reason, text }: Note) {
    use kube::Resource;
    tracing::info!(bng = bng.name_any(), "BNG {}: {text}", bng.name_any());
    let event = Event { type_, reason: reason.into(), note: Some(text), action: action.into(), secondary: None };
    if let Err(error) = context.recorder.publish(&event, &bng.object_ref(&())).await {
        tracing::debug!("an Event was not written: {}", Chain(&error));
    }
}

/// How soon a drain is looked at again.
pub const AGAIN: Duration = Duration::from_millis(700);
