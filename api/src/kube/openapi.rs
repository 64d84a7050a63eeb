//! OpenAPI for `kubectl explain`: version 2 and version 3 of one schema.

use axum::Json;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::object::VERSION;
use crate::auth::GROUP;

const SCHEMA: &str = "io.lastmile.sessions.v1alpha1.Session";
const LIST: &str = "io.lastmile.sessions.v1alpha1.SessionList";

/// `/openapi/v2`.
pub async fn v2() -> Json<Value> {
    Json(json!({
        "swagger": "2.0",
        "info": {"title": "Lastmile sessions", "version": VERSION},
        "paths": paths(|name| json!({"schema": {"$ref": format!("#/definitions/{name}")}})),
        "definitions": schemas("#/definitions/"),
    }))
}

/// `/openapi/v3`.
pub async fn v3_index() -> Json<Value> {
    let hash: String = Sha256::digest(document().to_string()).iter().map(|octet| format!("{octet:02X}")).collect();
    let path = format!("apis/{GROUP}/{VERSION}");
    Json(json!({"paths": {path.as_str(): {"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}}}))
}

/// `/openapi/v3/apis/sessions.lastmile.io/v1alpha1`.
pub async fn v3() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Lastmile sessions", "version": VERSION},
        "paths": paths(|name| json!({"content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}}})),
        "components": {"schemas": schemas("#/components/schemas/")},
    })
}

/// `body` makes a response's body in the version's own form.
fn paths(body: impl Fn(&str) -> Value) -> Value {
    let kind = json!({"group": GROUP, "version": VERSION, "kind": "Session"});
    let operation = |id: &str, action: &str, schema: &str| {
        let mut response = body(schema);
        response["description"] = json!("OK");
        json!({
            "operationId": id, "tags": ["sessions"], "responses": {"200": response},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
        })
    };
    let root = format!("/apis/{GROUP}/{VERSION}");
    json!({
        format!("{root}/sessions"): {"get": operation("listSessionForAllNamespaces", "list", LIST)},
        format!("{root}/namespaces/{{namespace}}/sessions"): {"get": operation("listNamespacedSession", "list", LIST)},
        format!("{root}/namespaces/{{namespace}}/sessions/{{name}}"): {"get": operation("readNamespacedSession", "get", SCHEMA)},
    })
}

fn schemas(prefix: &str) -> Value {
    let kinds = |kind: &str| json!([{"group": GROUP, "version": VERSION, "kind": kind}]);
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        SCHEMA: {
            "type": "object",
            "description": "A subscriber's session: from the address that DHCP gave it to its end. Sessions come and go by DHCP and are \
                kept in PostgreSQL; this API reads them. Deleting one disconnects the subscriber.",
            "x-kubernetes-group-version-kind": kinds("Session"),
            "properties": {
                "apiVersion": text("The version of this schema."),
                "kind": text("Session."),
                "metadata": {"type": "object", "description": "Standard metadata. The name is s- and the session's id, the namespace is the gateway's."},
                "spec": spec(),
                "status": status(),
            },
        },
        LIST: {
            "type": "object",
            "description": "Sessions.",
            "required": ["items"],
            "x-kubernetes-group-version-kind": kinds("SessionList"),
            "properties": {
                "apiVersion": text("The version of this schema."),
                "kind": text("SessionList."),
                "metadata": {"type": "object", "description": "Standard list metadata."},
                "items": {"type": "array", "description": "The sessions.", "items": {"$ref": format!("{prefix}{SCHEMA}")}},
            },
        },
    })
}

fn spec() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object", "description": "Who it is and where it is attached.",
        "properties": {
            "subscriber": text("User-Name as sent to RADIUS (RFC 2865)."),
            "bng": text("The gateway's name; its namespace is the session's."),
            "acctSessionId": text("Acct-Session-Id as sent to RADIUS (RFC 2866)."),
            "circuitId": text("Agent Circuit ID (RFC 3046); octets that are not printable ASCII as \\xNN."),
            "remoteId": text("Agent Remote ID (RFC 3046); octets that are not printable ASCII as \\xNN."),
            "router": text("The access router's name."),
            "giaddr": text("The access router's address, where the session came through one."),
            "mac": text("The client's hardware address."),
            "hostname": text("As the client named itself."),
        },
    })
}

fn status() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let number = |description: &str| json!({"type": "integer", "format": "int64", "description": description});
    json!({
        "type": "object", "description": "How it is.",
        "properties": {
            "state": text("PENDING: an address and no traffic yet; ACTIVE: traffic was seen lately; IDLE: no upload for a while; EXPIRED: it ended."),
            "auth": text("What RADIUS said: PENDING_AUTH, AUTHORIZED or REJECTED."),
            "ip": text("The leased address."),
            "policy": text("The SubscriberPolicy in force."),
            "downKbps": number("Limit towards the subscriber, kbit/s; absent = none."),
            "upKbps": number("Limit from the subscriber, kbit/s; absent = none."),
            "counters": {
                "type": "object", "description": "What the subscriber moved since the session's start, in IP octets and packets.",
                "properties": {
                    "inputOctets": number("Octets downloaded."),
                    "outputOctets": number("Octets uploaded."),
                    "inputPackets": number("Packets downloaded."),
                    "outputPackets": number("Packets uploaded."),
                },
            },
            "startedAt": time("When it started."),
            "updatedAt": time("When the gateway last reported it."),
            "leaseExpiresAt": time("When the lease ends."),
            "endedAt": time("When it ended; seen by watchers only."),
            "terminateCause": text("Acct-Terminate-Cause (RFC 2866); seen by watchers only."),
            "terminateDetail": text("Why it ended, more exactly; seen by watchers only."),
            "conditions": {
                "type": "array", "description": "Authorized and Online.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": text("Authorized or Online."),
                        "status": text("True, False or Unknown."),
                        "reason": text("Why, in one word."),
                        "message": text("Why, for people."),
                        "lastTransitionTime": time("The session's start."),
                    },
                },
            },
        },
    })
}
