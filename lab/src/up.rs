//! The lab as a whole: what `lab up` does, step by step, and what then runs.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::cluster::{self, Cluster, ClusterContext, Node};
use crate::network::{self, Nodes};
use crate::paths::{MACHINE_DIR, Paths, SOCKET_DIR};
use crate::process::{Part, Place};
use crate::progress::Progress;
use crate::secrets::Secrets;
use crate::services::{self, ServicesSpec};
use crate::subscribers::{Subscribers, address};
use crate::supervisor::UpOptions;
use crate::topology::Topology;
use crate::{environment, existing, gateways, release, routers};

/// Everything that runs.
pub struct Lab {
    /// What it is built from.
    pub topology: Topology,
    paths: Paths,
    options: UpOptions,
    spec: Option<ServicesSpec>,
    parts: Vec<Part>,
    subscribers: Option<Subscribers>,
    cluster: Option<Cluster>,
}

impl Lab {
    /// Nothing runs yet.
    pub fn new(paths: Paths, topology: Topology, options: UpOptions) -> Self {
        Self { topology, paths, options, spec: None, parts: Vec::new(), subscribers: None, cluster: None }
    }

    /// Brings everything up, telling each step.
    pub fn up(&mut self, progress: &Progress) -> Result<()> {
        let nodes = if self.options.kubeconfig.is_some() { Nodes::Found } else { Nodes::Made };
        network::build(&self.topology, nodes)?;
        progress.step(format!("{} namespaces wired", self.topology.nodes().len() + 1));
        let secrets = Secrets::generate(&self.paths.run.join("secrets"))?;
        let cluster =
            if self.options.without_cluster { environment::Cluster::None } else { environment::Cluster::Starting };
        environment::write(&self.paths, &self.topology, &secrets, cluster)?;
        let logs = self.paths.run.join("logs");
        let spec = ServicesSpec::for_lab(&self.topology, Path::new(MACHINE_DIR).join("services"), logs, secrets);
        if self.options.without_cluster {
            self.parts = services::start(&spec)?.parts;
            progress.step("PostgreSQL, Redis, Kea and FreeRADIUS answer");
        } else {
            self.services_and_cluster(&spec, progress)?;
        }
        self.parts.push(self.start_internet()?);
        self.spec = Some(spec);
        if self.options.without_cluster { self.finish_without_cluster(progress) } else { self.finish(progress) }
    }

    /// The services and Kubernetes do not need each other to start.
    fn services_and_cluster(&mut self, spec: &ServicesSpec, progress: &Progress) -> Result<()> {
        let context = cluster_context(&self.paths, &self.topology);
        let (services, cluster, images) = std::thread::scope(|scope| {
            let services = scope.spawn(|| {
                let services = services::start(spec)?;
                progress.step("PostgreSQL, Redis, Kea and FreeRADIUS answer");
                anyhow::Ok(services)
            });
            let images = scope.spawn(|| match self.options.without_release {
                true => Ok(None),
                false => release::build_images(&self.paths, &context).map(Some),
            });
            let cluster = self.start_cluster(&context, progress);
            (joined(services.join()), cluster, joined(images.join()))
        });
        self.parts = services?.parts;
        self.cluster = cluster.context("Kubernetes did not come up")?;
        let Some(images) = images? else { return Ok(()) };
        if self.cluster.is_some() {
            cluster::import_images(&context, &images.all())?;
            progress.step("images of the four programs imported");
        } else {
            existing::note(&self.paths)?;
        }
        release::prepare(&self.topology, &context, &spec.secrets)?;
        release::install(&self.paths, &self.topology, &context, &images)?;
        progress.step("helm install lastmile: operator, ingestor and api run");
        release::apply_manifests(&self.options.folder, &context)?;
        progress.step("kubectl apply: BNGs and policies");
        Ok(())
    }

    /// The lab's own Kubernetes; none of its own where an existing one was selected.
    fn start_cluster(&self, context: &ClusterContext, progress: &Progress) -> Result<Option<Cluster>> {
        if let Some(kubeconfig) = &self.options.kubeconfig {
            existing::adopt(context, kubeconfig)?;
            progress.step(format!("the cluster of {} is used", kubeconfig.display()));
            return Ok(None);
        }
        let cluster = cluster::up(context)?;
        progress.step(format!("Kubernetes is up, {} nodes Ready", context.nodes.len()));
        Ok(Some(cluster))
    }

    fn finish_without_cluster(&mut self, progress: &Progress) -> Result<()> {
        if self.options.gateways {
            for bng in self.topology.bngs.clone() {
                let spec = self.spec.as_ref().context("no services")?;
                self.parts.push(gateways::start(&self.paths, &self.topology, &bng, &spec.secrets)?);
            }
            progress.step(format!("{} gateways run in their nodes, without Kubernetes", self.topology.bngs.len()));
        }
        self.start_edge(progress)?;
        progress.step("up. `. lab/run/env` sets up a shell; `lab status` shows what runs");
        Ok(())
    }

