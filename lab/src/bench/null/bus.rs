//! What an ingestor does to the event bus, and nothing else: says that everything is committed and takes it off the stream, so that
//! the gateway forgets as it would in life.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lastmile_types::event::{COMMITTED, STREAM};
use redis::Commands;
use redis::streams::{StreamMaxlen, StreamRangeReply};

/// Between looks.
const PERIOD: Duration = Duration::from_millis(50);

/// Runs until dropped.
pub struct Committer {
    seq: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Committer {
    /// Starts it.
    pub fn start(url: &str) -> Result<Self> {
        let mut redis = redis::Client::open(url)?.get_connection().context("cannot reach the bed's Redis")?;
        let (seq, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (told, over) = (seq.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                commit(&mut redis, &told)?;
                std::thread::sleep(PERIOD);
            }
            Ok(())
        });
        Ok(Self { seq, ended, thread: Some(thread) })
    }

    /// The seq of the gateway's last event on the bus.
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    /// Fails when it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()).map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(Err(error))) => Err(error.context("the null ingestor has ended")),
            Some(_) => bail!("the null ingestor has ended"),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn commit(redis: &mut redis::Connection, seq: &AtomicU64) -> Result<()> {
    let last: StreamRangeReply = redis.xrevrange_count(STREAM, "+", "-", 1)?;
    let Some(entry) = last.ids.first() else { return Ok(()) };
    let field = |name: &str| entry.get::<String>(name).with_context(|| format!("an event without {name}"));
    let (instance, number) = (field("bng_instance_id")?, field("seq")?);
    let _: () = redis.hset(COMMITTED, instance, &number)?;
    let _: u64 = redis.xtrim(STREAM, StreamMaxlen::Equals(1))?;
    seq.store(number.parse().context("a seq is a number")?, Ordering::Relaxed);
    Ok(())
}
