//! Who is believed: sender, rate, signature, time, in this order. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use ipnet::Ipv4Net;
use lastmile_session::Now;
use lastmile_wire::{
    Drop as WireDrop,
    radius::{Code, Packet, RequireMessageAuthenticator, attr, verify_request},
};

use super::{Client, Settings};

/// Requests a second of one client, in the long run.
const RATE: u64 = 200;
/// Requests at once of one client.
const BURST: u64 = 400;

/// Why a datagram is dropped without a word. Expected, counted by label, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No client's network holds the sender.
    UnlistedSource,
    /// Faster than a client may ask, or than orders are carried out.
    TooMany,
    /// No RADIUS packet.
    Malformed,
    /// Neither CoA-Request nor Disconnect-Request.
    UnexpectedCode,
    /// The Request Authenticator is wrong: forged, or another secret.
    Authenticator,
    /// Message-Authenticator is wrong.
    MessageAuthenticator,
    /// Message-Authenticator is required and missing.
    NoMessageAuthenticator,
    /// Event-Timestamp is not of now.
    Stale,
    /// Event-Timestamp is required and missing, or malformed.
    NoTimestamp,
    /// A retransmission of what is being carried out: the answer is on its way.
    UnderWay,
    /// The answer does not fit into a packet beside the request's Proxy-State.
    Unanswerable,
}

impl Refused {
    /// The counter's stable label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnlistedSource => "coa-unlisted-source",
            Self::TooMany => "coa-too-many",
            Self::Malformed => "coa-malformed",
            Self::UnexpectedCode => "coa-unexpected-code",
            Self::Authenticator => "coa-authenticator",
            Self::MessageAuthenticator => "coa-message-authenticator",
            Self::NoMessageAuthenticator => "coa-no-message-authenticator",
            Self::Stale => "coa-stale",
            Self::NoTimestamp => "coa-no-timestamp",
            Self::UnderWay => "coa-under-way",
            Self::Unanswerable => "coa-unanswerable",
        }
    }

    fn of(drop: WireDrop) -> Self {
        match drop {
            WireDrop::RadiusAuthenticator => Self::Authenticator,
            WireDrop::RadiusMessageAuthenticator => Self::MessageAuthenticator,
            WireDrop::RadiusNoMessageAuthenticator => Self::NoMessageAuthenticator,
            WireDrop::RadiusUnexpected => Self::UnexpectedCode,
            _ => Self::Malformed,
        }
    }
}

/// Remembers how fast each client asks.
#[derive(Debug, Default)]
pub struct Gatekeeper {
    buckets: BTreeMap<Ipv4Net, Bucket>,
}

impl Gatekeeper {
    /// The request and whose it is, if it is to be believed.
    pub fn admit<'a>(
        &mut self,
        settings: &'a Settings,
        datagram: &[u8],
        source: SocketAddr,
        now: Now,
    ) -> Result<(Packet, &'a Client), Refused> {
        let client = client(settings, source).ok_or(Refused::UnlistedSource)?;
        // Before the signature: a flood of forgeries costs no more than a flood of requests.
        if !self.buckets.entry(client.network).or_insert_with(Bucket::full).take(now.boot_ms) {
            return Err(Refused::TooMany);
        }
        let require = match client.require_message_authenticator {
            true => RequireMessageAuthenticator::Yes,
            false => RequireMessageAuthenticator::No,
        };
        let packet = verify_request(datagram, &client.secret, require).map_err(Refused::of)?;
        if ![Code::COA_REQUEST, Code::DISCONNECT_REQUEST].contains(&packet.code) {
            return Err(Refused::UnexpectedCode);
        }
        timely(settings, &packet, now)?;
        Ok((packet, client))
    }
}

fn client(settings: &Settings, source: SocketAddr) -> Option<&Client> {
    let IpAddr::V4(source) = source.ip().to_canonical() else { return None };
    settings.clients.iter().find(|client| client.network.contains(&source))
}

/// RFC 5176 §6.3: what was captured long ago is not to be played again.
fn timely(settings: &Settings, packet: &Packet, now: Now) -> Result<(), Refused> {
    match (packet.attributes.get(attr::EVENT_TIMESTAMP), packet.attributes.u32(attr::EVENT_TIMESTAMP)) {
        (None, _) if !settings.require_event_timestamp => Ok(()),
        (_, None) => Err(Refused::NoTimestamp),
        (_, Some(at)) => {
            let away = now.wall.as_second().abs_diff(at.into());
            if away <= settings.window_seconds.into() { Ok(()) } else { Err(Refused::Stale) }
        }
    }
}

