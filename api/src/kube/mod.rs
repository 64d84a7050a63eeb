//! The aggregated API server for `sessions.lastmile.io/v1alpha1`: what the Kubernetes API server forwards to us.

mod delete;
mod discovery;
#[cfg(test)]
mod fixture;
pub mod identity;
pub mod object;
mod openapi;
mod read;
pub mod request;
pub mod selector;
pub mod status;
mod table;
mod watch;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::HeaderMap,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use crate::{
    app::App,
    auth::{User, Verb},
};
use request::{ListParams, is_true};
use status::Failure;

const ROOT: &str = "/apis/sessions.lastmile.io/v1alpha1";

/// Everything that is served over HTTPS.
pub fn router() -> Router<App> {
    let read_only =
        async || Failure::method_not_allowed("sessions come and go by DHCP; delete one to disconnect its subscriber");
    let collection = || get(list_all).delete(refuse_collection).fallback(read_only);
    let one = get(get_one).delete(delete_one).fallback(read_only);
    Router::new()
        .route(&format!("{ROOT}/sessions"), collection())
        .route(
            &format!("{ROOT}/namespaces/{{namespace}}/sessions"),
            get(list_one).delete(refuse_collection).fallback(read_only),
        )
        .route(&format!("{ROOT}/namespaces/{{namespace}}/sessions/{{name}}"), one)
        .route("/apis", get(discovery::apis))
        .route("/apis/sessions.lastmile.io", get(discovery::group))
        .route(ROOT, get(discovery::resources))
        .route("/openapi/v2", get(openapi::v2))
        .route("/openapi/v3", get(openapi::v3_index))
        .route(&format!("/openapi/v3{ROOT}"), get(openapi::v3))
        .fallback(async || Failure::no_path())
        .layer(middleware::from_fn(identity::require))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/livez", get(async || "ok"))
}

async fn refuse_collection() -> Failure {
    Failure::method_not_allowed("sessions are disconnected one by one, by name")
}

async fn list_all(
    State(app): State<App>,
    Extension(user): Extension<User>,
    headers: HeaderMap,
    Query(params): Query<ListParams>,
) -> Result<Response, Failure> {
    list_or_watch(&app, &user, &headers, None, &params).await
}

async fn list_one(
    State(app): State<App>,
    Extension(user): Extension<User>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    Query(params): Query<ListParams>,
) -> Result<Response, Failure> {
    list_or_watch(&app, &user, &headers, Some(&namespace), &params).await
}

async fn list_or_watch(
    app: &App,
    user: &User,
    headers: &HeaderMap,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Response, Failure> {
    if is_true(params.watch.as_deref()) {
        app.auth.allow(user, Verb::Watch, namespace).await?;
        return watch::watch(app, headers, namespace, params).await;
    }
    app.auth.allow(user, Verb::List, namespace).await?;
    Ok(read::list(app, headers, namespace, params).await?.into_response())
}

async fn get_one(
    State(app): State<App>,
    Extension(user): Extension<User>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    Query(params): Query<ListParams>,
) -> Result<Response, Failure> {
    app.auth.allow(&user, Verb::Get, Some(&namespace)).await?;
    Ok(read::get(&app, &headers, &namespace, &name, &params.include_object).await?.into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteParams {
    dry_run: Option<String>,
}

async fn delete_one(
    State(app): State<App>,
    Extension(user): Extension<User>,
    Path((namespace, name)): Path<(String, String)>,
    Query(params): Query<DeleteParams>,
    body: Bytes,
) -> Result<Response, Failure> {
    app.auth.allow(&user, Verb::Delete, Some(&namespace)).await?;
    let options = delete::Options::parse(&body, params.dry_run)?;
    Ok(delete::delete(&app, &user, &namespace, &name, &options).await?.into_response())
}
