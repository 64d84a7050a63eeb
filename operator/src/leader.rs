//! One operator at a time: a `coordination.k8s.io` Lease.
//!
//! Whether another's lease has run out is judged by how long it has not changed as seen from here, never by comparing
//! clocks of two machines.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::{Chain, context::Context};

const NAME: &str = "lastmile-operator";
const DURATION: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(4);

/// The lease, held.
pub struct Held {
    api: Api<Lease>,
    identity: String,
}

/// Waits until this operator leads.
pub async fn acquire(context: &Context) -> Held {
    let held =
        Held { api: api(&context.client, &context.settings.namespace), identity: context.settings.identity.clone() };
    let mut seen: Option<(Option<String>, Instant)> = None;
    loop {
        match held.try_take(&mut seen).await {
            Ok(true) => return held,
            Ok(false) => tokio::time::sleep(Duration::from_secs(2)).await,
            Err(error) => {
                tracing::warn!("cannot take the lease yet, trying again: {}", Chain(&error));
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}

fn api(client: &Client, namespace: &str) -> Api<Lease> {
    Api::namespaced(client.clone(), namespace)
}

impl Held {
    /// Renews for as long as the lease is this operator's; returns when it is not.
    pub async fn held(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(RENEW).await;
            match tokio::time::timeout(RENEW, self.try_take(&mut None)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!("cannot renew the lease: {}", Chain(&error)),
                Err(_) => tracing::warn!("cannot renew the lease: the API server does not answer"),
            }
            if renewed.elapsed() > DURATION {
                return;
            }
        }
    }

    /// Lets the next operator lead at once.
    pub async fn release(&self) {
        let Ok(mut lease) = self.api.get(NAME).await else { return };
        if holder(&lease) == Some(self.identity.as_str()) {
            lease.spec.get_or_insert_default().holder_identity = None;
            if let Err(error) = self.api.replace(NAME, &PostParams::default(), &lease).await {
                tracing::warn!("the lease was not released: {}", Chain(&error));
            }
        }
    }

    /// True: the lease is this operator's, and fresh. `seen` remembers another holder's last sign of life.
    async fn try_take(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(None)) };
            return self.write(self.api.create(&PostParams::default(), &lease).await);
        };
        match holder(&lease) {
            Some(other) if other != self.identity => {
                let version = lease.metadata.resource_version.clone();
                match seen {
                    Some((last, since)) if *last == version => {
                        if since.elapsed() < DURATION {
                            return Ok(false);
                        }
                    }
                    _ => {
                        *seen = Some((version, Instant::now()));
                        return Ok(false);
                    }
                }
            }
            _ => (),
        }
        let fresh = Lease { spec: Some(self.spec(lease.spec.as_ref())), metadata: lease.metadata };
        // The resource version makes sure that only one of two takes it.
        self.write(self.api.replace(NAME, &PostParams::default(), &fresh).await)
    }

    fn write(&self, answer: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match answer {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let ours = old.is_some_and(|spec| spec.holder_identity.as_deref() == Some(self.identity.as_str()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION.as_secs() as i32),
            acquire_time: old.filter(|_| ours).and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(
                old.and_then(|spec| spec.lease_transitions).unwrap_or(0) + i32::from(old.is_some() && !ours),
            ),
            ..LeaseSpec::default()
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}
