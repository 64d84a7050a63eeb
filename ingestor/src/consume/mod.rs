//! The loop: read a batch, store it, acknowledge it.
//!
//! One connection to Redis, used by one task, one thing after the other. After every (re)connection the entries that this
//! consumer had been given and not acknowledged come first. A batch is kept until the database has taken it; Redis hands out
//! nothing new meanwhile. The task never acknowledges what is not committed.

mod backoff;
mod keep;
mod stream;

use std::time::{Duration, Instant};

use lastmile_types::InstanceId;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    decode::{Decoded, Entry, Poison, chain, decode},
    metrics::Metrics,
    store::{self, Batch, StoreError, Stored},
};
use backoff::Backoff;
pub use stream::GROUP;
use stream::{Stream, StreamError};

/// How often entries of dead consumers are looked for, what is done is trimmed, and committed seqs are published anew.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// What the loop needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Redis' URL.
    pub redis_url: String,
    /// This ingestor's name within the group.
    pub consumer: String,
    /// Entries in a batch, at most.
    pub batch: u32,
    /// The age at which an unacknowledged entry is taken over.
    pub claim_after: Duration,
}

/// Why a connection's life ended.
#[derive(Debug, thiserror::Error)]
enum LoopError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Consumes the stream until `stop`.
pub struct Consumer {
    /// What to consume.
    pub settings: Settings,
    /// Where to store it.
    pub pool: PgPool,
    /// What is told about it.
    pub metrics: Metrics,
    /// Asks the loop to end after the batch in hand.
    pub stop: CancellationToken,
}

impl Consumer {
    /// Runs until told to stop; outlives restarts of Redis and of PostgreSQL.
    pub async fn run(&self) {
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            let Err(error) = self.connected(&mut backoff).await else { return };
            self.metrics.failures.inc();
            let wait = backoff.next();
            warn!(
                error = chain(&error),
                "no events are ingested: see that Redis and PostgreSQL run, are reachable from here and take the configured \
                 passwords, and that `lastmile-ingestor migrate` was run; next attempt in {:.1} s",
                wait.as_secs_f32()
            );
            self.pause(wait).await;
        }
    }

    async fn connected(&self, backoff: &mut Backoff) -> Result<(), LoopError> {
        let mut stream = Stream::connect(&self.settings).await?;
        stream.publish(&store::committed(&self.pool).await?).await?;
        info!(consumer = self.settings.consumer, "consuming");
        while self.round(&mut stream, Read::Pending).await? {}
        let mut kept = Instant::now();
        while !self.stop.is_cancelled() {
            self.round(&mut stream, Read::New).await?;
            *backoff = Backoff::default();
            self.metrics.alive();
            if kept.elapsed() >= HOUSEKEEPING {
                while self.round(&mut stream, Read::Abandoned).await? {}
                keep::house(&mut stream, &self.pool, &self.metrics).await?;
                kept = Instant::now();
            }
        }
        Ok(())
    }

    /// Reads, stores and acknowledges one batch; `false`: there was none.
    async fn round(&self, stream: &mut Stream, read: Read) -> Result<bool, LoopError> {
        let entries = match read {
            Read::New => stream.read_new().await?,
            Read::Pending => stream.read_pending().await?,
            Read::Abandoned => stream.claim().await?,
        };
        if entries.is_empty() || self.stop.is_cancelled() {
            return Ok(false);
        }
        let ids: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        let Some(committed) = self.ingest(entries).await else { return Ok(false) };
        stream.acknowledge(&ids, &committed).await?;
        Ok(true)
    }

    /// Stores `entries` however long it takes; `None` when told to stop before that.
    async fn ingest(&self, entries: Vec<Entry>) -> Option<Vec<(InstanceId, u64)>> {
        let mut todo = vec![batch_of(entries)];
        let mut committed = Vec::new();
        let mut backoff = Backoff::default();
        while let Some(batch) = todo.pop() {
            let started = Instant::now();
            match store::store(&self.pool, &batch).await {
                Ok(stored) => {
                    self.count(&batch, &stored, started);
                    committed.extend(stored.committed);
                }
                Err(error) if error.is_data() && !batch.events.is_empty() => todo.extend(divide(batch, &error)),
                Err(error) => {
                    self.metrics.failures.inc();
                    let wait = backoff.next();
                    warn!(
                        error = chain(&error),
                        events = batch.events.len(),
                        "a batch is not stored yet: see that PostgreSQL runs and that `lastmile-ingestor migrate` was run; \
                         next attempt in {:.1} s",
                        wait.as_secs_f32()
                    );
                    todo.push(batch);
                    self.pause(wait).await;
                }
            }
            if self.stop.is_cancelled() && !todo.is_empty() {
                return None;
            }
        }
        Some(committed)
    }

    fn count(&self, batch: &Batch, stored: &Stored, started: Instant) {
        self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        for event in &batch.events {
            let new = stored.new.contains(&event.envelope.position());
            self.metrics.event(event.envelope.event.event_type(), new);
        }
        for poison in &batch.poison {
            self.metrics.dead_letters.inc();
            warn!(
                entry = poison.entry.id,
                reason = poison.reason,
                "an entry cannot be ingested; it is kept in the table dead_letters: compare the versions of gateway and ingestor"
            );
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Which entries to read.
#[derive(Debug, Clone, Copy)]
enum Read {
    New,
    Pending,
    Abandoned,
}

fn batch_of(entries: Vec<Entry>) -> Batch {
    let mut batch = Batch::default();
    for entry in entries {
        // An entry without fields was trimmed while it was pending: only the acknowledgement is left to do.
        if entry.fields.is_empty() {
            continue;
        }
        match decode(entry) {
            Ok(event) => batch.events.push(event),
            Err(poison) => batch.poison.push(*poison),
        }
    }
    batch
}

/// Two smaller batches, or the one event that the database refuses as poison.
fn divide(mut batch: Batch, error: &StoreError) -> Vec<Batch> {
    if batch.events.len() > 1 {
        let second = batch.events.split_off(batch.events.len() / 2);
        return vec![Batch { events: second, poison: Vec::new() }, batch];
    }
    let refused = batch.events.drain(..).map(|Decoded { entry, envelope, .. }| Poison {
        entry,
        position: Some(envelope.position()),
        reason: chain(error),
    });
    let poison = batch.poison.drain(..).chain(refused).collect();
    vec![Batch { events: Vec::new(), poison }]
}
