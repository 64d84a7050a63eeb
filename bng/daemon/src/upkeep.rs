//! What the driver does once a second and at each health report: configuration, wires, status.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use lastmile_session::{Input, Load, Settings};
use lastmile_types::{
    config::AccessMode,
    event::BngHealth,
    status::{AccountingState, BngStatus, Condition, DhcpServer, PolicyUse},
};
use tracing::{error, info};

use crate::{
    chain,
    conditions::{DHCP_REACHABLE, Finding},
    config::{Config, ConfigError},
    driver::Driver,
    journal::Image,
    policies,
    radius::dead_letters,
    status::Order,
};

impl Driver {
    pub(crate) async fn tick(&mut self) {
        if self.watch.changed() {
            self.reload().await;
        }
        self.wires(false).await;
        self.verify_next_hops().await;
        self.look_after_gate();
        self.shape();
        self.radius_condition();
        let policies = self.machine.policy_use();
        self.conditions.set(policies::finding(&policies));
        self.dhcp_condition();
        self.accounting_condition();
        self.write();
        self.rotate();
        if self.drained_at.is_none() && self.machine.drained() {
            self.drained_at = Some(self.machine.last_seq());
        }
        self.publish(policies);
    }

    /// Applies the changed configuration; one that cannot work changes nothing.
    async fn reload(&mut self) {
        let loaded = Config::load(&self.config.folder).and_then(|config| {
            let same = config.bng.bng_id == self.config.bng.bng_id;
            if same {
                Ok(config)
            } else {
                Err(ConfigError::Unsupported("bngId cannot change: a gateway is one for life"))
            }
        });
        let config = match loaded {
            Ok(config) => Arc::new(config),
            Err(error) => {
                return self.conditions.set(Finding::bad("ConfigApplied", "ConfigInvalid", chain(&error)));
            }
        };
        info!(revision = config.bng.config_revision, "configuration changed");
        if config.radius != self.config.radius {
            let next = self.radius.borrow().succeeded_by(config.radius.clone());
            self.radius.send_replace(next);
        }
        self.sinks.tls.send_replace(config.tls.clone());
        self.sinks.config.send_replace(config.clone());
        let restart = restart_needed(&self.config, &config);
        self.config = config;
        self.wires(true).await;
        let settings = Settings { config: self.config.bng.clone(), own: self.plane.own.clone() };
        self.input(Input::Config(Box::new(settings)), None);
        self.conditions.set(match restart {
            Some(what) => {
                Finding::bad("ConfigApplied", "RestartNeeded", format!("{what} takes effect when the pod restarts"))
            }
            None => Finding::good("ConfigApplied", "Applied", "the configuration is in force"),
        });
    }

    /// The interfaces as they are now: once a second, and when the subscribers' changes.
    pub(crate) async fn wires(&mut self, force: bool) {
        match self.plane.refresh(&self.config.bng, force).await {
            Ok(changed) => {
                if changed && !force {
                    let settings = Settings { config: self.config.bng.clone(), own: self.plane.own.clone() };
                    self.input(Input::Config(Box::new(settings)), None);
                }
                if changed {
                    self.pin_all();
                }
                self.conditions.set(Finding::good("LinksReady", "Ready", "all interfaces are up"));
            }
            Err(error) => self.conditions.set(Finding::bad("LinksReady", error.reason(), chain(&error))),
        }
    }

    /// Binds everybody who is let through to his MAC: an interface that was away has forgotten it.
    pub(crate) fn pin_all(&self) {
        if self.config.bng.access_mode == AccessMode::Bridged {
            let admitted = self.machine.sessions().filter(|session| session.admitted);
            admitted.for_each(|session| self.plane.pin(session.ip, Some(session.key.mac)));
        }
    }

    /// An access router has another MAC than before.
    pub(crate) async fn next_hops(&mut self) {
        if let Err(error) = self.plane.learn().await {
            self.conditions.set(Finding::bad("LinksReady", error.reason(), chain(&error)));
        }
    }

