//! Delete: disconnects the subscriber, and answers what really happened.

use axum::{Json, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{object, read, status::Failure};
use crate::{app::App, auth::User};

/// `DeleteOptions`, as far as they mean something here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// `["All"]` = only say what would happen.
    pub dry_run: Vec<String>,
    /// What must hold.
    pub preconditions: Preconditions,
}

/// What must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preconditions {
    /// The object's uid.
    pub uid: Option<String>,
    /// The object's resourceVersion.
    pub resource_version: Option<String>,
}

impl Options {
    /// Reads the body, which may be empty, and the query's `dryRun`.
    pub fn parse(body: &[u8], dry_run: Option<String>) -> Result<Self, Failure> {
        let mut options: Self = if body.is_empty() {
            Self::default()
        } else {
            serde_json::from_slice(body).map_err(|error| Failure::bad_request(format!("DeleteOptions: {error}")))?
        };
        options.dry_run.extend(dry_run);
        match options.dry_run.iter().find(|value| value.as_str() != "All") {
            Some(value) => Err(Failure::bad_request(format!("dryRun: {value:?} is not \"All\""))),
            None => Ok(options),
        }
    }
}

/// Delete.
pub async fn delete(
    app: &App,
    user: &User,
    namespace: &str,
    name: &str,
    options: &Options,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let row = read::find(app, namespace, name).await?;
    let Preconditions { uid, resource_version } = &options.preconditions;
    if uid.as_ref().is_some_and(|uid| *uid != row.id.to_string()) {
        return Err(Failure::conflict(format!("Precondition failed: the uid of {name} is {}", row.id)));
    }
    if resource_version.as_ref().is_some_and(|version| *version != row.revision.to_string()) {
        return Err(Failure::conflict(format!("Precondition failed: {name} is at resource version {}", row.revision)));
    }
    if options.dry_run.is_empty() {
        app.gateways.disconnect(&row.bng_id, row.id).await?;
        tracing::info!(session = %row.id, user = %user.name, "session disconnected");
    }
    let details = json!({"name": object::name(row.id), "group": crate::auth::GROUP, "kind": "sessions", "uid": row.id});
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok((StatusCode::OK, Json(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_by_body_and_by_query() {
        let body = br#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background","preconditions":{"uid":"u"}}"#;
        let options = Options::parse(body, None).unwrap();
        assert_eq!((options.dry_run.len(), options.preconditions.uid.as_deref()), (0, Some("u")));
        assert_eq!(Options::parse(b"", Some("All".to_owned())).unwrap().dry_run, ["All"]);
        assert!(Options::parse(b"", Some("Some".to_owned())).is_err());
        assert!(Options::parse(b"{", None).is_err());
    }
}
