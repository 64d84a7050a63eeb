//! What every controller shares.

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use crate::{
    ca::Trust, controllers::bng::publish::Published, database::Database, metrics::Metrics, observe::Observers,
    settings::Settings,
};

/// What every controller shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Flags and environment.
    pub settings: Settings,
    /// Writes Events.
    pub recorder: Recorder,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// The certificate authority, once it is there.
    pub trust: tokio::sync::watch::Sender<Option<Trust>>,
    /// What the gateways say of themselves.
    pub observers: Observers,
    /// What was last written of each gateway.
    pub published: Published,
    /// PostgreSQL.
    pub database: Database,
}

impl Context {
    /// Nothing is contacted yet.
    pub fn new(client: Client, settings: Settings) -> Self {
        let reporter = Reporter { controller: "lastmile-operator".into(), instance: Some(settings.identity.clone()) };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            metrics: Metrics::default(),
            trust: tokio::sync::watch::Sender::new(None),
            observers: Observers::default(),
            published: Published::default(),
            database: Database::new(settings.database_url_file.clone()),
            client,
            settings,
        }
    }
}
