//! Identifiers.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Why an identifier's text form was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Not `namespace/name`, or a part is empty or longer than 253 octets.
    #[error("{0:?} is not of the form namespace/name")]
    BngId(String),
    /// Not six hexadecimal octets separated by colons.
    #[error("{0:?} is not a MAC address like 02:00:5e:10:00:01")]
    Mac(String),
}

/// The identity of a gateway: `namespace/name` of its BNG object. For the daemon a plain configured value. A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BngId(Arc<str>);

impl BngId {
    /// The identity of BNG `name` in `namespace`.
    pub fn new(namespace: &str, name: &str) -> Result<Self, ParseIdError> {
        format!("{namespace}/{name}").parse()
    }

    /// The whole text, `namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for BngId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = |part: &str| !part.is_empty() && part.len() <= 253 && !part.contains('/');
        match text.split_once('/') {
            Some((namespace, name)) if well_formed(namespace) && well_formed(name) => Ok(Self(text.into())),
            _ => Err(ParseIdError::BngId(text.to_owned())),
        }
    }
}

/// One life of a gateway's journal (UUIDv7): a restart that finds its journal keeps it, a lost journal makes a new,
/// later-sorting one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub Uuid);

/// One session, from its start to its stop (UUIDv7). In Kubernetes it is named `s-<uuid>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// An Ethernet address. Text form: six lower-case hexadecimal octets separated by colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written several times for every session and every event: in one piece, not an octet at a time through the formatter.
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut text = [b':'; 17];
        for (place, octet) in text.chunks_mut(3).zip(self.0) {
            (place[0], place[1]) = (DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]);
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseIdError::Mac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(refuse)?;
            let digits = part.bytes().all(|byte| byte.is_ascii_hexdigit());
            *octet = u8::from_str_radix(if digits { part } else { "" }, 16).map_err(|_| refuse())?;
        }
        if parts.next().is_some() { Err(refuse()) } else { Ok(Self(octets)) }
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

impl fmt::Display for BngId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(BngId, MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bng_id_is_namespace_and_name() {
        let id: BngId = "edge/bng-01".parse().unwrap();
        assert_eq!((id.namespace(), id.name()), ("edge", "bng-01"));
        for wrong in ["", "edge", "edge/", "/bng", "a/b/c"] {
            assert!(wrong.parse::<BngId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn mac_text_round_trips_and_refuses_the_rest() {
        let mac: MacAddr = "02:00:5E:10:00:01".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
        for wrong in ["", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "+2:00:5e:10:00:01", "2:0:5e:10:0:1"] {
            assert!(wrong.parse::<MacAddr>().is_err(), "{wrong}");
        }
    }
}
