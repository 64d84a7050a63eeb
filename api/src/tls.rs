//! HTTPS for the aggregator: certificates that change while we run, client certificates of the Kubernetes API server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use rustls::{
    RootCertStore, ServerConfig,
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use crate::kube::identity::{Aggregator, RequestHeader};

/// How often the files and the ConfigMap are looked at.
const PERIOD: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where the serving certificate is.
#[derive(Debug, Clone)]
pub struct Files {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: PathBuf,
}

/// Why there is no HTTPS now.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no PEM of the kind that is needed.
    #[error("no usable PEM in {what}")]
    Pem {
        /// Where.
        what: String,
        /// What happened.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not go together, or are of no use.
    #[error("certificate and key cannot be used")]
    Rustls(#[from] rustls::Error),
    /// The aggregator's CA is of no use.
    #[error("the request header CA cannot be used")]
    ClientCa(#[from] VerifierBuilderError),
}

/// What handshakes are made with.
#[derive(Clone)]
pub struct Current {
    config: Arc<ServerConfig>,
    header: Option<Arc<RequestHeader>>,
}

/// What the current configuration was made of: made anew when it differs.
#[derive(PartialEq, Clone)]
struct Material {
    cert: Vec<u8>,
    key: Vec<u8>,
    header: Option<RequestHeader>,
}

/// Keeps the configuration fresh until the process ends.
pub async fn refresh(files: Files, kube: Option<kube::Client>, current: watch::Sender<Option<Current>>) {
    let mut last: Option<Material> = None;
    let mut header = None;
    let mut complaint = String::new();
    loop {
        match request_header(kube.clone()).await {
            Ok(read) => header = read,
            Err(error) => {
                tracing::warn!(%error, "cannot read ConfigMap kube-system/extension-apiserver-authentication: the API \
                server of Kubernetes is not let in until it can be read (role extension-apiserver-authentication-reader)")
            }
        }
        match renew(&files, header.clone(), last.as_ref()) {
            Ok(Some((material, new))) => {
                tracing::info!(cert = %files.cert.display(), aggregator = new.header.is_some(), "TLS configuration in force");
                current.send_replace(Some(new));
                last = Some(material);
                complaint.clear();
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!(
                    "{error}: {}",
                    std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
                );
                if text != complaint {
                    tracing::warn!(error = text, "HTTPS waits for its certificate, which the operator makes");
                    complaint = text;
                }
            }
        }
        let ready = current.borrow().as_ref().is_some_and(|current| current.header.is_some());
        tokio::time::sleep(if ready { PERIOD } else { Duration::from_secs(1) }).await;
    }
}

async fn request_header(kube: Option<kube::Client>) -> Result<Option<RequestHeader>, kube::Error> {
    let Some(kube) = kube else { return Ok(None) };
    let api: Api<ConfigMap> = Api::namespaced(kube, "kube-system");
    let map = api.get("extension-apiserver-authentication").await?;
    Ok(RequestHeader::from_data(&map.data.unwrap_or_default()))
}

fn renew(
    files: &Files,
    header: Option<RequestHeader>,
    last: Option<&Material>,
) -> Result<Option<(Material, Current)>, TlsError> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|source| TlsError::File { path: path.clone(), source });
    let material = Material { cert: read(&files.cert)?, key: read(&files.key)?, header };
    if last == Some(&material) {
        return Ok(None);
    }
    let config = server_config(&material)?;
    let current = Current { config: Arc::new(config), header: material.header.clone().map(Arc::new) };
    Ok(Some((material, current)))
}

fn server_config(material: &Material) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&material.cert, "the certificate file")?;
    let key = PrivateKeyDer::from_pem_slice(&material.key)
        .map_err(|source| TlsError::Pem { what: "the key file".to_owned(), source })?;
    let builder = ServerConfig::builder();
    let builder = match &material.header {
        None => builder.with_no_client_auth(),
        Some(header) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(header.client_ca.as_bytes(), "the request header CA")? {
                roots.add(certificate)?;
            }
            // Probes come without a certificate; what they may ask needs no user.
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { what: what.to_owned(), source })
}

/// Accepts connections until the process ends; before the first configuration they wait in the kernel's queue.
pub async fn serve(listener: TcpListener, router: Router, mut current: watch::Receiver<Option<Current>>) {
    let _ = current.wait_for(Option::is_some).await;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(current) = current.borrow().clone() else { continue };
                tokio::spawn(connection(stream, router.clone(), current));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted: check the limit of open files");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, Current { config, header }: Current) {
    let handshake = TlsAcceptor::from(config).accept(stream);
    let stream = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    // The verifier has checked the chain; here only the name is left.
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let aggregator = match (header, leaf) {
        (Some(header), Some(leaf)) if name_allowed(leaf, &header.allowed_names) => Some(Aggregator(header)),
        _ => None,
    };
    let router = match aggregator {
        Some(aggregator) => router.layer(Extension(aggregator)),
        None => router,
    };
    let service = TowerToHyperService::new(router);
    let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Whether a certificate's common name is one of `allowed`; an empty list allows all that the CA signed.
fn name_allowed(certificate: &CertificateDer<'_>, allowed: &[String]) -> bool {
    if allowed.is_empty() {
        return true;
    }
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let mut names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    names.any(|name| allowed.iter().any(|one| one == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_are_let_in() {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "front-proxy-client");
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let allowed =
            |names: &[&str]| name_allowed(certificate.der(), &names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>());
        assert!(allowed(&[]) && allowed(&["other", "front-proxy-client"]));
        assert!(!allowed(&["other"]));
        assert!(!name_allowed(&CertificateDer::from(vec![1, 2, 3]), &["front-proxy-client".to_owned()]));
    }
}
