//! A gateway's configuration directory: one Secret with `bng.json` and the files that it names.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use ipnet::Ipv4Net;
use k8s_openapi::ByteString;
use kube::ResourceExt;
use lastmile_crds as crds;
use lastmile_crds::{BNG, Ipv4, NetworkMode, SecretKey};
use lastmile_types::{
    BngId,
    config::{
        AccessMode, Accounting, BngConfig, Coa, CoaClient, Dhcp, EventBus, Interfaces, Kea, KeaForm, Policy, Pool,
        Radius, RadiusServer, RateAttribute, RateMeaning, Recovery, Routers, Shaping, Shedding, StatusEndpoint, Trust,
        TrustMode,
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{metadata, workload::METRICS_PORT};
use crate::{
    ca::{Authority, Material},
    endpoint,
};

/// Why no configuration can be rendered: a CamelCase reason and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// What a configuration is made of.
pub struct Ingredients<'a> {
    /// The gateway.
    pub bng: &'a BNG,
    /// Its node's address.
    pub address: Ipv4Addr,
    /// The compiled policies of its namespace.
    pub policies: Vec<Policy>,
    /// The names of the access routers that were declared for it.
    pub routers: Vec<String>,
    /// Networks that no subscriber may reach.
    pub protected: Vec<Ipv4Net>,
    /// The Secrets' keys that it refers to, as far as they exist.
    pub secrets: &'a BTreeMap<SecretKey, Vec<u8>>,
    /// Its endpoint's certificate.
    pub material: &'a Material,
    /// Who signed it.
    pub authority: &'a Authority,
}

/// A rendered configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Which one it is.
    pub revision: String,
    /// The Secret to apply.
    pub secret: Value,
}

/// The name of the Secret.
pub fn config_secret_name(bng: &BNG) -> String {
    format!("{}-config", bng.name_any())
}

/// Every key of every Secret that a gateway refers to.
pub fn referenced(bng: &BNG) -> Vec<SecretKey> {
    let radius = &bng.spec.radius;
    let mut keys: Vec<SecretKey> = radius.servers.iter().map(|server| server.secret_ref.clone()).collect();
    keys.push(radius.password_secret_ref.clone());
    keys.extend(radius.dictionary_secret_refs.iter().cloned());
    keys.push(bng.spec.event_bus.secret_ref.clone());
    keys.extend(coa_clients(bng).iter().map(|client| client.secret_ref.clone()));
    keys.sort();
    keys.dedup();
    keys
}

fn coa_clients(bng: &BNG) -> &[crds::CoaClient] {
    bng.spec.coa.as_ref().map_or(&[], |coa| &coa.clients)
}

/// Renders the configuration directory.
pub fn render(ingredients: &Ingredients<'_>) -> Result<Rendered, Problem> {
    let bng = ingredients.bng;
    let mut files = secret_files(ingredients)?;
    let mut config = config(ingredients)?;
    config.check().map_err(|error| invalid(&format!("spec does not work: {error}")))?;
    files.insert("tls.crt".into(), ingredients.material.certificate.clone().into_bytes());
    files.insert("tls.key".into(), ingredients.material.key.clone().into_bytes());
    files.insert("ca.crt".into(), ingredients.authority.certificate().as_bytes().to_vec());
    config.config_revision = revision(&config, &files);
    files.insert("bng.json".into(), json_text(&config).into_bytes());
    let data: BTreeMap<String, ByteString> = files.into_iter().map(|(name, bytes)| (name, ByteString(bytes))).collect();
    let mut metadata = metadata(bng, &config_secret_name(bng));
    let mut annotations = ingredients.material.annotations(ingredients.authority);
    annotations.insert(super::CONFIG_REVISION.to_owned(), config.config_revision.clone());
    metadata["annotations"] = json!(annotations);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data });
    Ok(Rendered { revision: config.config_revision, secret })
}

fn secret_files(ingredients: &Ingredients<'_>) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let spec = &ingredients.bng.spec;
    let mut files = BTreeMap::new();
    let mut add = |file: String, key: &SecretKey| match ingredients.secrets.get(key) {
        Some(bytes) => {
            files.insert(file, bytes.clone());
            Ok(())
        }
        None => Err(Problem {
            reason: "SecretMissing",
            message: format!(
                "there is no key {:?} in a Secret {:?} in namespace {}: create it",
                key.key,
                key.name,
                ingredients.bng.namespace().unwrap_or_default()
            ),
        }),
    };
    for (index, server) in spec.radius.servers.iter().enumerate() {
        add(radius_secret_file(index), &server.secret_ref)?;
    }
    for (index, dictionary) in spec.radius.dictionary_secret_refs.iter().enumerate() {
        add(dictionary_file(index), dictionary)?;
    }
    add("radius-password".into(), &spec.radius.password_secret_ref)?;
    add("redis-url".into(), &spec.event_bus.secret_ref)?;
    for (index, client) in coa_clients(ingredients.bng).iter().enumerate() {
        add(coa_secret_file(index), &client.secret_ref)?;
    }
    Ok(files)
}

