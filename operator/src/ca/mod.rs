//! The release's own certificate authority: every gateway's endpoint, the api's serving certificate and the clients of both
//! are signed by it. The caBundle of the aggregated API is kept equal to it.
//!
//! Runs at the start, every 30 seconds, and never replaces an authority that can be read.

pub mod certificates;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{Chain, context::Context};
pub use certificates::{Authority, Material, Purpose};

const MANAGER: &str = "lastmile-operator-ca";
const AUTHORITY: &str = "lastmile-ca";
const API_SERVICE: &str = "v1alpha1.sessions.lastmile.io";
/// When the certificate was issued for the last time it is good for, RFC 3339.
pub const NOT_AFTER: &str = "lastmile.io/not-after";
/// Which authority signed it.
pub const SIGNED_BY: &str = "lastmile.io/signed-by";

/// The authority, and the operator's own certificate of it.
#[derive(Clone)]
pub struct Trust {
    /// Signs.
    pub authority: Authority,
    /// By which the operator asks gateways.
    pub client: Material,
}

/// Why the authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The API server refused, or was not there.
    #[error("Kubernetes")]
    Kube(#[from] kube::Error),
    /// A certificate could not be read or made.
    #[error("certificate")]
    Certificate(#[from] rcgen::Error),
    /// The stored authority lacks a key.
    #[error("Secret {0} lacks {1}; delete the Secret to have a new authority made")]
    Incomplete(&'static str, &'static str),
}

/// Keeps the authority and what it signs in order.
pub async fn run(context: Arc<Context>) {
    loop {
        let pause = match tend(&context).await {
            Ok(true) => Duration::from_secs(30),
            Ok(false) => Duration::from_secs(2),
            Err(error) => {
                tracing::warn!("the certificate authority is not in order, trying again: {}", Chain(&error));
                Duration::from_secs(3)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// False: the APIService is not there yet.
async fn tend(context: &Context) -> Result<bool, CaError> {
    let namespace = &context.settings.namespace;
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let authority = load_or_make(&secrets).await?;
    let api = &context.settings.api_service;
    let served = [format!("{api}.{namespace}.svc"), api.clone(), format!("{api}.{namespace}"), "localhost".into()];
    let client =
        keep(&secrets, &authority, "lastmile-operator-client", &Purpose::Client { name: "operator".into() }).await?;
    keep(&secrets, &authority, "lastmile-api-client", &Purpose::Client { name: "api".into() }).await?;
    keep(&secrets, &authority, "lastmile-api-tls", &Purpose::Server { names: served.into() }).await?;
    let registered = bundle(context, &authority).await?;
    context.trust.send_if_modified(|known| {
        let same = |known: &Trust| known.authority.certificate() == authority.certificate() && known.client == client;
        let changed = !known.as_ref().is_some_and(same);
        if changed {
            *known = Some(Trust { authority, client });
        }
        changed
    });
    Ok(registered)
}

async fn load_or_make(secrets: &Api<Secret>) -> Result<Authority, CaError> {
    if let Some(secret) = secrets.get_opt(AUTHORITY).await? {
        let certificate = text(&secret, "tls.crt").ok_or(CaError::Incomplete(AUTHORITY, "tls.crt"))?;
        let key = text(&secret, "tls.key").ok_or(CaError::Incomplete(AUTHORITY, "tls.key"))?;
        return Ok(Authority::load(&certificate, &key)?);
    }
    let authority = Authority::generate(jiff::Timestamp::now())?;
    let data = [("tls.crt", authority.certificate().to_owned()), ("tls.key", authority.key())];
    match secrets.create(&PostParams::default(), &secret(AUTHORITY, BTreeMap::new(), data)).await {
        Ok(_) => {
            tracing::info!("made a certificate authority in Secret {AUTHORITY}");
            Ok(authority)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the Secret when it is not there, of another authority, or past two thirds of its time.
async fn keep(
    secrets: &Api<Secret>,
    authority: &Authority,
    name: &str,
    purpose: &Purpose,
) -> Result<Material, CaError> {
    let now = jiff::Timestamp::now();
    let there = secrets.get_opt(name).await?;
    if let Some(material) = there.as_ref().and_then(|secret| Material::of(secret, authority, now)) {
        return Ok(material);
    }
    let material = authority.issue(purpose, now)?;
    let data = [
        ("tls.crt", material.certificate.clone()),
        ("tls.key", material.key.clone()),
        ("ca.crt", authority.certificate().to_owned()),
    ];
    let desired = secret(name, material.annotations(authority), data);
    secrets.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&desired)).await?;
    tracing::info!("issued the certificate of Secret {name}");
    Ok(material)
}

async fn bundle(context: &Context, authority: &Authority) -> Result<bool, CaError> {
    let services: Api<APIService> = Api::all(context.client.clone());
    let Some(service) = services.get_opt(API_SERVICE).await? else { return Ok(false) };
    let bundle = ByteString(authority.certificate().as_bytes().to_vec());
    if service.spec.and_then(|spec| spec.ca_bundle).as_ref() != Some(&bundle) {
        let patch = json!({ "spec": { "caBundle": bundle } });
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        services.patch(API_SERVICE, &params, &Patch::Merge(&patch)).await?;
        tracing::info!("gave the authority to APIService {API_SERVICE}");
    }
    Ok(true)
}

fn secret<const N: usize>(name: &str, annotations: BTreeMap<String, String>, data: [(&str, String); N]) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(annotations),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".into(), "lastmile-operator".into())])),
            ..ObjectMeta::default()
        },
        data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()),
        ..Secret::default()
    }
}

/// A Secret's key as text.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}
