//! Walking the option fields of a message.

use std::ops::Range;

use super::{at, option};
use crate::Drop;

pub const PAD: u8 = 0;
pub const END: u8 = 255;

/// Where options stand, in the order in which RFC 3396 §5 concatenates them: the options field, then `file`, then `sname`.
pub struct Fields {
    ranges: [Range<usize>; 3],
    count: usize,
}

impl Fields {
    /// Needs at least the fixed part of a message.
    pub fn of(bytes: &[u8]) -> Result<Self, Drop> {
        let options = at::OPTIONS..bytes.len();
        let (file, sname) = (at::FILE..at::COOKIE, at::SNAME..at::FILE);
        Ok(match overload(bytes)? {
            1 => Self { ranges: [options, file, sname], count: 2 },
            2 => Self { ranges: [options, sname, file], count: 2 },
            3 => Self { ranges: [options, file, sname], count: 3 },
            _ => Self { ranges: [options, file, sname], count: 1 },
        })
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<usize>> {
        self.ranges[..self.count].iter()
    }
}

/// Option 52, 0 = it is not there. It stands in the options field, once, and is 1, 2 or 3 (RFC 2132 §9.3): of anything else two
/// readers would make two different messages.
pub fn overload(bytes: &[u8]) -> Result<u8, Drop> {
    let mut overload = 0;
    for found in walk(bytes, at::OPTIONS..bytes.len()) {
        let found = found?;
        if found.code == option::OVERLOAD {
            overload = match (overload, &bytes[found.value()]) {
                (0, [value @ 1..=3]) => *value,
                _ => return Err(Drop::DhcpOverload),
            };
        }
    }
    Ok(overload)
}

/// One occurrence of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub code: u8,
    /// Code, length and content.
    pub whole: Range<usize>,
}

impl Found {
    /// The content.
    pub fn value(&self) -> Range<usize> {
        self.whole.start + 2..self.whole.end
    }
}

/// The options of one field, until End or the field's end. After an error there is nothing more.
pub fn walk(bytes: &[u8], field: Range<usize>) -> impl Iterator<Item = Result<Found, Drop>> {
    let mut place = field.start;
    std::iter::from_fn(move || {
        while place < field.end && bytes[place] == PAD {
            place += 1;
        }
        if place >= field.end || bytes[place] == END {
            return None;
        }
        let start = place;
        let end = bytes[..field.end].get(start + 1).map(|length| start + 2 + usize::from(*length));
        match end.filter(|end| *end <= field.end) {
            Some(end) => {
                place = end;
                Some(Ok(Found { code: bytes[start], whole: start..end }))
            }
            None => {
                place = field.end;
                Some(Err(Drop::DhcpOption))
            }
        }
    })
}

/// Where the End option stands, or would stand if it is missing.
pub fn end_of(bytes: &[u8], field: Range<usize>) -> usize {
    let past_last =
        walk(bytes, field.clone()).map_while(Result::ok).last().map_or(field.start, |found| found.whole.end);
    (past_last..field.end).find(|place| bytes[*place] == END).unwrap_or(field.end)
}
