//! Lastmile on the lab's Kubernetes: images, secrets, the chart, the manifests, and the end of `lab up`.
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cluster::ClusterContext;
use crate::environment::{dashboard_url, redis_url};
use crate::images::{self, Image, Source};
use crate::paths::Paths;
use crate::process::{run, run_with_input};
use crate::progress::Progress;
use crate::secrets::Secrets;
use crate::topology::Topology;

/// The release's namespace.
pub const SYSTEM: &str = "lastmile-system";
/// The namespace of the BNGs of `lab/manifests`.
pub const EDGE: &str = "edge";

/// The account of the dashboard's token, and its ClusterRoleBinding.
pub const ADMIN: &str = "lab-admin";

/// The four programs' images.
#[derive(Debug)]
pub struct Images {
    bng: Image,
    operator: Image,
    ingestor: Image,
    api: Image,
}

impl Images {
    /// All of them.
    pub fn all(&self) -> Vec<Image> {
        [&self.bng, &self.operator, &self.ingestor, &self.api].map(Clone::clone).to_vec()
    }
}

/// Builds the images from the local programs, or finds them built.
pub fn build_images(paths: &Paths, context: &ClusterContext) -> Result<Images> {
    let build = |name: &str, web: bool| {
        let mut source = Source::program(&format!("lastmile/{name}"), &paths.program(&format!("lastmile-{name}"))?);
        let pages = paths.root.join("web/out");
        if web && pages.is_dir() {
            source = source.with_folder(&pages, "/usr/share/lastmile/web");
        }
        images::build(&source, &context.image_cache)
    };
    Ok(Images {
        bng: build("bng", false)?,
        operator: build("operator", false)?,
        ingestor: build("ingestor", false)?,
        api: build("api", true)?,
    })
}

/// The chart's values that the lab decides.
pub fn values(topology: &Topology, images: &Images) -> Value {
    json!({
        "image": {
            "bng": images.bng.reference,
            "operator": images.operator.reference,
            "ingestor": images.ingestor.reference,
            "api": images.api.reference,
            "pullPolicy": "Never",
        },
        "protectedNetworks": [
            topology.management.host.trunc(),
            topology.services.dhcp.trunc(),
            topology.kubernetes.service_prefix,
        ],
        "secretNamespaces": [EDGE],
        "api": { "nodePort": topology.kubernetes.dashboard_node_port },
    })
}

/// Creates what the chart and the manifests expect: namespaces, and Secrets of the lab's services.
pub fn prepare(topology: &Topology, context: &ClusterContext, secrets: &Secrets) -> Result<()> {
    let services = topology.services.management.addr();
    let database = format!("postgres://lastmile:{}@{services}:5432/lastmile", secrets.lastmile);
    let redis = redis_url(topology, secrets);
    apply(
        context,
        &[
            namespace(SYSTEM),
            secret(SYSTEM, "lastmile-database", &[("url", &database)]),
            secret(SYSTEM, "lastmile-redis", &[("url", &redis)]),
            namespace(EDGE),
            secret(EDGE, "radius", &[("secret", &secrets.radius), ("password", &secrets.subscriber)]),
            secret(EDGE, "redis", &[("url", &redis)]),
        ],
    )
}

/// Installs the chart and waits until its programs run.
pub fn install(paths: &Paths, topology: &Topology, context: &ClusterContext, images: &Images) -> Result<()> {
    let file = paths.run.join("values.yaml");
    // JSON is YAML.
    std::fs::write(&file, serde_json::to_string_pretty(&values(topology, images))?)?;
    run(context
        .helm()
        .args(["install", "lastmile"])
        .arg(paths.root.join("charts/lastmile"))
        .args(["--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout", "120s", "--values"])
        .arg(&file))
    .or_else(|error| bail!("{error:#}\n{}", picture(context)))
    .map(drop)
}

/// Applies the manifests of a topology's folder.
pub fn apply_manifests(folder: &Path, context: &ClusterContext) -> Result<()> {
    run(context.kubectl().args(["apply", "-f"]).arg(folder.join("manifests"))).map(drop)
}

/// Waits until every BNG is Ready.
pub fn wait_for_gateways(topology: &Topology, context: &ClusterContext, limit: Duration) -> Result<()> {
    let seconds = format!("--timeout={}s", limit.as_secs());
    let mut wait = context.kubectl();
    wait.args(["wait", "--namespace", EDGE, "--for=condition=Ready", &seconds]);
    wait.args(topology.bngs.iter().map(|bng| format!("bng/{}", bng.name)));
    run(&mut wait).or_else(|error| bail!("the gateways are not Ready: {error:#}\n{}", picture(context))).map(drop)
}

/// Waits for the authorized sessions, and says when the first was there.
pub fn wait_for_sessions(
    context: &ClusterContext,
    wanted: usize,
    progress: &Progress,
    limit: Duration,
) -> Result<Duration> {
    let end = Instant::now() + limit;
    let mut first = None;
    loop {
        let online = authorized(context).unwrap_or(0);
        if online > 0 && first.is_none() {
            first = Some(progress.elapsed());
            progress.step("the first subscriber is online");
        }
        if let Some(first) = first
            && online >= wanted
        {
            progress.step(format!("{online} subscribers are online"));
            return Ok(first);
        }
        if Instant::now() > end {
            bail!("only {online} of {wanted} subscribers came online\n{}", picture(context));
        }
        std::thread::sleep(Duration::from_millis(400));
    }
}

