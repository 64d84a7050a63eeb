//! The audit's events on the stream.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::Timestamp;
use lastmile_types::{BngId, Envelope, Event, InstanceId, event::STREAM};
use lastmile_wire::stream;
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use uuid::Uuid;

use crate::settings::Settings;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The file with Redis's URL.
    #[error("cannot read the event bus's URL from {path}")]
    Url {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Redis.
    #[error("Redis")]
    Redis(#[from] redis::RedisError),
    /// An event cannot be written as JSON.
    #[error("encoding an event")]
    Encode(#[from] serde_json::Error),
}

/// A connection. For each gateway it is an instance of its own, with numbers from 1, as every author of events is.
pub struct Stream {
    connection: MultiplexedConnection,
    authors: BTreeMap<BngId, (InstanceId, u64)>,
}

impl Stream {
    /// Connects.
    pub async fn connect(settings: &Settings) -> Result<Self, StreamError> {
        let path = settings.event_bus_url_file.clone().unwrap_or_default();
        let url = std::fs::read_to_string(&path).map_err(|source| StreamError::Url { path, source })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let connection = redis::Client::open(url.trim())?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, authors: BTreeMap::new() })
    }

    /// Publishes events about one gateway, in order. After an error this author is used no more: make another connection.
    pub async fn publish(&mut self, id: &BngId, ts: Timestamp, events: Vec<Event>) -> Result<(), StreamError> {
        let (instance, seq) = self.authors.entry(id.clone()).or_insert_with(|| (InstanceId(Uuid::now_v7()), 0));
        let mut pipeline = redis::pipe();
        for event in events {
            *seq += 1;
            let envelope = Envelope { bng_id: id.clone(), bng_instance_id: *instance, seq: *seq, ts, event };
            pipeline.xadd(STREAM, "*", &stream::encode(&envelope)?).ignore();
        }
        pipeline.query_async::<()>(&mut self.connection).await?;
        Ok(())
    }
}
