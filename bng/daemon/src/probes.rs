//! What nobody tells us, asked for: does the DHCP server answer, and does it serve our pools?

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use crate::{chain, conditions::Finding, config::Config, kea::KeaClient};

/// Between questions: a dead server is seen within twice this and the client's patience.
const EVERY: Duration = Duration::from_secs(4);
/// Between comparisons of the pools.
const POOLS_EVERY: Duration = Duration::from_secs(60);

/// Asks for ever; a changed configuration is asked about at once.
pub async fn dhcp(mut config: watch::Receiver<Arc<Config>>, findings: mpsc::UnboundedSender<Finding>) {
    loop {
        let current = config.borrow_and_update().clone();
        match &current.bng.kea {
            None => unknown(&findings),
            Some(kea) => ask(&KeaClient::new(kea), &current, &mut config, &findings).await,
        }
        if config.changed().await.is_err() {
            return;
        }
        config.mark_changed();
    }
}

fn unknown(findings: &mpsc::UnboundedSender<Finding>) {
    for kind in ["DhcpReachable", "PoolsMatch", "LeasesReconciled"] {
        let message = "no Kea endpoint is configured: set it to have the DHCP server watched".to_owned();
        let _ = findings.send(Finding { kind, status: None, reason: "NoKeaEndpoint", message });
    }
}

/// Until the configuration changes.
async fn ask(
    kea: &KeaClient,
    current: &Config,
    config: &mut watch::Receiver<Arc<Config>>,
    findings: &mpsc::UnboundedSender<Finding>,
) {
    let mut compared: Option<Instant> = None;
    loop {
        let alive = kea.alive().await;
        let _ = findings.send(match &alive {
            Ok(()) => Finding::good("DhcpReachable", "Answers", "the DHCP server answers"),
            Err(error) => Finding::bad("DhcpReachable", "NoAnswer", chain(error)),
        });
        if alive.is_ok() && compared.is_none_or(|at| at.elapsed() > POOLS_EVERY) {
            match pools(kea, current).await {
                Ok(finding) => {
                    compared = Some(Instant::now());
                    let _ = findings.send(finding);
                }
                Err(error) => tracing::debug!(error = chain(&error), "the DHCP server's subnets cannot be read"),
            }
        }
        match timeout(EVERY, config.changed()).await {
            Err(_) => {}
            Ok(Ok(())) => return config.mark_changed(),
            Ok(Err(_)) => return,
        }
    }
}

async fn pools(kea: &KeaClient, config: &Config) -> Result<Finding, crate::kea::KeaError> {
    let subnets = kea.subnets().await?;
    let served = |pool: &lastmile_types::config::Pool| subnets.iter().any(|subnet| subnet.parse() == Ok(pool.prefix));
    let missing: Vec<_> =
        config.bng.pools.iter().filter(|pool| !served(pool)).map(|pool| pool.prefix.to_string()).collect();
    Ok(if missing.is_empty() {
        Finding::good("PoolsMatch", "Match", "the DHCP server serves every pool")
    } else {
        let message =
            format!("the DHCP server has no subnet {}: add it there, or correct the pool", missing.join(", "));
        Finding::bad("PoolsMatch", "SubnetMissing", message)
    })
}
