//! The CoA and Disconnect server (RFC 5176), UDP 3799.
//!
//! One task, [`server`], owns the socket: a datagram passes the [`gatekeeper`] (sender, rate, signature, time) or is dropped without a
//! word and counted; a retransmission gets the answer that the first one got ([`duplicates`]); what is new is decoded ([`request`]) and
//! becomes an [`Order`] to the driver, whose machine decides. An acknowledgement leaves only when what it says is done and journalled
//! ([`orders`]). A port that cannot be bound is a condition; the gateway does without.

mod duplicates;
pub mod gatekeeper;
mod orders;
pub mod request;
mod server;
mod tally;

use std::{net::SocketAddr, sync::Arc};

use ipnet::Ipv4Net;
use lastmile_session::{CoaWish, ErrorCause, Target};
use lastmile_types::config::Coa;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::{
    orders::Desk,
    server::Server,
    tally::{Tally, Totals},
};
use crate::{conditions::Finding, config::Config};

/// Orders that wait for the driver; further ones are dropped, and their senders try again.
const QUEUE: usize = 64;

/// As configured, secrets included.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// UDP.
    pub listen: SocketAddr,
    /// Smaller networks first.
    pub clients: Vec<Client>,
    /// How far Event-Timestamp may lie from now, seconds.
    pub window_seconds: u32,
    /// Drop requests without Event-Timestamp.
    pub require_event_timestamp: bool,
}

/// Senders with a common secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// Their addresses.
    pub network: Ipv4Net,
    /// Shared.
    pub secret: Vec<u8>,
    /// Drop requests without Message-Authenticator.
    pub require_message_authenticator: bool,
}

/// One request that may be believed; answered when it is done and journalled.
#[derive(Debug)]
pub struct Order {
    /// Whom it is for.
    pub target: Target,
    /// What is to be done.
    pub wish: CoaWish,
    /// The outcome.
    pub answer: oneshot::Sender<Result<(), ErrorCause>>,
}

impl Settings {
    /// From the configuration; `secret` reads a file that it names.
    pub fn read<E>(coa: &Coa, secret: impl Fn(&str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let client = |client: &lastmile_types::config::CoaClient| {
            Ok(Client {
                network: client.network,
                secret: secret(&client.secret_file)?,
                require_message_authenticator: client.require_message_authenticator,
            })
        };
        let mut clients: Vec<Client> = coa.clients.iter().map(client).collect::<Result<_, E>>()?;
        clients.sort_by_key(|client| std::cmp::Reverse(client.network.prefix_len()));
        Ok(Self {
            listen: coa.listen,
            clients,
            window_seconds: coa.window_seconds,
            require_event_timestamp: coa.require_event_timestamp,
        })
    }
}

/// Without the secrets: a configuration may end up in a log.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let networks: Vec<_> = self.clients.iter().map(|client| client.network).collect();
        f.debug_struct("coa::Settings")
            .field("listen", &self.listen)
            .field("clients", &networks)
            .finish_non_exhaustive()
    }
}

/// The server, the driver's end of it, and the orders between them.
pub fn open(
    config: watch::Receiver<Arc<Config>>,
    findings: mpsc::UnboundedSender<Finding>,
) -> (Desk, Server, mpsc::Receiver<Order>) {
    let tally = Arc::new(Tally::default());
    let (orders, orders_seen) = mpsc::channel(QUEUE);
    (Desk::new(tally.clone()), Server::new(config, orders, findings, tally), orders_seen)
}
