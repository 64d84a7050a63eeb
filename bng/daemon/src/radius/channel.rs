//! Requests in flight to one address: sockets, identifiers, retransmission.
//!
//! A socket carries 256 requests at once, one per identifier; more sockets are opened as they are needed, up to a fixed
//! number, and stay. An identifier that was used is used again after all others, so a late reply finds nobody; were there somebody, it
//! would not verify. A reply that does not verify changes nothing: the request goes on waiting for the right one.

use std::{
    array,
    collections::VecDeque,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as BlockingSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lastmile_wire::{
    Drop as Refused,
    radius::{Packet, Request, TooLong, identifier_of},
};
use tokio::{
    net::UdpSocket,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

const IDENTIFIERS: usize = 256;
const SOCKETS: usize = 16;
const LARGEST: usize = 4096;
/// So many replies to one request wait to be looked at.
const KEPT: usize = 4;
/// MRT of RFC 5080 §2.2.1: no pause between two transmissions is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

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
    #[error("the request does not fit into a packet")]
    Encode(#[from] TooLong),
    /// No valid reply came.
    #[error("{address} does not answer{}", refused.map(|why| format!(" validly: {why}")).unwrap_or_default())]
    Silent {
        /// Who.
        address: SocketAddr,
        /// The last reply that was refused.
        refused: Option<Refused>,
    },
    /// It counts as dead by now, and another server does not.
    #[error("{address} fell silent")]
    Abandoned {
        /// Who.
        address: SocketAddr,
    },
}

/// How often a request is sent, and when.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it is sent again the first time (IRT of RFC 5080 §2.2.1).
    pub timeout: Duration,
    /// How often it is sent again (MRC).
    pub retries: u32,
}

impl Patience {
    /// The pause after each transmission; `random` gives numbers from 0 to 1.
    fn pauses(self, mut random: impl FnMut() -> f64) -> impl Iterator<Item = Duration> {
        let longest = LONGEST_PAUSE.max(self.timeout);
        let mut next = self.timeout;
        (0..=self.retries).map(move |_| {
            // Within ±10 %: requests that began together are not repeated together.
            let pause = next.min(longest).mul_f64(0.9 + 0.2 * random());
            next = pause * 2;
            pause
        })
    }
}

/// What happens to a request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It was sent, for the so manieth time.
    Sent(u32),
    /// Nothing valid came of so many transmissions.
    Nothing(u32),
    /// A reply did not verify.
    Refused,
    /// The reply, so long after the only transmission; `None` = there were several, and nobody knows which one it answers.
    Answered(Option<Duration>),
}

/// Requests to one address.
#[derive(Debug)]
pub struct Channel {
    address: SocketAddr,
    places: Mutex<Places>,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct Places {
    sockets: usize,
    /// The one that is longest out of use first.
    free: VecDeque<(Arc<Port>, u8)>,
}

#[derive(Debug)]
struct Port {
    wire: Arc<Wire>,
    receiver: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

/// What a port shares with the task that receives for it. Everything that a request needs is made with the socket.
#[derive(Debug)]
struct Wire {
    socket: UdpSocket,
    trays: [Tray; IDENTIFIERS],
}

/// Where replies with one identifier are put for whoever waits.
#[derive(Debug, Default)]
struct Tray {
    replies: Mutex<Replies>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Replies {
    /// Somebody waits; nothing is kept for nobody.
    wanted: bool,
    queue: VecDeque<Vec<u8>>,
}

impl Tray {
    fn open(&self) {
        locked(&self.replies).wanted = true;
    }

    fn close(&self) {
        let mut replies = locked(&self.replies);
        replies.wanted = false;
        replies.queue.clear();
    }

    fn put(&self, datagram: &[u8]) {
        let mut replies = locked(&self.replies);
        // Full = a flood of replies to one request; the first ones are enough.
        if replies.wanted && replies.queue.len() < KEPT {
            replies.queue.push_back(datagram.to_vec());
            drop(replies);
            self.came.notify_one();
        }
    }

    /// The next reply. Cancel safe.
    async fn take(&self) -> Vec<u8> {
        loop {
            let reply = locked(&self.replies).queue.pop_front();
            if let Some(reply) = reply {
                return reply;
            }
            // At once when one came meanwhile, and then perhaps in vain: it may have been taken already.
            self.came.notified().await;
        }
    }
}

/// An identifier in use; free again when dropped.
struct Place<'a> {
    channel: &'a Channel,
    port: Arc<Port>,
    identifier: u8,
}

impl Place<'_> {
    fn tray(&self) -> &Tray {
        &self.port.wire.trays[usize::from(self.identifier)]
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.tray().close();
        locked(&self.channel.places).free.push_back((self.port.clone(), self.identifier));
    }
}

impl Channel {
    /// To this address; sockets are opened when they are needed.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, places: Mutex::default(), room: Semaphore::new(SOCKETS * IDENTIFIERS) }
    }

