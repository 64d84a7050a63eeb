//! Gateways without Kubernetes: `lastmile-bng` directly in its node's namespace, with a configuration rendered from the
//! topology as the operator would render it. For work on the data plane.
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use lastmile_types::BngId;
use lastmile_types::config::{
    AccessMode, Accounting, BngConfig, Coa, CoaClient, Dhcp, EventBus, Interfaces, Kea, KeaForm, Policy, Pool, Radius,
    RadiusServer, Recovery, Routers, Shedding, StatusEndpoint, Trust,
};
use lastmile_types::session::Rates;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::environment::redis_url;
use crate::paths::{MACHINE_DIR, Paths};
use crate::process::{Part, Place};
use crate::secrets::{Secrets, write_private};
use crate::topology::{Bng, Topology};

/// The namespace part of the gateways' ids.
const NAMESPACE: &str = "edge";

/// The configuration of a gateway.
pub fn config(topology: &Topology, bng: &Bng) -> Result<BngConfig> {
    let services = topology.services.management.addr();
    let server = |port| SocketAddr::from((services, port));
    let policy = |name: &str, down: u32, up: u32| Policy {
        name: name.to_owned(),
        filter_id: Some(name.to_owned()),
        rates: Rates { down_kbps: Some(down), up_kbps: Some(up), down_burst_kbit: None, up_burst_kbit: None },
        ..Policy::default()
    };
    let config = BngConfig {
        config_revision: "lab".to_owned(),
        bng_id: BngId::new(NAMESPACE, &bng.name).with_context(|| format!("{} is no BNG id", bng.name))?,
        nas_identifier: bng.name.clone(),
        nas_ip_address: bng.management.addr(),
        interfaces: Interfaces { subscriber: "access0".into(), uplink: "uplink0".into(), dhcp: "dhcp0".into() },
        access_mode: bng.access_mode(),
        pools: topology
            .routers_of(&bng.name)
            .map(|router| Pool {
                prefix: router.lan.trunc(),
                gateway: router.lan.addr(),
                next_hop: router.uplink.map(|uplink| uplink.addr()),
            })
            .collect(),
        dhcp: Dhcp { servers: vec![topology.services.dhcp.addr()], shedding: Shedding::default() },
        trust: Trust { option82: bng.access_mode() == AccessMode::Bridged, ..Trust::default() },
        sessions_per_circuit: 1,
        radius: Radius {
            servers: vec![RadiusServer {
                auth: server(1812),
                acct: server(1813),
                secret_file: "radius-secret".into(),
                require_message_authenticator: true,
            }],
            password_file: "radius-password".into(),
            user_name_template: "{nas}/{remote}/{circuit}".into(),
            timeout_ms: 1_000,
            retries: 2,
            recovery: Recovery::default(),
            dictionary_files: Vec::new(),
            rate_attributes: Vec::new(),
        },
        accounting: Accounting { interim_seconds: 60, idle_after_seconds: 300, health_seconds: 10 },
        event_bus: EventBus { url_file: "redis-url".into() },
        kea: Some(Kea { url: format!("http://{services}:8000"), form: KeaForm::ControlAgent }),
        routers: Routers { name_separator: "|".into(), liveness_seconds: 10 },
        policies: vec![policy("gold", 100_000, 50_000), policy("silver", 20_000, 10_000)],
        shaping: lastmile_types::config::Shaping::default(),
        protected: vec![
            topology.management.host.trunc(),
            topology.services.dhcp.trunc(),
            topology.kubernetes.service_prefix,
        ]
        .into_iter()
        .chain(topology.bngs.iter().map(|bng| bng.pods))
        .collect(),
        status: StatusEndpoint {
            listen: SocketAddr::from((bng.management.addr(), 9443)),
            metrics_listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9100)),
            cert_file: "tls.crt".into(),
            key_file: "tls.key".into(),
            ca_file: "ca.crt".into(),
        },
        coa: Some(Coa {
            listen: SocketAddr::from((bng.management.addr(), 3799)),
            clients: vec![CoaClient {
                network: services.into(),
                secret_file: "radius-secret".into(),
                require_message_authenticator: false,
            }],
            window_seconds: 300,
            require_event_timestamp: false,
        }),
    };
    config.check()?;
    Ok(config)
}

/// Writes the configuration folder and starts the gateway in its node.
pub fn start(paths: &Paths, topology: &Topology, bng: &Bng, secrets: &Secrets) -> Result<Part> {
    let program = paths.program("lastmile-bng")?;
    let folder = paths.run.join("gateways").join(&bng.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write_private(&folder.join("bng.json"), &serde_json::to_string_pretty(&config(topology, bng)?)?)?;
    write_private(&folder.join("radius-secret"), &secrets.radius)?;
    write_private(&folder.join("radius-password"), &secrets.subscriber)?;
    write_private(&folder.join("redis-url"), &redis_url(topology, secrets))?;
    if !folder.join("ca.crt").exists() {
        write_keys(&folder, &format!("{}.{NAMESPACE}.bng.lastmile.io", bng.name))?;
    }
    let state = Path::new(MACHINE_DIR).join("gateways").join(&bng.name);
    fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
    let place = Place { netns: Some(bng.name.clone()), logs: paths.run.join("logs") };
    let mut command = place.command(program);
    command.arg("run").arg("--config-dir").arg(&folder).arg("--state-dir").arg(&state);
    place.start(&bng.name, &mut command)
}

/// A CA, the gateway's certificate and a client's (`client.crt`, `client.key`) for `curl`.
pub(crate) fn write_keys(folder: &Path, name: &str) -> Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    write_private(&folder.join("ca.crt"), &authority.pem())?;
    for (file, subject) in [("tls", name), ("client", "operator")] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![subject.to_owned()])?;
        params.distinguished_name.push(rcgen::DnType::CommonName, subject);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "lastmile");
        let certificate = params.signed_by(&key, &authority)?;
        write_private(&folder.join(format!("{file}.crt")), &certificate.pem())?;
        write_private(&folder.join(format!("{file}.key")), &key.serialize_pem())?;
    }
    Ok(())
}
