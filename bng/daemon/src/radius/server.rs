//! One server: a few connected sockets, 256 identifiers on each, retransmission with the same octets, and no reply that is not
//! verified. Sockets are opened as they are needed, up to a fixed number, and stay.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lastmile_wire::radius::{
    Packet, Request, RequireMessageAuthenticator, TooLong, identifier_of, verify_response,
};
use tokio::{
    net::UdpSocket,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};
use tracing::debug;

use super::Patience;

/// 16 × 256 requests may be in flight to one server.
const SOCKETS: usize = 16;
const IDENTIFIERS: usize = 256;
const LONGEST: usize = 4096;

/// Why a server gave no answer that counts.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// Nothing came, though it was asked again.
    #[error("{server} does not answer")]
    Silent {
        /// Which.
        server: SocketAddr,
    },
    /// The request is too long to be sent.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// One server's port.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    secret: Arc<[u8]>,
    patience: Patience,
    lanes: Vec<Lane>,
    free: Semaphore,
}

impl Server {
    /// Opens the sockets. Must be called in a tokio runtime.
    pub async fn open(address: SocketAddr, secret: Vec<u8>, patience: Patience) -> io::Result<Self> {
        let secret: Arc<[u8]> = secret.into();
        let mut lanes = Vec::with_capacity(SOCKETS);
        for _ in 0..SOCKETS {
            lanes.push(Lane::open(address, secret.clone()).await?);
        }
        Ok(Self { address, secret, patience, lanes, free: Semaphore::new(SOCKETS * IDENTIFIERS) })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends what `build` makes for an identifier and the secret, and waits for its verified answer.
    pub async fn ask(
        &self,
        require: RequireMessageAuthenticator,
        build: impl FnOnce(u8, &[u8]) -> Result<Request, TooLong>,
    ) -> Result<Packet, AskError> {
        let silent = || AskError::Silent { server: self.address };
        let _permit = self.free.acquire().await.map_err(|_| silent())?;
        let (lane, identifier) = self.lanes.iter().find_map(|lane| Some((lane, lane.reserve()?))).ok_or_else(silent)?;
        let slot = Slot { lane, identifier };
        let request = build(identifier, &self.secret)?;
        let bytes = request.bytes.clone();
        let mut answer = slot.lane.expect(request, require);
        let mut timeout = self.patience.timeout;
        for _ in 0..=self.patience.retries {
            // A port that nobody listens on answers with an ICMP error on the next call: the timeout covers it.
            let _ = slot.lane.socket.send(&bytes).await;
            if let Ok(Ok(packet)) = tokio::time::timeout(jittered(timeout), &mut answer).await {
                return Ok(packet);
            }
            timeout = timeout.saturating_mul(2);
        }
        Err(silent())
    }
}

/// ±10 %: requests that were lost together are not sent again together (RFC 5080 §2.2.1).
fn jittered(timeout: Duration) -> Duration {
    timeout.mul_f64(rand::random_range(0.9..1.1))
}

#[derive(Debug)]
struct Lane {
    socket: Arc<UdpSocket>,
    table: Arc<Mutex<Table>>,
    receiver: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Table {
    next: u8,
    waiting: HashMap<u8, Option<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    require: RequireMessageAuthenticator,
    answer: oneshot::Sender<Packet>,
}

impl Lane {
    async fn open(address: SocketAddr, secret: Arc<[u8]>) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
        socket.connect(address).await?;
        let table = Arc::new(Mutex::new(Table::default()));
        let receiver = tokio::spawn(receive(socket.clone(), table.clone(), secret));
        Ok(Self { socket, table, receiver })
    }

    /// Takes an identifier that nobody uses, the least recently used first.
    fn reserve(&self) -> Option<u8> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let start = table.next;
        let identifier = (0..=u8::MAX).map(|step| start.wrapping_add(step)).find(|id| !table.waiting.contains_key(id))?;
        table.next = identifier.wrapping_add(1);
        table.waiting.insert(identifier, None);
        Some(identifier)
    }

    fn expect(&self, request: Request, require: RequireMessageAuthenticator) -> oneshot::Receiver<Packet> {
        let (answer, answered) = oneshot::channel();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.waiting.insert(request.identifier, Some(Waiting { request, require, answer }));
        answered
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

/// Gives the identifier back, whatever becomes of the request.
struct Slot<'a> {
    lane: &'a Lane,
    identifier: u8,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut table = self.lane.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.waiting.remove(&self.identifier);
    }
}

async fn receive(socket: Arc<UdpSocket>, table: Arc<Mutex<Table>>, secret: Arc<[u8]>) {
    let mut buffer = [0; LONGEST];
    loop {
        // An error is the ICMP answer to an earlier request; the next datagram may be fine.
        let Ok(length) = socket.recv(&mut buffer).await else { continue };
        let datagram = &buffer[..length];
        let Some(identifier) = identifier_of(datagram) else { continue };
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Some(waiting)) = table.waiting.get(&identifier) else { continue };
        // Only a verified answer ends the wait: a forged one must not push the real one out.
        match verify_response(datagram, &waiting.request, &secret, waiting.require) {
            Ok(packet) => {
                if let Some(Some(waiting)) = table.waiting.insert(identifier, None) {
                    let _ = waiting.answer.send(packet);
                }
            }
            Err(reason) => debug!(reason = reason.label(), "a RADIUS reply was refused"),
        }
    }
}
