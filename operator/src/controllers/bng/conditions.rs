//! Conditions, in one order, each with its last transition. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a controller found of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `None` = Unknown.
    pub status: Option<bool>,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Finding {
    /// True.
    pub fn good(reason: &str, message: impl Into<String>) -> Self {
        Self { status: Some(true), reason: reason.to_owned(), message: message.into() }
    }

    /// False.
    pub fn bad(reason: &str, message: impl Into<String>) -> Self {
        Self { status: Some(false), reason: reason.to_owned(), message: message.into() }
    }

    /// Unknown.
    pub fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Self { status: None, reason: reason.to_owned(), message: message.into() }
    }

    /// The finding that an earlier condition tells.
    pub fn of(condition: &Condition) -> Self {
        let status = match condition.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Self { status, reason: condition.reason.clone(), message: condition.message.clone() }
    }

    /// The condition of `kind`; it keeps the time of its last transition while its status stays.
    pub fn condition(&self, kind: &str, previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let status = match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let before = previous.iter().find(|before| before.type_ == kind && before.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason(&self.reason),
            message: self.message.chars().take(1_024).collect(),
            observed_generation: generation,
            last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
        }
    }
}

/// The API server refuses an empty reason, or one that is no identifier.
fn reason(text: &str) -> String {
    let clean: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(128).collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic()) { clean } else { "Unspecified".to_owned() }
}
