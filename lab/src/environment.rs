//! `lab/run/env`: what a shell needs to look around, as `export` lines.
use std::fmt::Write;

use anyhow::Result;

use crate::paths::Paths;
use crate::secrets::{Secrets, write_private};
use crate::services::databases;
use crate::topology::Topology;

/// How much of Kubernetes there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster<'a> {
    /// None, and none is coming.
    None,
    /// Coming up: for a look at why it does not.
    Starting,
    /// Up.
    Ready {
        /// The dashboard's token.
        token: &'a str,
    },
}

/// The variables, in order. `PATH` comes first and is extended, not replaced.
pub fn render(paths: &Paths, topology: &Topology, secrets: &Secrets, cluster: Cluster) -> String {
    let services = topology.services.management.addr();
    let mut lines = format!("export PATH=\"{}:$PATH\"\n", paths.run.join("bin").display());
    let mut set = |name: &str, value: String| {
        let _ = writeln!(lines, "export {name}='{value}'");
    };
    set("LASTMILE_BIN_DIR", paths.bin.display().to_string());
    for (name, password) in databases(secrets) {
        let variable = format!("LASTMILE_{}_DATABASE_URL", name.to_uppercase());
        set(&variable, format!("postgres://{name}:{password}@{services}:5432/{name}"));
    }
    set("LASTMILE_REDIS_URL", redis_url(topology, secrets));
    set("LASTMILE_KEA_URL", format!("http://{services}:8000"));
    set("LASTMILE_RADIUS", format!("{services}:1812"));
    if cluster != Cluster::None {
        set("KUBECONFIG", paths.run.join("kubeconfig").display().to_string());
        set("LASTMILE_URL", dashboard_url(topology));
    }
    if let Cluster::Ready { token } = cluster {
        set("LASTMILE_TOKEN", token.to_owned());
    }
    lines
}

/// Writes `lab/run/env`, and `lab` itself into the folder that it puts on PATH.
pub fn write(paths: &Paths, topology: &Topology, secrets: &Secrets, cluster: Cluster) -> Result<()> {
    let bin = paths.run.join("bin");
    std::fs::create_dir_all(&bin)?;
    let _ = std::fs::remove_file(bin.join("lab"));
    std::os::unix::fs::symlink(std::env::current_exe()?, bin.join("lab"))?;
    write_private(&paths.run.join("env"), &render(paths, topology, secrets, cluster))
}

/// The dashboard's and REST API's address.
pub fn dashboard_url(topology: &Topology) -> String {
    let node = topology.bngs.first().map_or(topology.management.host, |bng| bng.management);
    format!("http://{}:{}", node.addr(), topology.kubernetes.dashboard_node_port)
}

/// The event bus with its password.
pub fn redis_url(topology: &Topology, secrets: &Secrets) -> String {
    format!("redis://default:{}@{}:6379", secrets.redis, topology.services.management.addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_programs_databases_and_the_cluster() {
        let topology = Topology::parse(include_str!("../topology.toml")).expect("valid");
        let paths = Paths { root: "/clone".into(), run: "/clone/lab/run".into(), bin: "/clone/target/release".into() };
        let password = |text: &str| text.to_owned();
        let secrets = Secrets {
            postgres: password("p0"),
            lastmile: password("p1"),
            kea: password("p2"),
            radius_db: password("p3"),
            redis: password("p4"),
            radius: password("p5"),
            subscriber: password("p6"),
        };
        insta::assert_snapshot!(render(&paths, &topology, &secrets, Cluster::Ready { token: "token" }), @r#"
        export PATH="/clone/lab/run/bin:$PATH"
        export LASTMILE_BIN_DIR='/clone/target/release'
        export LASTMILE_LASTMILE_DATABASE_URL='postgres://lastmile:p1@10.231.0.2:5432/lastmile'
        export LASTMILE_KEA_DATABASE_URL='postgres://kea:p2@10.231.0.2:5432/kea'
        export LASTMILE_RADIUS_DATABASE_URL='postgres://radius:p3@10.231.0.2:5432/radius'
        export LASTMILE_REDIS_URL='redis://default:p4@10.231.0.2:6379'
        export LASTMILE_KEA_URL='http://10.231.0.2:8000'
        export LASTMILE_RADIUS='10.231.0.2:1812'
        export KUBECONFIG='/clone/lab/run/kubeconfig'
        export LASTMILE_URL='http://10.231.0.11:30080'
        export LASTMILE_TOKEN='token'
        "#);
        assert!(!render(&paths, &topology, &secrets, Cluster::None).contains("KUBECONFIG"));
    }
}
