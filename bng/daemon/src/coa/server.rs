//! The task that owns the socket.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lastmile_session::ErrorCause;
use lastmile_wire::radius::{Attributes, Packet, attr, reply};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tracing::{debug, info};

use super::{
    Client, Order, Settings, Tally,
    duplicates::{Duplicates, Key, Seen},
    gatekeeper::{Gatekeeper, Refused},
    request::{self, Kind},
};
use crate::{chain, conditions::Finding, config::Config, time::now};

/// The condition's type.
const CONDITION: &str = "CoaListening";
/// Until a port that could not be bound is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// A RADIUS packet is no longer than this (RFC 2865 §3).
const LARGEST: usize = 4096;
/// Orders that may wait for their answers: more than the journal is ever behind.
const UNDER_WAY: usize = 1024;

/// See the module.
pub struct Server {
    config: watch::Receiver<Arc<Config>>,
    orders: mpsc::Sender<Order>,
    findings: mpsc::UnboundedSender<Finding>,
    tally: Arc<Tally>,
    gatekeeper: Gatekeeper,
    duplicates: Duplicates,
    under_way: FuturesUnordered<BoxFuture<'static, Outcome>>,
}

/// Who is to be answered.
struct Ticket {
    packet: Packet,
    key: Key,
    source: SocketAddr,
    secret: Vec<u8>,
}

type Outcome = (Ticket, Result<Result<(), ErrorCause>, oneshot::error::RecvError>);

impl Server {
    /// Listens when it runs.
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        orders: mpsc::Sender<Order>,
        findings: mpsc::UnboundedSender<Finding>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            config,
            orders,
            findings,
            tally,
            gatekeeper: Gatekeeper::default(),
            duplicates: Duplicates::default(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// Serves whatever the configuration says, until there is none any more.
    pub async fn run(mut self) {
        loop {
            let settings = self.config.borrow_and_update().coa.clone();
            let Some(settings) = settings else {
                self.find(Finding::good(CONDITION, "NotConfigured", "nobody may change or disconnect sessions by CoA"));
                if self.config.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let address = settings.listen;
            match UdpSocket::bind(address).await {
                Ok(socket) => {
                    info!(%address, "CoA and Disconnect requests are taken");
                    self.find(Finding::good(CONDITION, "Listening", format!("requests are taken on {address}, UDP")));
                    if self.serve(&socket, settings).await.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    let error = chain(&error);
                    let message = format!("cannot listen on {address}, UDP: {error}; free the port or choose another");
                    self.find(Finding::bad(CONDITION, "CannotListen", message));
                    if let Ok(Err(_)) = timeout(RETRY, self.config.changed()).await {
                        return;
                    }
                }
            }
        }
    }

    fn find(&self, finding: Finding) {
        let _ = self.findings.send(finding); // the driver goes last
    }

    /// Until the address changes; `None` when nobody configures it any more.
    async fn serve(&mut self, socket: &UdpSocket, mut settings: Arc<Settings>) -> Option<()> {
        let mut room = vec![0; LARGEST];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut room) => match received {
                    Ok((length, source)) => self.datagram(socket, &settings, &room[..length], source).await,
                    Err(error) => deaf(&error).await,
                },
                Some((ticket, outcome)) = self.under_way.next(), if !self.under_way.is_empty() => match outcome {
                    Ok(outcome) => self.answer(socket, &ticket, outcome).await,
                    Err(_) => self.duplicates.forget(&ticket.key),
                },
                changed = self.config.changed() => {
                    changed.ok()?;
                    match self.config.borrow_and_update().coa.clone().filter(|new| new.listen == settings.listen) {
                        Some(new) => settings = new,
                        None => return Some(()),
                    }
                }
            }
        }
    }

    async fn datagram(&mut self, socket: &UdpSocket, settings: &Settings, datagram: &[u8], source: SocketAddr) {
        let now = now();
        let (packet, client) = match self.gatekeeper.admit(settings, datagram, source, now) {
            Ok(admitted) => admitted,
            Err(why) => return self.drop(why, source),
        };
        let (kind, key) = (Kind::of(&packet), Key::of(&packet, source));
        match self.duplicates.see(&key, now.boot_ms, settings.window_seconds) {
            Seen::New => self.take(socket, packet, key, client, source).await,
            Seen::UnderWay => self.drop(Refused::UnderWay, source),
            Seen::Answered(answer) => {
                self.tally.answered(kind, "repeated");
                send(socket, &answer, source).await;
            }
        }
    }

    fn drop(&self, why: Refused, source: SocketAddr) {
        debug!(%source, reason = why.label(), "a CoA request is dropped");
        self.tally.dropped(why);
    }

    /// A new request: it becomes an order, or is refused at once.
    async fn take(&mut self, socket: &UdpSocket, packet: Packet, key: Key, client: &Client, source: SocketAddr) {
        let decoded = request::decode(&packet, source.ip(), &self.config.borrow().radius.rates);
        let ticket = Ticket { packet, key, source, secret: client.secret.clone() };
        let (target, wish) = match decoded {
            Ok(decoded) => decoded,
            Err(cause) => return self.answer(socket, &ticket, Err(cause)).await,
        };
        let (answer, answered) = oneshot::channel();
        let order = Order { target, wish, answer };
        if self.under_way.len() >= UNDER_WAY || self.orders.try_send(order).is_err() {
            self.duplicates.forget(&ticket.key);
            return self.drop(Refused::TooMany, source);
        }
        self.under_way.push(Box::pin(async move { (ticket, answered.await) }));
    }

    async fn answer(&mut self, socket: &UdpSocket, ticket: &Ticket, outcome: Result<(), ErrorCause>) {
        let kind = Kind::of(&ticket.packet);
        let mut attributes = Attributes::new();
        if let Err(cause) = outcome {
            attributes.push_u32(attr::ERROR_CAUSE, cause.code());
        }
        let built = reply(&ticket.packet, kind.answer(outcome.is_ok()), &attributes, &ticket.secret);
        let Ok(answer) = built.map(Arc::<[u8]>::from) else {
            return self.drop(Refused::Unanswerable, ticket.source);
        };
        match outcome {
            Ok(()) => self.tally.answered(kind, "ack"),
            Err(cause) => self.tally.answered(kind, &format!("nak-{}", cause.code())),
        }
        self.duplicates.answered(&ticket.key, answer.clone());
        send(socket, &answer, ticket.source).await;
    }
}

async fn deaf(error: &io::Error) {
    debug!(%error, "cannot receive CoA requests at the moment");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A lost answer is asked for again.
async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(answer, to).await {
        debug!(%error, %to, "a CoA answer cannot be sent");
    }
}
