//! The `rate-limit` command within a Cisco-AVPair, as IOS takes it per user:
//! `lcp:interface-config#1=rate-limit {input|output} BPS NORMAL MAX conform-action transmit exceed-action drop`.
//!
//! `input` is what the router receives, so the subscriber's upload. BPS is bit/s; NORMAL and MAX are octets, of which the normal burst
//! is the bucket. The protocol before the colon (`lcp`, `ip`, `sub`) and the number after `#` are as they like. A command with an
//! `access-group` limits some traffic only: there is nothing like it here, so it is not understood. Every other pair is not about rates.

use lastmile_types::session::Rates;

/// No limits where the pair is about something else; `None` = a `rate-limit` of another form.
pub fn parse(pair: &str) -> Option<Rates> {
    let Some(command) = command(pair) else { return Some(Rates::default()) };
    let mut words = command.split_ascii_whitespace();
    if words.next() != Some("rate-limit") {
        return Some(Rates::default());
    }
    let direction = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (rate, normal, _max) = (number()?, number()?, number()?);
    let rest: Vec<_> = words.collect();
    if rest != ["conform-action", "transmit", "exceed-action", "drop"] {
        return None;
    }
    let rate = Some(super::kbps(rate));
    let burst = Some(super::kbps(normal.checked_mul(8)?)).filter(|burst| *burst > 0);
    match direction {
        "input" => Some(Rates { up_kbps: rate, up_burst_kbit: burst, ..Rates::default() }),
        "output" => Some(Rates { down_kbps: rate, down_burst_kbit: burst, ..Rates::default() }),
        _ => None,
    }
}

/// What stands behind `interface-config`, mandatory (`=`) or optional (`*`).
fn command(pair: &str) -> Option<&str> {
    let (name, command) = pair.split_once(['=', '*'])?;
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    (name.trim() == "interface-config").then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "conform-action transmit exceed-action drop";

    #[test]
    fn both_directions() {
        let down = parse(&format!("lcp:interface-config#1=rate-limit output 1000000 187500 375000 {TAIL}")).unwrap();
        assert_eq!(down, Rates { down_kbps: Some(1_000), down_burst_kbit: Some(1_500), ..Rates::default() });
        let up = parse(&format!("sub:interface-config*rate-limit input 512000 8000 8000 {TAIL}")).unwrap();
        assert_eq!(up, Rates { up_kbps: Some(512), up_burst_kbit: Some(64), ..Rates::default() });
    }

    #[test]
    fn others_are_not_about_rates_and_odd_ones_are_said() {
        for pair in ["ip:addr-pool=a", "lcp:interface-config#1=ip unnumbered Loopback0", "no pair", ""] {
            assert_eq!(parse(pair), Some(Rates::default()), "{pair:?}");
        }
        for command in [
            format!("rate-limit sideways 1 2 3 {TAIL}"),
            format!("rate-limit output access-group 101 1 2 3 {TAIL}"),
            format!("rate-limit output x 2 3 {TAIL}"),
            "rate-limit output 1 2 3 conform-action transmit exceed-action continue".to_owned(),
            "rate-limit output 1 2".to_owned(),
        ] {
            assert_eq!(parse(&format!("lcp:interface-config={command}")), None, "{command}");
        }
    }
}
