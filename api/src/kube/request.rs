//! What a request asks for: its query and its Accept header.

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{status::Failure, table::Include};

/// Query parameters of list and watch; what is not known is ignored, as Kubernetes does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListParams {
    /// Labels that must match.
    pub label_selector: String,
    /// Fields that must match.
    pub field_selector: String,
    /// Rows a page; 0 = all.
    pub limit: Option<i64>,
    /// Where the page starts.
    #[serde(rename = "continue")]
    pub next: String,
    /// Follow changes instead.
    pub watch: Option<String>,
    /// From where.
    pub resource_version: String,
    /// `Exact`, `NotOlderThan` or nothing.
    pub resource_version_match: String,
    /// Say from time to time how far the watch is.
    pub allow_watch_bookmarks: Option<String>,
    /// Start the watch with everything there is.
    pub send_initial_events: Option<String>,
    /// End the watch then.
    pub timeout_seconds: Option<u64>,
    /// What a table's rows carry.
    pub include_object: String,
}

/// Kubernetes writes booleans as `true`, `1` or nothing after the `=`.
pub fn is_true(text: Option<&str>) -> bool {
    matches!(text, Some("true" | "1" | ""))
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole objects.
    Objects,
    /// Metadata only.
    Partial,
    /// For people.
    Table(Include),
}

impl Form {
    /// The first form of the Accept header that we have.
    pub fn of(headers: &HeaderMap, include: &str) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        for option in accept.split(',') {
            let words: Vec<&str> = option.split(';').map(str::trim).collect();
            if !matches!(words[0], "application/json" | "*/*" | "application/*") {
                continue;
            }
            let Some(kind) = words.iter().find_map(|word| word.strip_prefix("as=")) else { return Self::Objects };
            if !(words.contains(&"g=meta.k8s.io") && words.contains(&"v=v1")) {
                continue;
            }
            match kind {
                "Table" => return Self::Table(parse_include(include)),
                "PartialObjectMetadata" | "PartialObjectMetadataList" => return Self::Partial,
                _ => {}
            }
        }
        Self::Objects
    }
}

fn parse_include(text: &str) -> Include {
    match text {
        "None" => Include::None,
        "Object" => Include::Object,
        _ => Include::Metadata,
    }
}

/// Where a list goes on: says everything that the next page needs, so that any replica can answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continue {
    /// The revision of the list's first page, which all its pages state.
    #[serde(rename = "rv")]
    pub revision: i64,
    /// The last session given out.
    pub after: Uuid,
}

impl Continue {
    /// The token.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token.
    pub fn decode(token: &str) -> Result<Self, Failure> {
        let json = URL_SAFE_NO_PAD.decode(token).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Failure::bad_request("continue token is not one that this server gave out"))
    }
}

/// A resourceVersion; nothing and `0` mean "any".
pub fn revision(text: &str) -> Result<Option<i64>, Failure> {
    match text {
        "" | "0" => Ok(None),
        _ => text
            .parse()
            .ok()
            .filter(|revision| *revision > 0)
            .map(Some)
            .ok_or_else(|| Failure::bad_request(format!("invalid resource version {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continue_tokens_round_trip_and_rubbish_is_refused() {
        let token = Continue { revision: 7, after: Uuid::from_u128(9) };
        assert_eq!(Continue::decode(&token.encode()), Ok(token));
        for rubbish in ["", "x", "e30", "!!"] {
            assert!(Continue::decode(rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn the_form_is_the_first_that_we_have() {
        let form = |accept: &'static str| {
            Form::of(&HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(accept))]), "")
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(table), Form::Table(Include::Metadata));
        assert_eq!(form("application/json"), Form::Objects);
        assert_eq!(
            form(
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            ),
            Form::Partial
        );
        assert_eq!(form("application/json;as=Table;v=v1beta1;g=meta.k8s.io, */*"), Form::Objects);
    }

    #[test]
    fn resource_versions() {
        assert_eq!((revision(""), revision("0"), revision("12")), (Ok(None), Ok(None), Ok(Some(12))));
        assert!(revision("x").is_err() && revision("-1").is_err());
    }
}
