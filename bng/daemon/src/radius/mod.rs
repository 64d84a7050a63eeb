//! RADIUS, asynchronously: nobody's DHCP ever waits for it.
//!
//! [`client`] sends one request to the first server that answers, over the sockets of [`channel`]; [`attributes`] says what is
//! in the requests and what is taken from the replies; [`accounting`] delivers what the journal owes, in order per session.

pub mod accounting;
pub mod attributes;
pub mod channel;
pub mod client;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lastmile_types::config::BngConfig;

pub use client::{Client, Reachability};

/// RADIUS as configured, secrets included.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// In order of preference.
    pub servers: Vec<Server>,
    /// User-Password of every Access-Request.
    pub password: Vec<u8>,
    /// NAS-Identifier.
    pub nas_identifier: String,
    /// NAS-IP-Address.
    pub nas_ip_address: Ipv4Addr,
    /// Until a request is sent again.
    pub timeout: Duration,
    /// How often it is sent again to one server.
    pub retries: u32,
}

/// One server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// For Access-Request.
    pub auth: SocketAddr,
    /// For Accounting-Request.
    pub acct: SocketAddr,
    /// Shared.
    pub secret: Vec<u8>,
    /// Refuse replies to Access-Request without Message-Authenticator.
    pub require_message_authenticator: bool,
}

impl Settings {
    /// From the configuration; `secret` reads a file that it names.
    pub fn read<E>(config: &BngConfig, secret: impl Fn(&str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let servers = config.radius.servers.iter().map(|server| {
            Ok(Server {
                auth: server.auth,
                acct: server.acct,
                secret: secret(&server.secret_file)?,
                require_message_authenticator: server.require_message_authenticator,
            })
        });
        Ok(Self {
            servers: servers.collect::<Result<_, E>>()?,
            password: secret(&config.radius.password_file)?,
            nas_identifier: config.nas_identifier.clone(),
            nas_ip_address: config.nas_ip_address,
            timeout: Duration::from_millis(config.radius.timeout_ms.into()),
            retries: config.radius.retries,
        })
    }
}

/// Without the secrets: a configuration may end up in a log.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(|server| server.auth).collect();
        f.debug_struct("radius::Settings").field("servers", &servers).finish_non_exhaustive()
    }
}
