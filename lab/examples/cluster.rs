//! The embedded Kubernetes alone, on two throwaway nodes: brings it up with an image of a program, runs a
//! command that finds `KUBECONFIG` and the image's reference (`IMAGE`) in its environment, takes it down. For work on
//! `src/cluster`; run it as root, in namespaces of its own:
//!
//! `unshare --pid --mount --net --fork --kill-child --mount-proc target/debug/examples/cluster FOLDER PROGRAM COMMAND…`

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use lastmile_lab::cluster::{self, ClusterContext, Node};
use lastmile_lab::images::{self, Source};
use lastmile_lab::isolation;
use lastmile_lab::process::run;

/// The management network of the nodes.
const BRIDGE: &str = "k8t";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: cluster FOLDER PROGRAM COMMAND…")?);
    let image = PathBuf::from(arguments.next().context("usage: cluster FOLDER PROGRAM COMMAND…")?);
    isolation::mount_tmpfs("/run/netns")?;
    let context = context(&folder);
    wires(&context)?;
    let start = Instant::now();
    let mut cluster = cluster::up(&context)?;
    println!("up after {:.1} s", start.elapsed().as_secs_f32());
    let image = images::build(&Source::program("example", &image), &context.image_cache)?;
    cluster::import_images(&context, std::slice::from_ref(&image))?;
    let program = arguments.next().unwrap_or("bash".to_owned());
    let status = Command::new(program)
        .args(arguments)
        .env("IMAGE", &image.reference)
        .env("KUBECONFIG", context.kubeconfig())
        .env("PATH", format!("{}:{}", context.layout().programs().display(), std::env::var("PATH")?))
        .status()?;
    let start = Instant::now();
    cluster.down();
    run(Command::new("ip").args(["link", "delete", BRIDGE]))?;
    println!("{status}; down after {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

fn context(folder: &Path) -> ClusterContext {
    let node = |number: u8| Node {
        name: format!("node-{number}"),
        address: [10, 99, 0, 10 + number].into(),
        netns: format!("node-{number}"),
        pod_cidr: format!("10.98.{number}.0/24").parse().expect("a range"),
        labels: [("lastmile.io/wired".to_owned(), "true".to_owned())].into(),
    };
    ClusterContext {
        run: folder.join("run"),
        sockets: folder.join("s"),
        logs: folder.join("logs"),
        programs: std::path::absolute("target/lab").expect("a current folder"),
        image_cache: folder.join("images"),
        cni_programs: "/usr/lib/cni".into(),
        nodes: vec![node(1), node(2)],
        api_address: [10, 99, 0, 1].into(),
        api_port: 6443,
        service_cidr: "10.97.0.0/16".parse().expect("a range"),
        pod_clients: vec![None],
    }
}

fn wires(context: &ClusterContext) -> Result<()> {
    let mut lines =
        vec!["link set lo up".to_owned(), format!("link add {BRIDGE} type bridge"), format!("link set {BRIDGE} up")];
    lines.push(format!("address add {}/24 dev {BRIDGE}", context.api_address));
    for Node { name, address, .. } in &context.nodes {
        run(Command::new("ip").args(["netns", "add", name]))?;
        run(Command::new("ip").args(format!("link add {name} type veth peer name eth0 netns {name}").split(' ')))?;
        lines.push(format!("link set {name} master {BRIDGE} up"));
        for line in [
            "link set lo up".to_owned(),
            "link set eth0 up".into(),
            format!("address add {address}/24 dev eth0"),
            format!("route add default via {}", context.api_address),
        ] {
            run(Command::new("ip").args(["-n", name]).args(line.split(' ')))?;
        }
    }
    context.nodes.iter().try_for_each(masquerade)?;
    lines.iter().try_for_each(|line| run(Command::new("ip").args(line.split(' '))).map(drop))
}

/// What pods send beyond the cluster leaves by the node's own address, as with most pod networks.
fn masquerade(node: &Node) -> Result<()> {
    let rules = format!(
        "table ip pods {{ chain leave {{ type nat hook postrouting priority 100; \
         ip saddr {} ip daddr != {{ 10.96.0.0/14 }} masquerade; }}; }}",
        node.pod_cidr
    );
    let mut nft = Command::new("nsenter");
    run(nft.arg(format!("--net=/run/netns/{}", node.netns)).args(["nft", &rules])).map(drop)
}
