//! From nothing to a running gateway: configuration, journal, endpoint, wires, driver.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lastmile_netio::ping::Pinger;
use lastmile_session::{Input, Started};
use lastmile_types::{InstanceId, status::BngStatus};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::info;
use uuid::Uuid;

use crate::{
    actions, chain, coa,
    conditions::{Conditions, Finding},
    config::{Config, ConfigError, Watch},
    driver::{Driver, Parts, Sinks, Sources},
    journal::{Entry, Image, Journal, JournalError},
    leases::Leases,
    outbox::{self, Outbox},
    plane::Plane,
    probes,
    radius::{Client, Reachability, accounting::Delivering, dead_letters::DeadLetters},
    recorder::{self, Recorder},
    status::{self, Endpoint},
    survey::Surveys,
    time::boot_id,
    upkeep::{ORDER_QUEUE, WIRES_RETRY, first_status, refuse, replace},
};

/// RADIUS that was not heard for so long is probed: a dead server is seen within 15 s.
const RADIUS_QUIET: Duration = Duration::from_secs(8);

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No usable configuration.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// No usable journal.
    #[error("the journal cannot be used")]
    Journal(#[from] JournalError),
    /// The endpoint's address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals")]
    Signal(#[source] io::Error),
    /// No raw sockets.
    #[error("cannot ping: is CAP_NET_RAW missing?")]
    Ping(#[source] lastmile_netio::Error),
    /// No thread for the counters.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The recording cannot be opened.
    #[error("cannot record to {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Runs until SIGTERM or SIGINT. Whatever is not the packets' path goes to the runtime `beside`.
pub async fn run(config_dir: &Path, state_dir: &Path, record: Option<&Path>, beside: &Handle) -> Result<(), RunError> {
    let mut stop = stop_signal()?;
    let recorder = record.map_or(Ok(Recorder::default()), open_recording)?;
    let mut watch = Watch::new(config_dir);
    let mut config = Arc::new(Config::load(config_dir)?);
    let (mut journal, mut image) = Journal::open(state_dir, InstanceId(Uuid::now_v7()))?;
    let same_boot = image.boot_id == boot_id();
    let opened = Entry::Opened { boot_id: boot_id() };
    journal.append(std::slice::from_ref(&opened))?;
    image.apply(opened);

    let mut conditions = Conditions::new();
    conditions.set(Finding::good("ConfigApplied", "Applied", "the configuration is in force"));
    let (status, status_seen) = watch::channel(first_status(&config, &image, conditions.list()));
    let (tls, tls_seen) = watch::channel(config.tls.clone());
    let (order, mut orders) = mpsc::channel(ORDER_QUEUE);
    listen(beside, &config, Endpoint { status: status_seen, orders: order }, tls_seen).await?;

    let (plane, admitted) = loop {
        match Plane::open(&config.bng).await {
            Ok(plane) => break plane,
            Err(error) => conditions.set(Finding::bad("LinksReady", error.reason(), chain(&error))),
        }
        if watch.changed() {
            match Config::load(config_dir) {
                Ok(new) => config = Arc::new(new),
                Err(error) => conditions.set(Finding::bad("ConfigApplied", "ConfigInvalid", chain(&error))),
            }
        }
        say(&status, &conditions, &config);
        while let Ok(order) = orders.try_recv() {
            refuse(order);
        }
        if timeout(WIRES_RETRY, stop.recv()).await.is_ok() {
            return Ok(());
        }
    };
    conditions.set(Finding::good("LinksReady", "Ready", "all interfaces are up"));
    info!(bng = %config.bng.bng_id, instance = %image.instance_id, adopted = admitted.len(), "the gateway is open");

    let elements = admitted.into_iter().map(actions::reading).collect();
    let first = Input::Started(Started { same_boot, last_boot_ms: image.snapshot.boot_ms, elements });
    let (config_sink, config_seen) = watch::channel(config.clone());
    let parts = wire(Wiring {
        state_dir: state_dir.to_owned(),
        plane,
        config,
        watch,
        journal,
        image,
        conditions,
        status,
        tls,
        orders,
        config_sink,
        config_seen,
        beside: beside.clone(),
    })?;
    Driver::new(parts, recorder).run(first, async move { _ = stop.recv().await }).await?;
    Ok(())
}

fn open_recording(path: &Path) -> Result<Recorder, RunError> {
    Recorder::open(path, recorder::LIMIT).map_err(|source| RunError::Record { path: path.to_owned(), source })
}

struct Wiring {
    state_dir: PathBuf,
    plane: Plane,
    config: Arc<Config>,
    watch: Watch,
    journal: Journal,
    image: Image,
    conditions: Conditions,
    status: watch::Sender<BngStatus>,
    tls: watch::Sender<Arc<rustls::ServerConfig>>,
    orders: mpsc::Receiver<status::Order>,
    config_sink: watch::Sender<Arc<Config>>,
    config_seen: watch::Receiver<Arc<Config>>,
    beside: Handle,
}

/// Starts the tasks beside the driver and gives it the ends of their channels.
fn wire(wiring: Wiring) -> Result<Parts, RunError> {
    let Wiring {
        state_dir,
        plane,
        config,
        watch,
        journal,
        image,
        conditions,
        status,
        tls,
        orders,
        config_sink,
        config_seen,
        beside,
    } = wiring;
    let pinger = Pinger::open().map_err(RunError::Ping)?;
    let (inputs, inputs_seen) = mpsc::unbounded_channel();
    let (finding, findings) = mpsc::unbounded_channel();
    let (events, events_seen) = mpsc::unbounded_channel();
    let (accounting, accounting_seen) = mpsc::unbounded_channel();
    let (done, accounted) = mpsc::unbounded_channel();
    let (reachability, reachability_seen) = watch::channel(Reachability::default());
    let (radius, radius_seen) = watch::channel(Client::new(config.radius.clone(), reachability));
    let (outbox_state, outbox_seen) = watch::channel(outbox::State { trouble: None, committed: image.committed });

    let outbox = Outbox {
        bng_id: config.bng.bng_id.clone(),
        instance_id: image.instance_id,
        url_file: config.folder.join(&config.bng.event_bus.url_file),
        waiting: image.events.clone(),
        events: events_seen,
        state: outbox_state,
    };
    beside.spawn(outbox.run());
    image.accounting.iter().for_each(|record| drop(accounting.send(record.clone().into_inner())));
    let (dead, dead_letters) = watch::channel(0);
    let delivering = Delivering {
        records: accounting_seen,
        client: radius_seen.clone(),
        done,
        dead_letters: DeadLetters::open(&state_dir, dead),
    };
    beside.spawn(delivering.run());
    beside.spawn(probe_radius(radius_seen));
    let (kea, asked) = mpsc::unbounded_channel();
    let leases = Leases { config: config_seen.clone(), asked, inputs: inputs.clone(), findings: finding.clone() };
    beside.spawn(leases.run());
    let (coa, coa_server, coa_orders) = coa::open(config_seen.clone(), finding.clone());
    beside.spawn(coa_server.run());
    beside.spawn(probes::dhcp(config_seen, finding));

    let (surveys, surveyed) = Surveys::start().map_err(RunError::Thread)?;
    let sources = Sources {
        surveys: surveyed,
        inputs: inputs_seen,
        orders,
        coa: coa_orders,
        accounted,
        findings,
        outbox: outbox_seen,
        reachability: reachability_seen,
        dead_letters,
    };
    let sinks = Sinks { events, accounting, status, tls, config: config_sink };
    Ok(Parts {
        plane,
        pinger,
        config,
        watch,
        journal,
        image,
        conditions,
        radius,
        coa,
        inputs,
        kea,
        beside,
        surveys,
        sources,
        sinks,
    })
}

/// Whatever client is current.
async fn probe_radius(mut client: watch::Receiver<Arc<Client>>) {
    loop {
        let current = client.borrow_and_update().clone();
        tokio::select! {
            () = current.watch_over(RADIUS_QUIET) => {}
            changed = client.changed() => if changed.is_err() { return },
        }
    }
}

async fn listen(
    beside: &Handle,
    config: &Config,
    endpoint: Endpoint,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
) -> Result<(), RunError> {
    // A listener belongs to the runtime in which it is made.
    let bind = async |address| {
        let bound = beside.spawn(TcpListener::bind::<SocketAddr>(address)).await;
        bound
            .unwrap_or_else(|ended| Err(io::Error::other(ended)))
            .map_err(|source| RunError::Listen { address, source })
    };
    let control = bind(config.bng.status.listen).await?;
    let metrics = bind(config.bng.status.metrics_listen).await?;
    beside.spawn(status::metrics::serve(metrics, endpoint.status.clone()));
    beside.spawn(status::serve(control, tls, status::router(endpoint)));
    Ok(())
}

fn say(status: &watch::Sender<BngStatus>, conditions: &Conditions, config: &Config) {
    let next = BngStatus {
        conditions: conditions.list().to_vec(),
        config_revision: config.bng.config_revision.clone(),
        ..status.borrow().clone()
    };
    status.send_if_modified(|status| replace(status, next));
}

/// Resolves at every SIGTERM or SIGINT.
fn stop_signal() -> Result<mpsc::Receiver<()>, RunError> {
    let mut term = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    let (stop, stopped) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
        let _ = stop.send(()).await; // whoever waited is gone: the process ends anyway
    });
    Ok(stopped)
}
