//! What the operator is told by flags and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use ipnet::Ipv4Net;

/// What the operator is told.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The namespace of the release: the operator's own, where the authority's Secrets are.
    #[arg(long, env = "LASTMILE_NAMESPACE", default_value = "lastmile-system")]
    pub namespace: String,
    /// Who holds the lease; the pod's name.
    #[arg(long, env = "LASTMILE_IDENTITY", default_value = "lastmile-operator")]
    pub identity: String,
    /// The gateways' image.
    #[arg(long, env = "LASTMILE_BNG_IMAGE")]
    pub bng_image: String,
    /// Always, IfNotPresent or Never, for the gateways' image.
    #[arg(long, env = "LASTMILE_BNG_PULL_POLICY", default_value = "IfNotPresent")]
    pub bng_pull_policy: String,
    /// The gateways' LASTMILE_LOG.
    #[arg(long, env = "LASTMILE_BNG_LOG", default_value = "info")]
    pub bng_log: String,
    /// Networks that no subscriber may reach: nodes, pods, services, management. Comma-separated. The nodes' addresses and
    /// pod networks are added as Kubernetes knows them.
    #[arg(long, env = "LASTMILE_PROTECTED_NETWORKS", value_delimiter = ',')]
    pub protected_networks: Vec<Ipv4Net>,
    /// The namespaces of BNGs whose Secrets it may read and write; none = of all. Comma-separated.
    #[arg(long, env = "LASTMILE_SECRET_NAMESPACES", value_delimiter = ',')]
    pub secret_namespaces: Vec<String>,
    /// Holds PostgreSQL's URL. Without it nothing is mirrored and no router is discovered.
    #[arg(long, env = "LASTMILE_DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Holds Redis' URL. Without it sessions of gateways that are gone stay open in the database.
    #[arg(long, env = "LASTMILE_REDIS_URL_FILE")]
    pub event_bus_url_file: Option<PathBuf>,
    /// The Service of the api, for its serving certificate.
    #[arg(long, env = "LASTMILE_API_SERVICE", default_value = "lastmile-api")]
    pub api_service: String,
    /// Where `/metrics` and `/healthz` listen.
    #[arg(long, env = "LASTMILE_METRICS_LISTEN", default_value = "0.0.0.0:9100")]
    pub metrics_listen: SocketAddr,
}

impl Settings {
    /// Whether gateways of this namespace can be told their secrets.
    pub fn serves(&self, namespace: &str) -> bool {
        self.secret_namespaces.is_empty() || self.secret_namespaces.iter().any(|served| served == namespace)
    }
}
