//! What this server offers, in the forms that Kubernetes asks for. Never depends on PostgreSQL.
//!
//! `delete` works and is not advertised: with it in the list, the garbage collector would list and watch every session, and the
//! deletion of a namespace would disconnect everybody in it.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::object::{VERSION, api_version};
use crate::auth::GROUP;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/apis`: the classic list, or all in one for those who ask for it.
pub async fn apis(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants = |part: &str| {
        ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|word| part.split(';').any(|one| one.trim() == *word))
    };
    if accept.split(',').any(wants) {
        return ([(header::CONTENT_TYPE, AGGREGATED)], Json(aggregated())).into_response();
    }
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_body()]})).into_response()
}

/// `/apis/sessions.lastmile.io`.
pub async fn group() -> Json<Value> {
    let mut body = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Value::Object(body), Value::Object(group)) = (&mut body, group_body()) {
        body.extend(group);
    }
    Json(body)
}

/// `/apis/sessions.lastmile.io/v1alpha1`.
pub async fn resources() -> Json<Value> {
    Json(resource_list())
}

fn group_body() -> Value {
    let version = json!({"groupVersion": api_version(), "version": VERSION});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

fn resource_list() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(),
        "resources": [{
            "name": "sessions", "singularName": "session", "namespaced": true, "kind": "Session",
            "verbs": ["get", "list", "watch"], "shortNames": ["sess"], "categories": ["lastmile"],
        }],
    })
}

fn aggregated() -> Value {
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": [{
            "metadata": {"name": GROUP, "creationTimestamp": null},
            "versions": [{
                "version": VERSION, "freshness": "Current",
                "resources": [{
                    "resource": "sessions", "scope": "Namespaced", "singularResource": "session",
                    "responseKind": {"group": GROUP, "version": VERSION, "kind": "Session"},
                    "verbs": ["get", "list", "watch"], "shortNames": ["sess"], "categories": ["lastmile"],
                }],
            }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_is_what_it_was() {
        insta::assert_json_snapshot!(json!([group_body(), resource_list(), aggregated()]));
    }

    #[tokio::test]
    async fn the_form_follows_the_accept_header() {
        let content_type = async |accept: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            apis(headers).await.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned()
        };
        assert_eq!(content_type(&format!("{AGGREGATED},application/json")).await, AGGREGATED);
        assert_eq!(content_type("application/json").await, "application/json");
    }
}