    fn finish(&mut self, progress: &Progress) -> Result<()> {
        let context = cluster_context(&self.paths, &self.topology);
        if self.options.without_release {
            let secrets = &self.spec.as_ref().context("no services")?.secrets;
            release::prepare(&self.topology, &context, secrets)?;
            let token = release::token(&context)?;
            let ready = environment::Cluster::Ready { token: &token };
            environment::write(&self.paths, &self.topology, secrets, ready)?;
            progress.step("up, without Lastmile: `. lab/run/env` sets up a shell");
            return Ok(());
        }
        release::wait_for_gateways(&self.topology, &context, Duration::from_secs(120))?;
        progress.step("a gateway is Ready on each node");
        self.start_edge(progress)?;
        let wanted = self.topology.subscribers.iter().filter(|subscriber| subscriber.policy.is_some()).count();
        let first = release::wait_for_sessions(&context, wanted, progress, Duration::from_secs(90))?;
        release::wait_for_status(&self.topology, &context, Duration::from_secs(15));
        let token = release::token(&context)?;
        let secrets = &self.spec.as_ref().context("no services")?.secrets;
        environment::write(&self.paths, &self.topology, secrets, environment::Cluster::Ready { token: &token })?;
        release::summary(&self.topology, &context, &token, first, progress)
    }

    /// Routers, then subscribers.
    fn start_edge(&mut self, progress: &Progress) -> Result<()> {
        for router in &self.topology.routers {
            self.parts.push(routers::start(&self.paths, &self.topology, router)?);
        }
        let mut subscribers = Subscribers::prepare(&self.paths)?;
        subscribers.start_all(&self.topology)?;
        self.subscribers = Some(subscribers);
        progress.step(format!(
            "{} routers relay, {} subscribers ask for addresses",
            self.topology.routers.len(),
            self.topology.subscribers.len()
        ));
        Ok(())
    }

    /// The host to talk to: an iperf3 server; it answers ping by itself.
    fn start_internet(&self) -> Result<Part> {
        let internet = &self.topology.internet;
        let place = Place { netns: Some(internet.node.clone()), logs: self.paths.run.join("logs") };
        let mut command = place.command(services::find_program("iperf3")?);
        place.start("iperf3", command.args(["--server", "--bind", &internet.host.to_string()]))
    }

    /// The subscribers' clients.
    pub fn subscribers(&mut self) -> Result<&mut Subscribers> {
        self.subscribers.as_mut().context("no subscribers yet")
    }

    /// One line per part, for people.
    pub fn status(&mut self) -> String {
        let mut lines = Vec::new();
        let mut line = |part: &mut Part| {
            let state = part
                .exited()
                .map_or_else(|| format!("runs (pid {} inside)", part.pid()), |end| format!("ended: {end}"));
            lines.push(format!("{:<18} {state}", part.name));
        };
        self.parts.iter_mut().for_each(&mut line);
        self.cluster.iter_mut().flat_map(Cluster::parts).for_each(&mut line);
        for subscriber in &self.topology.subscribers {
            let runs = self.subscribers.as_mut().is_some_and(|all| all.runs(&subscriber.name));
            let client = if runs { format!("{:?}", subscriber.client).to_lowercase() } else { "no client".to_owned() };
            let address = address(&subscriber.name).unwrap_or_else(|| "no address".to_owned());
            lines.push(format!("{:<18} {client}, {address}", subscriber.name));
        }
        lines.join("\n")
    }

    /// Stops a part by name.
    pub fn stop_part(&mut self, name: &str) -> Result<()> {
        let names = self.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(", ");
        let part = self
            .parts
            .iter_mut()
            .find(|part| part.name == name)
            .with_context(|| format!("no part {name}; there are {names}"))?;
        part.stop(if name == "postgres" { Signal::SIGINT } else { Signal::SIGTERM }, Duration::from_secs(5));
        Ok(())
    }

    /// Starts a stopped part again.
    pub fn start_part(&mut self, name: &str) -> Result<()> {
        let spec = self.spec.as_ref().context("the services are not up")?;
        let index = self.parts.iter().position(|part| part.name == name).with_context(|| format!("no part {name}"))?;
        if self.parts[index].exited().is_none() {
            return Ok(());
        }
        let part = if let Some(router) = self.topology.router(name) {
            routers::start(&self.paths, &self.topology, router)?
        } else if let Some(bng) = self.topology.bngs.iter().find(|bng| bng.name == name) {
            gateways::start(&self.paths, &self.topology, bng, &spec.secrets)?
        } else if name == "iperf3" {
            self.start_internet()?
        } else {
            services::restart(spec, name)?
        };
        self.parts[index] = part;
        Ok(())
    }
}

fn joined<T>(result: std::thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread of the lab ended unexpectedly")))
}

/// What the embedded Kubernetes is told of the topology.
pub fn cluster_context(paths: &Paths, topology: &Topology) -> ClusterContext {
    let node = |bng: &crate::topology::Bng| Node {
        name: bng.name.clone(),
        address: bng.management.addr(),
        netns: bng.name.clone(),
        pod_cidr: bng.pods,
        labels: [("lastmile.io/wired".to_owned(), "true".to_owned()), ("lastmile.io/bng".to_owned(), bng.name.clone())]
            .into(),
    };
    ClusterContext {
        run: paths.run.clone(),
        sockets: PathBuf::from(SOCKET_DIR),
        logs: paths.run.join("logs"),
        programs: paths.root.join("target/lab"),
        image_cache: paths.root.join("target/lab/images"),
        cni_programs: PathBuf::from("/usr/lib/cni"),
        nodes: topology.bngs.iter().map(node).collect(),
        api_address: topology.management.host.addr(),
        api_port: topology.kubernetes.api_port,
        service_cidr: topology.kubernetes.service_prefix,
        pod_clients: vec![None, Some(topology.services.node.clone())],
    }
}

/// Removes what a killed cluster left outside the lab's namespaces.
pub fn clear_cluster(paths: &Paths, topology: &Topology) {
    cluster::clear_leftovers(&cluster_context(paths, topology));
}
