//! Where a subscriber is attached, as the bytes that the access network sent.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::id::{BngId, MacAddr};

/// Octets as they came, e.g. a circuit-id (RFC 3046 §3.1): never text, at most 255 octets on the wire. Serialised as base64.
/// `Display` is lossless for the reader: printable ASCII as it is, everything else and `\` as `\xNN`. A clone shares the octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Octets(Arc<[u8]>);

impl Octets {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As these octets would be displayed.
    pub fn text_of(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let _ = write_text(bytes, &mut text); // a string takes everything
        text
    }
}

fn write_text(bytes: &[u8], to: &mut impl fmt::Write) -> fmt::Result {
    for &byte in bytes {
        match byte {
            b'\\' => to.write_str("\\x5c")?,
            b' '..=b'~' => to.write_char(byte as char)?,
            _ => write!(to, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

impl From<&[u8]> for Octets {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Octets {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(&self.0, f)
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self::from).map_err(D::Error::custom)
    }
}

/// The place a subscriber is attached to. Where no trusted option 82 exists, the circuit is the interface's name and
/// the remote end the client's MAC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The gateway.
    pub bng_id: BngId,
    /// Agent Circuit ID, RFC 3046 §3.1.
    pub circuit_id: Octets,
    /// Agent Remote ID, RFC 3046 §3.2.
    pub remote_id: Octets,
}

/// What makes a session one session: the place and the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionKey {
    /// The place.
    pub attachment: Attachment,
    /// The client's hardware address (`chaddr`, RFC 2131 §2).
    pub mac: MacAddr,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn octets_survive_json(bytes in proptest::collection::vec(any::<u8>(), 0..255)) {
            let octets = Octets::from(bytes);
            let json = serde_json::to_string(&octets).unwrap();
            prop_assert_eq!(serde_json::from_str::<Octets>(&json).unwrap(), octets);
        }

        #[test]
        fn display_is_injective(a in proptest::collection::vec(any::<u8>(), 0..8), b in proptest::collection::vec(any::<u8>(), 0..8)) {
            prop_assert_eq!(Octets::from(a.clone()).to_string() == Octets::from(b.clone()).to_string(), a == b);
        }
    }
}