/// Waits, not for long, until the objects' status has caught up with the sessions: so that what is shown next agrees.
pub fn wait_for_status(topology: &Topology, context: &ClusterContext, limit: Duration) {
    let end = Instant::now() + limit;
    while Instant::now() < end && !status_is_current(topology, context).unwrap_or(false) {
        std::thread::sleep(Duration::from_millis(400));
    }
}

fn status_is_current(topology: &Topology, context: &ClusterContext) -> Result<bool> {
    let list = run(context.kubectl().args([
        "get",
        "bngs,accessrouters,subscriberpolicies",
        "--namespace",
        EDGE,
        "-o",
        "json",
    ]))?;
    let list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().context("no list")?;
    let of = |kind: &'static str| items.iter().filter(move |item| item["kind"] == kind).map(|item| &item["status"]);
    let sessions: u64 = of("BNG").filter_map(|status| status["sessions"]["total"].as_u64()).sum();
    let bound: u64 = of("SubscriberPolicy").filter_map(|status| status["sessions"].as_u64()).sum();
    let wanted = topology.subscribers.iter().filter(|subscriber| subscriber.policy.is_some()).count();
    // An access node of layer 2 is none.
    let routers = topology.routers.iter().filter(|router| router.uplink.is_some()).count();
    Ok(sessions >= topology.subscribers.len() as u64 && of("AccessRouter").count() >= routers && bound >= wanted as u64)
}

fn authorized(context: &ClusterContext) -> Result<usize> {
    let list = run(context.kubectl().args(["get", "sessions", "-A", "-o", "json"]))?;
    let list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().context("no list")?;
    Ok(items.iter().filter(|item| item["status"]["auth"] == "AUTHORIZED").count())
}

/// A token for the dashboard: of a ServiceAccount that may do what the user of a lab may, everything.
pub fn token(context: &ClusterContext) -> Result<String> {
    apply(
        context,
        &[
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ADMIN, "namespace": SYSTEM } }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": ADMIN },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
                "subjects": [{ "kind": "ServiceAccount", "name": ADMIN, "namespace": SYSTEM }],
            }),
        ],
    )?;
    let token = run(context.kubectl().args(["create", "token", ADMIN, "--namespace", SYSTEM, "--duration=24h"]))?;
    Ok(token.trim().to_owned())
}

/// The end of `lab up`: what is there, and what to try.
pub fn summary(
    topology: &Topology,
    context: &ClusterContext,
    token: &str,
    first: Duration,
    progress: &Progress,
) -> Result<()> {
    for arguments in ["get bngs,accessrouters,subscriberpolicies -n edge", "get sessions -n edge -o wide"] {
        let shown = run(context.kubectl().args(arguments.split(' ')))?;
        progress.raw(&format!("\n$ kubectl {arguments}\n{}", shown.trim_end()));
    }
    let host = topology.internet.host;
    let subscriber = topology.subscribers.first().map_or("sub-01", |subscriber| subscriber.name.as_str());
    progress.raw(&format!(
        "\nDashboard  {}\nToken      {token}\n\n\
         Try, after `. lab/run/env`:\n  \
         lab exec {subscriber} -- sh -c 'ping -c 3 {host}; iperf3 -c {host} -R'\n  \
         lab subscriber release {subscriber}\n  \
         psql $LASTMILE_LASTMILE_DATABASE_URL -c 'SELECT subscriber, ip, input_octets, output_octets, started_at, \
         ended_at, terminate_cause FROM sessions_history'\n",
        dashboard_url(topology)
    ));
    progress.step(format!("ready; the first session was online after {:.1} s", first.as_secs_f32()));
    Ok(())
}

/// Why something did not come up: pods, BNGs, the latest events, and the last words of the pods that are not ready.
fn picture(context: &ClusterContext) -> String {
    let look =
        |arguments: &str| run(context.kubectl().args(arguments.split(' '))).unwrap_or_else(|error| error.to_string());
    let last = |text: &str, lines: usize| {
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    };
    let pods = look("get pods -A -o wide");
    let mut text = format!("{pods}\n{}\n", look("get bngs -A -o wide"));
    text.push_str(&last(
        &look("get events -A --sort-by=.lastTimestamp --field-selector type=Warning,reason!=MissingClusterDNS"),
        12,
    ));
    for pod in pods.lines().skip(1).filter(|pod| !pod.contains("1/1") && !pod.contains("Completed")) {
        let mut words = pod.split_whitespace();
        if let (Some(namespace), Some(name)) = (words.next(), words.next()) {
            let logs = look(&format!("logs --namespace {namespace} {name} --all-containers --tail=15"));
            text.push_str(&format!("\nlast lines of pod {name}:\n{logs}"));
        }
    }
    text
}

fn apply(context: &ClusterContext, objects: &[Value]) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut command: Command = context.kubectl();
    run_with_input(command.args(["apply", "-f", "-"]), &list.to_string()).map(drop)
}

fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> =
        data.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": namespace }, "stringData": data,
    })
}
