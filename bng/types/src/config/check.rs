//! What a configuration must hold so that a gateway can work by it.

use super::{AccessMode, BngConfig, Interfaces, Shedding, TrustMode};

/// Why a configuration cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The field's path.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl BngConfig {
    /// Says the first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_links()?;
        self.check_pools()?;
        self.check_peers()?;
        self.check_numbers()
    }

    fn check_links(&self) -> Result<(), ConfigError> {
        let Interfaces { subscriber, uplink, dhcp } = &self.interfaces;
        if subscriber == uplink || subscriber == dhcp {
            return fail("interfaces.subscriber", "subscribers need an interface of their own");
        }
        if self.access_mode == AccessMode::Bridged && self.trust.mode == TrustMode::ListedOnly {
            return fail("trust.mode", "subscribers on the gateway's own link have no router that could be listed");
        }
        Ok(())
    }

    fn check_pools(&self) -> Result<(), ConfigError> {
        if self.pools.is_empty() {
            return fail("pools", "name at least one pool");
        }
        for pool in &self.pools {
            if !pool.prefix.contains(&pool.gateway) {
                return fail("pools.gateway", format!("{} is not within {}", pool.gateway, pool.prefix));
            }
            match (self.access_mode, pool.next_hop) {
                (AccessMode::Routed, None) => {
                    return fail(
                        "pools.nextHop",
                        format!("routed mode needs the router that {} is behind", pool.prefix),
                    );
                }
                (AccessMode::Bridged, Some(_)) => {
                    return fail(
                        "pools.nextHop",
                        format!("in bridged mode {} is on the gateway's own link", pool.prefix),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_peers(&self) -> Result<(), ConfigError> {
        if self.dhcp.servers.is_empty() {
            return fail("dhcp.servers", "name at least one DHCP server");
        }
        if self.radius.servers.is_empty() {
            return fail("radius.servers", "name at least one RADIUS server");
        }
        if self.coa.as_ref().is_some_and(|coa| coa.clients.is_empty()) {
            return fail("coa.clients", "name at least one network, or leave coa out");
        }
        match self.policies.iter().find(|policy| policy.confines() && policy.walled_garden.is_none()) {
            Some(policy) => {
                fail("policies.walledGarden", format!("policy {} confines subscribers to none", policy.name))
            }
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        let Shedding { per_circuit_per_second, per_second, declines_per_circuit_per_hour } = self.dhcp.shedding;
        within("dhcp.shedding.perCircuitPerSecond", per_circuit_per_second, 1, 1_000)?;
        within("dhcp.shedding.perSecond", per_second, 100, 1_000_000)?;
        within("dhcp.shedding.declinesPerCircuitPerHour", declines_per_circuit_per_hour, 0, 1_000)?;
        within("sessionsPerCircuit", self.sessions_per_circuit, 1, 64)?;
        if let Some(coa) = &self.coa {
            within("coa.windowSeconds", coa.window_seconds, 10, 3_600)?;
        }
        within("radius.timeoutMs", self.radius.timeout_ms, 100, 60_000)?;
        within("radius.retries", self.radius.retries, 0, 10)?;
        within("radius.recovery.deadTimeSeconds", self.radius.recovery.dead_time_seconds, 1, 3_600)?;
        within("radius.recovery.probeSeconds", self.radius.recovery.probe_seconds, 1, 600)?;
        within("accounting.interimSeconds", self.accounting.interim_seconds, 10, 86_400)?;
        within("accounting.idleAfterSeconds", self.accounting.idle_after_seconds, 10, 86_400)?;
        within("accounting.healthSeconds", self.accounting.health_seconds, 1, 3_600)?;
        within("shaping.classes", self.shaping.classes, 0, 32_767)?;
        within("routers.livenessSeconds", self.routers.liveness_seconds, 1, 3_600)
    }
}

fn fail(field: &'static str, problem: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError { field, problem: problem.into() })
}

fn within(field: &'static str, value: u32, low: u32, high: u32) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) { Ok(()) } else { fail(field, format!("{value} is not between {low} and {high}")) }
}
