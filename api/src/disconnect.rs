//! Orders to gateways: the only thing that this server changes in the world.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::StatusCode;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use lastmile_types::{BngId, status::DisconnectAnswer};
use uuid::Uuid;

/// How long a gateway may take: its own steps are done in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a subscriber was not disconnected.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The gateway said no.
    #[error("the gateway refused: {0}")]
    Refused(String),
    /// The gateway's object does not say where it is.
    #[error("gateway {0} has no address: it is not running, or its object is gone")]
    NoAddress(BngId),
    /// Kubernetes does not say where the gateway is.
    #[error("Kubernetes does not say where gateway {0} is")]
    Kubernetes(BngId, #[source] Box<kube::Error>),
    /// There is no Kubernetes to ask.
    #[error("this server runs outside Kubernetes and knows no gateways")]
    NoKubernetes,
    /// The client certificate cannot be read.
    #[error("cannot read the client certificate in {path}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The gateway did not answer, or not in its own language: nobody knows whether it is done.
    #[error("gateway {0} did not answer; the session may or may not be stopped")]
    NoAnswer(BngId, #[source] reqwest::Error),
}

impl DisconnectError {
    /// The HTTP status that tells it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::NoAddress(_) | Self::NoAnswer(..) => StatusCode::GATEWAY_TIMEOUT,
            Self::Kubernetes(..) | Self::NoKubernetes | Self::Certificate { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The gateways' control endpoints, found through their objects.
pub struct Gateways {
    kube: Option<kube::Client>,
    client_dir: PathBuf,
}

impl Gateways {
    /// `client_dir` holds `tls.crt`, `tls.key` and `ca.crt`; they are read for every order, so that a renewal counts at once.
    pub fn new(kube: Option<kube::Client>, client_dir: PathBuf) -> Self {
        Self { kube, client_dir }
    }

    /// Stops a session; `Ok` = it is stopped and journalled.
    pub async fn disconnect(&self, bng_id: &BngId, session: Uuid) -> Result<(), DisconnectError> {
        let result = self.order(bng_id, session).await;
        if let Err(error) = &result {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%bng_id, %session, %error, cause, "a session was not disconnected");
        }
        result
    }

    async fn order(&self, bng_id: &BngId, session: Uuid) -> Result<(), DisconnectError> {
        let address = self.address(bng_id).await?;
        let name = format!("{}.{}.bng.lastmile.io", bng_id.name(), bng_id.namespace());
        let client = self.client(bng_id, &name, address)?;
        let no_answer = |error| DisconnectError::NoAnswer(bng_id.clone(), error);
        let url = format!("https://{name}:{}/v1/sessions/{session}/disconnect", address.port());
        let response = client.post(url).send().await.map_err(no_answer)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(DisconnectError::Refused("it has no such session".to_owned()));
        }
        // A refusal may come with any status: its body tells.
        let answer: DisconnectAnswer = response.json().await.map_err(no_answer)?;
        if answer.done {
            return Ok(());
        }
        Err(DisconnectError::Refused(answer.reason.unwrap_or_else(|| "it did not say why".to_owned())))
    }

    /// The operator writes `status.endpoint` as `IP:PORT`.
    async fn address(&self, bng_id: &BngId) -> Result<SocketAddr, DisconnectError> {
        let kube = self.kube.clone().ok_or(DisconnectError::NoKubernetes)?;
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("lastmile.io", "v1alpha1", "BNG"), "bngs");
        let api: Api<DynamicObject> = Api::namespaced_with(kube, bng_id.namespace(), &kind);
        let object = api
            .get_opt(bng_id.name())
            .await
            .map_err(|error| DisconnectError::Kubernetes(bng_id.clone(), Box::new(error)))?;
        object
            .and_then(|object| object.data["status"]["endpoint"].as_str()?.parse().ok())
            .ok_or_else(|| DisconnectError::NoAddress(bng_id.clone()))
    }

    /// A client that trusts our own CA alone and finds `name` at `address`.
    fn client(&self, bng_id: &BngId, name: &str, address: SocketAddr) -> Result<reqwest::Client, DisconnectError> {
        let read = |file: &str| {
            let path = self.client_dir.join(file);
            std::fs::read(&path).map_err(|source| DisconnectError::Certificate { path, source })
        };
        let identity = [read("tls.crt")?, b"\n".to_vec(), read("tls.key")?].concat();
        let ca = read("ca.crt")?;
        let build = || {
            reqwest::Client::builder()
                .use_rustls_tls()
                .tls_built_in_root_certs(false)
                .add_root_certificate(reqwest::Certificate::from_pem(&ca)?)
                .identity(reqwest::Identity::from_pem(&identity)?)
                .resolve(name, address)
                .no_proxy()
                .connect_timeout(Duration::from_secs(3))
                .timeout(PATIENCE)
                .build()
        };
        build().map_err(|error| DisconnectError::NoAnswer(bng_id.clone(), error))
    }
}
