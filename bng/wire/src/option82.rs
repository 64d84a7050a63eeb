//! Relay Agent Information, DHCP option 82 (RFC 3046): a list of sub-options, kept as the octets that came.

use lastmile_types::Octets;

use crate::Drop;

/// DHCP option code of Relay Agent Information.
pub const CODE: u8 = 82;
/// Agent Circuit ID, RFC 3046 §3.1.
pub const CIRCUIT_ID: u8 = 1;
/// Agent Remote ID, RFC 3046 §3.2.
pub const REMOTE_ID: u8 = 2;
/// Link selection, RFC 3527: an IPv4 address.
pub const LINK_SELECTION: u8 = 5;
/// Server identifier override, RFC 5107: an IPv4 address.
pub const SERVER_ID_OVERRIDE: u8 = 11;
/// Relay identifier, RFC 6925.
pub const RELAY_ID: u8 = 12;

/// The sub-options, in their order, unknown ones included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Option82 {
    subs: Vec<(u8, Octets)>,
}

/// More than the 255 octets that one sub-option can carry. The option itself may be longer: it is then split (RFC 3396).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sub-option of {0} octets is longer than 255")]
pub struct TooLong(pub usize);

impl Option82 {
    /// No sub-options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The two that every access node sends.
    pub fn of(circuit_id: &[u8], remote_id: &[u8]) -> Self {
        Self { subs: vec![(CIRCUIT_ID, circuit_id.into()), (REMOTE_ID, remote_id.into())] }
    }

    /// From the option's content (without code and length).
    pub fn parse(content: &[u8]) -> Result<Self, Drop> {
        let subs = subs(content).map(|sub| sub.map(|(code, value)| (code, value.into())));
        subs.collect::<Result<_, _>>().map(|subs| Self { subs })
    }

    /// The option's content (without code and length).
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let mut content = Vec::with_capacity(self.encoded_len());
        for (code, value) in &self.subs {
            let length = u8::try_from(value.as_bytes().len()).map_err(|_| TooLong(value.as_bytes().len()))?;
            content.extend([*code, length]);
            content.extend(value.as_bytes());
        }
        Ok(content)
    }

    /// How many octets [`Option82::encode`] would need.
    pub fn encoded_len(&self) -> usize {
        self.subs.iter().map(|(_, value)| 2 + value.as_bytes().len()).sum()
    }

    /// The first sub-option of this code.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.subs.iter().find(|(other, _)| *other == code).map(|(_, value)| value.as_bytes())
    }

    /// Replaces the first sub-option of this code where it stands and removes its duplicates, or appends it.
    pub fn set(&mut self, code: u8, value: &[u8]) {
        let place = self.subs.iter().position(|(other, _)| *other == code).unwrap_or(self.subs.len());
        self.remove(code);
        self.subs.insert(place, (code, value.into()));
    }

    /// Removes every sub-option of this code.
    pub fn remove(&mut self, code: u8) {
        self.subs.retain(|(other, _)| *other != code);
    }

    /// All of them.
    pub fn subs(&self) -> &[(u8, Octets)] {
        &self.subs
    }

    /// Agent Circuit ID.
    pub fn circuit_id(&self) -> Option<&[u8]> {
        self.get(CIRCUIT_ID)
    }

    /// Agent Remote ID.
    pub fn remote_id(&self) -> Option<&[u8]> {
        self.get(REMOTE_ID)
    }

    /// Relay identifier.
    pub fn relay_id(&self) -> Option<&[u8]> {
        self.get(RELAY_ID)
    }
}

/// The first sub-option of this code in content that [`subs`] can read.
pub fn first(content: &[u8], code: u8) -> Option<&[u8]> {
    subs(content).map_while(Result::ok).find(|(other, _)| *other == code).map(|(_, value)| value)
}

/// Reads the option's content (without code and length) without copying it. After an error there is nothing more.
pub fn subs(mut content: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Drop>> {
    std::iter::from_fn(move || {
        if content.is_empty() {
            return None;
        }
        let sub = match content {
            [code, length, rest @ ..] => rest.split_at_checked(usize::from(*length)).map(|cut| (*code, cut)),
            _ => None,
        };
        let Some((code, (value, rest))) = sub else {
            content = &[];
            return Some(Err(Drop::Option82Malformed));
        };
        content = rest;
        Some(Ok((code, value)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn golden() {
        let mut option = Option82::of(b"ar-01|1/1", b"line-01");
        option.set(RELAY_ID, b"bng-01");
        let content = option.encode().unwrap();
        assert_eq!(content, b"\x01\x09ar-01|1/1\x02\x07line-01\x0c\x06bng-01");
        assert_eq!(Option82::parse(&content).unwrap(), option);
        assert_eq!(option.circuit_id(), Some(&b"ar-01|1/1"[..]));
    }

    #[test]
    fn too_long_is_refused_not_cut() {
        let mut option = Option82::of(&[0; 255], &[0; 255]);
        assert_eq!(option.encode().unwrap().len(), 514);
        option.set(REMOTE_ID, &[0; 256]);
        assert_eq!(option.encode(), Err(TooLong(256)));
    }

    #[test]
    fn a_cut_sub_option_is_refused() {
        for content in [&b"\x01"[..], b"\x01\x02a", b"\x01\x01a\x02"] {
            assert_eq!(Option82::parse(content), Err(Drop::Option82Malformed));
        }
    }

    proptest! {
        #[test]
        fn what_parses_encodes_to_itself(content in vec(any::<u8>(), 0..=700)) {
            if let Ok(option) = Option82::parse(&content) {
                prop_assert_eq!(option.encode().unwrap(), content);
            }
        }

        #[test]
        fn set_leaves_one_and_touches_no_other(subs in vec((any::<u8>(), vec(any::<u8>(), 0..9)), 0..6), code: u8, value in vec(any::<u8>(), 0..9)) {
            let mut option = Option82 { subs: subs.iter().map(|(code, value)| (*code, value.as_slice().into())).collect() };
            option.set(code, &value);
            prop_assert_eq!(option.get(code), Some(value.as_slice()));
            let others = |list: &[(u8, Octets)]| list.iter().filter(|(other, _)| *other != code).cloned().collect::<Vec<_>>();
            let before: Vec<_> = subs.iter().map(|(code, value)| (*code, Octets::from(value.clone()))).collect();
            prop_assert_eq!(others(&option.subs), others(&before));
            prop_assert_eq!(option.subs.iter().filter(|(other, _)| *other == code).count(), 1);
        }
    }
}
