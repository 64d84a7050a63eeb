//! SubscriberPolicy: says what became of it. The BNG controller renders it into the gateways' configurations.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::{Controller, controller::Action, reflector::ObjectRef, watcher},
};
use lastmile_crds::{BNG, SubscriberPolicy, SubscriberPolicyStatus};
use serde_json::json;

use super::bng::conditions::Finding;
use crate::{
    Chain,
    context::Context,
    render::policies::{Compiled, compile, rate_text},
};

const MANAGER: &str = "lastmile-operator-policy";
/// How often the numbers of sessions are looked up.
const PERIOD: Duration = Duration::from_secs(3);

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    let api = Api::<SubscriberPolicy>::all(context.client.clone());
    let controller = Controller::new(api.clone(), watcher::Config::default());
    let store = controller.store();
    controller
        // Whether a policy counts depends on the others of its namespace.
        .watches(api, watcher::Config::default(), move |changed| {
            let namespace = changed.namespace();
            let others = store.state().into_iter().filter(|other| other.namespace() == namespace);
            others.map(|other| ObjectRef::from_obj(&*other)).collect::<Vec<_>>()
        })
        .run(reconcile, error_policy, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn error_policy(policy: Arc<SubscriberPolicy>, error: &kube::Error, context: Arc<Context>) -> Action {
    context.metrics.reconciled("policy", false);
    tracing::warn!("SubscriberPolicy {} is not reconciled, trying again: {}", policy.name_any(), Chain(error));
    Action::requeue(Duration::from_secs(5))
}

async fn reconcile(policy: Arc<SubscriberPolicy>, context: Arc<Context>) -> Result<Action, kube::Error> {
    let namespace = policy.namespace().unwrap_or_default();
    let api: Api<SubscriberPolicy> = Api::namespaced(context.client.clone(), &namespace);
    let all = api.list(&ListParams::default()).await?.items;
    let bngs = Api::<BNG>::namespaced(context.client.clone(), &namespace).list(&ListParams::default()).await?;
    // Before the first word of a gateway the last number stays.
    let sessions = context.observers.sessions_by_policy(&namespace);
    let status = status(&policy, &all, bngs.items.len(), sessions.as_ref(), Timestamp::now());
    if policy.status.as_ref() != Some(&status) {
        let patch = json!({
            "apiVersion": SubscriberPolicy::api_version(&()), "kind": SubscriberPolicy::kind(&()),
            "metadata": { "name": policy.name_any() }, "status": status,
        });
        api.patch_status(&policy.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&patch)).await?;
    }
    context.metrics.reconciled("policy", true);
    Ok(Action::requeue(PERIOD))
}

fn finding(policy: &SubscriberPolicy, outcome: Option<&Compiled>, all: &[(String, Compiled)]) -> Finding {
    let default = all.iter().find_map(|(name, other)| match other {
        Compiled::Applied(other) if other.default => Some(name),
        _ => None,
    });
    match (outcome, default) {
        (Some(Compiled::Applied(applied)), Some(other)) if policy.spec.selector.default && !applied.default => {
            let message = format!("the gateways of the namespace have it; the default is SubscriberPolicy {other}");
            Finding::good("Compiled", message)
        }
        (Some(Compiled::Applied(_)), _) => Finding::good("Compiled", "the gateways of the namespace have it"),
        (Some(Compiled::SameFilterId(other)), _) => Finding::bad(
            "SameFilterId",
            format!(
                "SubscriberPolicy {other} has the same Filter-Id and counts: give one of them another selector.filterId"
            ),
        ),
        (Some(Compiled::Invalid(problem)), _) => Finding::bad("Invalid", format!("{problem}: no gateway has it")),
        (None, _) => Finding::unknown("Pending", "it was just made, or is being deleted"),
    }
}

fn status(
    policy: &SubscriberPolicy,
    all: &[SubscriberPolicy],
    bngs: usize,
    sessions: Option<&BTreeMap<String, i64>>,
    now: Timestamp,
) -> SubscriberPolicyStatus {
    let name = policy.name_any();
    let previous = policy.status.clone().unwrap_or_default();
    let compiled = compile(all);
    let outcome = compiled.iter().find(|(other, _)| *other == name).map(|(_, outcome)| outcome);
    let finding = finding(policy, outcome, &compiled);
    let applied = matches!(outcome, Some(Compiled::Applied(_)));
    SubscriberPolicyStatus {
        down: Some(rate_text(policy.spec.rates.down_kbps)),
        up: Some(rate_text(policy.spec.rates.up_kbps)),
        sessions: sessions.map_or(previous.sessions, |counts| Some(counts.get(&name).copied().unwrap_or_default())),
        bngs: Some(if applied { i32::try_from(bngs).unwrap_or(i32::MAX) } else { 0 }),
        observed_generation: policy.metadata.generation,
        conditions: vec![finding.condition("Compiled", &previous.conditions, policy.metadata.generation, now)],
    }
}
