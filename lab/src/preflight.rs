//! What a machine must have before anything is started, said all at once.
use std::path::Path;

use anyhow::{Result, bail};

use crate::paths::Paths;
use crate::services::find_program;
use crate::supervisor::UpOptions;

/// System programs, all from Debian packages that `make setup` installs.
const TOOLS: [&str; 15] = [
    "ip",
    "ethtool",
    "nsenter",
    "setpriv",
    "psql",
    "redis-server",
    "kea-dhcp4",
    "kea-ctrl-agent",
    "freeradius",
    "dhclient",
    "udhcpc",
    "iperf3",
    "nft",
    "containerd",
    "runc",
];

/// Lists everything that is missing, with the way to get it.
pub fn check(paths: &Paths, options: &UpOptions) -> Result<()> {
    let without_own_cluster = options.without_cluster || options.kubeconfig.is_some();
    let mut missing: Vec<String> = TOOLS
        .iter()
        .filter(|tool| !(without_own_cluster && ["containerd", "runc"].contains(tool)))
        .filter(|tool| find_program(tool).is_err())
        .map(|tool| format!("{tool} is not installed: `make setup` installs it"))
        .collect();
    let programs: &[&str] = match options {
        UpOptions { without_release: true, .. } => &[],
        UpOptions { gateways: true, .. } => &["lastmile-relay", "lastmile-bng"],
        UpOptions { without_cluster: true, .. } => &["lastmile-relay"],
        _ => &["lastmile-relay", "lastmile-bng", "lastmile-operator", "lastmile-ingestor", "lastmile-api"],
    };
    missing.extend(
        programs
            .iter()
            .filter_map(|program| paths.program(program).err())
            .map(|error| format!("{error} (`make build`)")),
    );
    if !options.without_cluster {
        let built = |path: &str, verb: &str| {
            let path = paths.root.join(path);
            (!Path::exists(&path)).then(|| format!("{} is not built: `make {verb}`", path.display()))
        };
        missing.extend(built("target/lab/lab-kube", "kubernetes"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks\n  {}", missing.join("\n  "))
}
