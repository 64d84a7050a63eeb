//! The few things that are said to Redis.

use std::time::Duration;

use lastmile_types::{
    InstanceId,
    event::{COMMITTED, STREAM},
};
use redis::{AsyncConnectionConfig, Client, Script, Value, aio::MultiplexedConnection, cmd};

use super::Settings;
use crate::decode::Entry;

/// The consumer group that all ingestors share.
pub const GROUP: &str = "ingestor";

/// How long a read waits for the first entry, milliseconds.
const BLOCK_MS: u64 = 1000;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Two ingestors may publish in the wrong order: a seq never goes back.
const PUBLISH: &str = r"
for i = 1, #ARGV, 2 do
    local known = redis.call('HGET', KEYS[1], ARGV[i])
    if not known or tonumber(known) < tonumber(ARGV[i + 1]) then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end";

/// Why the stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Redis or the way to it.
    #[error("Redis")]
    Redis(#[from] redis::RedisError),
    /// An answer of another form than documented.
    #[error("Redis answered {command} in a form that is not understood")]
    Answer {
        /// To what.
        command: &'static str,
    },
}

/// A connection to the stream, as one consumer of the group.
pub struct Stream {
    connection: MultiplexedConnection,
    consumer: String,
    batch: u32,
    claim_after: Duration,
    publish: Script,
}

/// A consumer group's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Entries handed out and not acknowledged.
    pub pending: i64,
    /// Entries not handed out yet, where Redis knows.
    pub lag: Option<i64>,
    /// The oldest entry that it still needs, or the last one it was given.
    pub needs: Option<String>,
}

impl Stream {
    /// Connects, and makes the group where there is none: from the stream's beginning.
    pub async fn connect(settings: &Settings) -> Result<Self, StreamError> {
        let client = Client::open(settings.redis_url.as_str())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let made: Result<(), _> =
            cmd("XGROUP").arg(&["CREATE", STREAM, GROUP, "0", "MKSTREAM"]).query_async(&mut connection).await;
        match made {
            Err(error) if error.code() == Some("BUSYGROUP") => {}
            made => made?,
        }
        Ok(Self {
            connection,
            consumer: settings.consumer.clone(),
            batch: settings.batch,
            claim_after: settings.claim_after,
            publish: Script::new(PUBLISH),
        })
    }

    /// New entries; waits up to a second for the first.
    pub async fn read_new(&mut self) -> Result<Vec<Entry>, StreamError> {
        self.read(">").await
    }

    /// Entries that this consumer was given before and did not acknowledge.
    pub async fn read_pending(&mut self) -> Result<Vec<Entry>, StreamError> {
        self.read("0").await
    }