    /// Sends what `build` makes of an identifier, again and again, until a reply passes `verify`; `notice` is told how it goes.
    pub async fn exchange(
        &self,
        patience: Patience,
        build: impl FnOnce(u8) -> Result<Request, TooLong>,
        verify: impl Fn(&[u8], &Request) -> Result<Packet, Refused>,
        notice: impl Fn(Sign),
    ) -> Result<Packet, ExchangeError> {
        // Never closed, so there is always a permit in the end.
        let _permit = self.room.acquire().await;
        let place = self.place().map_err(|source| ExchangeError::Socket { address: self.address, source })?;
        let request = build(place.identifier)?;
        let mut refused = None;
        for (sent, pause) in (1..).zip(patience.pauses(rand::random)) {
            let began = Instant::now();
            // An error here is an ICMP answer to an earlier datagram; silence will say the same.
            let _ = place.port.wire.socket.send(&request.bytes).await;
            notice(Sign::Sent(sent));
            let end = began + pause;
            while let Ok(datagram) = timeout_at(end, place.tray().take()).await {
                match verify(&datagram, &request) {
                    Ok(packet) => {
                        notice(Sign::Answered((sent == 1).then(|| began.elapsed())));
                        return Ok(packet);
                    }
                    Err(why) => {
                        notice(Sign::Refused);
                        refused = Some(why);
                    }
                }
            }
            notice(Sign::Nothing(sent));
        }
        Err(ExchangeError::Silent { address: self.address, refused })
    }

    fn place(&self) -> io::Result<Place<'_>> {
        let mut places = locked(&self.places);
        if places.free.is_empty() && places.sockets < SOCKETS {
            let port = Arc::new(Port::open(self.address)?);
            places.sockets += 1;
            places.free.extend((0..=u8::MAX).map(|identifier| (port.clone(), identifier)));
        }
        let (port, identifier) =
            places.free.pop_front().ok_or_else(|| io::Error::other("all identifiers are in use"))?;
        drop(places);
        let place = Place { channel: self, port, identifier };
        place.tray().open();
        Ok(place)
    }
}

impl Port {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = BlockingSocket::bind(any)?;
        // Connected: the kernel drops what comes from elsewhere.
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        let trays = array::from_fn(|_| Tray::default());
        let wire = Arc::new(Wire { socket: UdpSocket::from_std(socket)?, trays });
        let receiver = tokio::spawn(receive(wire.clone()));
        Ok(Self { wire, receiver })
    }
}

async fn receive(wire: Arc<Wire>) {
    let mut room = vec![0; LARGEST];
    loop {
        // Errors are ICMP answers (nobody listens): the requests' timeouts deal with that.
        let Ok(length) = wire.socket.recv(&mut room).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let datagram = &room[..length];
        if let Some(identifier) = identifier_of(datagram) {
            wire.trays[usize::from(identifier)].put(datagram);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pauses(timeout_ms: u64, retries: u32, random: f64) -> Vec<u64> {
        let patience = Patience { timeout: Duration::from_millis(timeout_ms), retries };
        patience.pauses(|| random).map(|pause| pause.as_millis() as u64).collect()
    }

    /// RFC 5080 §2.2.1.
    #[test]
    fn pauses_double_within_ten_per_cent_up_to_the_longest() {
        assert_eq!(pauses(2000, 4, 0.5), [2000, 4000, 8000, 16000, 16000]);
        assert_eq!(pauses(2000, 0, 0.0), [1800]);
        assert_eq!(pauses(1000, 2, 1.0), [1100, 2420, 5324]);
        assert_eq!(pauses(30_000, 1, 0.5), [30_000, 30_000], "what is asked for is not cut");
    }

    #[tokio::test]
    async fn an_identifier_is_used_again_after_all_others() {
        let channel = Channel::new(([127, 0, 0, 1], 9).into());
        let key = |place: &Place<'_>| (Arc::as_ptr(&place.port) as usize, place.identifier);
        let used: Vec<_> = (0..IDENTIFIERS).map(|_| key(&channel.place().unwrap())).collect();
        assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), IDENTIFIERS);
        assert_eq!(key(&channel.place().unwrap()), used[0]);
    }

    #[tokio::test]
    async fn replies_are_kept_in_their_order_for_whoever_waits_and_for_nobody_else() {
        let tray = Tray::default();
        tray.put(b"too early");
        tray.open();
        (0..=KEPT as u8).for_each(|number| tray.put(&[number]));
        for number in 0..KEPT as u8 {
            assert_eq!(tray.take().await, [number]);
        }
        tray.put(b"too late");
        tray.close();
        tray.open();
        let (reply, ()) = tokio::join!(tray.take(), async { tray.put(b"in time") });
        assert_eq!(reply, b"in time");
        assert!(locked(&tray.replies).queue.is_empty());
    }

    #[tokio::test]
    async fn sockets_are_opened_as_needed_and_no_more_than_that() {
        let channel = Channel::new(([127, 0, 0, 1], 9).into());
        let mut places = Vec::new();
        for count in 1..=SOCKETS * IDENTIFIERS {
            places.push(channel.place().unwrap());
            assert_eq!(locked(&channel.places).sockets, count.div_ceil(IDENTIFIERS));
        }
        assert!(channel.place().is_err());
        places.clear();
        assert_eq!(locked(&channel.places).free.len(), SOCKETS * IDENTIFIERS);
    }
}
