//! The RADIUS client: Access-Requests, accounting, and the question whether anybody answers.
//!
//! `server` speaks to one server (sockets, identifiers, retransmission, verification), `pool` chooses among several, `attributes` says
//! in RADIUS's terms who a session is, `accounting` delivers what the journal owes, in order per session. The driver hands
//! requests in and gets inputs back; it never waits.

mod accounting;
mod attributes;
mod pool;
mod server;

use std::{fs, io, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use lastmile_session::{AccountingRecord, AuthAnswer, AuthRequest};
use lastmile_types::{SessionId, config::BngConfig};
use lastmile_wire::radius::{Code, access_request, attr};
use tokio::sync::mpsc;
use tracing::warn;

use self::{
    attributes::grant_of,
    pool::{Pool, Port},
};

/// What RADIUS has to say to the driver.
#[derive(Debug)]
pub enum Answer {
    /// To an Access-Request.
    Auth {
        /// Whose.
        session: SessionId,
        /// Which.
        attempt: u32,
        /// The outcome.
        answer: AuthAnswer,
    },
    /// An accounting record needs not be kept any longer.
    Accounted {
        /// Its number.
        number: u64,
    },
}

/// Why the client cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RadiusError {
    /// A secret is missing.
    #[error("cannot read {file}")]
    Secret {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// No socket towards a server.
    #[error("cannot open a socket towards {server}")]
    Socket {
        /// Which.
        server: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What every request says about the gateway.
#[derive(Debug, Clone)]
pub struct Nas {
    /// NAS-Identifier.
    pub identifier: String,
    /// NAS-IP-Address.
    pub address: Ipv4Addr,
}

/// The client's handle; cheap to clone. Replaced as a whole when the configuration changes.
#[derive(Debug, Clone)]
pub struct Radius {
    nas: Arc<Nas>,
    password: Arc<Vec<u8>>,
    auth: Arc<Pool>,
    answers: mpsc::UnboundedSender<Answer>,
    records: mpsc::UnboundedSender<AccountingRecord>,
}

impl Radius {
    /// Reads the secrets, opens the sockets, starts the accounting task with what the journal owes.
    pub async fn start(
        config: &BngConfig,
        folder: &Path,
        owed: impl IntoIterator<Item = AccountingRecord>,
        answers: mpsc::UnboundedSender<Answer>,
    ) -> Result<Self, RadiusError> {
        let nas = Arc::new(Nas { identifier: config.nas_identifier.clone(), address: config.nas_ip_address });
        let password = secret(folder, &config.radius.password_file)?;
        let auth = Arc::new(Pool::open(config, folder, Port::Auth).await?);
        let acct = Arc::new(Pool::open(config, folder, Port::Acct).await?);
        let (records, waiting) = mpsc::unbounded_channel();
        for record in owed {
            let _ = records.send(record);
        }
        tokio::spawn(accounting::deliver(acct, nas.clone(), waiting, answers.clone()));
        Ok(Self { nas, password: Arc::new(password), auth, answers, records })
    }

    /// Asks whether a session may be online; the answer comes as [`Answer::Auth`].
    pub fn authenticate(&self, request: AuthRequest) {
        let radius = self.clone();
        tokio::spawn(async move {
            let answer = radius.ask(&request).await;
            let _ = radius.answers.send(Answer::Auth { session: request.session, attempt: request.attempt, answer });
        });
    }

    async fn ask(&self, request: &AuthRequest) -> AuthAnswer {
        let attributes = match attributes::access(&self.nas, &request.subject) {
            Ok(attributes) => attributes,
            Err(error) => {
                warn!(session = %request.session, %error, "an Access-Request cannot be built: check the User-Name template");
                return AuthAnswer::NoAnswer;
            }
        };
        let password = self.password.as_slice();
        let reply = self.auth.ask(|identifier, secret| {
            access_request(identifier, rand::random(), Some(password), &attributes, secret)
        });
        match reply.await {
            Ok(packet) if packet.code == Code::ACCESS_ACCEPT => AuthAnswer::Accept(Box::new(grant_of(&packet.attributes))),
            // A challenge is a question that a DHCP client cannot be asked: RFC 2865 §4.4 says to treat it as a reject.
            Ok(packet) => {
                let message = packet.attributes.text(attr::REPLY_MESSAGE).unwrap_or_default().to_owned();
                AuthAnswer::Reject { message }
            }
            Err(_) => AuthAnswer::NoAnswer,
        }
    }

    /// Owes one accounting record; [`Answer::Accounted`] tells when it is delivered.
    pub fn account(&self, record: AccountingRecord) {
        let _ = self.records.send(record);
    }

    /// Why no server for Access-Requests answers, if none does.
    pub fn trouble(&self) -> Option<String> {
        self.auth.trouble()
    }

    /// Asks every server whether it lives (Status-Server, RFC 5997).
    pub async fn probe(&self) {
        self.auth.probe(&self.nas).await;
    }
}

fn secret(folder: &Path, file: &str) -> Result<Vec<u8>, RadiusError> {
    let bytes = fs::read(folder.join(file)).map_err(|source| RadiusError::Secret { file: file.to_owned(), source })?;
    Ok(bytes.trim_ascii_end().to_vec())
}

/// How long and how often one server is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until the first retransmission; doubled each time.
    timeout: Duration,
    /// Retransmissions.
    retries: u32,
}
