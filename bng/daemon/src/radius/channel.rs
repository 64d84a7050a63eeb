//! Requests in flight to one address: sockets, identifiers, retransmission.
//!
//! A socket carries 256 requests at once, one per identifier; more sockets are opened as they are needed, up to a fixed
//! number, and stay. A reply that does not verify changes nothing: the request goes on waiting for the right one.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lastmile_wire::{
    Drop as Refused,
    radius::{Packet, Request, TooLong, identifier_of},
};
use tokio::{
    net::UdpSocket,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

const IDENTIFIERS: usize = 256;
const SOCKETS: usize = 16;
const LARGEST: usize = 4096;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// A socket could not be made.
    #[error("cannot open a socket to {address}")]
    Socket {
        /// Towards whom.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The request cannot be encoded.
    #[error("the request cannot be encoded")]
    Encode(#[from] TooLong),
    /// Silence, or nothing that verifies.
    #[error("{address} does not answer{}", refused.map(|why| format!(" validly: {why}")).unwrap_or_default())]
    Silent {
        /// Who.
        address: SocketAddr,
        /// The last reply that was refused.
        refused: Option<Refused>,
    },
}

/// Requests to one address.
#[derive(Debug)]
pub struct Channel {
    address: SocketAddr,
    sockets: Mutex<Vec<Arc<Port>>>,
    room: Semaphore,
}

#[derive(Debug)]
struct Port {
    socket: Arc<UdpSocket>,
    waiting: Arc<Mutex<BTreeMap<u8, mpsc::Sender<Vec<u8>>>>>,
    receiver: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

/// An identifier in use; free again when dropped.
struct Place {
    port: Arc<Port>,
    identifier: u8,
    replies: mpsc::Receiver<Vec<u8>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.port.waiting).remove(&self.identifier);
    }
}

impl Channel {
    /// To this address; sockets are opened when they are needed.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, sockets: Mutex::default(), room: Semaphore::new(SOCKETS * IDENTIFIERS) }
    }

    /// Sends what `build` makes of an identifier, up to `retries` times more, until a reply passes `verify`.
    pub async fn exchange(
        &self,
        timeout: Duration,
        retries: u32,
        build: impl FnOnce(u8) -> Result<Request, TooLong>,
        verify: impl Fn(&[u8], &Request) -> Result<Packet, Refused>,
    ) -> Result<Packet, ExchangeError> {
        // Never closed, so there is always a permit in the end.
        let _permit = self.room.acquire().await;
        let mut place = self.place().await.map_err(|source| ExchangeError::Socket { address: self.address, source })?;
        let request = build(place.identifier)?;
        let mut refused = None;
        for _ in 0..=retries {
            // An error here is an ICMP answer to an earlier datagram; silence will say the same.
            let _ = place.port.socket.send(&request.bytes).await;
            let end = Instant::now() + timeout;
            while let Ok(Some(datagram)) = timeout_at(end, place.replies.recv()).await {
                match verify(&datagram, &request) {
                    Ok(packet) => return Ok(packet),
                    Err(why) => refused = Some(why),
                }
            }
        }
        Err(ExchangeError::Silent { address: self.address, refused })
    }

    async fn place(&self) -> io::Result<Place> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        let port = Arc::new(Port::open(self.address).await?);
        locked(&self.sockets).push(port);
        self.free_place().ok_or_else(|| io::Error::other("all identifiers are in use"))
    }

    fn free_place(&self) -> Option<Place> {
        locked(&self.sockets).iter().find_map(Port::reserve)
    }
}

impl Port {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
        // Connected: the kernel drops what comes from elsewhere.
        socket.connect(address).await?;
        let waiting: Arc<Mutex<BTreeMap<u8, mpsc::Sender<Vec<u8>>>>> = Arc::default();
        let receiver = tokio::spawn(receive(socket.clone(), waiting.clone()));
        Ok(Self { socket, waiting, receiver })
    }

    fn reserve(self: &Arc<Self>) -> Option<Place> {
        let mut waiting = locked(&self.waiting);
        let identifier = (0..=u8::MAX).find(|identifier| !waiting.contains_key(identifier))?;
        let (sender, replies) = mpsc::channel(4);
        waiting.insert(identifier, sender);
        drop(waiting);
        Some(Place { port: self.clone(), identifier, replies })
    }
}

async fn receive(socket: Arc<UdpSocket>, waiting: Arc<Mutex<BTreeMap<u8, mpsc::Sender<Vec<u8>>>>>) {
    let mut room = vec![0; LARGEST];
    loop {
        // Errors are ICMP answers (nobody listens): the requests' timeouts deal with that.
        let Ok(length) = socket.recv(&mut room).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let datagram = &room[..length];
        if let Some(identifier) = identifier_of(datagram)
            && let Some(waiter) = locked(&waiting).get(&identifier)
        {
            // Full = a flood of replies to one request; the first ones are enough.
            let _ = waiter.try_send(datagram.to_vec());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
