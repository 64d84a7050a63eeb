//! A policy that was deleted while sessions had it is told on their gateway.

use std::collections::BTreeMap;

use kube::{
    Resource,
    runtime::events::{Event, EventType},
};
use lastmile_crds::BNG;
use lastmile_types::status::BngStatus as Word;

use crate::{Chain, context::Context};

/// What is known of the gateway's count of them, by policy.
#[derive(Debug, Default)]
pub struct FallBacks {
    /// `None` before its first word: what was before this operator is not told again.
    known: Option<BTreeMap<String, u64>>,
}

impl FallBacks {
    /// An Event for each policy of which the gateway counted more than before.
    pub async fn announce(&mut self, context: &Context, bng: &BNG, word: Option<&Word>) {
        let Some(word) = word else { return };
        for (policy, sessions) in self.news(&word.policies.fell_back) {
            let note = format!(
                "SubscriberPolicy {policy} was deleted while it applied to sessions here ({sessions}): they stay online, the next in \
                 precedence applies to them"
            );
            let event = Event {
                type_: EventType::Warning,
                reason: "PolicyDeleted".into(),
                note: Some(note),
                action: "FallBack".into(),
                secondary: None,
            };
            if let Err(error) = context.recorder.publish(&event, &bng.object_ref(&())).await {
                tracing::debug!("an Event was not written: {}", Chain(&error));
            }
        }
    }

    fn news(&mut self, counted: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
        let Some(known) = self.known.replace(counted.clone()) else { return vec![] };
        let more = |(policy, count): (&String, &u64)| {
            let before = known.get(policy).copied().unwrap_or_default();
            // Lower than before: the gateway started anew and counts from zero.
            let more = if *count < before { *count } else { count - before };
            (more > 0).then(|| (policy.clone(), more))
        };
        counted.iter().filter_map(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let counted =
            |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let mut known = FallBacks::default();
        assert_eq!(known.news(&counted(&[("gold", 2)])), [], "of before this operator");
        assert_eq!(known.news(&counted(&[("gold", 2)])), []);
        assert_eq!(known.news(&counted(&[("gold", 5), ("silver", 1)])), [("gold".into(), 3), ("silver".into(), 1)]);
        assert_eq!(known.news(&counted(&[("gold", 1)])), [("gold".into(), 1)], "a gateway that started anew");
        assert_eq!(known.news(&counted(&[])), []);
    }
}
