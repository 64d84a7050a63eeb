//! Mutations that hurt decoders: cuts, flipped bits, wrong lengths, splices, repetitions.

/// Octets that lengths and counts break at.
const EDGES: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
/// Nothing grows past this.
const LONGEST: usize = 8192;

/// A stream of mutations, the same for the same name and corpus.
pub struct Mutator<'a> {
    state: u64,
    others: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// Seeded by `name`; splices take from `others`.
    pub fn new(name: &str, others: &'a [Vec<u8>]) -> Self {
        // FNV-1a: any hash that stays the same for good.
        let seed = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
        Self { state: seed | 1, others }
    }

    /// One to four changes of `input`.
    pub fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes);
            bytes.truncate(LONGEST);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let place = self.below(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(place),
            1 => self.with(bytes, |octet, random| octet ^ (1 << (random % 8))),
            2 => self.with(bytes, |_, random| EDGES[random % EDGES.len()]),
            // A length field that is one off, or a little.
            3 => self.with(bytes, |octet, random| octet.wrapping_add([1, 2, 0xfe, 0xff][random % 4])),
            4 => self.with(bytes, |_, random| random as u8),
            5 => drop(bytes.drain(place..bytes.len().min(place + 1 + self.below(8)))),
            6 => {
                let piece = self.piece();
                bytes.splice(place..place, piece);
            }
            _ => {
                let piece = self.piece();
                let end = bytes.len().min(place + piece.len());
                bytes.splice(place..end, piece);
            }
        }
    }

    /// Changes one octet, if there is one.
    fn with(&mut self, bytes: &mut [u8], change: fn(u8, usize) -> u8) {
        let (place, random) = (self.below(bytes.len()), self.below(usize::MAX));
        if let Some(octet) = bytes.get_mut(place) {
            *octet = change(*octet, random);
        }
    }

    /// Up to 64 octets of some input of the corpus.
    fn piece(&mut self) -> Vec<u8> {
        let other = &self.others[self.below(self.others.len())];
        let start = self.below(other.len());
        let end = other.len().min(start + 1 + self.below(64));
        other[start..end].to_vec()
    }

    /// Less than `bound`; 0 when that is 0. Marsaglia's xorshift64.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_mutations_every_time_and_many_of_them() {
        let corpus = [b"\x35\x01\x01\xff".to_vec(), Vec::new()];
        let take = |name| {
            let mut mutator = Mutator::new(name, &corpus);
            (0..500).map(|_| mutator.mutate(&corpus[0])).collect::<Vec<_>>()
        };
        assert_eq!(take("a"), take("a"));
        assert_ne!(take("a"), take("b"));
        let mut different = take("a");
        different.sort();
        different.dedup();
        assert!(different.len() > 250, "{}", different.len());
    }
}
