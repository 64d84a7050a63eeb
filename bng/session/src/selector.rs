//! Which policy a session's place and name choose.

use lastmile_types::{
    SessionKey,
    config::{Policy, Selector},
};

/// The policy for a session. The one that Filter-Id names, else the first whose selector takes the session, else the first
/// default one.
pub(crate) fn choose<'a>(
    policies: &'a [Policy],
    filter_id: Option<&str>,
    key: &SessionKey,
    user_name: &str,
) -> Option<&'a Policy> {
    filter_id
        .and_then(|filter_id| named(policies, filter_id))
        .or_else(|| policies.iter().find(|policy| selects(&policy.selector, key, user_name)))
        .or_else(|| policies.iter().find(|policy| policy.default))
}

/// The policy that a Filter-Id names.
pub(crate) fn named<'a>(policies: &'a [Policy], filter_id: &str) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.filter_id() == filter_id)
}

/// Whether every given pattern matches; without any, nobody is selected.
fn selects(selector: &Selector, key: &SessionKey, user_name: &str) -> bool {
    let Selector { circuit_id, remote_id, user_name: user_pattern } = selector;
    if circuit_id.is_none() && remote_id.is_none() && user_pattern.is_none() {
        return false;
    }
    let fits = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| matches(pattern, text));
    fits(user_pattern, user_name)
        && (circuit_id.is_none() || fits(circuit_id, &key.attachment.circuit_id.to_string()))
        && (remote_id.is_none() || fits(remote_id, &key.attachment.remote_id.to_string()))
}

/// Whether the whole text fits the pattern, in which `*` stands for any text. Each part between stars is looked for behind the
/// one before it and never again: the time grows with the two lengths, whatever they hold.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(place) = text.find(part) else { return false };
        text = &text[place + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use lastmile_types::{Attachment, MacAddr};

    use super::*;

    #[test]
    fn patterns_are_compared_with_the_whole_text() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("ar-01|1/1", "ar-01|1/1", true),
            ("ar-01|1/1", "ar-01|1/11", false),
            ("*", "", true),
            ("*", "anything", true),
            ("ar-01|*", "ar-01|1/1", true),
            ("ar-01|*", "ar-011|1/1", false),
            ("*/8", "ar-01|1/8", true),
            ("*/8", "ar-01|1/80", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*ba", "aba", false),
            ("*ab*ab*", "abXab", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab", false),
            ("**x**", "x", true),
            ("\\xff*", "\\xff\\x00", true),
            ("ü*", "über", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_its_length() {
        let (pattern, text) = ("a*".repeat(500) + "b", "a".repeat(1_000));
        assert!(!matches(&pattern, &text));
    }

    #[test]
    fn all_given_patterns_must_match_and_none_selects_nobody() {
        let key = SessionKey {
            attachment: Attachment {
                bng_id: "edge/bng-01".parse().unwrap(),
                circuit_id: vec![b'a', 0xff].into(),
                remote_id: "line-01".into(),
            },
            mac: MacAddr([2; 6]),
        };
        let some = |text: &str| Some(text.to_owned());
        let selector = |circuit_id, remote_id, user_name| Selector { circuit_id, remote_id, user_name };
        for (selector, takes) in [
            (selector(None, None, None), false),
            (selector(some("a\\xff"), None, None), true),
            (selector(None, some("line-*"), None), true),
            (selector(None, None, some("bng-01/*")), true),
            (selector(some("a*"), some("line-01"), some("*/1")), true),
            (selector(some("b*"), some("line-01"), None), false),
            (selector(some("a*"), some("line-02"), None), false),
            (selector(None, some("line-01"), some("other")), false),
        ] {
            assert_eq!(selects(&selector, &key, "bng-01/1"), takes, "{selector:?}");
        }
    }
}
