//! A process starts: what the journal says is compared with what the kernel has, and adopted.

use std::collections::BTreeMap;

use lastmile_types::session::{AuthState, TerminateCause};

use crate::{
    accounting::{AccountingKind, POLL_MS},
    effect::{Action, Admission, Effects},
    input::{Reading, Started},
    machine::Machine,
    session::Session,
    time::Now,
};

impl Machine {
    pub(crate) fn on_started(&mut self, now: Now, started: &Started, effects: &mut Effects) {
        self.poll_ms = now.boot_ms + POLL_MS;
        if !started.same_boot {
            self.after_reboot(now, started.last_boot_ms, effects);
        }
        let mut elements: BTreeMap<_, _> = started.elements.iter().map(|reading| (reading.ip, *reading)).collect();
        for id in self.table.ids() {
            let Some(session) = self.table.get(id).cloned() else { continue };
            let element = if session.admitted { elements.remove(&session.ip) } else { None };
            self.adopt(now, &session, element, effects);
        }
        for ip in elements.into_keys() {
            effects.act(Action::EvictStray { ip });
        }
        self.watch_again(now, started.same_boot, effects);
        self.apply_policies(now, effects);
    }

    fn adopt(&mut self, now: Now, session: &Session, element: Option<Reading>, effects: &mut Effects) {
        let id = session.id;
        match element {
            // An end that was decided and not finished.
            _ if session.ending.is_some() && session.admitted => {
                effects.act(Action::Evict { session: id, ip: session.ip })
            }
            _ if session.ending.is_some() => self.finish(now, id, None, effects),
            // Its walled garden was closed and its element perhaps not taken away: the policies are applied next.
            _ if session.admitted && !session.may_pass() => {}
            Some(reading) => {
                self.on_readings(now, &[reading], effects);
                // The journal is ahead of the gate where the process died between the two. To say what it knows costs nothing.
                let session =
                    self.table.get(id).filter(|session| session.ending.is_none() && self.has_garden_of(session));
                effects.actions.extend(session.map(|session| Action::SetLimits(Admission::of(session))));
            }
            // The element went with its table: what it counted is what was last read.
            None if session.admitted => {
                let known = self.has_garden_of(session);
                self.table.edit(id, |session| {
                    session.meter.close();
                    session.admitted = known;
                });
                let session = self.table.get(id).filter(|session| session.admitted);
                effects.actions.extend(session.map(|session| Action::Admit(Admission::of(session))));
            }
            None if session.auth == AuthState::PendingAuth => self.authenticate(id, effects),
            None => {}
        }
    }

    /// False where its walled garden went with its policy while nobody looked: the gate does not know it, and what applies now is
    /// said to the gate next.
    fn has_garden_of(&self, session: &Session) -> bool {
        let there = |garden: &String| self.settings.config.policies.iter().any(|policy| policy.name == *garden);
        session.terms.garden.as_ref().is_none_or(there)
    }

    /// Nothing of the kernel's state is left, and boot times of before mean nothing: every session ended when the journal did.
    fn after_reboot(&mut self, now: Now, last_boot_ms: u64, effects: &mut Effects) {
        self.tombstones.rebase(now, effects);
        for id in self.table.ids() {
            self.table.edit(id, |session| session.admitted = false);
            self.stop_at(now, id, TerminateCause::NasReboot, "the host rebooted", last_boot_ms, effects);
            self.finish(now, id, None, effects); // one whose end was already decided
        }
        self.account_all(now, AccountingKind::On, effects);
    }
}
