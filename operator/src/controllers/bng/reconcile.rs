//! Gathers the world, has it planned, carries the plan out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{Node, Pod, Secret, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
    runtime::{
        controller::Action,
        finalizer::{Event, finalizer},
        reflector::Store,
    },
};
use lastmile_crds::{AccessRouter, BNG, SecretKey, SubscriberPolicy, TrustMode};
use lastmile_types::{BngId, status::BngStatus};
use serde_json::{Value, json};

use super::{
    Error, MANAGER, cleaning,
    conditions::Finding,
    drain,
    placement::{DRAIN_TO_MOVE, NodeFacts},
    plan::{Objects, Plan, World, plan, pod_problem},
    publish,
    status::Prepared,
};
use crate::{
    ca::{Material, Purpose, Trust},
    context::Context,
    endpoint::tls_name,
    render::{
        BNG_LABEL, CONFIG_REVISION,
        config::{config_secret_name, referenced},
        workload::Image,
    },
};

const FINALIZER: &str = "lastmile.io/drain";

/// The name of a gateway's only pod.
pub fn pod_name(bng: &BNG) -> String {
    format!("{}-0", bng.name_any())
}

/// One round.
pub async fn reconcile(bng: Arc<BNG>, context: Arc<Context>, store: Store<BNG>) -> Result<Action, Error> {
    let api: Api<BNG> = Api::namespaced(context.client.clone(), &bng.namespace().unwrap_or_default());
    let step = |event| async {
        match event {
            Event::Apply(bng) => apply(bng, &context, &store).await,
            Event::Cleanup(bng) => drain::clean_up(bng, &context).await,
        }
    };
    match finalizer(&api, FINALIZER, bng, step).await {
        Ok(action) => {
            context.metrics.reconciled("bng", true);
            Ok(action)
        }
        Err(kube::runtime::finalizer::Error::CleanupFailed(Error::Draining)) => Ok(Action::requeue(drain::AGAIN)),
        Err(
            kube::runtime::finalizer::Error::ApplyFailed(error) | kube::runtime::finalizer::Error::CleanupFailed(error),
        ) => Err(error),
        Err(error) => Err(Error::Finalizer(Box::new(error))),
    }
}

async fn apply(bng: Arc<BNG>, context: &Arc<Context>, store: &Store<BNG>) -> Result<Action, Error> {
    let id = BngId::new(&bng.namespace().unwrap_or_default(), &bng.name_any())?;
    if !context.settings.serves(id.namespace()) {
        context.published.prepare(&id, &bng, not_served(&bng, id.namespace())).await;
        publish::publish(context, &id).await;
        return Ok(Action::await_change());
    }
    let known = context.trust.borrow().clone();
    let Some(trust) = known else { return Err(Error::NoAuthority) };
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), id.namespace());
    let pod = pods.get_opt(&pod_name(&bng)).await?;
    let plan = make_plan(&bng, &id, context, store, pod.as_ref(), &trust).await?;
    if let Ok(objects) = &plan.objects {
        cleaning::forget(&bng, &plan.ended, context).await?;
        carry_out(&bng, context, objects).await?;
    }
    if let Some(node) = &plan.leaves {
        cleaning::order(&bng, node, context).await?;
    }
    let prepared = Prepared {
        generation: bng.metadata.generation,
        node: plan.node.clone(),
        address: plan.address,
        pod: pod.as_ref().map(ResourceExt::name_any),
        pod_problem: pod.as_ref().and_then(pod_problem),
        node_prepared: plan.node_prepared.clone(),
        config: plan.objects.as_ref().map(|objects| objects.config.revision.clone()).map_err(Clone::clone),
    };
    context.published.prepare(&id, &bng, prepared).await;
    let mut again = Duration::from_secs(60);
    if let (Some(address), Some(_)) = (plan.address, &pod) {
        context.observers.watch(context, &id, address);
        // The journal keeps a drain across restarts, so a gateway made anew may have to be told that it is over.
        let word = context.observers.observation(&id).status;
        if word.is_some_and(|word| word.draining != bng.spec.drain) {
            drain::order(&id, address, &trust, bng.spec.drain).await;
            again = Duration::from_secs(2);
        }
    }
    if plan.node_prepared.reason == DRAIN_TO_MOVE {
        again = Duration::from_secs(2);
    }
    publish::publish(context, &id).await;
    Ok(Action::requeue(again))
}

/// Whatever runs there goes on as it is.
fn not_served(bng: &BNG, namespace: &str) -> Prepared {
    let status = bng.status.clone().unwrap_or_default();
    let message = format!(
        "the operator may read no Secret of namespace {namespace}: add it to secretNamespaces in the chart's values"
    );
    let finding = Finding::bad("NamespaceNotServed", message);
    Prepared {
        generation: bng.metadata.generation,
        address: drain::address(&status),
        node: status.node,
        pod: status.pod,
        pod_problem: None,
        node_prepared: finding.clone(),
        config: Err(finding),
    }
}

