//! Changing single fields and options of a message and keeping every other octet.

use std::net::Ipv4Addr;

use super::{
    MAX_MESSAGE, MIN_MESSAGE, Message, at,
    options::{END, Fields, PAD, end_of, walk},
    spill,
};
use crate::{
    Drop, option82,
    option82::{Option82, TooLong},
};

/// Why an option could not be set. The message is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A sub-option of option 82 is longer than 255 octets.
    #[error(transparent)]
    SubOptionTooLong(#[from] TooLong),
    /// The message would be longer than it may be, and neither `file` nor `sname` has room.
    #[error("the message would take {needed} octets, more than {limit}")]
    MessageTooLong {
        /// Octets that it would need.
        needed: usize,
        /// Octets that it may have.
        limit: usize,
    },
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

    /// Sets an option: where it stood first in the options field, or after the last option. Other occurrences go. Content past 255
    /// octets is split (RFC 3396 §5); what the options field has no room for goes into `file` and `sname` (RFC 2131 §4.1).
    pub fn set_option(&mut self, code: u8, content: &[u8]) -> Result<&mut Self, EditError> {
        let first = walk(&self.bytes, self.options()).map_while(Result::ok).find(|found| found.code == code);
        let mut edited = self.clone();
        edited.remove_option(code);
        if edited.past_end() > edited.bytes.len() {
            edited.bytes.push(END);
        }
        let needed = edited.past_end() + spill::encoded_len(content.len());
        if needed <= MAX_MESSAGE {
            let place = first.map_or(edited.past_end() - 1, |found| found.whole.start);
            edited.bytes.splice(place..place, spill::pieces(code, content));
            edited.shed_padding();
        } else {
            edited.bytes.truncate(edited.past_end());
            if !spill::spill(&mut edited.bytes, MAX_MESSAGE, code, content) {
                return Err(EditError::MessageTooLong { needed, limit: MAX_MESSAGE });
            }
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

    /// The changed message: with End (RFC 2131 §4.1) and at least [`MIN_MESSAGE`] octets, whatever was taken away.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.finish();
        let length = self.bytes.len().max(MIN_MESSAGE);
        self.bytes.resize(length, PAD);
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

    fn options(&self) -> std::ops::Range<usize> {
        at::OPTIONS..self.bytes.len()
    }

    /// Where the options field's End is over.
    fn past_end(&self) -> usize {
        end_of(&self.bytes, self.options()) + 1
    }

    /// Adds End where the sender left it out; only a message that is full without it stays so.
    fn finish(&mut self) {
        if end_of(&self.bytes, self.options()) == self.bytes.len() && self.bytes.len() < MAX_MESSAGE {
            self.bytes.push(END);
        }
    }

    /// Gives up padding after End where the message would not fit otherwise.
    fn shed_padding(&mut self) {
        let end = self.past_end();
        self.bytes.truncate(self.bytes.len().min(MAX_MESSAGE.max(end)));
    }
}

impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({:?})", self.message())
    }
}
