//! The dashboard's files: a static export, so that any path is a file. Its build wrote the policy that lets only its own scripts run.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use tower_http::services::ServeDir;

/// Below the folder: the value of the Content-Security-Policy header.
const POLICY: &str = "csp.txt";

/// The files.
#[derive(Clone)]
pub struct Dashboard {
    dir: PathBuf,
    /// Paths below the folder, e.g. `/sessions.html`.
    pages: Arc<HashSet<String>>,
    /// Of every answer.
    policy: HeaderValue,
}

impl Dashboard {
    /// Looks for the pages and the policy once. Without a policy there is no dashboard.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut pages = HashSet::new();
        collect(dir, dir, &mut pages)?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{POLICY}: {error}"));
        let policy = fs::read_to_string(dir.join(POLICY)).map_err(named)?;
        let policy = HeaderValue::try_from(policy.trim()).map_err(io::Error::other)?;
        Ok(Self { dir: dir.to_owned(), pages: Arc::new(pages), policy })
    }

    /// The page or file that a path means: itself, with `.html`, its index, else the page that says that it is not there.
    fn page(&self, path: &str) -> Option<String> {
        let path = path.trim_end_matches('/');
        [path.to_owned(), format!("{path}.html"), format!("{path}/index.html")]
            .into_iter()
            .find(|candidate| self.pages.contains(candidate))
    }

    /// Answers a request.
    pub async fn serve(self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let page = self.page(&path);
        let is_file = page.is_none() && path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let (page, status) = match page {
            Some(page) => (Some(page), None),
            None if is_file => (None, None),
            None => (self.page("/404"), Some(StatusCode::NOT_FOUND)),
        };
        let target = page.unwrap_or(path.clone());
        let mut response = match self.file(request, &target).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(%error, path, "a file of the dashboard cannot be read");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        };
        if let Some(status) = status {
            *response.status_mut() = status;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // What the build names by content never changes; everything else is asked for each time.
        let cached = path.starts_with("/_next/static/") && response.status() == StatusCode::OK;
        let cache = if cached { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        response
    }

    async fn file(&self, mut request: Request, path: &str) -> io::Result<Response> {
        let path = PathAndQuery::try_from(path).map_err(io::Error::other)?;
        *request.uri_mut() = Uri::from(path);
        let response = ServeDir::new(&self.dir).append_index_html_on_directories(false).try_call(request).await?;
        Ok(response.map(axum::body::Body::new))
    }
}

fn collect(root: &Path, dir: &Path, pages: &mut HashSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html")
            && let Ok(below) = path.strip_prefix(root)
        {
            pages.insert(format!("/{}", below.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn get(dashboard: &Dashboard, path: &str) -> Response {
        dashboard.clone().serve(Request::get(path).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn every_path_is_a_page_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("csp.txt", "default-src 'none'\n"),
            ("index.html", "i"),
            ("sessions.html", "s"),
            ("404.html", "gone"),
            ("x.js", "1"),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let dashboard = Dashboard::open(dir.path()).unwrap();
        for (path, status) in [
            ("/", 200),
            ("/sessions?id=1", 200),
            ("/sessions/", 200),
            ("/x.js", 200),
            ("/no", 404),
            ("/no.js", 404),
            ("/../etc/passwd", 404),
        ] {
            let response = get(&dashboard, path).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], "default-src 'none'", "{path}");
        }
        let index = get(&dashboard, "/").await;
        assert_eq!(index.headers()[header::CONTENT_TYPE], "text/html");

        fs::remove_file(dir.path().join("csp.txt")).unwrap();
        assert!(Dashboard::open(dir.path()).is_err(), "pages are not served without a policy");
    }
}