fn radius_secret_file(index: usize) -> String {
    format!("radius-secret-{index}")
}

fn dictionary_file(index: usize) -> String {
    format!("radius-dictionary-{index}")
}

fn coa_secret_file(index: usize) -> String {
    format!("coa-secret-{index}")
}

fn config(ingredients: &Ingredients<'_>) -> Result<BngConfig, Problem> {
    let (bng, spec) = (ingredients.bng, &ingredients.bng.spec);
    let bng_id = BngId::new(&bng.namespace().unwrap_or_default(), &bng.name_any())
        .map_err(|error| invalid(&error.to_string()))?;
    Ok(BngConfig {
        config_revision: String::new(),
        bng_id,
        nas_identifier: spec.nas_identifier.clone().unwrap_or_else(|| bng.name_any()),
        nas_ip_address: ingredients.address,
        interfaces: interfaces(&spec.network)?,
        access_mode: match spec.access_mode {
            crds::AccessMode::Routed => AccessMode::Routed,
            crds::AccessMode::Bridged => AccessMode::Bridged,
        },
        pools: spec.pools.iter().map(pool).collect::<Result<_, _>>()?,
        dhcp: dhcp(&spec.dhcp)?,
        trust: match spec.trust.mode {
            crds::TrustMode::Prefixes => Trust { option82: spec.trust.option82, ..Trust::default() },
            crds::TrustMode::ListedOnly => {
                Trust { mode: TrustMode::ListedOnly, routers: ingredients.routers.clone(), ..Trust::default() }
            }
        },
        sessions_per_circuit: number(spec.sessions_per_circuit),
        radius: radius(&spec.radius)?,
        accounting: Accounting {
            interim_seconds: number(spec.accounting.interim_seconds),
            idle_after_seconds: number(spec.accounting.idle_after_seconds),
            health_seconds: number(spec.accounting.health_seconds),
        },
        event_bus: EventBus { url_file: "redis-url".into() },
        kea: spec.kea.as_ref().map(|kea| Kea {
            url: kea.url.clone(),
            form: match kea.form {
                crds::KeaForm::ControlAgent => KeaForm::ControlAgent,
                crds::KeaForm::Direct => KeaForm::Direct,
            },
        }),
        routers: Routers {
            name_separator: spec.routers.name_separator.clone(),
            liveness_seconds: number(spec.routers.liveness_seconds),
        },
        policies: ingredients.policies.clone(),
        shaping: Shaping { classes: number(spec.shaping.max_subscribers) },
        protected: protected(ingredients)?,
        status: StatusEndpoint {
            listen: SocketAddr::from((ingredients.address, endpoint::PORT)),
            metrics_listen: SocketAddr::from((ingredients.address, METRICS_PORT)),
            cert_file: "tls.crt".into(),
            key_file: "tls.key".into(),
            ca_file: "ca.crt".into(),
        },
        coa: spec.coa.as_ref().map(|coa| self::coa(coa, ingredients.address)).transpose()?,
    })
}

/// What the release says, and the DHCP and RADIUS servers themselves.
fn protected(ingredients: &Ingredients<'_>) -> Result<Vec<Ipv4Net>, Problem> {
    let spec = &ingredients.bng.spec;
    let servers = spec.dhcp.servers.iter().chain(spec.radius.servers.iter().map(|server| &server.address));
    let hosts: Vec<Ipv4Net> = servers.map(|server| address(server).map(Ipv4Net::from)).collect::<Result<_, _>>()?;
    Ok(Ipv4Net::aggregate(&ingredients.protected.iter().copied().chain(hosts).collect()))
}

fn interfaces(network: &crds::Network) -> Result<Interfaces, Problem> {
    if network.mode == NetworkMode::Multus {
        return Err(Problem {
            reason: "MultusNotSupported",
            message: "network.mode Multus is not supported by this version: use HostNetwork".into(),
        });
    }
    let side = |name: &str, attachment: &crds::Attachment| {
        attachment.interface.clone().ok_or_else(|| invalid(&format!("spec.network.{name}.interface is missing")))
    };
    Ok(Interfaces {
        subscriber: side("subscriber", &network.subscriber)?,
        uplink: side("uplink", &network.uplink)?,
        dhcp: side("dhcp", &network.dhcp)?,
    })
}

