//! A gateway's status and control endpoint, as its client.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lastmile_types::{BngId, status::BngStatus};

use crate::ca::Trust;

/// The endpoint's port on the node's address.
pub const PORT: u16 = 9443;

/// A gateway's endpoint.
#[derive(Clone)]
pub struct Endpoint {
    http: reqwest::Client,
    base: String,
}

/// The name by which a gateway's certificate is checked.
pub fn tls_name(namespace: &str, name: &str) -> String {
    format!("{name}.{namespace}.bng.lastmile.io")
}

impl Endpoint {
    /// The endpoint of gateway `id` on the node with `address`. Nothing is contacted yet.
    pub fn new(id: &BngId, address: Ipv4Addr, trust: &Trust) -> Result<Self, reqwest::Error> {
        let name = tls_name(id.namespace(), id.name());
        let identity = format!("{}{}", trust.client.certificate, trust.client.key);
        let http = reqwest::Client::builder()
            .use_rustls_tls()
            .https_only(true)
            .no_proxy()
            .add_root_certificate(reqwest::Certificate::from_pem(trust.authority.certificate().as_bytes())?)
            .identity(reqwest::Identity::from_pem(identity.as_bytes())?)
            // The name is checked, the address is dialled.
            .resolve(&name, SocketAddr::from((address, PORT)))
            .connect_timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self { http, base: format!("https://{name}:{PORT}/v1") })
    }

    /// How the gateway is, as soon as it is newer than `after`, at the latest after `wait`.
    pub async fn status(&self, after: u64, wait: Duration) -> Result<BngStatus, reqwest::Error> {
        let url = format!("{}/status?after={after}&waitSeconds={}", self.base, wait.as_secs());
        self.http.get(url).timeout(wait + Duration::from_secs(5)).send().await?.error_for_status()?.json().await
    }

    /// Orders a drain, or ends it.
    pub async fn drain(&self, drain: bool) -> Result<(), reqwest::Error> {
        let method = if drain { reqwest::Method::POST } else { reqwest::Method::DELETE };
        let request = self.http.request(method, format!("{}/drain", self.base)).timeout(Duration::from_secs(5));
        request.send().await?.error_for_status().map(drop)
    }
}
