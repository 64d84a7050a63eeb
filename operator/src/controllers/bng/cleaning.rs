//! What a gateway leaves on a node when it ends or moves: a Job takes it away, drained or not.
//!
//! While a Job for a node is at work no gateway of that name starts there, and none that has ended is left beside a gateway.

use std::time::Duration;

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Node, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use lastmile_crds::BNG;

use super::{
    Error,
    conditions::Finding,
    drain::{Note, tell},
    reconcile::{image, pod_name},
};
use crate::{
    context::Context,
    render::cleaning::{clean_job, clean_job_name},
};

/// The gateway's pod is told to go by others; its journal's lock keeps the Job waiting in any case.
const POD_GOES_WITHIN: Duration = Duration::from_secs(10);

/// A Job that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub job: String,
    /// Why something may be left.
    pub failed: Option<String>,
}

/// The Jobs for this node that are over; an error = one is at work. Pure.
pub fn ended(jobs: &[Job], bng: &BNG, node: &str) -> Result<Vec<Ended>, Finding> {
    let name = clean_job_name(&bng.name_any(), node);
    let ours = jobs.iter().filter(|job| job.name_any() == name);
    ours.map(|job| {
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let over = conditions.filter(|condition| condition.status == "True");
        let over: Vec<_> = over.filter(|condition| ["Complete", "Failed"].contains(&&*condition.type_)).collect();
        let failed = over.iter().find(|condition| condition.type_ == "Failed");
        let failed = failed.map(|condition| condition.message.clone().unwrap_or_default());
        match over.is_empty() {
            false => Ok(Ended { job: name.clone(), failed }),
            true => Err(Finding::unknown("CleaningUp", wait_for(&name, node))),
        }
    })
    .collect()
}

fn wait_for(job: &str, node: &str) -> String {
    format!(
        "Job {job} removes what an earlier gateway left on node {node}, and the gateway starts after it; if it cannot end, \
         see kubectl describe job {job}, and delete it to go on with what is there"
    )
}

/// Makes the Job for a node that this gateway leaves, unless the node is gone.
pub async fn order(bng: &BNG, node: &str, context: &Context) -> Result<(), Error> {
    if Api::<Node>::all(context.client.clone()).get_opt(node).await?.is_none() {
        return Ok(());
    }
    let namespace = bng.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let going = |pod: Option<&Pod>| {
        pod.is_none_or(|pod| {
            let here = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node));
            pod.metadata.deletion_timestamp.is_some() || !here
        })
    };
    let _ = tokio::time::timeout(POD_GOES_WITHIN, await_condition(pods, &pod_name(bng), going)).await;
    let job: Job = serde_json::from_value(clean_job(bng, node, &image(context)))?;
    let name = job.name_any();
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    let note = match jobs.create(&PostParams::default(), &job).await {
        Ok(_) => Note::normal("CleaningUp", format!("Job {name} removes what the gateway left on node {node}")),
        Err(kube::Error::Api(answer)) if answer.code == 409 => return Ok(()),
        // A namespace that is being deleted takes no Job; the BNG must be able to go all the same.
        Err(kube::Error::Api(answer)) if [403, 404].contains(&answer.code) => {
            let why = answer.message;
            Note::warning("NotCleaned", format!("what the gateway left on node {node} stays there: {why}"))
        }
        Err(error) => return Err(error.into()),
    };
    tell(bng, context, "CleanUp", note).await;
    Ok(())
}

/// Removes Jobs that are over from the gateway's node.
pub async fn forget(bng: &BNG, ended: &[Ended], context: &Context) -> Result<(), Error> {
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &bng.namespace().unwrap_or_default());
    for Ended { job, failed } in ended {
        if let Some(why) = failed {
            let note = format!("Job {job} failed ({why}): the gateway goes on with what is there");
            tell(bng, context, "CleanUp", Note::warning("NotCleaned", note)).await;
        }
        match jobs.delete(job, &DeleteParams::background()).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            deleted => drop(deleted?),
        }
    }
    Ok(())
}
