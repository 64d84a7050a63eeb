//! What is said when a Filter-Id names no policy.

use lastmile_types::status::PolicyUse;

use crate::conditions::Finding;

/// So many Filter-Ids are named in the condition; the status has more of them.
const NAMED: usize = 5;

/// PoliciesFound.
pub fn finding(found: &PolicyUse) -> Finding {
    if found.unknown == 0 {
        return Finding::good("PoliciesFound", "Found", "every Filter-Id names a policy");
    }
    let named: Vec<_> =
        found.unknown_filter_ids.iter().take(NAMED).map(|(id, count)| format!("{id:?}: {count}")).collect();
    let more = if found.unknown_filter_ids.len() > NAMED { ", …" } else { "" };
    let message = format!(
        "sessions whose Filter-Id names no SubscriberPolicy: {} ({}{more}); the next in precedence applies to them until a \
         policy has that name or that selector.filterId",
        found.unknown,
        named.join(", "),
    );
    Finding::bad("PoliciesFound", "FilterIdUnknown", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_filter_ids_are_named_with_their_sessions() {
        let mut found = PolicyUse::default();
        assert_eq!(finding(&found).status, Some(true));
        found.unknown = 3;
        found.unknown_filter_ids = [("gold\n".to_owned(), 1), ("plus".to_owned(), 2)].into();
        let said = finding(&found);
        assert_eq!((said.status, said.reason), (Some(false), "FilterIdUnknown"));
        assert!(said.message.contains(r#": 3 ("gold\n": 1, "plus": 2);"#), "{}", said.message);
    }
}