    async fn read(&mut self, from: &str) -> Result<Vec<Entry>, StreamError> {
        let answer: Value = cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, &self.consumer, "COUNT"])
            .arg(self.batch)
            .arg("BLOCK")
            .arg(BLOCK_MS)
            .arg(&["STREAMS", STREAM, from])
            .query_async(&mut self.connection)
            .await?;
        let understood = match answer {
            Value::Nil => Some(Vec::new()),
            Value::Array(streams) => streams.into_iter().next().and_then(|stream| match stream {
                Value::Array(pair) => pair.into_iter().nth(1).and_then(entries),
                _ => None,
            }),
            _ => None,
        };
        understood.ok_or(StreamError::Answer { command: "XREADGROUP" })
    }

    /// Takes over entries that some consumer has not acknowledged for too long.
    pub async fn claim(&mut self) -> Result<Vec<Entry>, StreamError> {
        let idle_ms = u64::try_from(self.claim_after.as_millis()).unwrap_or(u64::MAX);
        let answer: Value = cmd("XAUTOCLAIM")
            .arg(&[STREAM, GROUP, &self.consumer])
            .arg(idle_ms)
            .arg(&["0", "COUNT"])
            .arg(self.batch)
            .query_async(&mut self.connection)
            .await?;
        let understood = match answer {
            Value::Array(parts) => parts.into_iter().nth(1).and_then(entries),
            _ => None,
        };
        understood.ok_or(StreamError::Answer { command: "XAUTOCLAIM" })
    }

    /// Acknowledges `ids` and publishes how far is committed.
    pub async fn acknowledge(&mut self, ids: &[String], committed: &[(InstanceId, u64)]) -> Result<(), StreamError> {
        self.publish(committed).await?;
        let () = cmd("XACK").arg(&[STREAM, GROUP]).arg(ids).query_async(&mut self.connection).await?;
        Ok(())
    }

    /// Publishes, per instance, up to which seq everything is committed.
    pub async fn publish(&mut self, committed: &[(InstanceId, u64)]) -> Result<(), StreamError> {
        if committed.is_empty() {
            return Ok(());
        }
        let mut publish = self.publish.key(COMMITTED);
        for (instance, seq) in committed {
            publish.arg(instance.to_string()).arg(*seq);
        }
        let () = publish.invoke_async(&mut self.connection).await?;
        Ok(())
    }

    /// All groups of the stream: somebody else's unread entries are not trimmed either.
    pub async fn groups(&mut self) -> Result<Vec<Group>, StreamError> {
        let answer: Vec<Vec<(String, Value)>> =
            cmd("XINFO").arg(&["GROUPS", STREAM]).query_async(&mut self.connection).await?;
        let mut groups = Vec::with_capacity(answer.len());
        for fields in answer {
            let mut group = group(&fields).ok_or(StreamError::Answer { command: "XINFO GROUPS" })?;
            if group.pending > 0 {
                let pending: (i64, Option<String>, Value, Value) =
                    cmd("XPENDING").arg(&[STREAM, &group.name]).query_async(&mut self.connection).await?;
                group.needs = pending.1;
            }
            groups.push(group);
        }
        Ok(groups)
    }

    /// Drops the entries before `id`.
    pub async fn trim(&mut self, id: &str) -> Result<(), StreamError> {
        let () = cmd("XTRIM").arg(&[STREAM, "MINID", id]).query_async(&mut self.connection).await?;
        Ok(())
    }
}

/// The id before which no group needs anything.
pub fn done_before(groups: &[Group]) -> Option<String> {
    let needs = groups.iter().map(|group| group.needs.as_deref().and_then(ordered)).collect::<Option<Vec<_>>>()?;
    needs.into_iter().min().map(|(ms, number)| format!("{ms}-{number}"))
}

fn ordered(id: &str) -> Option<(u64, u64)> {
    let (ms, number) = id.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

fn group(fields: &[(String, Value)]) -> Option<Group> {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    Some(Group {
        name: text(field("name")?)?,
        pending: int(field("pending")?)?,
        lag: field("lag").and_then(int),
        needs: text(field("last-delivered-id")?),
    })
}

fn int(value: &Value) -> Option<i64> {
    if let Value::Int(value) = value { Some(*value) } else { None }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// A list of entries; one that was trimmed meanwhile has no fields.
fn entries(value: Value) -> Option<Vec<Entry>> {
    let Value::Array(list) = value else { return None };
    list.into_iter().filter(|entry| !matches!(entry, Value::Nil)).map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(pair) = value else { return None };
    let mut pair = pair.into_iter();
    let id = text(&pair.next()?)?;
    let Some(Value::Array(list)) = pair.next() else { return Some(Entry { id, fields: Vec::new() }) };
    let mut fields = Vec::with_capacity(list.len() / 2);
    let mut list = list.into_iter();
    while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) = (list.next(), list.next()) {
        fields.push((name, value));
    }
    Some(Entry { id, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entries_and_what_was_trimmed() {
        let answer = Value::Array(vec![
            Value::Array(vec![bulk("5-0"), Value::Array(vec![bulk("seq"), bulk("1")])]),
            Value::Array(vec![bulk("6-0"), Value::Nil]),
        ]);
        let read = entries(answer).unwrap();
        assert_eq!(read[0].fields, [(b"seq".to_vec(), b"1".to_vec())]);
        assert_eq!((read[1].id.as_str(), read[1].fields.len()), ("6-0", 0));
        assert_eq!(entries(Value::Okay), None);
    }

    #[test]
    fn only_what_every_group_is_done_with_is_trimmed() {
        let group =
            |needs: Option<&str>| Group { name: String::new(), pending: 0, lag: None, needs: needs.map(str::to_owned) };
        assert_eq!(done_before(&[group(Some("100-2")), group(Some("99-10"))]).as_deref(), Some("99-10"));
        assert_eq!(done_before(&[group(Some("100-2")), group(None)]), None);
        assert_eq!(done_before(&[]), None);
    }
}