async fn make_plan(
    bng: &BNG,
    id: &BngId,
    context: &Context,
    store: &Store<BNG>,
    pod: Option<&Pod>,
    trust: &Trust,
) -> Result<Plan, Error> {
    let client = &context.client;
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    let nodes: Vec<NodeFacts> = nodes.iter().map(NodeFacts::of).collect();
    let policies: Api<SubscriberPolicy> = Api::namespaced(client.clone(), id.namespace());
    let policies = policies.list(&ListParams::default()).await?.items;
    let routers = match bng.spec.trust.mode {
        TrustMode::Prefixes => Vec::new(),
        TrustMode::ListedOnly => {
            let routers: Api<AccessRouter> = Api::namespaced(client.clone(), id.namespace());
            routers.list(&ListParams::default()).await?.items
        }
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), id.namespace());
    let held = read_secrets(&secrets, &referenced(bng)).await?;
    let jobs: Api<Job> = Api::namespaced(client.clone(), id.namespace());
    let jobs = jobs.list(&ListParams::default().labels(&format!("{BNG_LABEL}={}", id.name()))).await?.items;
    let word = context.observers.observation(id).status;
    Ok(plan(&World {
        bng,
        nodes: &nodes,
        taken: &taken(store, bng),
        pod,
        empty: pod.is_none() || word.is_some_and(|word| owes_nothing(&word)),
        jobs: &jobs,
        policies: &policies,
        routers: &routers,
        secrets: &held,
        material: &material(&secrets, bng, id, trust).await?,
        authority: &trust.authority,
        protected: &context.settings.protected_networks,
        image: &image(context),
    }))
}

/// The gateways' image, as the operator was told.
pub fn image(context: &Context) -> Image {
    let settings = &context.settings;
    Image {
        reference: settings.bng_image.clone(),
        pull_policy: settings.bng_pull_policy.clone(),
        log: settings.bng_log.clone(),
    }
}

/// It may leave its node: its journal holds nothing that anybody waits for.
fn owes_nothing(word: &BngStatus) -> bool {
    let published = word.committed_seq == word.last_seq && word.accounting.waiting == 0;
    word.drained || (word.sessions.total == 0 && published)
}

fn taken(store: &Store<BNG>, bng: &BNG) -> BTreeSet<String> {
    let others = store.state().into_iter().filter(|other| other.uid() != bng.uid());
    others.filter_map(|other| other.status.as_ref()?.node.clone()).collect()
}

async fn read_secrets(api: &Api<Secret>, keys: &[SecretKey]) -> Result<BTreeMap<SecretKey, Vec<u8>>, Error> {
    let mut held = BTreeMap::new();
    let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    for name in names {
        let data = api.get_opt(name).await?.and_then(|secret| secret.data).unwrap_or_default();
        for key in keys.iter().filter(|key| key.name == name) {
            if let Some(bytes) = data.get(&key.key) {
                held.insert(key.clone(), bytes.0.clone());
            }
        }
    }
    Ok(held)
}

/// The gateway's certificate: the one that it has, while that is good.
async fn material(api: &Api<Secret>, bng: &BNG, id: &BngId, trust: &Trust) -> Result<Material, Error> {
    let now = Timestamp::now();
    let there = api.get_opt(&config_secret_name(bng)).await?;
    if let Some(material) = there.as_ref().and_then(|secret| Material::of(secret, &trust.authority, now)) {
        return Ok(material);
    }
    let names = vec![tls_name(id.namespace(), id.name())];
    Ok(trust.authority.issue(&Purpose::Server { names }, now)?)
}

async fn carry_out(bng: &BNG, context: &Context, objects: &Objects) -> Result<(), Error> {
    apply_one::<Secret>(bng, context, &config_secret_name(bng), &objects.config.secret).await?;
    let name = bng.name_any();
    apply_one::<Service>(bng, context, &name, &objects.service).await?;
    apply_one::<PodDisruptionBudget>(bng, context, &name, &objects.disruption_budget).await?;
    apply_one::<StatefulSet>(bng, context, &name, &objects.stateful_set).await?;
    if objects.nudge_pod {
        let pods: Api<Pod> = Api::namespaced(context.client.clone(), &bng.namespace().unwrap_or_default());
        let patch = json!({ "metadata": { "annotations": { CONFIG_REVISION: objects.config.revision } } });
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        match pods.patch_metadata(&pod_name(bng), &params, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(answer)) if answer.code != 404 => return Err(kube::Error::Api(answer).into()),
            _ => (),
        }
    }
    Ok(())
}

async fn apply_one<K>(bng: &BNG, context: &Context, name: &str, object: &Value) -> Result<(), Error>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &bng.namespace().unwrap_or_default());
    api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?;
    Ok(())
}
