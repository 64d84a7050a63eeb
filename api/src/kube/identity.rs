//! Who asks, by the word of the Kubernetes API server's aggregator.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    extract::Request,
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::status::Failure;
use crate::auth::User;

/// How the aggregator proves itself and hands users on: ConfigMap kube-system/extension-apiserver-authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The CA of its client certificate, PEM.
    pub client_ca: String,
    /// The common names that its certificate may have; none listed = any.
    pub allowed_names: Vec<String>,
    /// Headers that name the user.
    pub username_headers: Vec<String>,
    /// Headers that name a group each.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with more.
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// Reads the ConfigMap's data.
    pub fn from_data(data: &BTreeMap<String, String>) -> Option<Self> {
        let list = |key: &str, default: &[&str]| -> Vec<String> {
            let default = || default.iter().map(|&text| text.to_owned()).collect();
            data.get(key).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_else(default)
        };
        Some(Self {
            client_ca: data.get("requestheader-client-ca-file").cloned()?,
            allowed_names: list("requestheader-allowed-names", &[]),
            username_headers: list("requestheader-username-headers", &["X-Remote-User"]),
            group_headers: list("requestheader-group-headers", &["X-Remote-Group"]),
            extra_prefixes: list("requestheader-extra-headers-prefix", &["X-Remote-Extra-"]),
        })
    }

    /// The user of a request of the aggregator.
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let name = self.username_headers.iter().find_map(|header| headers.get(header.as_str()).and_then(text))?;
        let groups =
            self.group_headers.iter().flat_map(|header| headers.get_all(header.as_str())).filter_map(text).collect();
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (header, value) in headers {
            let key = self
                .extra_prefixes
                .iter()
                .find_map(|prefix| header.as_str().strip_prefix(&prefix.to_ascii_lowercase()));
            if let (Some(key), Some(value)) = (key, text(value)) {
                extra.entry(unescape(key)).or_default().push(value);
            }
        }
        Some(User::vouched_for(name, groups, extra))
    }
}

/// `%2F` and the like, in keys of extra headers.
fn unescape(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &tail[2..];
            }
            None => {
                octets.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Set on every request of a connection whose client certificate proved it to be the aggregator.
#[derive(Debug, Clone)]
pub struct Aggregator(pub Arc<RequestHeader>);

/// Lets a request of the aggregator through with its user; everybody else is nobody.
pub async fn require(aggregator: Option<Extension<Aggregator>>, mut request: Request, next: Next) -> Response {
    let user = aggregator.and_then(|Extension(Aggregator(header))| header.user(request.headers()));
    match user {
        Some(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        None => Failure::unauthorized().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_what_the_headers_say() {
        let data = BTreeMap::from([
            ("requestheader-client-ca-file".to_owned(), "PEM".to_owned()),
            ("requestheader-allowed-names".to_owned(), r#"["front-proxy-client"]"#.to_owned()),
        ]);
        let header = RequestHeader::from_data(&data).unwrap();
        assert_eq!(header.allowed_names, ["front-proxy-client"]);
        let mut headers = HeaderMap::new();
        assert_eq!(header.user(&headers), None);
        headers.append("x-remote-user", "ann".parse().unwrap());
        headers.append("x-remote-group", "a".parse().unwrap());
        headers.append("x-remote-group", "b".parse().unwrap());
        headers.append("x-remote-extra-example.org%2fpod", "p".parse().unwrap());
        let user = header.user(&headers).unwrap();
        assert_eq!((user.name.as_str(), user.groups), ("ann", vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(user.extra["example.org/pod"], ["p"]);
    }

    #[test]
    fn unescaping_never_fails() {
        assert_eq!(["%2F", "%", "%2", "%zz", "a%41"].map(unescape), ["/", "%", "%2", "%zz", "aA"]);
    }
}
