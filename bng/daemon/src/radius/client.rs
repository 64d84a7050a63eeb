//! One request to the first server that answers.

use std::{sync::Arc, time::Duration};

use futures::future::{join_all, select_all};
use jiff::Timestamp;
use lastmile_session::{AccountingRecord, AuthAnswer, Subject};
use lastmile_types::status::{RadiusRole, RadiusServer};
use lastmile_wire::radius::{
    Packet, Request, RequireMessageAuthenticator, TooLong, access_request, accounting_request,
};
use tokio::{sync::watch, time::timeout};
use tracing::debug;

use super::{
    Server, Settings, attributes,
    channel::{ExchangeError, Patience},
    peer::Peer,
};
use crate::chain;

/// A request waits so long for a dead server to be heard again.
const REVIVAL: Duration = Duration::from_secs(20);

/// Whether RADIUS answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reachability {
    /// `None` = nothing is known yet.
    pub reachable: Option<bool>,
    /// Which servers are dead, and why.
    pub detail: String,
}

/// What came of an accounting record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A server has it.
    Acknowledged,
    /// No server answered.
    Unanswered,
    /// It fits into no packet.
    Impossible(TooLong),
}

/// The servers of one configuration. Cheap to share; a change of the configuration makes a new one.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    /// In order of preference.
    auth: Vec<Peer>,
    acct: Vec<Peer>,
    reachability: watch::Sender<Reachability>,
}

impl Client {
    /// Opens nothing yet.
    pub fn new(settings: Settings, reachability: watch::Sender<Reachability>) -> Arc<Self> {
        Self::build(settings, reachability, [&[], &[]])
    }

    /// For another configuration; what was counted of servers that stay goes on.
    pub fn succeeded_by(&self, settings: Settings) -> Arc<Self> {
        Self::build(settings, self.reachability.clone(), [&self.auth, &self.acct])
    }

    fn build(settings: Settings, reachability: watch::Sender<Reachability>, before: [&[Peer]; 2]) -> Arc<Self> {
        let patience = Patience { timeout: settings.timeout, retries: settings.retries };
        let peer = |address, server: &Server, require, before: &[Peer]| {
            let same = before.iter().find(|peer| peer.address == address);
            let tally = same.map(|peer| peer.tally().clone()).unwrap_or_default();
            Peer::new(address, server.secret.clone(), require, patience, settings.recovery, tally)
        };
        let auth = |server: &Server| peer(server.auth, server, require(server), before[0]);
        let auth = settings.servers.iter().map(auth).collect();
        // RFC 2866 replies are protected by the Response Authenticator; FreeRADIUS 3.2 puts nothing else into them.
        let acct = |server: &Server| peer(server.acct, server, RequireMessageAuthenticator::No, before[1]);
        let acct = settings.servers.iter().map(acct).collect();
        Arc::new(Self { auth, acct, settings, reachability })
    }

    /// The configuration it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One Access-Request.
    pub async fn authenticate(&self, subject: &Subject) -> AuthAnswer {
        let build = |identifier, secret: &[u8]| {
            let list = attributes::access(&self.settings, subject, Timestamp::now())?;
            access_request(identifier, rand::random(), Some(&self.settings.password), &list, secret)
        };
        match self.ask(&self.auth, build).await {
            Ok(packet) => attributes::answer(&self.settings, &packet),
            Err(_) => AuthAnswer::NoAnswer,
        }
    }

    /// One Accounting-Request. To each server it is a request of its own, with the delay of its moment (RFC 2866 §5.2).
    pub async fn account(&self, record: &AccountingRecord) -> Delivery {
        let build = |identifier, secret: &[u8]| {
            let late = Timestamp::now().duration_since(record.at).as_secs();
            let list = attributes::accounting(&self.settings, record, u32::try_from(late).unwrap_or(0))?;
            accounting_request(identifier, &list, secret)
        };
        match self.ask(&self.acct, build).await {
            Ok(_) => Delivery::Acknowledged,
            Err(Some(ExchangeError::Encode(source))) => Delivery::Impossible(source),
            Err(_) => Delivery::Unanswered,
        }
    }

