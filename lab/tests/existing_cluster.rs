//! `LASTMILE_KUBECONFIG`: the lab on a cluster that is not its own. The embedded Kubernetes of `examples/cluster.rs`, in
//! namespaces of its own and at addresses of its own, plays the existing one; nothing of it knows of the lab. Needs root
//! and the machine's one lab: `cargo test -p lastmile-lab --features e2e`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lastmile_lab::process::run;

/// The nodes of the example, and the BNGs that they are to carry.
const NODES: [(&str, &str); 2] = [("node-1", "bng-01"), ("node-2", "bng-02")];

/// The existing cluster; it lives until its standard input is closed.
struct Existing {
    process: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Existing {
    fn start() -> Result<Self> {
        let status = run(lab().arg("status"))?;
        ensure!(status.contains("no lab runs"), "take the lab down first: {status}");
        let programs = Path::new(env!("CARGO_BIN_EXE_lab")).parent().context("a folder")?.to_owned();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir()?;
        let process = Command::new("unshare")
            .args(["--pid", "--mount", "--fork", "--kill-child", "--mount-proc"])
            .arg(programs.join("examples/cluster"))
            .arg(folder.path())
            .args(["/bin/true", "sh", "-c", "touch $(dirname $KUBECONFIG)/up; cat"])
            .current_dir(root)
            .stdin(Stdio::piped())
            .spawn()?;
        let mut cluster = Self { process, folder, programs };
        let up = cluster.folder.path().join("run/up");
        eventually(90, || {
            ensure!(up.is_file() || cluster.process.try_wait()?.is_some(), "the cluster is not up");
            Ok(())
        })?;
        ensure!(up.is_file(), "the cluster ended");
        Ok(cluster)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("run/kubeconfig")
    }

    fn kubectl(&self, arguments: &str) -> Result<String> {
        let mut kubectl = Command::new(self.folder.path().join("run/bin/kubectl"));
        run(kubectl.env("KUBECONFIG", self.kubeconfig()).args(arguments.split_whitespace()))
    }

    /// `lab up` on a cluster, its exit and everything that it said.
    fn lab_up(&self, kubeconfig: &Path) -> Result<(bool, String)> {
        let mut up = lab();
        up.arg("up").arg("--bin-dir").arg(&self.programs);
        let Output { status, stdout, stderr } =
            up.env("LASTMILE_KUBECONFIG", kubeconfig).env("KUBECONFIG", "/nowhere").output()?;
        Ok((status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()))
    }

    /// `lab up` is refused with all of these words, and nothing of a lab runs.
    fn refused(&self, kubeconfig: &Path, words: &[&str]) -> Result<()> {
        let (up, said) = self.lab_up(kubeconfig)?;
        ensure!(!up, "the lab came up: {said}");
        for word in words {
            ensure!(said.contains(word), "no {word:?} in the refusal: {said}");
        }
        let status = run(lab().arg("status"))?;
        ensure!(status.contains("no lab runs"), "{status}");
        Ok(())
    }

    /// `lab up`, and Ctrl-C while the release is being installed.
    fn interrupt_install(&self, kubeconfig: &Path) -> Result<()> {
        let mut up =
            lab().arg("up").arg("--bin-dir").arg(&self.programs).env("LASTMILE_KUBECONFIG", kubeconfig).spawn()?;
        eventually(60, || self.kubectl("get namespace lastmile-system").map(drop))?;
        run(Command::new("kill").args(["-INT", &up.id().to_string()]))?;
        let status = up.wait()?;
        ensure!(status.code() == Some(130), "{status}");
        Ok(())
    }

    /// Everything in it that the lab could leave behind.
    fn contents(&self) -> Result<String> {
        self.kubectl(
            "get namespaces,crds,apiservices,clusterroles,clusterrolebindings,validatingadmissionpolicies -o name",
        )
    }

    /// It holds what it held `before`, and its nodes have no wire of the lab.
    fn as_before(&self, before: &str) -> Result<()> {
        let after = self.contents()?;
        let left: Vec<_> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
        ensure!(left.is_empty() && before.lines().count() == after.lines().count(), "left: {left:?}; all:\n{after}");
        for (_, bng) in NODES {
            let links = run(Command::new("ip").args(["-n", bng, "-br", "link"]))?;
            ensure!(!links.contains("access0"), "{bng} keeps a wire:\n{links}");
        }
        Ok(())
    }

    /// What its owner has to do: labels, wires, images.
    fn make_fit(&self, images: &Path) -> Result<()> {
        for (node, bng) in NODES {
            self.kubectl(&format!("label node {node} lastmile.io/wired=true lastmile.io/bng={bng} --overwrite"))?;
            run(Command::new("ip").args(["netns", "attach", bng, &kubelet(node)?]))?;
            let socket = self.folder.path().join("s").join(node).join("containerd.sock");
            for image in ["bng", "operator", "ingestor", "api"] {
                let archive = images.join(format!("lastmile-{image}.tar"));
                let mut ctr = Command::new("ctr");
                run(ctr.arg("-a").arg(&socket).args(["-n", "k8s.io", "images", "import"]).arg(archive))?;
            }
        }
        eventually(90, || {
            let told = self.kubectl("get nodes -o jsonpath={.items[*].status.images[*].names}")?;
            ensure!(told.matches("lastmile/api:").count() >= NODES.len(), "{told}");
            Ok(())
        })
    }
}

impl Drop for Existing {
    fn drop(&mut self) {
        let _ = run(lab().arg("down"));
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        for (_, bng) in NODES {
            let _ = run(Command::new("ip").args(["netns", "delete", bng]));
        }
    }
}

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab"))
}

