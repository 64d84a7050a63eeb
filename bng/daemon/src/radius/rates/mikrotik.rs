//! The string of Mikrotik-Rate-Limit, as RouterOS' manual gives it:
//! `rx[/tx] [rx-burst[/tx-burst] [rx-threshold[/tx-threshold] [rx-time[/tx-time] [priority [rx-min[/tx-min]]]]]]`.
//!
//! `rx` is what the router receives, so the subscriber's upload. Rates are bit/s, with `k` or `M` for 1,000 or 1,000,000; one value
//! without `/` is for both directions. Priority and minimum have no meaning here.
//!
//! RouterOS lets a subscriber have the burst rate until its average over the burst time reaches the threshold: from rest, for
//! threshold × time ÷ burst rate seconds. The burst here is what passes above the rate in that time.

use lastmile_types::session::Rates;

/// Seconds over which RouterOS averages where the string does not say.
const BURST_TIME: u64 = 1;

/// `None` = not that syntax.
pub fn parse(text: &str) -> Option<Rates> {
    let mut words = text.split_ascii_whitespace();
    let (rx, tx) = pair(words.next()?, rate)?;
    let burst = words.next().map(|word| pair(word, rate)).unwrap_or(Some((0, 0)))?;
    let threshold = words.next().map(|word| pair(word, rate)).unwrap_or(Some((rx, tx)))?;
    let time = words.next().map(|word| pair(word, number)).unwrap_or(Some((BURST_TIME, BURST_TIME)))?;
    if let Some(priority) = words.next() {
        number(priority).filter(|priority| (1..=8).contains(priority))?;
    }
    if let Some(minimum) = words.next() {
        pair(minimum, rate)?;
    }
    if words.next().is_some() {
        return None;
    }
    Some(Rates {
        up_kbps: Some(super::kbps(rx)),
        down_kbps: Some(super::kbps(tx)),
        up_burst_kbit: excess(rx, burst.0, threshold.0, time.0),
        down_burst_kbit: excess(tx, burst.1, threshold.1, time.1),
    })
}

/// kbit that pass above the rate in the longest burst.
fn excess(rate: u64, burst: u64, threshold: u64, seconds: u64) -> Option<u32> {
    let above = burst.checked_sub(rate).filter(|above| *above > 0 && rate > 0)?;
    let bits = u128::from(above) * u128::from(threshold) * u128::from(seconds) / u128::from(burst);
    Some(u32::try_from(bits.div_ceil(1000)).unwrap_or(u32::MAX))
}

fn pair(word: &str, value: fn(&str) -> Option<u64>) -> Option<(u64, u64)> {
    match word.split_once('/') {
        Some((rx, tx)) => Some((value(rx)?, value(tx)?)),
        None => value(word).map(|both| (both, both)),
    }
}

fn rate(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    number(digits)?.checked_mul(unit)
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upload, download, and their bursts.
    type Four = (Option<u32>, Option<u32>, Option<u32>, Option<u32>);

    fn kbps(text: &str) -> Option<Four> {
        parse(text).map(|rates| (rates.up_kbps, rates.down_kbps, rates.up_burst_kbit, rates.down_burst_kbit))
    }

    #[test]
    fn rates_in_the_routers_view() {
        assert_eq!(kbps("512k/2M"), Some((Some(512), Some(2_000), None, None)));
        assert_eq!(kbps("64000"), Some((Some(64), Some(64), None, None)));
        assert_eq!(kbps("0/1M"), Some((Some(0), Some(1_000), None, None)), "0 is unlimited");
    }

    /// RouterOS' manual: rate 1M, burst 4M, threshold 750k, 16 s: a burst of 3 s, so 9 Mbit above the rate.
    #[test]
    fn bursts() {
        assert_eq!(
            kbps("512k/1M 1M/4M 256k/750k 8/16 8 64k/64k"),
            Some((Some(512), Some(1_000), Some(1_000), Some(9_000)))
        );
        assert_eq!(
            kbps("1M 2M"),
            Some((Some(1_000), Some(1_000), Some(500), Some(500))),
            "the rate is the threshold, 1 s"
        );
        assert_eq!(kbps("1M/1M 0/0"), Some((Some(1_000), Some(1_000), None, None)));
    }

    #[test]
    fn what_is_not_that_syntax() {
        for text in [
            "",
            "fast",
            "1M/",
            "/1M",
            "1M 2M 3M 4M",
            "1M 2M 3M 4 9",
            "-1",
            "+1",
            "1M 2M 1M 1 8 1M more",
            "99999999999999M",
        ] {
            assert_eq!(kbps(text), None, "{text:?}");
        }
    }
}
