//! Kubernetes' way of saying no: `Status` objects.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{auth::AuthError, disconnect::DisconnectError, store::StoreError};

/// A `Status` of `Failure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub code: StatusCode,
    /// Kubernetes' word, e.g. `NotFound`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// No such session.
    pub fn not_found(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("sessions.sessions.lastmile.io \"{name}\" not found"))
    }

    /// No such path.
    pub fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// Nothing says who asks.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "this server is asked through the Kubernetes API server only",
        )
    }

    /// Sessions come and go by DHCP.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The object is not in the state that was asked for.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// The revision cannot be followed from: list again.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.code, Json(self.to_json())).into_response()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor => Self::bad_request(error.to_string()),
            StoreError::Database(source) => {
                tracing::warn!(error = %source, "PostgreSQL did not answer: check that it runs and takes connections");
                let message = "the sessions' database does not answer; try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
            }
        }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::NoToken | AuthError::BadToken => Self::unauthorized(),
            AuthError::Forbidden { .. } => Self::new(StatusCode::FORBIDDEN, "Forbidden", error.to_string()),
            AuthError::Kubernetes(_) | AuthError::NoKubernetes => {
                tracing::warn!(%error, cause = ?std::error::Error::source(&error), "no SubjectAccessReview: nobody is let in");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", error.to_string())
            }
        }
    }
}

impl From<DisconnectError> for Failure {
    fn from(error: DisconnectError) -> Self {
        let reason = match error.status() {
            StatusCode::CONFLICT => "Conflict",
            StatusCode::GATEWAY_TIMEOUT => "Timeout",
            _ => "ServiceUnavailable",
        };
        Self::new(error.status(), reason, error.to_string())
    }
}
