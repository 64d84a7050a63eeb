//! The gate as the machine believes it to be: what somebody changed of it is made again, whose element is not whole is let in again,
//! and an eviction that the kernel refused is tried until nobody passes by it.

use lastmile_session::{Action, Admission, Input, Started};
use tracing::error;

use crate::{actions::reading, driver::Driver, time::boot_ms};

impl Driver {
    /// Once a second: whether the gate is whole, and what is owed at it.
    pub(crate) fn look_after_gate(&mut self) {
        self.restore_gate();
        match self.plane.gate.spoofed() {
            Ok(spoofed) => self.spoofed = spoofed,
            Err(error) => self.gate_failed(&error),
        }
        let owed = self.batch.owed.take();
        self.batch.actions.splice(..0, owed);
        if let Some(found) = self.gate_found() {
            self.take(found, None);
        }
        self.settle();
    }

    /// Makes the gate anew if somebody changed it; true if so. The machine lets everybody in again when it hears of it
    /// ([`Driver::gate_found`]); until then nobody passes whose element went as well.
    pub(crate) fn restore_gate(&mut self) -> bool {
        match self.plane.restore(&self.config.bng) {
            Ok(None) => false,
            Ok(Some(left)) => {
                error!(
                    left = left.len(),
                    "somebody changed the gate in nftables, and perhaps not everybody was let through, held back or counted until \
                     now, when it was made anew: \
                     find what flushes the ruleset of this node, and keep it from the tables lastmile_*"
                );
                self.count("gate-restored");
                self.batch.restored = Some(left.into_iter().map(reading).collect());
                true
            }
            Err(error) => {
                self.gate_failed(&error);
                false
            }
        }
    }

    /// What the machine is to know of a gate that was made anew.
    pub(crate) fn gate_found(&mut self) -> Option<Input> {
        let elements = self.batch.restored.take()?;
        Some(Input::Started(Started { same_boot: true, last_boot_ms: boot_ms(), elements }))
    }

    /// The kernel refused other terms. If that is because somebody removed the subscriber's element, or half of it, the rest goes too:
    /// the machine then lets him in again.
    pub(crate) fn doubt(&mut self, admission: &Admission) {
        self.plane.limits.settle(admission);
        let Admission { session, ip, .. } = *admission;
        if matches!(self.plane.gate.read(ip), Ok(None)) {
            self.batch.actions.push(Action::Evict { session, ip });
        }
    }
}
