//! The audit: sessions in PostgreSQL whose gateway is provably gone are closed.
//!
//! A gateway that lost its journal comes back as a new instance and knows nothing of its earlier sessions; one whose object is
//! deleted says nothing any more. Nobody else would ever end their rows. The audit ends them as everything ends: by a
//! SESSION_STOP on the event stream, marked as provisional, so that any later event of the gateway itself goes first. A gateway
//! that is only silent is left alone.

mod stops;
mod stream;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use lastmile_types::{BngId, InstanceId, SessionId};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Chain, context::Context, database::DatabaseError};
use stops::Gone;
pub use stops::Orphan;
use stream::{Stream, StreamError};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(15);
/// An object must be missing for so long: the mirror of the objects may be behind.
const MISSING: Duration = Duration::from_secs(60);
/// A new instance is audited for so long: events of the earlier one may still be on their way into the database.
const LATE: Duration = Duration::from_secs(600);
/// What was published is not published again before the ingestor had this time.
const AGAIN: Duration = Duration::from_secs(120);

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("reading sessions")]
    Database(#[from] DatabaseError),
    #[error("publishing their ends")]
    Stream(#[from] StreamError),
}

/// What is remembered between looks; nothing of it needs to survive.
#[derive(Default)]
struct Audit {
    /// Instances that are current, since they were first seen.
    current: BTreeMap<BngId, (InstanceId, Instant)>,
    /// Gateways without an object, since they were first missed.
    missing: BTreeMap<BngId, Instant>,
    /// Sessions whose end was published.
    published: BTreeMap<SessionId, Instant>,
    stream: Option<Stream>,
}

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    if context.settings.database_url_file.is_none() || context.settings.event_bus_url_file.is_none() {
        tracing::warn!("no database or event bus is configured: sessions of lost gateways are not closed");
        return std::future::pending().await;
    }
    let mut audit = Audit::default();
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tick.tick().await;
        match audit.look(&context).await {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!("sessions of lost gateways wait to be closed: {}", Chain(&error));
                }
                failing = true;
                audit.stream = None;
            }
        }
    }
}

impl Audit {
    async fn look(&mut self, context: &Context) -> Result<(), AuditError> {
        self.published.retain(|_, at| at.elapsed() < AGAIN);
        for (id, instance) in self.replaced(context) {
            self.close(context, &id, Gone::JournalLost(instance)).await?;
        }
        for id in self.deleted(context).await? {
            self.close(context, &id, Gone::Deleted).await?;
        }
        Ok(())
    }

    /// Gateways that came back as another instance lately, or whose instance this operator sees for the first time.
    fn replaced(&mut self, context: &Context) -> Vec<(BngId, InstanceId)> {
        let now = Instant::now();
        let seen = context.observers.instances();
        self.current.retain(|id, _| seen.contains_key(id));
        for (id, instance) in seen {
            let known = self.current.entry(id).or_insert((instance, now));
            if known.0 != instance {
                *known = (instance, now);
            }
        }
        let young = self.current.iter().filter(|(_, (_, since))| since.elapsed() < LATE);
        young.map(|(id, (instance, _))| (id.clone(), *instance)).collect()
    }

    /// Gateways that the database knows and Kubernetes does not, long enough.
    async fn deleted(&mut self, context: &Context) -> Result<Vec<BngId>, AuditError> {
        let missing = context.database.gateways_without_object().await?;
        self.missing.retain(|id, _| missing.contains(id));
        for id in missing {
            self.missing.entry(id).or_insert_with(Instant::now);
        }
        Ok(self.missing.iter().filter(|(_, since)| since.elapsed() >= MISSING).map(|(id, _)| id.clone()).collect())
    }

    async fn close(&mut self, context: &Context, id: &BngId, gone: Gone) -> Result<(), AuditError> {
        let mut orphans = context.database.orphans(id, gone.current()).await?;
        orphans.retain(|orphan: &Orphan| !self.published.contains_key(&orphan.session.session_id));
        if orphans.is_empty() {
            return Ok(());
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => empty.insert(Stream::connect(&context.settings).await?),
        };
        let count = orphans.len();
        let sessions: Vec<_> = orphans.iter().map(|orphan| orphan.session.session_id).collect();
        let stops = orphans.into_iter().map(|orphan| stops::stop(orphan, gone)).collect();
        stream.publish(id, Timestamp::now(), stops).await?;
        self.published.extend(sessions.into_iter().map(|session| (session, Instant::now())));
        context.metrics.sessions_closed.inc_by(count as u64);
        tracing::warn!(bng = %id, sessions = count, "sessions of a gateway that is gone were closed: {}", gone.detail());
        Ok(())
    }
}
