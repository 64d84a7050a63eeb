//! Orders to a gateway: who is believed to be it, and what its answers mean.

use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc};

use axum::body::Body;
use http::Request;
use lastmile_api::disconnect::Gateways;
use lastmile_types::BngId;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap(), key)
}

/// A gateway that gives one answer, or none, to clients of `authority`.
async fn gateway(authority: &Authority, name: &str, answer: Option<&'static str>) -> SocketAddr {
    let (certificate, key) = issue(authority, name);
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut request = [0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        assert!(request.starts_with("POST /v1/sessions/00000000-0000-0000-0000-000000000001/disconnect "), "{request}");
        if let Some(answer) = answer {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
    });
    address
}

/// The BNG object, as far as it is read.
fn kubernetes(endpoint: Option<SocketAddr>) -> kube::Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| async move {
        assert_eq!(request.uri().path(), "/apis/lastmile.io/v1alpha1/namespaces/edge/bngs/bng-01");
        let object = json!({"apiVersion": "lastmile.io/v1alpha1", "kind": "BNG", "metadata": {"name": "bng-01"}, "status": {"endpoint": endpoint}});
        Ok::<_, Infallible>(http::Response::new(Body::from(object.to_string())))
    });
    kube::Client::new(service, "edge")
}

async fn disconnect(authority: &Authority, endpoint: Option<SocketAddr>) -> Result<(), u16> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = issue(authority, "api");
    let write = |name: &str, text: String| std::fs::write(Path::new(dir.path()).join(name), text).unwrap();
    write("ca.crt", authority.pem());
    write("tls.crt", certificate.pem());
    write("tls.key", key.serialize_pem());
    let gateways = Gateways::new(Some(kubernetes(endpoint)), dir.path().to_owned());
    let bng: BngId = "edge/bng-01".parse().unwrap();
    gateways.disconnect(&bng, Uuid::from_u128(1)).await.map_err(|error| error.status().as_u16())
}

const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"done\":true,\"reason\":null}";
const NAME: &str = "bng-01.edge.bng.lastmile.io";

#[tokio::test]
async fn the_answer_is_what_the_gateway_said() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = authority();
    for (answer, expected) in [
        (Some(DONE), Ok(())),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 34\r\n\r\n{\"done\":false,\"reason\":\"draining\"}"), Err(409)),
        (Some("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), Err(409)),
        (Some("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops"), Err(504)),
        (None, Err(504)),
    ] {
        let address = gateway(&authority, NAME, answer).await;
        assert_eq!(disconnect(&authority, Some(address)).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn only_the_gateway_itself_is_believed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = authority();
    let other = gateway(&authority, "bng-02.edge.bng.lastmile.io", Some(DONE)).await;
    assert_eq!(disconnect(&authority, Some(other)).await, Err(504));
    assert_eq!(disconnect(&authority, None).await, Err(504));
}
