//! etcd, the API server, the controller manager and the scheduler: their keys, their command lines, their start.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use time::OffsetDateTime;

use super::pki::{Authority, Credential, CredentialFiles, Identity, Store};
use super::{ClusterContext, Node, kubeconfig, pki};
use crate::process::Part;

/// etcd's ports, on loopback. They are not the usual ones: the machine may have an etcd of its own.
const ETCD_CLIENT_PORT: u16 = 23790;
const ETCD_PEER_PORT: u16 = 23800;
/// The only name by which aggregated APIs believe the API server to speak for a user.
const FRONT_PROXY_CLIENT: &str = "front-proxy-client";

/// The key material of the control plane, written below the run folder.
pub struct Keys {
    authority: Authority,
    now: OffsetDateTime,
    /// The cluster's authority.
    pub authority_file: PathBuf,
    front_proxy_authority: PathBuf,
    front_proxy: CredentialFiles,
    etcd: CredentialFiles,
    api_server: CredentialFiles,
    kubelet_client: CredentialFiles,
    signing_key: PathBuf,
    verifying_key: PathBuf,
    controller_manager: PathBuf,
    scheduler: PathBuf,
}

impl Keys {
    /// A certificate of the cluster's authority.
    pub fn issue(&self, identity: &Identity) -> Result<Credential> {
        self.authority.issue(identity, self.now)
    }

    /// Writes a kubeconfig by which `identity` talks to the cluster.
    pub fn write_kubeconfig(&self, context: &ClusterContext, path: &Path, identity: &Identity) -> Result<()> {
        let credential = self.issue(identity)?;
        let authority = self.authority.certificate();
        kubeconfig::write(path, &context.server(), authority, &identity.common_name, &credential)
    }

    /// Issues and writes what a node's kubelet serves with.
    pub fn write_kubelet_server(&self, store: &Store, node: &Node) -> Result<CredentialFiles> {
        let names = vec![node.name.clone(), node.address.to_string()];
        store.write_credential("kubelet", &self.issue(&Identity::server(&format!("system:node:{}", node.name), names))?)
    }
}

/// Makes and writes the control plane's keys and the administrator's kubeconfig.
pub fn write_keys(context: &ClusterContext) -> Result<Keys> {
    let now = OffsetDateTime::now_utc();
    let layout = context.layout();
    let store = Store::open(&layout.pki())?;
    let authority = Authority::generate("lastmile-lab", now)?;
    let front_proxy = Authority::generate("lastmile-lab-front-proxy", now)?;
    let (signing_key, verifying_key) = pki::signing_keys()?;
    let issue = |name: &str, identity: &Identity| store.write_credential(name, &authority.issue(identity, now)?);
    let keys = Keys {
        now,
        authority_file: store.write("ca.crt", authority.certificate())?,
        front_proxy_authority: store.write("front-proxy-ca.crt", front_proxy.certificate())?,
        front_proxy: store.write_credential(
            "front-proxy-client",
            &front_proxy.issue(&Identity::client(FRONT_PROXY_CLIENT, None), now)?,
        )?,
        etcd: issue("etcd", &Identity::server("etcd", vec!["127.0.0.1".into(), "localhost".into()]))?,
        api_server: issue("kube-apiserver", &Identity::server("kube-apiserver", api_server_names(context)))?,
        kubelet_client: issue("kubelet-client", &Identity::client("kube-apiserver", Some("system:masters")))?,
        signing_key: store.write("service-accounts.key", &signing_key)?,
        verifying_key: store.write("service-accounts.pub", &verifying_key)?,
        controller_manager: layout.pki().join("controller-manager.kubeconfig"),
        scheduler: layout.pki().join("scheduler.kubeconfig"),
        authority,
    };
    let user = |path: &Path, name: &str, group| keys.write_kubeconfig(context, path, &Identity::client(name, group));
    user(&keys.controller_manager, "system:kube-controller-manager", None)?;
    user(&keys.scheduler, "system:kube-scheduler", None)?;
    user(&layout.kubeconfig(), "admin", Some("system:masters"))?;
    Ok(keys)
}

fn api_server_names(context: &ClusterContext) -> Vec<String> {
    // The first address of the services' range is the `kubernetes` Service's.
    let service = context.service_cidr.hosts().next().unwrap_or(context.service_cidr.addr());
    let dns = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
    let mut names = vec![context.api_address.to_string(), service.to_string(), Ipv4Addr::LOCALHOST.to_string()];
    names.extend(dns.map(str::to_owned));
    names
}