    async fn verify_next_hops(&mut self) {
        if let Err(error) = self.plane.next_hops.verify().await {
            tracing::debug!(error = chain(&error), "an access router cannot be asked for its MAC");
        }
    }

    fn shape(&mut self) {
        let again = self.plane.shape(&self.config.bng, self.machine.drained());
        self.set_limits(again);
        let (finding, shaped) = self.plane.limits.finding(self.config.bng.shaping.classes);
        self.conditions.set(finding);
        self.shaped = shaped;
    }

    fn radius_condition(&mut self) {
        let state = self.sources.reachability.borrow().clone();
        match state.reachable {
            None => {}
            Some(true) if state.detail.is_empty() => {
                self.conditions.set(Finding::good(
                    "RadiusReachable",
                    "Answers",
                    "every RADIUS server that was asked answers",
                ));
            }
            Some(true) => {
                let message = format!("a RADIUS server answers; {}", state.detail);
                self.conditions.set(Finding::good("RadiusReachable", "SomeAnswer", message));
            }
            Some(false) => self.conditions.set(Finding::bad("RadiusReachable", "NoAnswer", state.detail)),
        }
    }

    /// From a probe. Of the DHCP servers there is more to be said than their control API knows.
    pub(crate) fn found(&mut self, finding: Finding) {
        if finding.kind == DHCP_REACHABLE {
            self.dhcp_api = Some(finding);
            self.dhcp_condition();
        } else {
            self.conditions.set(finding);
        }
    }

    fn dhcp_condition(&mut self) {
        let finding = dhcp_finding(&self.machine.dhcp_servers(), self.dhcp_api.as_ref());
        finding.into_iter().for_each(|finding| self.conditions.set(finding));
    }

    fn accounting_condition(&mut self) {
        let waiting = self.image.accounting.len();
        self.conditions.set(match *self.sources.dead_letters.borrow() {
            0 => Finding::good("AccountingDelivered", "Delivering", format!("{waiting} records wait for a server")),
            dead => Finding::bad(
                "AccountingDelivered",
                "DeadLetters",
                format!(
                    "{dead} accounting records were not answered by servers that live, and lie in {} of the state directory: \
                     find out why, then remove the file",
                    dead_letters::FILE
                ),
            ),
        });
    }

    /// An image is written beside the driver; here its sessions are shared with it, no more.
    fn rotate(&mut self) {
        let mut outcome = self.journal.rotated().unwrap_or(Ok(()));
        if self.journal.wants_rotation() && self.written() {
            let image = Image { snapshot: self.machine.snapshot(), ..self.image.clone() };
            outcome = outcome.and(self.journal.rotate(image));
        }
        if let Err(error) = outcome {
            error!(error = chain(&error), "the journal cannot be shortened: check the disk below the state directory");
        }
    }

    pub(crate) fn measure(&mut self) {
        let (cpu_cores, memory_bytes) = self.gauge.read();
        self.load = Load { cpu_cores, memory_bytes, uptime_seconds: self.started.elapsed().as_secs() };
    }

    pub(crate) fn health(&mut self) {
        self.measure();
        self.input(Input::Health(self.load), None);
    }

    fn publish(&mut self, policies: PolicyUse) {
        let counts = self.machine.counts();
        let health = BngHealth {
            cpu_cores: self.load.cpu_cores,
            memory_bytes: self.load.memory_bytes,
            sessions: counts.total,
            authorized: counts.authorized,
            uptime_seconds: self.load.uptime_seconds,
        };
        let stopped = self.drained_at.is_some_and(|seq| self.image.committed >= seq);
        let coa = self.coa.tally.read();
        let next = BngStatus {
            config_revision: self.config.bng.config_revision.clone(),
            conditions: self.conditions.list().to_vec(),
            sessions: counts,
            health,
            last_seq: self.machine.last_seq(),
            committed_seq: self.image.committed,
            draining: self.machine.draining(),
            drained: stopped && self.image.accounting.is_empty(),
            routers: self.machine.routers().map(|router| (router.name.clone(), router.alive)).collect(),
            leases: self.machine.drift(),
            policies,
            dhcp_servers: self.machine.dhcp_servers(),
            radius_servers: self.radius.borrow().servers(),
            shaping: self.shaped,
            accounting: AccountingState {
                waiting: self.image.accounting.len() as u64,
                dead_letters: *self.sources.dead_letters.borrow(),
            },
            spoofed: self.spoofed.clone(),
            drops: self.drops.iter().map(|(label, count)| ((*label).to_owned(), *count)).chain(coa.drops).collect(),
            coa: coa.requests,
            counters_read_ms: self.surveys.took_ms(),
            ..self.sinks.status.borrow().clone()
        };
        self.sinks.status.send_if_modified(|status| replace(status, next));
    }
}

