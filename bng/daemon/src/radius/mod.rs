//! RADIUS, asynchronously: nobody's DHCP ever waits for it.
//!
//! [`client`] sends one request to the first server that answers; [`peer`] knows whether a server lives, [`channel`] has its sockets,
//! [`tally`] counts; [`attributes`] says what is in the requests and what is taken from the replies, [`rates`] which limits;
//! [`accounting`] delivers what the journal owes, in order per session, and puts aside as [`dead_letters`] what no server takes.

pub mod accounting;
pub mod attributes;
pub mod channel;
pub mod client;
pub mod dead_letters;
pub mod peer;
pub mod rates;
pub mod tally;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lastmile_types::config::{BngConfig, Recovery};
use lastmile_wire::radius::Dictionary;

pub use client::{Client, Delivery, Reachability};
pub use rates::{Limit, RateError, RateTable};

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
    /// Until a request is sent again the first time.
    pub timeout: Duration,
    /// How often it is sent again to one server.
    pub retries: u32,
    /// When a silent server is asked again.
    pub recovery: Recovery,
    /// What limits are in a reply or a CoA-Request.
    pub rates: RateTable,
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
    pub fn read<E: From<RateError>>(
        config: &BngConfig,
        secret: impl Fn(&str) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut dictionary = Dictionary::shipped().map_err(RateError::from)?;
        for file in &config.radius.dictionary_files {
            let text = secret(file)?;
            dictionary.read(file, &String::from_utf8_lossy(&text)).map_err(RateError::from)?;
        }
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
            recovery: config.radius.recovery,
            rates: RateTable::new(&config.radius.rate_attributes, &dictionary)?,
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
