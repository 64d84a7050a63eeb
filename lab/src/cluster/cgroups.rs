//! The nodes' control groups. Two kubelets on one kernel each need a root of their own in every hierarchy, made
//! beforehand; version 1, version 2 and both at once are found by what is mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;

const MOUNT: &str = "/sys/fs/cgroup";
/// The group that holds the nodes' groups.
const PARENT: &str = "lastmile-lab";
/// How long killed processes may take to leave their groups.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long groups may take to empty before they are left behind.
const REMOVE_LIMIT: Duration = Duration::from_secs(2);

/// The path of a node's group inside each hierarchy, as the kubelet wants it.
pub fn path(node: &str) -> String {
    format!("/{PARENT}/{node}")
}

/// Makes a node's group in every hierarchy.
pub fn create(node: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let parent = hierarchy.join(PARENT);
        let group = parent.join(node);
        fs::create_dir_all(&group).with_context(|| format!("make {}", group.display()))?;
        // A version 1 group of the cpuset controller takes no process before its sets are filled.
        for (above, below) in [(&hierarchy, &parent), (&parent, &group)] {
            for set in ["cpuset.cpus", "cpuset.mems"] {
                inherit(above, below, set)?;
            }
            enable_controllers(above);
        }
        enable_controllers(&group);
    }
    Ok(())
}

/// Kills every process of a node's pods and waits until they are gone.
pub fn kill(node: &str) {
    let end = Instant::now() + KILL_LIMIT;
    loop {
        let pids = processes(node);
        if pids.is_empty() || Instant::now() > end {
            return;
        }
        for pid in pids {
            let _ = send(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Removes a node's group and all groups in it; those that hold a process stay.
pub fn remove(node: &str) {
    // A process that was just killed holds its group for a moment.
    let end = Instant::now() + REMOVE_LIMIT;
    loop {
        let groups = hierarchies().into_iter().map(|hierarchy| hierarchy.join(PARENT).join(node));
        let left: Vec<_> = groups.filter(|group| group.is_dir()).collect();
        if left.is_empty() || Instant::now() > end {
            return;
        }
        left.iter().for_each(|group| remove_tree(group));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Removes the group that held the nodes' groups, once it is empty.
pub fn remove_parent() {
    for hierarchy in hierarchies() {
        let _ = fs::remove_dir(hierarchy.join(PARENT));
    }
}

/// Every mounted hierarchy: one folder each in version 1, the mount itself in version 2. Links (`cpu`) are skipped.
fn hierarchies() -> Vec<PathBuf> {
    let mount = PathBuf::from(MOUNT);
    if mount.join("cgroup.controllers").is_file() {
        return vec![mount];
    }
    folders(&mount).into_iter().filter(|folder| folder.join("cgroup.procs").is_file()).collect()
}

fn inherit(above: &Path, below: &Path, set: &str) -> Result<()> {
    let file = below.join(set);
    let is_empty = fs::read_to_string(&file).is_ok_and(|content| content.trim().is_empty());
    if is_empty && above.join("cgroup.clone_children").is_file() {
        let value = fs::read_to_string(above.join(set))?;
        fs::write(&file, value.trim()).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// Version 2: hands every controller down. One that cannot be handed down is missed by the kubelet, which says so.
fn enable_controllers(group: &Path) {
    let Ok(controllers) = fs::read_to_string(group.join("cgroup.controllers")) else { return };
    for controller in controllers.split_whitespace() {
        let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

fn processes(node: &str) -> Vec<Pid> {
    let mut groups: Vec<_> = hierarchies().into_iter().map(|hierarchy| hierarchy.join(PARENT).join(node)).collect();
    let mut pids = Vec::new();
    while let Some(group) = groups.pop() {
        let content = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        // 0 stands for a process of another PID namespace: not one of ours.
        pids.extend(content.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        groups.extend(folders(&group));
    }
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(Pid::from_raw).collect()
}

fn remove_tree(group: &Path) {
    for below in folders(group) {
        remove_tree(&below);
    }
    let _ = fs::remove_dir(group);
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}