/// Tokens in thousandths, so that a millisecond's share is a whole number.
#[derive(Debug)]
struct Bucket {
    tokens: u64,
    filled_ms: u64,
}

impl Bucket {
    fn full() -> Self {
        Self { tokens: BURST * 1000, filled_ms: 0 }
    }

    fn take(&mut self, boot_ms: u64) -> bool {
        let since = boot_ms.saturating_sub(self.filled_ms);
        self.tokens = self.tokens.saturating_add(since.saturating_mul(RATE)).min(BURST * 1000);
        self.filled_ms = boot_ms;
        let left = self.tokens.checked_sub(1000);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use lastmile_wire::radius::{Attributes, dynamic_request};

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn settings() -> Settings {
        let client = |network: &str, secret: &[u8], require| Client {
            network: network.parse().unwrap(),
            secret: secret.to_vec(),
            require_message_authenticator: require,
        };
        Settings {
            listen: ([127, 0, 0, 1], 3799).into(),
            clients: vec![client("10.0.0.7/32", b"seven", true), client("10.0.0.0/24", b"all", false)],
            window_seconds: 300,
            require_event_timestamp: false,
        }
    }

    fn at(boot_ms: u64) -> Now {
        let wall = jiff::Timestamp::from_second(NOW).unwrap();
        Now { boot_ms, wall, fresh: uuid::Uuid::nil() }
    }

    fn datagram(secret: &[u8], timestamp: Option<i64>) -> Vec<u8> {
        let mut attributes = Attributes::new();
        attributes.push(attr::ACCT_SESSION_ID, b"s").unwrap();
        timestamp.map(|at| attributes.push_u32(attr::EVENT_TIMESTAMP, at as u32));
        dynamic_request(Code::COA_REQUEST, 1, &attributes, secret).unwrap().bytes
    }

    fn judged(settings: &Settings, datagram: &[u8], source: [u8; 4]) -> Result<(), Refused> {
        let admitted = Gatekeeper::default().admit(settings, datagram, (source, 1024).into(), at(0));
        admitted.map(drop)
    }

    #[test]
    fn sender_and_secret_go_together() {
        let settings = settings();
        assert_eq!(judged(&settings, &datagram(b"all", None), [10, 0, 0, 8]), Ok(()));
        assert_eq!(judged(&settings, &datagram(b"seven", None), [10, 0, 0, 7]), Ok(()));
        assert_eq!(judged(&settings, &datagram(b"all", None), [10, 0, 0, 7]), Err(Refused::Authenticator));
        assert_eq!(judged(&settings, &datagram(b"all", None), [10, 0, 1, 8]), Err(Refused::UnlistedSource));
        assert_eq!(judged(&settings, b"nonsense", [10, 0, 0, 8]), Err(Refused::Malformed));
        let accounting = lastmile_wire::radius::accounting_request(1, &Attributes::new(), b"all").unwrap();
        assert_eq!(judged(&settings, &accounting.bytes, [10, 0, 0, 8]), Err(Refused::UnexpectedCode));
    }

    #[test]
    fn time_is_within_the_window_on_both_sides() {
        let mut settings = settings();
        let judge = |settings: &Settings, at| judged(settings, &datagram(b"all", at), [10, 0, 0, 8]);
        for (away, outcome) in [(300, Ok(())), (-300, Ok(())), (301, Err(Refused::Stale)), (-301, Err(Refused::Stale))]
        {
            assert_eq!(judge(&settings, Some(NOW + away)), outcome, "{away}");
        }
        settings.require_event_timestamp = true;
        assert_eq!(judge(&settings, None), Err(Refused::NoTimestamp));
        assert_eq!(judge(&settings, Some(NOW)), Ok(()));
    }

    #[test]
    fn one_clients_flood_is_not_anothers() {
        let (settings, mut gatekeeper) = (settings(), Gatekeeper::default());
        let (all, seven) = (datagram(b"all", None), datagram(b"seven", None));
        let mut admit = |datagram: &[u8], source: [u8; 4], boot_ms| {
            gatekeeper.admit(&settings, datagram, (source, 1024).into(), at(boot_ms)).map(drop)
        };
        let passed = (0..BURST + 100).filter(|_| admit(&all, [10, 0, 0, 8], 5_000).is_ok()).count();
        assert_eq!(passed as u64, BURST);
        assert_eq!(admit(&all, [10, 0, 0, 9], 5_000), Err(Refused::TooMany));
        assert_eq!(admit(&seven, [10, 0, 0, 7], 5_000), Ok(()));
        let passed = (0..100).filter(|_| admit(&all, [10, 0, 0, 8], 5_100).is_ok()).count();
        assert_eq!(passed as u64, RATE / 10);
    }
}
