//! Changing single fields and options of a message and keeping every other octet.

use std::net::Ipv4Addr;

use super::{
    Message, at,
    options::{END, Fields, PAD, end_of, walk},
};
use crate::{
    Drop, option82,
    option82::{Option82, TooLong},
};

/// The longest message an edit makes, octets: what fits an Ethernet frame unfragmented.
pub const MAX_MESSAGE: usize = 1500 - 28;

/// Why an option could not be set. The message is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The content is longer than an option's 255 octets.
    #[error("an option's content of {0} octets is longer than 255")]
    OptionTooLong(usize),
    /// The message would be longer than [`MAX_MESSAGE`].
    #[error("the message would take {0} octets, more than {MAX_MESSAGE}")]
    MessageTooLong(usize),
}

impl From<TooLong> for EditError {
    fn from(TooLong(length): TooLong) -> Self {
        Self::OptionTooLong(length)
    }
}

/// A message being changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    bytes: Vec<u8>,
}

impl Edit {
    pub(super) fn of(message: &Message<'_>) -> Self {
        Self { bytes: message.bytes().to_vec() }
    }

    /// Sets `hops`.
    pub fn set_hops(&mut self, hops: u8) -> &mut Self {
        self.bytes[at::HOPS] = hops;
        self
    }

    /// Sets `flags`.
    pub fn set_flags(&mut self, flags: u16) -> &mut Self {
        self.bytes[at::FLAGS..at::FLAGS + 2].copy_from_slice(&flags.to_be_bytes());
        self
    }

    /// Sets `ciaddr`.
    pub fn set_ciaddr(&mut self, address: Ipv4Addr) -> &mut Self {
        self.set_address(at::CIADDR, address)
    }

    /// Sets `yiaddr`.
    pub fn set_yiaddr(&mut self, address: Ipv4Addr) -> &mut Self {
        self.set_address(at::YIADDR, address)
    }

    /// Sets `siaddr`.
    pub fn set_siaddr(&mut self, address: Ipv4Addr) -> &mut Self {
        self.set_address(at::SIADDR, address)
    }

    /// Sets `giaddr`.
    pub fn set_giaddr(&mut self, address: Ipv4Addr) -> &mut Self {
        self.set_address(at::GIADDR, address)
    }

    /// Removes every occurrence of an option. In `file` and `sname` it is overwritten by padding: those fields have a fixed length.
    pub fn remove_option(&mut self, code: u8) -> &mut Self {
        let fields: Vec<_> = Fields::of(&self.bytes).iter().flat_map(Fields::iter).cloned().collect();
        // `file` and `sname` stand before the options and keep their length, so the options field goes last.
        for field in fields.into_iter().rev() {
            let found: Vec<_> =
                walk(&self.bytes, field.clone()).map_while(Result::ok).filter(|found| found.code == code).collect();
            for found in found.into_iter().rev() {
                if field.start == at::OPTIONS {
                    self.bytes.drain(found.whole);
                } else {
                    self.bytes[found.whole].fill(PAD);
                }
            }
        }
        self
    }

    /// Sets an option: where it stood first in the options field, or after the last option. Other occurrences go.
    pub fn set_option(&mut self, code: u8, content: &[u8]) -> Result<&mut Self, EditError> {
        let length = u8::try_from(content.len()).map_err(|_| EditError::OptionTooLong(content.len()))?;
        let options = |bytes: &[u8]| at::OPTIONS..bytes.len();
        let place = walk(&self.bytes, options(&self.bytes)).map_while(Result::ok).find(|found| found.code == code);
        let mut edited = self.clone();
        edited.remove_option(code);
        let place = place.map_or_else(|| end_of(&edited.bytes, options(&edited.bytes)), |found| found.whole.start);
        if end_of(&edited.bytes, options(&edited.bytes)) == edited.bytes.len() {
            edited.bytes.push(END);
        }
        edited.bytes.splice(place..place, [code, length].iter().chain(content).copied());
        edited.shed_padding();
        if edited.bytes.len() > MAX_MESSAGE {
            return Err(EditError::MessageTooLong(edited.bytes.len()));
        }
        *self = edited;
        Ok(self)
    }

    /// Sets option 82 as the last option (RFC 3046 §2.1).
    pub fn set_option82(&mut self, option: &Option82) -> Result<&mut Self, EditError> {
        let content = option.encode()?;
        let mut edited = self.clone();
        edited.remove_option(option82::CODE).set_option(option82::CODE, &content)?;
        *self = edited;
        Ok(self)
    }

    /// Removes option 82.
    pub fn remove_option82(&mut self) -> &mut Self {
        self.remove_option(option82::CODE)
    }

    /// The changed message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The changed message, read again.
    pub fn message(&self) -> Result<Message<'_>, Drop> {
        Message::parse(&self.bytes)
    }

    fn set_address(&mut self, at: usize, address: Ipv4Addr) -> &mut Self {
        self.bytes[at..at + 4].copy_from_slice(&address.octets());
        self
    }

    /// Gives up padding after End where the message would not fit otherwise.
    fn shed_padding(&mut self) {
        let end = end_of(&self.bytes, at::OPTIONS..self.bytes.len());
        while self.bytes.len() > MAX_MESSAGE && self.bytes.len() > end + 1 && self.bytes.last() == Some(&PAD) {
            self.bytes.pop();
        }
    }
}

impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({:?})", self.message())
    }
}
