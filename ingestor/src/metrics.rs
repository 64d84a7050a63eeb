//! What Prometheus is told.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

type Labels = [(&'static str, &'static str); 2];

/// Longer without a round through the loop, and the ingestor is not ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The ingestor's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: Family<Labels, Counter>,
    /// Time to store a batch, seconds.
    pub batch_seconds: Histogram,
    /// Entries not acknowledged yet: read or not.
    pub lag: Gauge,
    /// Entries that can never be ingested.
    pub dead_letters: Counter,
    /// Attempts that failed for PostgreSQL or Redis.
    pub failures: Counter<u64, AtomicU64>,
    last_round: Arc<Mutex<Option<Instant>>>,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lastmile_ingestor");
        let events = Family::<Labels, Counter>::default();
        // 1 ms to about 8 s.
        let batch_seconds = Histogram::new((0..14).map(|power| 0.001 * f64::from(1 << power)));
        let (lag, dead_letters, failures) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register("events", "Events stored, by type and whether they were new", events.clone());
        registry.register_with_unit("batch", "Time to store a batch", Unit::Seconds, batch_seconds.clone());
        registry.register("lag_entries", "Entries of the stream that are not acknowledged yet", lag.clone());
        registry.register("dead_letters", "Entries that can never be ingested", dead_letters.clone());
        registry.register("failures", "Attempts that failed for PostgreSQL or Redis", failures.clone());
        let last_round = Arc::default();
        Self { events, batch_seconds, lag, dead_letters, failures, last_round, registry: Arc::new(registry) }
    }
}

impl Metrics {
    /// An event was stored, or had been before.
    pub fn event(&self, event_type: &'static str, new: bool) {
        let outcome = if new { "new" } else { "duplicate" };
        self.events.get_or_create(&[("event_type", event_type), ("outcome", outcome)]).inc();
    }

    /// The loop went round: Redis answered, and what it had is committed.
    pub fn alive(&self) {
        *self.last_round.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the loop went round lately.
    pub fn ready(&self) -> bool {
        let last_round = *self.last_round.lock().unwrap_or_else(PoisonError::into_inner);
        last_round.is_some_and(|round| round.elapsed() < READY_WITHIN)
    }

    /// The OpenMetrics text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let metrics = Metrics::default();
        metrics.event("SESSION_START", true);
        let text = metrics.text().unwrap();
        assert!(
            text.contains("lastmile_ingestor_events_total{event_type=\"SESSION_START\",outcome=\"new\"} 1"),
            "{text}"
        );
        assert!(text.contains("lastmile_ingestor_batch_seconds_count 0"), "{text}");
        assert!(!metrics.ready());
        metrics.alive();
        assert!(metrics.ready());
    }
}
