//! How many sessions stand under each policy, counted as they change: nobody goes through all of them for it.

use std::collections::BTreeMap;

use crate::session::Session;

/// Sessions by what is counted of them; those that are ending not included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// By the policy in force.
    pub policies: BTreeMap<String, u32>,
    /// By the Filter-Id that AAA granted, whether or not it names a policy.
    pub filter_ids: BTreeMap<String, u32>,
    /// Confined to a walled garden.
    pub confined: u32,
}

impl Uses {
    /// Counts a session in.
    pub(crate) fn enter(&mut self, session: &Session) {
        enter(&mut self.policies, session.terms.policy.as_deref());
        enter(&mut self.filter_ids, session.grant.filter_id.as_deref());
        self.confined += u32::from(session.terms.garden.is_some());
    }

    /// Counts out what was counted in.
    pub(crate) fn leave(&mut self, session: &Session) {
        leave(&mut self.policies, session.terms.policy.as_deref());
        leave(&mut self.filter_ids, session.grant.filter_id.as_deref());
        self.confined -= u32::from(session.terms.garden.is_some());
    }
}

fn enter(counts: &mut BTreeMap<String, u32>, name: Option<&str>) {
    let Some(name) = name else { return };
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

fn leave(counts: &mut BTreeMap<String, u32>, name: Option<&str>) {
    let Some((name, count)) = name.and_then(|name| Some((name, counts.get_mut(name)?))) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(name);
    }
}
