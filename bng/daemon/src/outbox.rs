//! Events on their way to Redis: in order, pipelined, and kept until the ingestor has said that they are in the database.
//!
//! One task. After every connect it sends again what is not known to be committed (the ingestor takes each event once), and while it
//! waits for the ingestor it looks whether its last entry is still on the stream: a Redis that lost its data, or had it
//! flushed, gets it again. Redis being away costs memory for the waiting events and nothing else.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use lastmile_session::RecordedEvent;
use lastmile_types::{
    BngId, InstanceId, Shared,
    event::{COMMITTED, STREAM},
};
use lastmile_wire::stream;
use redis::{AsyncCommands, aio::MultiplexedConnection, streams::StreamRangeReply};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};

/// Events in one pipeline.
const PIPELINE: usize = 500;
/// Between looks at the committed seq.
const LOOK: Duration = Duration::from_millis(500);
/// Without progress for so long, the stream is checked for the last entry sent.
const SUSPECT: Duration = Duration::from_secs(10);
/// Between attempts to connect.
const RETRY: Duration = Duration::from_secs(1);
/// A Redis that does not answer for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Why nothing flows, if nothing does.
    pub trouble: Option<String>,
    /// Events up to this seq are in the database.
    pub committed: u64,
}

/// What the task is made of.
pub struct Outbox {
    /// The gateway.
    pub bng_id: BngId,
    /// The journal's identity.
    pub instance_id: InstanceId,
    /// The file with Redis's URL; read at every connect.
    pub url_file: PathBuf,
    /// Events that the journal holds and nobody has committed.
    pub waiting: VecDeque<Shared<RecordedEvent>>,
    /// New ones, in order.
    pub events: mpsc::UnboundedReceiver<Shared<RecordedEvent>>,
    /// Where its state is told.
    pub state: watch::Sender<State>,
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum OutboxError {
    #[error("cannot read the event bus's URL from {path}")]
    Url { path: PathBuf, source: std::io::Error },
    #[error("Redis does not serve")]
    Redis(#[from] redis::RedisError),
    #[error("Redis does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("the event with seq {seq} cannot be encoded")]
    Encode { seq: u64, source: serde_json::Error },
    #[error("the gateway ends")]
    Closed,
}

/// How far one connection got.
struct Sent {
    /// So many of the waiting events are on the stream.
    count: usize,
    last_id: String,
    progress: Instant,
}

impl Outbox {
    /// Runs until the sender of events is dropped.
    pub async fn run(mut self) {
        loop {
            let error = match self.serve().await {
                OutboxError::Closed => return,
                error => error,
            };
            let text = chain(&error);
            let news = self.state.send_if_modified(|state| state.trouble.replace(text.clone()).is_none());
            if news {
                warn!(error = text, "events wait for Redis; the gateway keeps them. Check the event bus");
            }
            sleep(RETRY).await;
        }
    }

    async fn serve(&mut self) -> OutboxError {
        match self.connect().await {
            Ok(mut connection) => match self.pump(&mut connection).await {
                Ok(never) => match never {},
                Err(error) => error,
            },
            Err(error) => error,
        }
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, OutboxError> {
        let url = std::fs::read_to_string(&self.url_file)
            .map_err(|source| OutboxError::Url { path: self.url_file.clone(), source })?;
        let client = redis::Client::open(url.trim())?;
        let connection = tokio::time::timeout(PATIENCE, client.get_multiplexed_async_connection()).await??;
        info!(waiting = self.waiting.len(), "connected to the event bus");
        self.state.send_modify(|state| state.trouble = None);
        Ok(connection)
    }

    async fn pump(&mut self, connection: &mut MultiplexedConnection) -> Result<std::convert::Infallible, OutboxError> {
        let mut sent = Sent { count: 0, last_id: String::new(), progress: Instant::now() };
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while sent.count < self.waiting.len() {
                self.send(connection, &mut sent).await?;
            }
            tokio::select! {
                event = self.events.recv() => self.take(event.ok_or(OutboxError::Closed)?),
                _ = look.tick() => self.look(connection, &mut sent).await?,
            }
        }
    }

    fn take(&mut self, event: Shared<RecordedEvent>) {
        self.waiting.push_back(event);
        while let Ok(event) = self.events.try_recv() {
            self.waiting.push_back(event);
        }
    }

    async fn send(&self, connection: &mut MultiplexedConnection, sent: &mut Sent) -> Result<(), OutboxError> {
        let mut pipeline = redis::pipe();
        let mut count = 0;
        for event in self.waiting.iter().skip(sent.count).take(PIPELINE) {
            let fields = stream::fields(&self.bng_id, self.instance_id, event.seq, event.ts, &event.event)
                .map_err(|source| OutboxError::Encode { seq: event.seq, source })?;
            pipeline.xadd(STREAM, "*", &fields);
            count += 1;
        }
        let ids: Vec<String> = tokio::time::timeout(PATIENCE, pipeline.query_async(connection)).await??;
        sent.count += count;
        sent.last_id = ids.last().cloned().unwrap_or_default();
        sent.progress = Instant::now();
        Ok(())
    }

    /// Forgets what is committed; sends again what the stream lost.
    async fn look(&mut self, connection: &mut MultiplexedConnection, sent: &mut Sent) -> Result<(), OutboxError> {
        let instance = self.instance_id.to_string();
        let committed: Option<u64> = tokio::time::timeout(PATIENCE, connection.hget(COMMITTED, &instance)).await??;
        let before = self.waiting.len();
        while self.waiting.front().is_some_and(|event| Some(event.seq) <= committed) {
            self.waiting.pop_front();
        }
        let gone = before - self.waiting.len();
        if gone > 0 {
            sent.count = sent.count.saturating_sub(gone);
            sent.progress = Instant::now();
            let committed = committed.unwrap_or_default();
            self.state.send_modify(|state| state.committed = state.committed.max(committed));
        }
        if sent.count > 0 && sent.progress.elapsed() > SUSPECT {
            sent.progress = Instant::now();
            let id = &sent.last_id;
            let found: StreamRangeReply = tokio::time::timeout(PATIENCE, connection.xrange(STREAM, id, id)).await??;
            if found.ids.is_empty() {
                warn!(events = sent.count, "the event stream lost what was sent; it is sent again");
                sent.count = 0;
            }
        }
        Ok(())
    }
}

/// The error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
