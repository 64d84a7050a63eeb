//! BNG: from the object to a configured pod on its node, and back to the object's status.

mod cleaning;
pub mod conditions;
mod drain;
mod fall_backs;
mod placement;
mod plan;
pub mod publish;
mod reconcile;
mod status;
#[cfg(test)]
mod status_tests;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{Node, Pod, Secret, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use lastmile_crds::{AccessRouter, BNG, SubscriberPolicy, TrustMode};

use super::accessrouter::is_discovered;
use crate::{Chain, context::Context, render::BNG_LABEL, render::config::referenced};

/// The field manager of everything that this controller writes.
pub const MANAGER: &str = "lastmile-operator-bng";

/// Why a gateway could not be reconciled. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or was not there.
    #[error("Kubernetes")]
    Kube(#[from] kube::Error),
    /// The endpoint's certificate could not be made.
    #[error("certificate")]
    Certificate(#[from] rcgen::Error),
    /// The finalizer could not be set or taken away, or the clean-up failed.
    #[error("finalizer")]
    Finalizer(#[source] Box<kube::runtime::finalizer::Error<Error>>),
    /// The certificate authority is not there yet.
    #[error("the certificate authority is not there yet")]
    NoAuthority,
    /// A drain is under way.
    #[error("draining")]
    Draining,
    /// The Job that cleans a node is none.
    #[error("the Job that cleans up")]
    Job(#[from] serde_json::Error),
    /// Not a name for a gateway.
    #[error("name")]
    Name(#[from] lastmile_types::id::ParseIdError),
}

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    let client = context.client.clone();
    let all = watcher::Config::default;
    let ours = || watcher::Config::default().labels(BNG_LABEL);
    let controller = Controller::new(Api::<BNG>::all(client.clone()), all());
    let store = controller.store();
    let (nodes, policies, routers) = (store.clone(), store.clone(), store.clone());
    secrets(&context)
        .into_iter()
        .fold(controller, |controller, secrets| {
            let store = store.clone();
            controller.watches(secrets, all(), move |secret| bngs_of_secret(&store, &secret))
        })
        .owns(Api::<StatefulSet>::all(client.clone()), ours())
        .owns(Api::<Service>::all(client.clone()), ours())
        .owns(Api::<PodDisruptionBudget>::all(client.clone()), ours())
        .watches(Api::<Pod>::all(client.clone()), ours(), |pod| labelled(&pod))
        .watches(Api::<Job>::all(client.clone()), ours(), |job| labelled(&job))
        .watches(Api::<Node>::all(client.clone()), all(), move |_| every(&nodes, None))
        .watches(Api::<SubscriberPolicy>::all(client.clone()), all(), move |policy| {
            every(&policies, policy.namespace())
        })
        .watches(Api::<AccessRouter>::all(client), all(), move |router| listing(&routers, &router))
        .run(
            move |bng, context| {
                let store = store.clone();
                async move { reconcile::reconcile(bng, context, store).await }
            },
            error_policy,
            context,
        )
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Only their metadata is kept.
fn secrets(context: &Context) -> Vec<Api<PartialObjectMeta<Secret>>> {
    let client = &context.client;
    let namespaces = &context.settings.secret_namespaces;
    match namespaces.is_empty() {
        true => vec![Api::all(client.clone())],
        false => namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    }
}

fn labelled(object: &impl ResourceExt) -> Option<ObjectRef<BNG>> {
    let name = object.labels().get(BNG_LABEL)?;
    Some(ObjectRef::new(name).within(&object.namespace().unwrap_or_default()))
}

fn bngs_of_secret(store: &Store<BNG>, secret: &PartialObjectMeta<Secret>) -> Vec<ObjectRef<BNG>> {
    let (name, namespace) = (secret.name_any(), secret.namespace());
    let refers = |bng: &BNG| {
        let own = secret.owner_references().iter().any(|owner| Some(&owner.uid) == bng.uid().as_ref());
        own || referenced(bng).iter().any(|key| key.name == name)
    };
    store
        .state()
        .iter()
        .filter(|bng| bng.namespace() == namespace && refers(bng))
        .map(|bng| ObjectRef::from_obj(&**bng))
        .collect()
}

fn every(store: &Store<BNG>, namespace: Option<String>) -> Vec<ObjectRef<BNG>> {
    let within = |bng: &BNG| namespace.is_none() || bng.namespace() == namespace;
    store.state().iter().filter(|bng| within(bng)).map(|bng| ObjectRef::from_obj(&**bng)).collect()
}

/// Gateways that believe declared routers only: which of them a change is about cannot be seen from the new object alone.
fn listing(store: &Store<BNG>, router: &AccessRouter) -> Vec<ObjectRef<BNG>> {
    let listed_only = |bng: &BNG| bng.spec.trust.mode == TrustMode::ListedOnly;
    let here = |bng: &BNG| bng.namespace() == router.namespace();
    let all = store.state();
    let concerned = all.iter().filter(|bng| !is_discovered(router) && listed_only(bng) && here(bng));
    concerned.map(|bng| ObjectRef::from_obj(&**bng)).collect()
}

fn error_policy(bng: Arc<BNG>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.reconciled("bng", false);
    if matches!(error, Error::NoAuthority) {
        return Action::requeue(Duration::from_secs(1));
    }
    let (namespace, name) = (bng.namespace().unwrap_or_default(), bng.name_any());
    tracing::warn!(namespace, name, "BNG {name} is not reconciled, trying again: {}", Chain(error));
    Action::requeue(Duration::from_secs(5))
}
