//! Where an option's octets go: the options field while it has room, else `file` and `sname`.
//!
//! An option longer than 255 octets is several of one code, one after the other (RFC 3396 §5). What the options field does not
//! take goes on in `file` and then in `sname`, where these are empty or hold options already, and option 52 says so (RFC 2131
//! §4.1, RFC 2132 §9.3). Readers join the pieces in this same order (RFC 3396 §7). Nothing is ever cut.

use std::ops::Range;

use super::{
    at, option,
    options::{END, PAD, end_of, overload, walk},
};
use crate::option82;

/// Code and length.
const HEADER: usize = 2;
/// The longest content of one piece.
const PIECE: usize = 255;
/// Option 52 as a whole.
const OVERLOAD: usize = HEADER + 1;
/// `file` and `sname` with their bits in option 52, in the order in which they are read.
const FIELDS: [(u8, Range<usize>); 2] = [(1, at::FILE..at::COOKIE), (2, at::SNAME..at::FILE)];

/// An option's octets with its headers; an empty option is one piece. Option 82 is cut between sub-options where that can be: a
/// reader is to join the pieces first, but Kea takes the sub-options out of each by itself.
pub fn pieces(code: u8, content: &[u8]) -> Vec<u8> {
    if code == option82::CODE { cut(code, content, whole_subs) } else { cut(code, content, |_| PIECE) }
}

/// How many octets [`pieces`] gives.
pub fn needed(code: u8, content: &[u8]) -> usize {
    if content.len() <= PIECE { HEADER + content.len() } else { pieces(code, content).len() }
}

/// The octets of as many whole sub-options as one piece takes, or of the first, which is too long for one.
fn whole_subs(content: &[u8]) -> usize {
    let ends = option82::subs(content).map_while(Result::ok).scan(0, |end, (_, value)| {
        *end += HEADER + value.len();
        Some(*end)
    });
    ends.take_while(|end| *end <= PIECE).last().unwrap_or(PIECE)
}

/// [`pieces`], each of so many octets of the rest; of the whole rest where that is one piece.
fn cut(code: u8, content: &[u8], next: impl Fn(&[u8]) -> usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded_len(content.len()));
    let mut rest = content;
    loop {
        let (piece, after) = rest.split_at(if rest.len() <= PIECE { rest.len() } else { next(rest) });
        octets.extend([code, piece.len() as u8]); // at most 255
        octets.extend(piece);
        rest = after;
        if rest.is_empty() {
            return octets;
        }
    }
}

/// How many octets content takes that is cut into as few pieces as can be.
pub fn encoded_len(content: usize) -> usize {
    content + HEADER * content.div_ceil(PIECE).max(1)
}

/// Room for options.
struct Room {
    /// Its bit in option 52; 0 = the options field.
    bit: u8,
    /// Where the next option goes.
    start: usize,
    /// Octets, without the field's End.
    octets: usize,
}

/// Puts an option that is not there, and for which the options field of a message of at most `limit` octets has no room, where
/// there is some; false when there is not enough, and nothing is changed. The options field must end with End and nothing after it.
pub fn spill(bytes: &mut Vec<u8>, limit: usize, code: u8, content: &[u8]) -> bool {
    let rooms = rooms(bytes, limit);
    let whole = rooms.iter().find(|room| content.len() <= PIECE && room.octets >= HEADER + content.len());
    let shares = match whole {
        Some(room) => vec![(room, content)],
        None => match share(&rooms, content) {
            Some(shares) => shares,
            None => return false,
        },
    };
    let before = overload(bytes).unwrap_or(0);
    let after = shares.iter().fold(before, |bits, (room, _)| bits | room.bit);
    // The fixed fields first: the options field's octets move.
    for (room, part) in shares.iter().filter(|(room, _)| room.bit != 0) {
        let octets = cut(code, part, |_| PIECE);
        let end = room.start + octets.len();
        bytes[room.start..end].copy_from_slice(&octets);
        bytes[end] = END;
    }
    say_overload(bytes, before, after);
    if let Some((_, part)) = shares.iter().find(|(room, _)| room.bit == 0) {
        let end = bytes.len() - 1;
        bytes.splice(end..end, cut(code, part, |_| PIECE));
    }
    true
}

fn rooms(bytes: &[u8], limit: usize) -> Vec<Room> {
    let overload = overload(bytes).unwrap_or(0);
    let needed = if overload == 0 { OVERLOAD } else { 0 };
    let end = bytes.len() - 1;
    let mut rooms = vec![Room { bit: 0, start: end, octets: limit.saturating_sub(bytes.len() + needed) }];
    if end + 1 + needed > limit {
        return rooms; // not even option 52 fits
    }
    for (bit, field) in FIELDS {
        let start = if overload & bit != 0 {
            end_of(bytes, field.clone())
        } else if bytes[field.clone()].iter().all(|octet| *octet == PAD) {
            field.start
        } else {
            continue; // a boot file's or server's name
        };
        rooms.push(Room { bit, start, octets: (field.end - start).saturating_sub(1) });
    }
    rooms
}

/// As much to each room as it takes, in order; `None` when something is left.
fn share<'a>(rooms: &'a [Room], content: &'a [u8]) -> Option<Vec<(&'a Room, &'a [u8])>> {
    let (mut shares, mut rest) = (Vec::new(), content);
    for room in rooms.iter().filter(|room| room.octets > HEADER) {
        let headers = room.octets.div_ceil(HEADER + PIECE);
        let (part, after) = rest.split_at(rest.len().min(room.octets - HEADER * headers));
        if !part.is_empty() {
            shares.push((room, part));
        }
        rest = after;
    }
    rest.is_empty().then_some(shares)
}

fn say_overload(bytes: &mut Vec<u8>, before: u8, after: u8) {
    if before == after {
        return;
    }
    let there =
        walk(bytes, at::OPTIONS..bytes.len()).map_while(Result::ok).find(|found| found.code == option::OVERLOAD);
    match there {
        Some(found) => bytes[found.value()].fill(after),
        None => {
            let end = bytes.len() - 1;
            bytes.splice(end..end, [option::OVERLOAD, 1, after]);
        }
    }
}