/// The process of a node's kubelet, as this machine sees it: it stands in the node's network namespace.
fn kubelet(node: &str) -> Result<String> {
    let processes = std::fs::read_dir("/proc")?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let wanted = format!("--hostname-override={node}");
    let is_kubelet = |pid: &String| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == wanted)
    };
    processes.filter(|name| name.parse::<u32>().is_ok()).find(is_kubelet).context("no kubelet")
}

fn eventually(seconds: u64, mut check: impl FnMut() -> Result<()>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match check() {
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(250)),
            done => return done,
        }
    }
}

#[test]
fn an_existing_cluster_is_refused_until_it_fits_then_used_then_left_as_it_was() -> Result<()> {
    let cluster = Existing::start()?;
    let kubeconfig = cluster.kubeconfig();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab/images");

    let deaf = cluster.folder.path().join("deaf");
    std::fs::write(&deaf, std::fs::read_to_string(&kubeconfig)?.replace(":6443", ":6444"))?;
    cluster.refused(&deaf, &["KUBECONFIG=/nowhere is ignored", "does not answer", "6444"])?;
    cluster.refused(
        &kubeconfig,
        &[
            "no node is labelled for bng-01: `kubectl label node NODE lastmile.io/wired=true lastmile.io/bng=bng-01`",
            "no node is labelled for bng-02",
        ],
    )?;
    cluster.kubectl("label node node-1 lastmile.io/bng=bng-01")?;
    cluster.refused(
        &kubeconfig,
        &["node-1 lacks lastmile/bng:", "kind load image-archive", "ip netns attach bng-01 PID"],
    )?;

    cluster.make_fit(&images)?;
    let before = cluster.contents()?;
    cluster.interrupt_install(&kubeconfig)?;
    cluster.as_before(&before)?;

    let (up, said) = cluster.lab_up(&kubeconfig)?;
    ensure!(up, "{said}");
    let sessions = cluster.kubectl("get sessions -n edge --no-headers")?;
    ensure!(sessions.matches("AUTHORIZED").count() == 7, "{sessions}");
    run(lab().args(["exec", "sub-01", "--", "ping", "-c", "1", "198.51.100.10"]))?;
    let down = run(lab().arg("down"))?;
    ensure!(!down.contains("could not be taken out"), "{down}");
    cluster.as_before(&before)
}
