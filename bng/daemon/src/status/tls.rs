//! Mutual TLS: only bearers of a certificate of the configured CA are served.

use std::{io, path::Path, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

/// A client that does not finish its handshake in this time is left.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why the endpoint's certificate or CA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or no PEM.
    #[error("cannot read {file}")]
    Pem {
        /// Its name.
        file: String,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificates do not fit.
    #[error("the certificate, its key and the CA do not fit together")]
    Rustls(#[from] rustls::Error),
    /// The CA cannot be used to check clients.
    #[error("the CA cannot check clients")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Reads the PEM files `cert`, `key` and `ca` of `folder`.
pub fn server_config(folder: &Path, cert: &str, key: &str, ca: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(folder, cert)?;
    let key = PrivateKeyDer::from_pem_file(folder.join(key))
        .map_err(|source| TlsError::Pem { file: key.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(folder, ca)? {
        roots.add(certificate)?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    Ok(Arc::new(ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key)?))
}

fn certificates(folder: &Path, file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { file: file.to_owned(), source };
    CertificateDer::pem_file_iter(folder.join(file)).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)
}

/// Serves for ever; each connection uses the configuration that is current when it comes.
pub async fn serve(listener: TcpListener, tls: watch::Receiver<Arc<ServerConfig>>, router: Router) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(%peer, %error, "refused a client of the status endpoint"),
                Err(_) => return debug!(%peer, "a client of the status endpoint did not finish its handshake"),
            };
            if let Err(error) = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
            {
                debug!(%peer, error, "a client of the status endpoint went away");
            }
        });
    }
}