/// Servers that leave clients without answer are named; else the control API has the word.
fn dhcp_finding(servers: &[DhcpServer], api: Option<&Finding>) -> Option<Finding> {
    let names = |silent: bool| {
        let some = servers.iter().filter(|server| server.answers != silent).map(|server| server.address.to_string());
        some.collect::<Vec<_>>().join(", ")
    };
    if servers.iter().any(|server| !server.answers) {
        let others = names(false);
        let rest = if others.is_empty() {
            "no other answers, so all are still asked".to_owned()
        } else {
            format!("DISCOVERs go to {others}")
        };
        let message =
            format!("{} answered neither clients nor a probe: see whether it runs and is reached; {rest}", names(true));
        return Some(Finding::bad(DHCP_REACHABLE, "ServerSilent", message));
    }
    let api = api?.clone();
    if api.status == Some(true) {
        return Some(Finding { message: format!("{} (servers {})", api.message, names(false)), ..api });
    }
    Some(api)
}

/// Puts the new status in place under the next version, unless it says the same.
pub fn replace(status: &mut BngStatus, next: BngStatus) -> bool {
    let same = *status == next;
    if !same {
        *status = BngStatus { version: status.version + 1, at: Timestamp::now(), ..next };
    }
    !same
}

/// The status before anything is known.
pub fn first_status(config: &Config, image: &Image, conditions: &[Condition]) -> BngStatus {
    BngStatus {
        version: 1,
        bng_id: config.bng.bng_id.clone(),
        instance_id: image.instance_id,
        config_revision: config.bng.config_revision.clone(),
        conditions: conditions.to_vec(),
        sessions: Default::default(),
        health: BngHealth { cpu_cores: 0.0, memory_bytes: 0, sessions: 0, authorized: 0, uptime_seconds: 0 },
        last_seq: image.snapshot.last_seq,
        committed_seq: image.committed,
        draining: image.snapshot.draining,
        drained: false,
        drops: BTreeMap::new(),
        spoofed: BTreeMap::new(),
        routers: BTreeMap::new(),
        leases: Default::default(),
        policies: Default::default(),
        dhcp_servers: Vec::new(),
        radius_servers: Vec::new(),
        shaping: Default::default(),
        accounting: Default::default(),
        coa: Default::default(),
        counters_read_ms: None,
        at: Timestamp::now(),
    }
}

/// What of a change a running process cannot follow.
fn restart_needed(old: &Config, new: &Config) -> Option<&'static str> {
    let (old, new) = (&old.bng, &new.bng);
    if old.status.listen != new.status.listen || old.status.metrics_listen != new.status.metrics_listen {
        Some("status.listen")
    } else if old.event_bus != new.event_bus {
        Some("eventBus.urlFile")
    } else if old.accounting.health_seconds != new.accounting.health_seconds {
        Some("accounting.healthSeconds")
    } else {
        None
    }
}

/// How long an order waits at most before somebody looks at it: while the wires are not ready nobody does.
pub const ORDER_QUEUE: usize = 64;

/// Refuses what cannot be done before the wires are ready.
pub fn refuse(order: Order) {
    if let Order::Disconnect { answer, .. } = order {
        drop(answer);
    }
}

/// Between attempts to open the wires.
pub const WIRES_RETRY: Duration = Duration::from_secs(1);
