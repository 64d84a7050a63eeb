//! The session machine: everything a gateway decides, and nothing it does.
//!
//! [`Machine::handle`] takes the time and one [`Input`] and fills [`Effects`]: one journal [`Record`] (state change, events with
//! their seq, accounting) and the [`Action`]s to carry out after that record is written. The machine reads no clock, draws no
//! random number, opens no socket; the same inputs give the same effects, so every input can be recorded and replayed.
//!
//! One start path ([`life`]), one stop path: `stop` marks the end and evicts, the shell answers with the final counters, and only
//! then is the end recorded.

mod accounting;
mod auth;
mod bridged;
mod bucket;
mod claim;
mod coa;
mod dhcp;
mod dormant;
mod effect;
mod exchange;
mod input;
mod life;
mod machine;
mod policy;
mod reconcile;
mod record;
mod recording;
mod renewal;
mod reply;
mod restart;
mod router;
mod selector;
mod servers;
mod session;
mod shed;
mod table;
mod time;
mod tombstone;
mod uses;

pub use accounting::{AccountingKind, AccountingRecord};
pub use auth::{AuthRequest, Subject};
pub use coa::{CoaRequest, CoaUndo, CoaWish, ErrorCause, Patch, Target, agent_id, nas_port_id};
pub use dormant::Dormant;
pub use effect::{Action, Admission, Destination, Dropped, Edit, Effects, RelayInfoEdit};
pub use input::{AuthAnswer, DhcpKind, DhcpMessage, Grant, Input, Load, Reading, RelayInfo, Settings, Side, Started};
pub use machine::Machine;
pub use policy::Terms;
pub use reconcile::{Adoption, KeaLease, LeaseAnswer, LeasePage};
pub use record::{Change, Record, RecordedEvent, Snapshot};
pub use recording::{Line, Opened, Replay, ReplayError, Told};
pub use router::Router;
pub use servers::PROBE_MAC;
pub use session::{Ending, Meter, Path, Session, Waiting};
pub use time::{Now, Stamp};
pub use tombstone::Tombstone;
