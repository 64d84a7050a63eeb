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

/// What an edit usually adds, octets.
const ROOM: usize = 64;

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
        let bytes = message.bytes();
        let mut copy = Vec::with_capacity(bytes.len() + ROOM);
        copy.extend(bytes);
        Self { bytes: copy }
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
        let Ok(fields) = Fields::of(&self.bytes) else { return self };
        // `file` and `sname` stand before the options and keep their length, so the options field goes last.
        for field in fields.iter().rev() {
            let options = field.start == at::OPTIONS;
            loop {
                let field = if options { self.options() } else { field.clone() };
                let found = walk(&self.bytes, field).map_while(Result::ok).find(|found| found.code == code);
                match found {
                    Some(found) if options => drop(self.bytes.drain(found.whole)),
                    Some(found) => self.bytes[found.whole].fill(PAD),
                    None => break,
                }
            }
        }
        self
    }

    /// Sets an option: where it stood first in the options field, or after the last option. Other occurrences go. Content past 255
    /// octets is split (RFC 3396 §5); what the options field has no room for goes into `file` and `sname` (RFC 2131 §4.1).
    pub fn set_option(&mut self, code: u8, content: &[u8]) -> Result<&mut Self, EditError> {
        let first = walk(&self.bytes, self.options()).map_while(Result::ok).find(|found| found.code == code);
        self.put(code, content, first.map(|found| found.whole.start))
    }

    /// Sets option 82 as the last option (RFC 3046 §2.1).
    pub fn set_option82(&mut self, option: &Option82) -> Result<&mut Self, EditError> {
        self.put(option82::CODE, &option.encode()?, None)
    }

    /// As [`Edit::set_option82`], from content that [`option82::subs`] can read.
    pub fn set_option82_raw(&mut self, content: &[u8]) -> Result<&mut Self, EditError> {
        self.put(option82::CODE, content, None)
    }

    /// Whether the options field takes this content as option 82, without help of `file` and `sname`.
    pub fn has_room_for_option82(&self, content: &[u8]) -> bool {
        let added = spill::needed(option82::CODE, content);
        let has_room = |edit: &Self| edit.past_end() + added <= MAX_MESSAGE;
        has_room(self) || has_room(self.clone().remove_option82())
    }

    /// Puts an option at a place in the options field, or after the last option, instead of all its occurrences.
    fn put(&mut self, code: u8, content: &[u8], place: Option<usize>) -> Result<&mut Self, EditError> {
        let pieces = spill::pieces(code, content);
        // With an End of its own; only what may not fit needs a way back.
        let before = (self.bytes.len() + pieces.len() + 1 > MAX_MESSAGE).then(|| self.bytes.clone());
        self.remove_option(code);
        if self.past_end() > self.bytes.len() {
            self.bytes.push(END);
        }
        let needed = self.past_end() + pieces.len();
        if needed <= MAX_MESSAGE {
            let place = place.unwrap_or(self.past_end() - 1);
            self.bytes.splice(place..place, pieces);
            self.shed_padding();
            return Ok(self);
        }
        self.bytes.truncate(self.past_end());
        if spill::spill(&mut self.bytes, MAX_MESSAGE, code, content) {
            return Ok(self);
        }
        if let Some(before) = before {
            self.bytes = before;
        }
        Err(EditError::MessageTooLong { needed, limit: MAX_MESSAGE })
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
