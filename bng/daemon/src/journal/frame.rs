//! How entries lie in the log: length and CRC-32 (both little-endian, four octets) of the JSON that follows.

use super::Entry;

const HEADER: usize = 8;
/// No entry is longer; a greater length is not one.
const LONGEST: usize = 64 * 1024 * 1024;

/// What a replay found.
#[derive(Debug, PartialEq, Eq)]
pub struct Replay {
    /// Whole entries.
    pub entries: usize,
    /// Octets after the last whole entry.
    pub torn: usize,
}

/// Appends the framed entry to `buffer`.
pub fn encode(entry: &Entry, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.resize(start + HEADER, 0);
    serde_json::to_writer(&mut *buffer, entry).expect("an entry has string keys only and a Vec takes all");
    let (header, body) = buffer[start..].split_at_mut(HEADER);
    header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
}

/// Hands out the entries in order, up to the first that is not whole.
pub fn replay(mut bytes: &[u8], mut apply: impl FnMut(Entry)) -> Replay {
    let mut entries = 0;
    while let Some((entry, rest)) = decode(bytes) {
        apply(entry);
        entries += 1;
        bytes = rest;
    }
    Replay { entries, torn: bytes.len() }
}

/// The first entry, if it is whole.
pub fn first(bytes: &[u8]) -> Option<Entry> {
    decode(bytes).map(|(entry, _)| entry)
}

fn decode(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LONGEST {
        return None;
    }
    let (body, rest) = rest.split_at_checked(length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((serde_json::from_slice(body).ok()?, rest))
}
