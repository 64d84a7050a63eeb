//! The dashboard's files: a static export, so that any path is a file, and a policy that lets only its own scripts run.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use tower_http::services::ServeDir;

/// The files and, for each page, the hashes of its inline scripts.
#[derive(Clone)]
pub struct Dashboard {
    dir: PathBuf,
    /// By path below the folder, e.g. `/sessions.html`.
    policies: Arc<HashMap<String, HeaderValue>>,
}

impl Dashboard {
    /// Reads the pages once.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut policies = HashMap::new();
        collect(dir, dir, &mut policies)?;
        Ok(Self { dir: dir.to_owned(), policies: Arc::new(policies) })
    }

    /// The page or file that a path means: itself, with `.html`, its index, else the page that says that it is not there.
    fn page(&self, path: &str) -> Option<String> {
        let path = path.trim_end_matches('/');
        [path.to_owned(), format!("{path}.html"), format!("{path}/index.html")]
            .into_iter()
            .find(|candidate| self.policies.contains_key(candidate))
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
        let target = page.clone().unwrap_or(path.clone());
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
        let policy = page.and_then(|page| self.policies.get(&page).cloned());
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.unwrap_or_else(|| csp("")));
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

fn collect(root: &Path, dir: &Path, policies: &mut HashMap<String, HeaderValue>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, policies)?;
        } else if path.extension().is_some_and(|extension| extension == "html")
            && let Ok(below) = path.strip_prefix(root)
        {
            let html = fs::read_to_string(&path)?;
            policies.insert(format!("/{}", below.display()), csp(&inline_script_hashes(&html)));
        }
    }
    Ok(())
}

/// Content-Security-Policy: everything from here, scripts only by file or by hash.
fn csp(hashes: &str) -> HeaderValue {
    let policy = format!(
        "default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// ` 'sha256-…'` for each script element without a source.
fn inline_script_hashes(html: &str) -> String {
    let mut hashes = String::new();
    let mut rest = html;
    while let Some(start) = rest.find("<script") {
        rest = &rest[start + "<script".len()..];
        let Some((attributes, tail)) = rest.split_once('>') else { break };
        let Some((content, tail)) = tail.split_once("</script>") else { break };
        rest = tail;
        if !attributes.contains("src=") && !content.is_empty() {
            hashes.push_str(&format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(content.as_bytes()))));
        }
    }
    hashes
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
            ("index.html", "<script>a</script><script src=\"x.js\"></script>"),
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
            assert_eq!(get(&dashboard, path).await.status(), status, "{path}");
        }
        let index = get(&dashboard, "/").await;
        assert!(
            index.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("'self' 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='")
        );
        assert_eq!(index.headers()[header::CONTENT_TYPE], "text/html");
    }
}
