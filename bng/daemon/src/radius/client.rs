//! One request to the first server that answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use lastmile_session::{AccountingRecord, AuthAnswer, Subject};
use lastmile_wire::radius::{
    self, Packet, RequireMessageAuthenticator, access_request, accounting_request, status_request, verify_response,
};
use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::{
    Server, Settings, attributes,
    channel::{Channel, ExchangeError},
};
use crate::{chain, time::boot_ms};

/// A server that did not answer is asked last for so long, milliseconds.
const DEAD_MS: u64 = 30_000;

/// Whether RADIUS was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reachability {
    /// `None` = never tried.
    pub reachable: Option<bool>,
    /// Which server answered, or why none did.
    pub detail: String,
    /// Boot time of the last valid reply, milliseconds.
    pub heard_ms: u64,
}

/// The servers of one configuration. Cheap to share; a change of the configuration makes a new one.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    servers: Vec<Contact>,
    reachability: watch::Sender<Reachability>,
}

#[derive(Debug)]
struct Contact {
    auth: Channel,
    acct: Channel,
    /// Boot time until which it is asked last.
    dead_until_ms: AtomicU64,
}

impl Client {
    /// Opens nothing yet.
    pub fn new(settings: Settings, reachability: watch::Sender<Reachability>) -> Arc<Self> {
        let contact = |server: &Server| Contact {
            auth: Channel::new(server.auth),
            acct: Channel::new(server.acct),
            dead_until_ms: AtomicU64::new(0),
        };
        Arc::new(Self { servers: settings.servers.iter().map(contact).collect(), settings, reachability })
    }

    /// The configuration it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One Access-Request.
    pub async fn authenticate(&self, subject: &Subject) -> AuthAnswer {
        for (server, contact) in self.in_order() {
            let reply = self.ask(server, contact, subject).await;
            if let Some(packet) = self.judge(contact, reply) {
                return attributes::answer(&packet);
            }
        }
        AuthAnswer::NoAnswer
    }

    async fn ask(&self, server: &Server, contact: &Contact, subject: &Subject) -> Result<Packet, ExchangeError> {
        let list = attributes::access(&self.settings, subject, Timestamp::now())?;
        let build = |id| access_request(id, rand::random(), Some(&self.settings.password), &list, &server.secret);
        let require = require(server);
        let verify = |datagram: &[u8], request: &_| verify_response(datagram, request, &server.secret, require);
        contact.auth.exchange(self.settings.timeout, self.settings.retries, build, verify).await
    }

    /// One Accounting-Request; true when a server acknowledged it, or when it can never be sent.
    pub async fn account(&self, record: &AccountingRecord) -> bool {
        for (server, contact) in self.in_order() {
            let late = Timestamp::now().duration_since(record.at).as_secs();
            let delay = u32::try_from(late).unwrap_or(0);
            let reply = self.tell(server, contact, record, delay).await;
            if let Err(ExchangeError::Encode(source)) = &reply {
                error!(number = record.number, %source, "an accounting record can never be sent and is given up");
                return true;
            }
            if self.judge(contact, reply).is_some() {
                return true;
            }
        }
        false
    }

    async fn tell(
        &self,
        server: &Server,
        contact: &Contact,
        record: &AccountingRecord,
        delay: u32,
    ) -> Result<Packet, ExchangeError> {
        let list = attributes::accounting(&self.settings, record, delay)?;
        let build = |id| accounting_request(id, &list, &server.secret);
        // RFC 2866 replies are protected by the Response Authenticator; FreeRADIUS 3.2 puts nothing else into them.
        let require = RequireMessageAuthenticator::No;
        let verify = |datagram: &[u8], request: &_| verify_response(datagram, request, &server.secret, require);
        contact.acct.exchange(self.settings.timeout, self.settings.retries, build, verify).await
    }

    /// Asks every server whether it lives (RFC 5997); true if one does.
    pub async fn probe(&self) -> bool {
        let mut alive = false;
        for (server, contact) in self.settings.servers.iter().zip(&self.servers) {
            let Ok(list) = attributes::status(&self.settings) else { continue };
            let build = |id| status_request(id, rand::random(), &list, &server.secret);
            let require = RequireMessageAuthenticator::No;
            let verify = |datagram: &[u8], request: &_| verify_response(datagram, request, &server.secret, require);
            let reply = contact.auth.exchange(self.settings.timeout, 1, build, verify).await;
            alive |= self.judge(contact, reply).is_some();
            if alive {
                break;
            }
        }
        alive
    }

    /// Waits until RADIUS was not heard for `quiet`, then probes; for ever.
    pub async fn probe_when_quiet(&self, quiet: Duration) {
        loop {
            let heard = self.reachability.borrow().heard_ms;
            let age = Duration::from_millis(boot_ms().saturating_sub(heard));
            if age >= quiet {
                self.probe().await;
            }
            tokio::time::sleep(quiet / 3).await;
        }
    }

    /// Those that were heard lately first, each in the configured order.
    fn in_order(&self) -> impl Iterator<Item = (&Server, &Contact)> {
        let now = boot_ms();
        let mut all: Vec<_> = self.settings.servers.iter().zip(&self.servers).collect();
        all.sort_by_key(|(_, contact)| contact.dead_until_ms.load(Ordering::Relaxed) > now);
        all.into_iter()
    }

    fn judge(&self, contact: &Contact, reply: Result<Packet, ExchangeError>) -> Option<Packet> {
        match reply {
            Ok(packet) => {
                contact.dead_until_ms.store(0, Ordering::Relaxed);
                let heard_ms = boot_ms();
                self.reachability.send_modify(|state| {
                    *state = Reachability { reachable: Some(true), detail: "answers".to_owned(), heard_ms };
                });
                Some(packet)
            }
            Err(error) => {
                let detail = chain(&error);
                contact.dead_until_ms.store(boot_ms() + DEAD_MS, Ordering::Relaxed);
                let refused = matches!(&error, ExchangeError::Silent { refused: Some(_), .. });
                if refused {
                    warn!(
                        detail,
                        "a RADIUS server's replies were refused: check the shared secret and Message-Authenticator"
                    );
                } else {
                    debug!(detail, "a RADIUS request failed");
                }
                let others = self.servers.iter().any(|other| other.dead_until_ms.load(Ordering::Relaxed) == 0);
                if !others {
                    self.reachability.send_modify(|state| {
                        state.reachable = Some(false);
                        state.detail = detail;
                    });
                }
                None
            }
        }
    }
}

fn require(server: &Server) -> RequireMessageAuthenticator {
    if server.require_message_authenticator {
        radius::RequireMessageAuthenticator::Yes
    } else {
        radius::RequireMessageAuthenticator::No
    }
}
