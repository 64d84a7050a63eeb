//! AccessRouter: shows what gateways found of routers, and makes objects of those that nobody declared.
//!
//! The gateways report routers as events; the ingestor keeps the latest of each in PostgreSQL, which is looked up here every
//! three seconds. An object of a discovered router belongs to its gateway and goes with it; declared ones stay.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use lastmile_crds::{AccessRouter, AccessRouterStatus, BNG, Ipv4};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bng::conditions::Finding;
use crate::{
    Chain,
    context::Context,
    database::{DatabaseError, RouterRow},
    render::BNG_LABEL,
};

const MANAGER: &str = "lastmile-operator-accessrouter";
const PERIOD: Duration = Duration::from_secs(3);
/// On objects of routers that nobody declared.
const DISCOVERED: &str = "lastmile.io/discovered";
/// Between two writes that only change times.
const TIMES: SignedDuration = SignedDuration::from_secs(60);

/// Why a round was given up.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Kubernetes")]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    if context.settings.database_url_file.is_none() {
        return std::future::pending().await;
    }
    let mut complained = false;
    loop {
        match round(&context).await {
            Ok(()) => {
                complained = false;
                context.metrics.reconciled("accessrouter", true);
            }
            Err(error) => {
                context.metrics.reconciled("accessrouter", false);
                if !complained {
                    tracing::warn!("access routers are not brought up to date, trying again: {}", Chain(&error));
                }
                complained = true;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn round(context: &Context) -> Result<(), Error> {
    let rows = context.database.routers().await?;
    let bngs = Api::<BNG>::all(context.client.clone()).list(&ListParams::default()).await?.items;
    let objects = Api::<AccessRouter>::all(context.client.clone()).list(&ListParams::default()).await?.items;
    for row in &rows {
        let bng =
            bngs.iter().find(|bng| row.bng_id == format!("{}/{}", bng.namespace().unwrap_or_default(), bng.name_any()));
        // Routers of a gateway that is gone are history.
        if let Some(bng) = bng.filter(|bng| bng.metadata.deletion_timestamp.is_none()) {
            show(context, row, bng, &objects).await?;
        }
    }
    Ok(())
}

async fn show(context: &Context, row: &RouterRow, bng: &BNG, objects: &[AccessRouter]) -> Result<(), Error> {
    let api: Api<AccessRouter> = Api::namespaced(context.client.clone(), &bng.namespace().unwrap_or_default());
    let discovered_name = object_name(&bng.name_any(), &row.raw_id);
    let here = |object: &&AccessRouter| object.namespace() == bng.namespace();
    let discovered = objects.iter().filter(here).find(|object| object.name_any() == discovered_name);
    let params = PatchParams::apply(MANAGER).force();
    let object = match objects.iter().filter(here).find(|object| declares(object, row, &bng.name_any())) {
        Some(declared) => {
            if discovered.is_some() {
                api.delete(&discovered_name, &DeleteParams::default()).await?;
            }
            declared.clone()
        }
        None => match discovered {
            Some(object) => object.clone(),
            None => api.patch(&discovered_name, &params, &Patch::Apply(&desired(row, bng))).await?,
        },
    };
    let fresh = status(row, &object, Timestamp::now());
    if due(object.status.as_ref(), &fresh) {
        let patch = json!({
            "apiVersion": AccessRouter::api_version(&()), "kind": AccessRouter::kind(&()),
            "metadata": { "name": object.name_any() }, "status": fresh,
        });
        api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch)).await?;
    }
    Ok(())
}

/// Whether it was made here, of a router that nobody declared.
pub fn is_discovered(object: &AccessRouter) -> bool {
    object.labels().get(DISCOVERED).is_some_and(|value| value == "true")
}

/// The router's name as it stands in circuit-ids.
pub fn circuit_name(object: &AccessRouter) -> String {
    object.spec.circuit_id_prefix.clone().unwrap_or_else(|| object.name_any())
}

fn declares(object: &AccessRouter, row: &RouterRow, bng: &str) -> bool {
    let name = circuit_name(object);
    let at = object.spec.bng_ref.as_ref().is_none_or(|reference| reference.name == bng);
    !is_discovered(object) && at && name == row.name
}

/// The name is of the octets, which need not be text.
fn object_name(bng: &str, raw_id: &[u8]) -> String {
    let hash: String = Sha256::digest(raw_id).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{bng}-{hash}")
}

fn desired(row: &RouterRow, bng: &BNG) -> Value {
    json!({
        "apiVersion": AccessRouter::api_version(&()), "kind": AccessRouter::kind(&()),
        "metadata": {
            "name": object_name(&bng.name_any(), &row.raw_id),
            "labels": { DISCOVERED: "true", BNG_LABEL: bng.name_any() },
            "ownerReferences": [crate::render::owner(bng)],
        },
        "spec": { "bngRef": { "name": bng.name_any() }, "circuitIdPrefix": row.name },
    })
}

fn status(row: &RouterRow, object: &AccessRouter, now: Timestamp) -> AccessRouterStatus {
    let previous = object.status.clone().unwrap_or_default();
    let finding = if row.alive {
        Finding::good("Answers", "it answers, or relayed DHCP lately")
    } else {
        Finding::bad("Silent", "it neither answers nor relays DHCP: look at the router and at the link to it")
    };
    AccessRouterStatus {
        discovered: Some(is_discovered(object)),
        router_name: Some(row.name.clone()),
        raw_id: serde_json::to_value(ByteString(row.raw_id.clone()))
            .ok()
            .and_then(|raw| raw.as_str().map(str::to_owned)),
        giaddr: row.giaddr.map(|giaddr| Ipv4(giaddr.to_string())),
        alive: Some(row.alive),
        rtt: row.rtt_us.map(rtt_text),
        first_seen: Some(Time(row.first_seen)),
        last_seen: Some(Time(row.last_seen)),
        sessions: Some(row.sessions),
        observed_generation: object.metadata.generation,
        conditions: vec![finding.condition("Alive", &previous.conditions, object.metadata.generation, now)],
    }
}

fn rtt_text(microseconds: i64) -> String {
    format!("{}.{:02}ms", microseconds / 1_000, microseconds % 1_000 / 10)
}

/// What changes is written at once; times alone once a minute.
fn due(written: Option<&AccessRouterStatus>, fresh: &AccessRouterStatus) -> bool {
    let Some(written) = written else { return true };
    let still = |status: &AccessRouterStatus| AccessRouterStatus { rtt: None, last_seen: None, ..status.clone() };
    let age = match (&written.last_seen, &fresh.last_seen) {
        (Some(written), Some(fresh)) => fresh.0.duration_since(written.0),
        _ => TIMES,
    };
    still(written) != still(fresh) || age >= TIMES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_octets_and_times_are_written_rarely() {
        assert_eq!(object_name("bng-01", b"ar-01"), object_name("bng-01", b"ar-01"));
        assert_ne!(object_name("bng-01", b"ar-01"), object_name("bng-01", b"ar-02"));
        assert_eq!(rtt_text(1_234), "1.23ms");
        let at = |second| AccessRouterStatus {
            last_seen: Some(Time(Timestamp::constant(second, 0))),
            ..AccessRouterStatus::default()
        };
        assert!(!due(Some(&at(0)), &at(59)) && due(Some(&at(0)), &at(60)) && due(None, &at(0)));
        let alive = AccessRouterStatus { alive: Some(true), ..at(1) };
        assert!(due(Some(&at(0)), &alive));
    }
}