/// Starts etcd.
pub fn start_etcd(context: &ClusterContext, keys: &Keys) -> Result<Part> {
    start(context, "etcd", &etcd_arguments(context, keys))
}

/// Waits until etcd listens.
pub fn wait_for_etcd(etcd: &mut Part) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ETCD_CLIENT_PORT));
    etcd.wait_until(Duration::from_secs(20), || {
        TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
    })
}

/// Starts the API server.
pub fn start_api_server(context: &ClusterContext, keys: &Keys) -> Result<Part> {
    let address = SocketAddr::from((context.api_address, context.api_port));
    if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
        bail!("something else listens on {address}, where the lab's Kubernetes API belongs: end it and try again");
    }
    start(context, "kube-apiserver", &api_server_arguments(context, keys))
}

/// Starts the controller manager and the scheduler.
pub fn start_controllers(context: &ClusterContext, keys: &Keys) -> Result<Vec<Part>> {
    Ok(vec![
        start(context, "kube-controller-manager", &controller_manager_arguments(context, keys))?,
        start(context, "kube-scheduler", &scheduler_arguments(keys))?,
    ])
}

fn start(context: &ClusterContext, part: &str, arguments: &[String]) -> Result<Part> {
    context.place(None).start(part, context.lab_kube(part).args(arguments))
}

fn etcd_arguments(context: &ClusterContext, keys: &Keys) -> Vec<String> {
    vec![
        flag("data-dir", context.layout().etcd().display()),
        flag("client-url", format!("https://127.0.0.1:{ETCD_CLIENT_PORT}")),
        flag("peer-url", format!("https://127.0.0.1:{ETCD_PEER_PORT}")),
        flag("cert-file", keys.etcd.certificate.display()),
        flag("key-file", keys.etcd.key.display()),
        flag("trusted-ca-file", keys.authority_file.display()),
    ]
}

fn api_server_arguments(context: &ClusterContext, keys: &Keys) -> Vec<String> {
    vec![
        flag("advertise-address", context.api_address),
        flag("bind-address", context.api_address),
        flag("secure-port", context.api_port),
        flag("etcd-servers", format!("https://127.0.0.1:{ETCD_CLIENT_PORT}")),
        flag("etcd-cafile", keys.authority_file.display()),
        flag("etcd-certfile", keys.etcd.certificate.display()),
        flag("etcd-keyfile", keys.etcd.key.display()),
        flag("client-ca-file", keys.authority_file.display()),
        flag("tls-cert-file", keys.api_server.certificate.display()),
        flag("tls-private-key-file", keys.api_server.key.display()),
        flag("kubelet-certificate-authority", keys.authority_file.display()),
        flag("kubelet-client-certificate", keys.kubelet_client.certificate.display()),
        flag("kubelet-client-key", keys.kubelet_client.key.display()),
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        flag("service-account-key-file", keys.verifying_key.display()),
        flag("service-account-signing-key-file", keys.signing_key.display()),
        flag("service-cluster-ip-range", context.service_cidr),
        flag("authorization-mode", "Node,RBAC"),
        flag("enable-admission-plugins", "NodeRestriction"),
        flag("allow-privileged", true),
        // Aggregated APIs: the API server dials their endpoints itself, as no kube-proxy runs beside it.
        flag("enable-aggregator-routing", true),
        flag("requestheader-client-ca-file", keys.front_proxy_authority.display()),
        flag("requestheader-allowed-names", FRONT_PROXY_CLIENT),
        flag("requestheader-username-headers", "X-Remote-User"),
        flag("requestheader-group-headers", "X-Remote-Group"),
        flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        flag("proxy-client-cert-file", keys.front_proxy.certificate.display()),
        flag("proxy-client-key-file", keys.front_proxy.key.display()),
    ]
}

fn controller_manager_arguments(context: &ClusterContext, keys: &Keys) -> Vec<String> {
    vec![
        flag("kubeconfig", keys.controller_manager.display()),
        flag("root-ca-file", keys.authority_file.display()),
        flag("service-account-private-key-file", keys.signing_key.display()),
        flag("use-service-account-credentials", true),
        flag("leader-elect", false),
        flag("flex-volume-plugin-dir", context.run.join("volume-plugins").display()),
        flag("secure-port", 0),
    ]
}

fn scheduler_arguments(keys: &Keys) -> Vec<String> {
    vec![flag("kubeconfig", keys.scheduler.display()), flag("leader-elect", false), flag("secure-port", 0)]
}

/// One `--name=value`.
pub fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
