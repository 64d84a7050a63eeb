//! Retransmissions: recognised (RFC 5080 §2.2.2) and answered with what the first one was answered with. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lastmile_wire::radius::{Authenticator, Packet, attr};

/// Requests that are remembered at most. A client's rate fills it in no less than the usual window.
const ROOM: usize = 65_536;
/// Octets of their answers at most.
const OCTETS: usize = 16 << 20;
/// A request without Event-Timestamp is remembered for so long: whoever sends the same one later means it.
const TIMELESS_MS: u64 = 30_000;

/// What makes two datagrams one request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    source: IpAddr,
    /// Only where the signature covers no time. Where it does, the same octets from another port are a replay.
    port: Option<u16>,
    identifier: u8,
    authenticator: Authenticator,
}

/// Whether a request was here before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// No; now it is under way.
    New,
    /// Yes, and it is still under way.
    UnderWay,
    /// Yes; this was its answer.
    Answered(Arc<[u8]>),
}

/// The requests of the last minutes.
#[derive(Debug, Default)]
pub struct Duplicates {
    entries: BTreeMap<Key, Entry>,
    ends: BTreeSet<(u64, Key)>,
    octets: usize,
}

#[derive(Debug)]
struct Entry {
    until_ms: u64,
    answer: Option<Arc<[u8]>>,
}

impl Key {
    /// Of this request.
    pub fn of(packet: &Packet, source: SocketAddr) -> Self {
        let timed = packet.attributes.get(attr::EVENT_TIMESTAMP).is_some();
        Self {
            source: source.ip(),
            port: (!timed).then_some(source.port()),
            identifier: packet.identifier,
            authenticator: packet.authenticator,
        }
    }
}

impl Duplicates {
    /// A request came; it is remembered as long as its Event-Timestamp lets it pass.
    pub fn see(&mut self, key: &Key, boot_ms: u64, window_seconds: u32) -> Seen {
        self.forget_until(boot_ms);
        match self.entries.get(key).map(|entry| &entry.answer) {
            Some(Some(answer)) => return Seen::Answered(answer.clone()),
            Some(None) => return Seen::UnderWay,
            None => {}
        }
        // An Event-Timestamp may be as far ahead as it may be behind.
        let keep_ms = if key.port.is_some() { TIMELESS_MS } else { u64::from(window_seconds) * 2000 };
        let until_ms = boot_ms.saturating_add(keep_ms);
        self.entries.insert(key.clone(), Entry { until_ms, answer: None });
        self.ends.insert((until_ms, key.clone()));
        self.make_room();
        Seen::New
    }

    /// It was answered so.
    pub fn answered(&mut self, key: &Key, answer: Arc<[u8]>) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.octets += answer.len();
            entry.answer = Some(answer);
            self.make_room();
        }
    }

    /// It was not carried out: the next one is a new one.
    pub fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.ends.remove(&(entry.until_ms, key.clone()));
            self.octets -= entry.answer.map_or(0, |answer| answer.len());
        }
    }

    fn forget_until(&mut self, boot_ms: u64) {
        while let Some((_, key)) = self.ends.first().filter(|(end, _)| *end <= boot_ms).cloned() {
            self.forget(&key);
        }
    }

    fn make_room(&mut self) {
        while self.entries.len() > ROOM || self.octets > OCTETS {
            let Some((_, key)) = self.ends.first().cloned() else { return };
            self.forget(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use lastmile_wire::radius::{Attributes, Code};

    use super::*;

    fn packet(identifier: u8, timed: bool) -> Packet {
        let mut attributes = Attributes::new();
        if timed {
            attributes.push_u32(attr::EVENT_TIMESTAMP, 1);
        }
        Packet { code: Code::COA_REQUEST, identifier, authenticator: [7; 16], attributes }
    }

    fn key(identifier: u8, timed: bool, port: u16) -> Key {
        Key::of(&packet(identifier, timed), ([10, 0, 0, 1], port).into())
    }

    #[test]
    fn the_same_again_is_answered_the_same_until_its_time_is_over() {
        let mut seen = Duplicates::default();
        for (timed, keep_ms) in [(true, 600_000), (false, TIMELESS_MS)] {
            let key = key(1, timed, 1024);
            let answer: Arc<[u8]> = Arc::from(&b"answer"[..]);
            assert_eq!(seen.see(&key, 0, 300), Seen::New);
            assert_eq!(seen.see(&key, 1, 300), Seen::UnderWay);
            seen.answered(&key, answer.clone());
            assert_eq!(seen.see(&key, keep_ms - 1, 300), Seen::Answered(answer));
            assert_eq!(seen.see(&key, keep_ms, 300), Seen::New);
            seen.forget(&key);
            assert_eq!((seen.entries.len(), seen.ends.len(), seen.octets), (0, 0, 0));
        }
    }

    #[test]
    fn another_port_is_a_replay_where_time_is_signed() {
        let mut seen = Duplicates::default();
        assert_eq!(seen.see(&key(1, true, 1), 0, 300), Seen::New);
        assert_eq!(seen.see(&key(1, true, 2), 0, 300), Seen::UnderWay);
        assert_eq!(seen.see(&key(2, true, 1), 0, 300), Seen::New);
        assert_eq!(seen.see(&key(1, false, 1), 0, 300), Seen::New);
        assert_eq!(seen.see(&key(1, false, 2), 0, 300), Seen::New);
    }

    #[test]
    fn it_is_bounded() {
        let mut seen = Duplicates::default();
        let key = |n: u32| {
            let mut packet = packet(0, true);
            packet.authenticator[..4].copy_from_slice(&n.to_be_bytes());
            Key::of(&packet, ([10, 0, 0, 1], 1).into())
        };
        for n in 0..ROOM as u32 + 10 {
            seen.see(&key(n), n.into(), 300);
        }
        assert_eq!((seen.entries.len(), seen.ends.len()), (ROOM, ROOM));
        let long: Arc<[u8]> = Arc::from(vec![0; OCTETS / 4]);
        (20..25).for_each(|n| seen.answered(&key(n), long.clone()));
        assert!(seen.octets <= OCTETS && seen.entries.len() >= ROOM - 20);
    }
}
