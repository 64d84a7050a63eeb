//! The custom resources as rows of `kube_status`, for those who read PostgreSQL.
//!
//! One watch per kind. What could not be written is kept and written later; a start compares everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use lastmile_crds::{AccessRouter, BNG, SubscriberPolicy};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Chain, context::Context, database::DatabaseError};

/// Namespace and name.
type Key = (String, String);

/// A row of `kube_status`.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    uid: uuid::Uuid,
    generation: i64,
    phase: String,
    conditions: Value,
    node: Option<String>,
    spec: Value,
}

/// What shall be done to the rows of one kind.
#[derive(Debug)]
enum Change {
    Put(Key, Box<Row>),
    Delete(Key),
    /// Only these exist.
    Only(BTreeSet<Key>),
}

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    if context.settings.database_url_file.is_none() {
        tracing::warn!("no database is configured: custom resources are not mirrored, routers not discovered");
        return std::future::pending().await;
    }
    tokio::join!(one::<BNG>(&context), one::<AccessRouter>(&context), one::<SubscriberPolicy>(&context));
}

async fn one<K>(context: &Context)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let watch = async {
        let mut listed = BTreeSet::new();
        let api = Api::<K>::all(context.client.clone());
        let mut events = std::pin::pin!(kube::runtime::watcher(api, watcher::Config::default()).default_backoff());
        loop {
            match events.try_next().await {
                Ok(Some(event)) => changes(event, &mut listed).into_iter().for_each(|change| {
                    // The other end lives as long as this one.
                    let _ = sender.send(change);
                }),
                Ok(None) => return,
                Err(error) => tracing::debug!("watch of {} starts anew: {}", K::kind(&()), Chain(&error)),
            }
        }
    };
    tokio::join!(watch, write(context, K::kind(&()).into_owned(), receiver));
}

fn changes<K: Resource<DynamicType = ()> + Serialize>(event: Event<K>, listed: &mut BTreeSet<Key>) -> Vec<Change> {
    match event {
        Event::Init => {
            listed.clear();
            vec![]
        }
        Event::InitApply(object) => {
            listed.insert(key(&object));
            put(&object)
        }
        Event::InitDone => vec![Change::Only(std::mem::take(listed))],
        Event::Apply(object) => put(&object),
        Event::Delete(object) => vec![Change::Delete(key(&object))],
    }
}

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn put<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Vec<Change> {
    let Ok(json) = serde_json::to_value(object) else { return vec![] };
    let Some(uid) = object.uid().and_then(|uid| uid.parse().ok()) else { return vec![] };
    let row = Row {
        uid,
        generation: object.meta().generation.unwrap_or_default(),
        phase: phase(&json["status"]),
        conditions: match &json["status"]["conditions"] {
            Value::Null => Value::Array(vec![]),
            conditions => conditions.clone(),
        },
        node: json["status"]["node"].as_str().map(str::to_owned),
        spec: json["spec"].clone(),
    };
    vec![Change::Put(key(object), Box::new(row))]
}

/// A BNG's own phase; of the others what their first condition says.
fn phase(status: &Value) -> String {
    if let Some(phase) = status["phase"].as_str() {
        return phase.to_owned();
    }
    let first = &status["conditions"][0];
    match (first["type"].as_str(), first["status"].as_str()) {
        (Some(kind), Some("True")) => kind.to_owned(),
        (Some(kind), Some("False")) => format!("Not{kind}"),
        _ => "Unknown".to_owned(),
    }
}

async fn write(context: &Context, kind: String, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut pending: BTreeMap<Key, Option<Box<Row>>> = BTreeMap::new();
    let mut only: Option<BTreeSet<Key>> = None;
    let mut complained = false;
    loop {
        let change = if pending.is_empty() && only.is_none() { changes.recv().await } else { changes.try_recv().ok() };
        match change {
            Some(Change::Put(key, row)) => drop(pending.insert(key, Some(row))),
            Some(Change::Delete(key)) => drop(pending.insert(key, None)),
            Some(Change::Only(keys)) => only = Some(keys),
            None if changes.is_closed() => return,
            None => match flush(context, &kind, &mut pending, &mut only).await {
                Ok(()) => complained = false,
                Err(error) => {
                    if !complained {
                        tracing::warn!("kube_status of {kind} waits for the database: {}", Chain(&error));
                    }
                    complained = true;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            },
        }
    }
}

async fn flush(
    context: &Context,
    kind: &str,
    pending: &mut BTreeMap<Key, Option<Box<Row>>>,
    only: &mut Option<BTreeSet<Key>>,
) -> Result<(), DatabaseError> {
    let pool = context.database.pool()?;
    if let Some(keys) = only {
        let names: Vec<String> = keys.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
        sqlx::query("DELETE FROM kube_status WHERE kind = $1 AND NOT (namespace || '/' || name = ANY($2))")
            .bind(kind)
            .bind(&names)
            .execute(&pool)
            .await?;
        *only = None;
    }
    while let Some(entry) = pending.first_entry() {
        let ((namespace, name), row) = (entry.key(), entry.get());
        let query = match row {
            None => sqlx::query("DELETE FROM kube_status WHERE kind = $1 AND namespace = $2 AND name = $3")
                .bind(kind)
                .bind(namespace)
                .bind(name),
            Some(row) => sqlx::query(
                "INSERT INTO kube_status \
                 (kind, namespace, name, uid, generation, phase, conditions, node, spec, observed_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now()) ON CONFLICT (kind, namespace, name) DO UPDATE SET \
                 uid = excluded.uid, generation = excluded.generation, phase = excluded.phase, \
                 conditions = excluded.conditions, node = excluded.node, spec = excluded.spec, \
                 observed_at = excluded.observed_at",
            )
            .bind(kind)
            .bind(namespace)
            .bind(name)
            .bind(row.uid)
            .bind(row.generation)
            .bind(&row.phase)
            .bind(&row.conditions)
            .bind(&row.node)
            .bind(&row.spec),
        };
        query.execute(&pool).await?;
        entry.remove();
    }
    Ok(())
}
