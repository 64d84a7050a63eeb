//! Several servers: the first that is not known to be dead is asked, then the next.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lastmile_types::config::BngConfig;
use lastmile_wire::radius::{Attributes, Packet, Request, RequireMessageAuthenticator, TooLong, attr, status_request};
use tracing::{info, warn};

use super::{
    Nas, Patience, RadiusError, secret,
    server::{AskError, Server},
};

/// How long a silent server is passed over.
const DEAD_TIME: Duration = Duration::from_secs(30);

/// Which of a server's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Access-Request.
    Auth,
    /// Accounting-Request.
    Acct,
}

/// The servers for one kind of request, in order of preference.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    server: Server,
    require: RequireMessageAuthenticator,
    /// Silent since then.
    dead: Mutex<Option<Instant>>,
}

impl Pool {
    /// Opens sockets towards every server of the configuration.
    pub async fn open(config: &BngConfig, folder: &Path, port: Port) -> Result<Self, RadiusError> {
        let patience = Patience {
            timeout: Duration::from_millis(u64::from(config.radius.timeout_ms)),
            retries: config.radius.retries,
        };
        let mut members = Vec::new();
        for server in &config.radius.servers {
            let (address, required) = match port {
                Port::Auth => (server.auth, server.require_message_authenticator),
                // Accounting replies carry none (RFC 2869 §5.14 does not ask for it).
                Port::Acct => (server.acct, false),
            };
            let secret = secret(folder, &server.secret_file)?;
            let require = if required { RequireMessageAuthenticator::Yes } else { RequireMessageAuthenticator::No };
            let server = Server::open(address, secret, patience)
                .await
                .map_err(|source| RadiusError::Socket { server: address, source })?;
            members.push(Member { server, require, dead: Mutex::new(None) });
        }
        Ok(Self { members })
    }

    /// Asks the servers in turn until one answers. Those that were silent lately come last.
    pub async fn ask(&self, build: impl Fn(u8, &[u8]) -> Result<Request, TooLong>) -> Result<Packet, AskError> {
        let (living, dead): (Vec<_>, Vec<_>) = self.members.iter().partition(|member| !member.passed_over());
        let mut last = None;
        for member in living.into_iter().chain(dead) {
            match member.server.ask(member.require, &build).await {
                Ok(packet) => {
                    member.lives();
                    return Ok(packet);
                }
                Err(error @ AskError::TooLong(_)) => return Err(error),
                Err(error) => {
                    member.is_silent();
                    last = Some(error);
                }
            }
        }
        // A checked configuration has at least one server.
        Err(last.unwrap_or(AskError::Silent { server: SocketAddr::from(([0, 0, 0, 0], 0)) }))
    }

    /// Why nobody answers, if nobody does.
    pub fn trouble(&self) -> Option<String> {
        let silent = |member: &Member| member.dead.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let names = || self.members.iter().map(|member| member.server.address().to_string()).collect::<Vec<_>>();
        self.members.iter().all(silent).then(|| format!("no answer from {}", names().join(", ")))
    }

    /// Asks each server whether it lives.
    pub async fn probe(&self, nas: &Nas) {
        let mut attributes = Attributes::new();
        if attributes.push(attr::NAS_IDENTIFIER, nas.identifier.as_bytes()).is_err() {
            return;
        }
        let probes = self.members.iter().map(|member| {
            let attributes = &attributes;
            async move {
                let request = |identifier, secret: &[u8]| status_request(identifier, rand::random(), attributes, secret);
                // FreeRADIUS 3.2.1 puts no Message-Authenticator into these replies.
                match member.server.ask(RequireMessageAuthenticator::No, request).await {
                    Ok(_) => member.lives(),
                    Err(_) => member.is_silent(),
                }
            }
        });
        futures::future::join_all(probes).await;
    }
}

impl Member {
    fn passed_over(&self) -> bool {
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        dead.is_some_and(|since| since.elapsed() < DEAD_TIME)
    }

    fn lives(&self) {
        if self.dead.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!(server = %self.server.address(), "the RADIUS server answers again");
        }
    }

    fn is_silent(&self) {
        let before = self.dead.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none() {
            warn!(server = %self.server.address(), "the RADIUS server does not answer: check that it runs and that the secret is the same");
        }
    }
}
