//! Who asks, and what they may do: Kubernetes decides both (TokenReview, SubjectAccessReview), and its answers are remembered for
//! a short while.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use http::{HeaderMap, header};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, api::PostParams};
use sha2::{Digest, Sha256};

/// The group of the sessions API.
pub const GROUP: &str = "sessions.lastmile.io";

/// How long an answer of Kubernetes counts.
const ALLOWED_FOR: Duration = Duration::from_secs(30);
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Past so many answers all are forgotten.
const REMEMBERED: usize = 10_000;

/// The address a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The Kubernetes user name.
    pub name: String,
    /// Its uid, if it has one.
    pub uid: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// What else the authenticator said.
    pub extra: BTreeMap<String, Vec<String>>,
    /// On the loopback interface of a server that was told to ask for no token there: may do everything.
    local: bool,
}

impl User {
    /// A user by the word of somebody whom we believe.
    pub fn vouched_for(name: String, groups: Vec<String>, extra: BTreeMap<String, Vec<String>>) -> Self {
        Self { name, uid: None, groups, extra, local: false }
    }
}

/// What is to be done with sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// Disconnect.
    Delete,
}

impl Verb {
    /// Kubernetes' word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Delete => "delete",
        }
    }
}

/// Why a request is not let through.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Nothing says who asks.
    #[error("send a Kubernetes token: Authorization: Bearer TOKEN")]
    NoToken,
    /// Kubernetes does not know the token.
    #[error("Kubernetes does not accept this token; it may have expired")]
    BadToken,
    /// Kubernetes knows the user and forbids it.
    #[error("{user} may not {verb} sessions.{GROUP}{}", .namespace.as_ref().map_or(String::new(), |n| format!(" in namespace {n}")))]
    Forbidden {
        /// Who.
        user: String,
        /// What.
        verb: &'static str,
        /// Where; `None` = in all namespaces.
        namespace: Option<String>,
    },
    /// Kubernetes does not answer.
    #[error("Kubernetes does not say whether this is allowed")]
    Kubernetes(#[source] Box<kube::Error>),
    /// There is no Kubernetes to ask.
    #[error("this server runs outside Kubernetes: nobody can be asked about tokens")]
    NoKubernetes,
}

type Question = (User, Verb, Option<String>);

/// Asks Kubernetes, and remembers.
pub struct Authenticator {
    kube: Option<kube::Client>,
    insecure_loopback: bool,
    tokens: Memory<[u8; 32], Option<User>>,
    answers: Memory<Question, bool>,
}

impl Authenticator {
    /// An authenticator; with `insecure_loopback` requests from 127.0.0.1 need no token.
    pub fn new(kube: Option<kube::Client>, insecure_loopback: bool) -> Self {
        Self { kube, insecure_loopback, tokens: Memory::default(), answers: Memory::default() }
    }

    /// The user of a request that may list all sessions.
    pub async fn reader(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<User, AuthError> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim);
        let user = match token {
            Some(token) => self.user_of(token).await?,
            None if self.insecure_loopback && is_local(headers, peer) => {
                User { name: "loopback".to_owned(), local: true, ..User::default() }
            }
            None => return Err(AuthError::NoToken),
        };
        self.allow(&user, Verb::List, None).await?;
        Ok(user)
    }

    async fn user_of(&self, token: &str) -> Result<User, AuthError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.tokens.get(&digest) {
            return known.ok_or(AuthError::BadToken);
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.kube()?);
        let answer = api.create(&PostParams::default(), &review).await.map_err(kubernetes)?;
        let status = answer.status.unwrap_or_default();
        let info = status.user.filter(|_| status.authenticated == Some(true));
        let user = info.map(|info| User {
            name: info.username.unwrap_or_default(),
            uid: info.uid,
            groups: info.groups.unwrap_or_default(),
            extra: info.extra.unwrap_or_default(),
            local: false,
        });
        self.tokens.put(digest, user.clone(), if user.is_some() { ALLOWED_FOR } else { REFUSED_FOR });
        user.ok_or(AuthError::BadToken)
    }

    /// Asks whether `user` may do so to sessions in `namespace` (`None` = in all).
    pub async fn allow(&self, user: &User, verb: Verb, namespace: Option<&str>) -> Result<(), AuthError> {
        if user.local {
            return Ok(());
        }
        let question = (user.clone(), verb, namespace.map(str::to_owned));
        let allowed = match self.answers.get(&question) {
            Some(allowed) => allowed,
            None => {
                let allowed = self.ask(&question).await?;
                self.answers.put(question, allowed, if allowed { ALLOWED_FOR } else { REFUSED_FOR });
                allowed
            }
        };
        if allowed {
            return Ok(());
        }
        Err(AuthError::Forbidden {
            user: user.name.clone(),
            verb: verb.as_str(),
            namespace: namespace.map(str::to_owned),
        })
    }

    async fn ask(&self, (user, verb, namespace): &Question) -> Result<bool, AuthError> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: user.uid.clone(),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    resource: Some("sessions".to_owned()),
                    verb: Some(verb.as_str().to_owned()),
                    namespace: namespace.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.kube()?);
        let answer = api.create(&PostParams::default(), &review).await.map_err(kubernetes)?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    fn kube(&self) -> Result<kube::Client, AuthError> {
        self.kube.clone().ok_or(AuthError::NoKubernetes)
    }
}

fn kubernetes(error: kube::Error) -> AuthError {
    AuthError::Kubernetes(Box::new(error))
}

/// From this machine, and meant for it: the Host header keeps a web page with a name of its own for 127.0.0.1 out.
fn is_local(headers: &HeaderMap, peer: Option<Peer>) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    peer.is_some_and(|Peer(address)| address.ip().is_loopback()) && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

/// Answers with the moment at which they stop counting.
struct Memory<K, V>(Mutex<HashMap<K, (V, Instant)>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq, V: Clone> Memory<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let map = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        map.get(key).filter(|(_, until)| *until > Instant::now()).map(|(value, _)| value.clone())
    }

    fn put(&self, key: K, value: V, lasts: Duration) {
        let mut map = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if map.len() >= REMEMBERED {
            map.clear();
        }
        map.insert(key, (value, Instant::now() + lasts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, http::HeaderValue::from_static(host))])
    }

    #[tokio::test]
    async fn without_a_token_only_the_loopback_is_let_in_and_only_when_told() {
        let local = Some(Peer(([127, 0, 0, 1], 4000).into()));
        let remote = Some(Peer(([10, 0, 0, 1], 4000).into()));
        let told = Authenticator::new(None, true);
        assert!(told.reader(&headers("127.0.0.1:8080"), local).await.is_ok());
        assert!(matches!(told.reader(&headers("127.0.0.1:8080"), remote).await, Err(AuthError::NoToken)));
        assert!(matches!(told.reader(&headers("evil.example"), local).await, Err(AuthError::NoToken)));
        let untold = Authenticator::new(None, false);
        assert!(matches!(untold.reader(&headers("127.0.0.1:8080"), local).await, Err(AuthError::NoToken)));
    }

    #[test]
    fn answers_are_forgotten_in_time() {
        let memory = Memory::default();
        memory.put("yes", true, Duration::from_secs(60));
        memory.put("past", true, Duration::ZERO);
        assert_eq!((memory.get(&"yes"), memory.get(&"past")), (Some(true), None));
    }
}