fn pool(pool: &crds::Pool) -> Result<Pool, Problem> {
    Ok(Pool {
        prefix: pool.prefix.0.parse().map_err(|_| invalid(&format!("{:?} is no IPv4 network", pool.prefix.0)))?,
        gateway: address(&pool.gateway)?,
        next_hop: pool.next_hop.as_ref().map(address).transpose()?,
    })
}

fn dhcp(dhcp: &crds::Dhcp) -> Result<Dhcp, Problem> {
    let crds::Shedding { per_circuit_per_second, per_second, declines_per_circuit_per_hour } = dhcp.shedding;
    Ok(Dhcp {
        servers: dhcp.servers.iter().map(address).collect::<Result<_, _>>()?,
        shedding: Shedding {
            per_circuit_per_second: number(per_circuit_per_second),
            per_second: number(per_second),
            declines_per_circuit_per_hour: number(declines_per_circuit_per_hour),
        },
    })
}

fn radius(radius: &crds::Radius) -> Result<Radius, Problem> {
    let server = |(index, server): (usize, &crds::RadiusServer)| {
        let at = address(&server.address)?;
        Ok(RadiusServer {
            auth: SocketAddr::from((at, port(server.auth_port)?)),
            acct: SocketAddr::from((at, port(server.acct_port)?)),
            secret_file: radius_secret_file(index),
            require_message_authenticator: server.require_message_authenticator,
        })
    };
    Ok(Radius {
        servers: radius.servers.iter().enumerate().map(server).collect::<Result<_, _>>()?,
        password_file: "radius-password".into(),
        user_name_template: radius.user_name_template.clone(),
        timeout_ms: number(radius.timeout_milliseconds),
        retries: number(radius.retries),
        recovery: Recovery {
            dead_time_seconds: number(radius.dead_time_seconds),
            probe_seconds: number(radius.probe_seconds),
        },
        dictionary_files: (0..radius.dictionary_secret_refs.len()).map(dictionary_file).collect(),
        rate_attributes: radius.rate_attributes.iter().map(rate_attribute).collect(),
    })
}

fn rate_attribute(rate: &crds::RateAttribute) -> RateAttribute {
    let meaning = match rate.meaning {
        crds::RateMeaning::DownloadBps => RateMeaning::DownloadBps,
        crds::RateMeaning::UploadBps => RateMeaning::UploadBps,
        crds::RateMeaning::DownloadKbps => RateMeaning::DownloadKbps,
        crds::RateMeaning::UploadKbps => RateMeaning::UploadKbps,
        crds::RateMeaning::DownloadBurstKbit => RateMeaning::DownloadBurstKbit,
        crds::RateMeaning::UploadBurstKbit => RateMeaning::UploadBurstKbit,
        crds::RateMeaning::MikrotikRateLimit => RateMeaning::MikrotikRateLimit,
        crds::RateMeaning::CiscoRateLimit => RateMeaning::CiscoRateLimit,
    };
    RateAttribute { attribute: rate.attribute.clone(), meaning }
}

fn coa(coa: &crds::Coa, node: Ipv4Addr) -> Result<Coa, Problem> {
    let client = |(index, client): (usize, &crds::CoaClient)| {
        let text = &client.cidr.0;
        Ok(CoaClient {
            network: text.parse().map_err(|_| invalid(&format!("{text:?} is no IPv4 network")))?,
            secret_file: coa_secret_file(index),
            require_message_authenticator: client.require_message_authenticator,
        })
    };
    Ok(Coa {
        listen: SocketAddr::from((node, port(coa.port)?)),
        clients: coa.clients.iter().enumerate().map(client).collect::<Result<_, _>>()?,
        window_seconds: number(coa.window_seconds),
        require_event_timestamp: coa.require_event_timestamp,
    })
}

fn port(port: i32) -> Result<u16, Problem> {
    u16::try_from(port).map_err(|_| invalid(&format!("{port} is no UDP port")))
}

fn address(text: &Ipv4) -> Result<Ipv4Addr, Problem> {
    text.0.parse().map_err(|_| invalid(&format!("{:?} is no IPv4 address", text.0)))
}

fn number(value: i32) -> u32 {
    // The schema has no negative numbers.
    u32::try_from(value).unwrap_or(0)
}

fn invalid(message: &str) -> Problem {
    Problem { reason: "InvalidSpec", message: message.to_owned() }
}

fn revision(config: &BngConfig, files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    hash.update(json_text(config));
    for (name, bytes) in files {
        hash.update(name);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn json_text(config: &BngConfig) -> String {
    // Plain data without maps of odd keys: it is always JSON.
    serde_json::to_string_pretty(config).unwrap_or_default()
}