    /// Whether a server for accounting was heard at or after this boot time, be it by a probe.
    pub fn accounting_heard_since(&self, boot_ms: u64) -> bool {
        self.acct.iter().any(|peer| peer.heard_since(boot_ms))
    }

    /// Every server in each of its roles, as it is and as it was counted.
    pub fn servers(&self) -> Vec<RadiusServer> {
        let halves = [(RadiusRole::Auth, &self.auth), (RadiusRole::Acct, &self.acct)];
        let of_half = |(role, peers): (RadiusRole, &Vec<Peer>)| {
            let server = |peer: &Peer| RadiusServer {
                address: peer.address,
                role,
                alive: !peer.is_dead(),
                counts: peer.tally().read(),
            };
            peers.iter().map(server).collect::<Vec<_>>()
        };
        halves.into_iter().flat_map(of_half).collect()
    }

    /// Watches over every server; for ever.
    pub async fn watch_over(&self, quiet: Duration) {
        let watch = async |peer: &Peer| {
            loop {
                let retries = peer.probe_is_due(quiet).await;
                self.probe(peer, retries).await;
            }
        };
        join_all(self.auth.iter().chain(&self.acct).map(watch)).await;
    }

    async fn probe(&self, peer: &Peer, retries: u32) {
        // Name and address of the gateway: they fit, or no request did.
        if let Ok(list) = attributes::status(&self.settings) {
            peer.probe(&list, retries).await;
            self.reflect();
        }
    }

    /// The first reply. Each server is asked once, the living ones first; `None` = none could be asked.
    async fn ask(
        &self,
        peers: &[Peer],
        build: impl Fn(u8, &[u8]) -> Result<Request, TooLong>,
    ) -> Result<Packet, Option<ExchangeError>> {
        let mut left: Vec<&Peer> = peers.iter().collect();
        let mut last = None;
        while let Some(peer) = choose(&mut left).await {
            let elsewhere = || left.iter().any(|other| !other.is_dead());
            let reply = peer.ask(&build, elsewhere).await;
            self.reflect();
            match reply {
                Ok(packet) => return Ok(packet),
                Err(error @ ExchangeError::Encode(_)) => return Err(Some(error)),
                Err(error) => {
                    debug!(detail = chain(&error), "a RADIUS request failed");
                    last = Some(error);
                }
            }
        }
        Err(last)
    }

    /// RADIUS is there when both of its halves are.
    fn reflect(&self) {
        let halves = [&self.auth, &self.acct];
        let all = |half: &[Peer]| half.iter().all(Peer::is_dead);
        let known = |half: &[Peer]| half.iter().any(|peer| peer.known() && !peer.is_dead());
        let reachable = match halves {
            halves if halves.iter().any(|half| all(half)) => Some(false),
            halves if halves.iter().any(|half| known(half)) => Some(true),
            _ => None,
        };
        let dead: Vec<_> = halves.iter().flat_map(|half| half.iter()).filter_map(Peer::dead).collect();
        let detail = dead.join("; ");
        let next = Reachability { reachable, detail };
        self.reachability.send_if_modified(|state| {
            *state != next && {
                *state = next;
                true
            }
        });
    }
}

/// Takes the next to be asked: the first that lives or is on trial; else one of which no probe will tell; else the first that is heard again.
async fn choose<'a>(left: &mut Vec<&'a Peer>) -> Option<&'a Peer> {
    let ready = |peer: &&Peer| !peer.is_dead() || peer.on_trial();
    let next = left.iter().position(ready).or_else(|| left.iter().position(|peer| !peer.tells_by_probe()));
    let next = match next {
        Some(next) => next,
        None if left.is_empty() => return None,
        None => {
            let revival = select_all(left.iter().map(|peer| Box::pin(peer.there())));
            timeout(REVIVAL, revival).await.ok()?.1
        }
    };
    Some(left.remove(next))
}

fn require(server: &Server) -> RequireMessageAuthenticator {
    if server.require_message_authenticator {
        RequireMessageAuthenticator::Yes
    } else {
        RequireMessageAuthenticator::No
    }
}
