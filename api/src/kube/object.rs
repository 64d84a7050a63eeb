//! A session as a Kubernetes object.

use lastmile_types::session::{AuthState, SessionState};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{auth::GROUP, store::sessions::SessionRow};

/// The only version.
pub const VERSION: &str = "v1alpha1";

/// `group/version`.
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// An object's name.
pub fn name(id: Uuid) -> String {
    format!("s-{id}")
}

/// The session that a name stands for.
pub fn id(name: &str) -> Option<Uuid> {
    let text = name.strip_prefix("s-")?;
    let id: Uuid = text.parse().ok()?;
    (id.to_string() == text).then_some(id) // one name a session
}

/// Labels, in the order of their keys. Values are made to fit: what a label may not hold becomes `_`.
pub fn labels(row: &SessionRow) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("lastmile.io/auth", row.auth.to_string()),
        ("lastmile.io/bng", label(row.bng_id.name())),
        ("lastmile.io/router", label(&row.router)),
        ("lastmile.io/state", row.state.to_string()),
    ];
    if let Some(policy) = &row.policy {
        labels.insert(2, ("lastmile.io/policy", label(policy)));
    }
    labels
}

fn label(text: &str) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let text: String = text.chars().map(fitting).take(63).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// The object's metadata.
pub fn metadata(row: &SessionRow) -> Value {
    let labels: Map<String, Value> =
        labels(row).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    json!({
        "name": name(row.id),
        "namespace": row.bng_id.namespace(),
        "uid": row.id,
        "resourceVersion": row.revision.to_string(),
        "creationTimestamp": seconds(row.started_at),
        "labels": labels,
    })
}

/// Kubernetes' times are whole seconds.
fn seconds(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The whole object.
pub fn object(row: &SessionRow) -> Value {
    let mut status = json!({
        "state": row.state,
        "auth": row.auth,
        "ip": row.ip,
        "policy": row.policy,
        "downKbps": row.down_kbps,
        "upKbps": row.up_kbps,
        "counters": row.counters,
        "startedAt": row.started_at,
        "updatedAt": row.updated_at,
        "leaseExpiresAt": row.lease_expires_at,
        "conditions": conditions(row),
    });
    if let Some(ended) = &row.ended {
        status["endedAt"] = json!(ended.at);
        status["terminateCause"] = json!(ended.cause);
        status["terminateDetail"] = json!(ended.detail);
    }
    json!({
        "apiVersion": api_version(),
        "kind": "Session",
        "metadata": metadata(row),
        "spec": without_nulls(json!({
            "subscriber": row.subscriber,
            "bng": row.bng_id.name(),
            "acctSessionId": row.acct_session_id,
            "circuitId": row.circuit_id.to_string(),
            "remoteId": row.remote_id.to_string(),
            "router": row.router,
            "giaddr": row.giaddr,
            "mac": row.mac,
            "hostname": row.hostname,
        })),
        "status": without_nulls(status),
    })
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, field| !field.is_null());
    }
    value
}

/// For `kubectl wait`. When a condition changed is not recorded: the times are the session's start.
fn conditions(row: &SessionRow) -> Value {
    let (authorized, reason, message) = match row.auth {
        AuthState::Authorized => ("True", "AccessAccept", "RADIUS accepted the subscriber"),
        AuthState::Rejected => ("False", "AccessReject", "RADIUS rejected the subscriber: nothing is forwarded"),
        AuthState::PendingAuth => ("Unknown", "NoAnswer", "RADIUS has not answered yet"),
    };
    let (online, why) = match (row.state, row.auth) {
        (SessionState::Expired, _) => ("False", "Ended"),
        (_, AuthState::Authorized) => ("True", "Authorized"),
        _ => ("False", "NotAuthorized"),
    };
    let since = seconds(row.started_at);
    json!([
        {"type": "Authorized", "status": authorized, "reason": reason, "message": message, "lastTransitionTime": since},
        {"type": "Online", "status": online, "reason": why, "message": "", "lastTransitionTime": since},
    ])
}

/// The object without spec and status.
pub fn partial(row: &SessionRow) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata(row)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_exactly_one_name() {
        let uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ab);
        assert_eq!(id(&name(uuid)), Some(uuid));
        for wrong in ["", "s-", "01900000-0000-7000-8000-0000000000ab", "s-01900000-0000-7000-8000-0000000000AB"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn label_values_always_fit() {
        assert_eq!(label("ar-01"), "ar-01");
        assert_eq!(label("é/1 "), "1");
        assert!(label(&"x".repeat(100)).len() <= 63);
    }
}
