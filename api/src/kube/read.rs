//! Get and list.

use axum::{Json, http::HeaderMap};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    object,
    request::{Continue, Form, ListParams},
    selector::Selector,
    status::Failure,
    table::table,
};
use crate::{
    app::App,
    store::sessions::{self, KubeFilter, SessionRow},
};

/// Rows asked of the database at once when not all of them may match.
const CHUNK: i64 = 500;

/// One active session; one that ended is not there any more.
pub async fn find(app: &App, namespace: &str, name: &str) -> Result<SessionRow, Failure> {
    let Some(id) = object::id(name) else { return Err(Failure::not_found(name)) };
    let row = sessions::one(&app.pool, id).await?;
    row.filter(|row| row.ended.is_none() && row.bng_id.namespace() == namespace).ok_or_else(|| Failure::not_found(name))
}

/// Get.
pub async fn get(
    app: &App,
    headers: &HeaderMap,
    namespace: &str,
    name: &str,
    include: &str,
) -> Result<Json<Value>, Failure> {
    let row = find(app, namespace, name).await?;
    Ok(Json(match Form::of(headers, include) {
        Form::Objects => object::object(&row),
        Form::Partial => object::partial(&row),
        Form::Table(include) => {
            let metadata = json!({"resourceVersion": row.revision.to_string()});
            table(&[row], metadata, include, Timestamp::now())
        }
    }))
}

/// What of the selectors the database can do.
pub fn pushed_down(namespace: Option<&str>, selector: &Selector) -> KubeFilter {
    KubeFilter {
        namespace: namespace.or_else(|| selector.exact("metadata.namespace")).map(str::to_owned),
        id: selector.exact("metadata.name").and_then(object::id),
        ..KubeFilter::default()
    }
}

/// List.
pub async fn list(
    app: &App,
    headers: &HeaderMap,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Json<Value>, Failure> {
    let selector = Selector::parse(&params.label_selector, &params.field_selector)?;
    let start = if params.next.is_empty() { None } else { Some(Continue::decode(&params.next)?) };
    let mut filter = pushed_down(namespace, &selector);
    filter.after = start.as_ref().map(|start| start.after);
    let page = page(app, filter, &selector, params.limit.filter(|limit| *limit > 0)).await?;
    let revision = start.map_or(page.revision, |start| start.revision);
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let Some(last) = page.rows.last().filter(|_| page.more) {
        metadata["continue"] = Continue { revision, after: last.id }.encode().into();
    }
    Ok(Json(render(&page.rows, metadata, Form::of(headers, &params.include_object))))
}

struct Page {
    revision: i64,
    rows: Vec<SessionRow>,
    more: bool,
}

async fn page(app: &App, mut filter: KubeFilter, selector: &Selector, limit: Option<i64>) -> Result<Page, Failure> {
    let mut first_revision = None;
    let mut rows = Vec::new();
    let Some(limit) = limit else {
        let (revision, all) = sessions::active_at_revision(&app.pool, &filter).await?;
        return Ok(Page { revision, rows: all.into_iter().filter(|row| selector.matches(row)).collect(), more: false });
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    filter.limit = Some(CHUNK);
    loop {
        let (revision, chunk) = sessions::active_at_revision(&app.pool, &filter).await?;
        let revision = *first_revision.get_or_insert(revision);
        let full = chunk.len() as i64 == CHUNK;
        filter.after = chunk.last().map(|row| row.id);
        rows.extend(chunk.into_iter().filter(|row| selector.matches(row)));
        if rows.len() > limit {
            rows.truncate(limit);
            return Ok(Page { revision, rows, more: true });
        }
        if !full {
            return Ok(Page { revision, rows, more: false });
        }
    }
}

fn render(rows: &[SessionRow], metadata: Value, form: Form) -> Value {
    match form {
        Form::Table(include) => table(rows, metadata, include, Timestamp::now()),
        Form::Partial => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": rows.iter().map(object::partial).collect::<Vec<_>>(),
        }),
        Form::Objects => json!({
            "kind": "SessionList", "apiVersion": object::api_version(), "metadata": metadata,
            "items": rows.iter().map(object::object).collect::<Vec<_>>(),
        }),
    }
}
