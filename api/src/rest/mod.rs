//! The REST API under `/api/v1`: one file per resource, and the document that describes them.

pub mod bngs;
pub mod events;
pub mod model;
pub mod overview;
pub mod policies;
pub mod problem;
mod query;
pub mod routers;
pub mod sessions;
pub mod stream;

use axum::{
    Extension, Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::{app::App, auth::Peer};
use problem::Problem;

/// The API, described.
#[derive(OpenApi)]
#[openapi(
    info(title = "Lastmile", version = "v1", description = "Sessions, gateways and routers of an ISP's edge. Read only, but \
        for disconnecting a subscriber. Lists are paged by `limit` and `cursor`; errors are problem+json (RFC 9457)."),
    paths(
        overview::overview, overview::me, sessions::list, sessions::get, sessions::session_events, sessions::session_traffic,
        sessions::disconnect, sessions::history, stream::sessions, events::list, routers::list, bngs::list, bngs::health,
        policies::list
    ),
    components(schemas(events::EventType)),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
pub struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A Kubernetes token of a user who may list sessions.sessions.lastmile.io."))
            .build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document as it is committed.
pub fn document() -> String {
    let mut json = Document::openapi().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

/// Everything under `/api/v1`.
pub fn router(app: App) -> Router<App> {
    Router::new()
        .route("/api/v1/overview", get(overview::overview))
        .route("/api/v1/me", get(overview::me))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/{id}", get(sessions::get))
        .route("/api/v1/sessions/{id}/events", get(sessions::session_events))
        .route("/api/v1/sessions/{id}/traffic", get(sessions::session_traffic))
        .route("/api/v1/sessions/{id}/disconnect", post(sessions::disconnect))
        .route("/api/v1/history", get(sessions::history))
        .route("/api/v1/stream/sessions", get(stream::sessions))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/routers", get(routers::list))
        .route("/api/v1/bngs", get(bngs::list))
        .route("/api/v1/bngs/{namespace}/{name}/health", get(bngs::health))
        .route("/api/v1/policies", get(policies::list))
        .layer(middleware::from_fn_with_state(app, authenticate))
        .route("/api/v1/openapi.json", get(async || Json(Document::openapi())))
        .route("/api/{*rest}", get(async || Problem::not_found("no such resource")))
}

/// Lets a request through with the user it comes from, if that user may read sessions.
async fn authenticate(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    mut request: Request,
    next: Next,
) -> Response {
    match app.auth.reader(request.headers(), peer.map(|Extension(peer)| peer)).await {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == super::document(),
            "api/openapi.json is stale: run `cargo run -p lastmile-api -- openapi > api/openapi.json`"
        );
    }
}
