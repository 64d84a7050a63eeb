//! Token buckets: how much is too much, exactly, in constant time and bounded room.

use std::collections::BTreeMap;

/// What a bucket gets and holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// So many tokens …
    pub tokens: u64,
    /// … in so many milliseconds.
    pub per_ms: u64,
    /// At most so many are kept.
    pub burst: u64,
}

impl Rate {
    /// Until an empty bucket is full, milliseconds.
    fn fill_ms(self) -> u64 {
        (self.burst * self.per_ms).div_ceil(self.tokens.max(1))
    }
}

/// One bucket. Its level is counted in tokens × `per_ms`, so that no fraction is ever lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    level: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(boot_ms: u64, rate: Rate) -> Self {
        Self { level: rate.burst * rate.per_ms, at_ms: boot_ms }
    }

    /// Whether a token is there that leaves `reserve` percent of the bucket to others.
    fn has(&mut self, boot_ms: u64, rate: Rate, reserve: u64) -> bool {
        let full = rate.burst * rate.per_ms;
        let gained = boot_ms.saturating_sub(self.at_ms).saturating_mul(rate.tokens);
        self.level = self.level.saturating_add(gained).min(full);
        self.at_ms = self.at_ms.max(boot_ms);
        self.level >= rate.per_ms + full / 100 * reserve
    }

    /// Takes that token.
    pub(crate) fn take(&mut self, boot_ms: u64, rate: Rate, reserve: u64) -> bool {
        let has = self.has(boot_ms, rate, reserve);
        if has {
            self.level -= rate.per_ms;
        }
        has
    }
}

/// A bucket for each key, all of one rate. One that was not touched for as long as it takes to fill is full again, so it is forgotten:
/// two generations, the older of which goes as a whole.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    young: BTreeMap<K, Bucket>,
    old: BTreeMap<K, Bucket>,
    turned_ms: u64,
    capacity: usize,
}

impl<K: Ord + Clone> Buckets<K> {
    /// Room for so many keys in each generation.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), turned_ms: 0, capacity }
    }

    /// Takes a token of this key's bucket; `None` when there is no room for another bucket.
    pub(crate) fn take(&mut self, boot_ms: u64, key: &K, rate: Rate, reserve: u64) -> Option<bool> {
        self.turn(boot_ms, rate);
        if let Some(bucket) = self.young.get_mut(key) {
            return Some(bucket.take(boot_ms, rate, reserve));
        }
        if self.young.len() >= self.capacity {
            return None;
        }
        let mut bucket = self.old.remove(key).unwrap_or_else(|| Bucket::full(boot_ms, rate));
        let taken = bucket.take(boot_ms, rate, reserve);
        self.young.insert(key.clone(), bucket);
        Some(taken)
    }

    /// Whether the next [`Buckets::take`] would get a token; nothing is taken.
    pub(crate) fn has(&self, boot_ms: u64, key: &K, rate: Rate) -> bool {
        let bucket = self.young.get(key).or_else(|| self.old.get(key));
        bucket.is_none_or(|bucket| Bucket::clone(bucket).has(boot_ms, rate, 0))
    }

    fn turn(&mut self, boot_ms: u64, rate: Rate) {
        if boot_ms.saturating_sub(self.turned_ms) >= rate.fill_ms() {
            self.old = std::mem::take(&mut self.young);
            self.turned_ms = boot_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { tokens: 20, per_ms: 1_000, burst: 40 };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(0, RATE);
        let mut got = 0;
        for ms in 0..10_000 {
            got += u32::from(bucket.take(ms, RATE, 0));
        }
        assert_eq!(got, 40 + 199, "its burst, and 20 a second");
        assert!(!bucket.take(0, RATE, 0), "time that runs backwards gives nothing");
    }

    #[test]
    fn a_reserve_is_left_to_others() {
        let mut bucket = Bucket::full(0, RATE);
        let first = (0..100).filter(|_| bucket.take(0, RATE, 50)).count();
        let second = (0..100).filter(|_| bucket.take(0, RATE, 0)).count();
        assert_eq!((first, second), (20, 20));
    }

    #[test]
    fn what_is_full_again_is_forgotten_and_nothing_else() {
        let mut buckets = Buckets::new(1_000);
        for key in 0..1_000 {
            (0..40).for_each(|_| _ = buckets.take(0, &key, RATE, 0));
        }
        assert_eq!(buckets.take(0, &1_000, RATE, 0), None, "no room");
        assert_eq!(buckets.take(1_999, &7, RATE, 0), Some(true));
        // Half of what an empty one gets until it is full: the turn in between has not made it full.
        let got = (0..40).filter(|_| buckets.take(2_000, &8, RATE, 0) == Some(true)).count();
        assert_eq!(got, 40);
        let got = (0..40).filter(|_| buckets.take(3_000, &8, RATE, 0) == Some(true)).count();
        assert_eq!(got, 20);
        buckets.take(4_000, &8, RATE, 0);
        buckets.take(6_000, &8, RATE, 0);
        assert!(buckets.young.len() + buckets.old.len() <= 2);
    }

    #[test]
    fn asking_takes_nothing() {
        let mut buckets = Buckets::new(1);
        let rate = Rate { burst: 1, ..RATE };
        assert!(buckets.has(0, &1, rate) && buckets.has(0, &1, rate));
        assert_eq!(buckets.take(0, &1, rate, 0), Some(true));
        assert!(!buckets.has(0, &1, rate) && buckets.has(50, &1, rate));
    }
}
