//! Keeping the nodes' programs away from the machine: what they would write at fixed places of the file system or
//! set in the kernel goes, in the lab's mount namespace, to places of the lab's own.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::ClusterContext;

/// Folders that containerd, its CNI and the kubelet use without asking. An empty tmpfs is put over each.
const FIXED_PLACES: [&str; 4] = ["/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"];
/// Where BNG pods keep their state, by `hostPath`. It is the lab's, not the machine's.
const PRODUCT_STATE: &str = "/var/lib/lastmile";
/// What a kubelet sets for the whole kernel when it finds something else. It is shown what it wants to find: the
/// machine's real settings stay as they are.
const KERNEL_SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];
/// Marks a mount point that the lab made, so that only those are removed again.
const MADE_LIST: &str = "mount-points";

/// Puts the lab's own places over the machine's. Must run in the lab's mount namespace.
pub fn isolate(context: &ClusterContext) -> Result<()> {
    for folder in [&context.run, &context.sockets] {
        make_private(folder)?;
    }
    for place in FIXED_PLACES.map(Path::new) {
        make_mount_point(context, place)?;
        mount(Some("lastmile-lab"), place, Some("tmpfs"), MsFlags::empty(), Some("mode=0711"))
            .with_context(|| format!("mount over {}", place.display()))?;
    }
    let state = context.layout().product_state();
    make_private(&state)?;
    make_mount_point(context, Path::new(PRODUCT_STATE))?;
    bind(&state, Path::new(PRODUCT_STATE))?;
    show_kernel_settings(context)
}

fn show_kernel_settings(context: &ClusterContext) -> Result<()> {
    let folder = context.run.join("kernel-settings");
    make_private(&folder)?;
    for (setting, value) in KERNEL_SETTINGS {
        let shown = folder.join(setting.replace('/', "."));
        fs::write(&shown, format!("{value}\n"))?;
        bind(&shown, &Path::new("/proc/sys").join(setting))?;
    }
    Ok(())
}

fn make_private(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("make {}", folder.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("mount {} over {}", from.display(), to.display()))
}

fn make_mount_point(context: &ClusterContext, place: &Path) -> Result<()> {
    if !place.is_dir() {
        fs::create_dir_all(place).with_context(|| format!("make {}", place.display()))?;
        let list = context.run.join(MADE_LIST);
        let made = fs::read_to_string(&list).unwrap_or_default();
        fs::write(&list, format!("{made}{}\n", place.display()))?;
    }
    Ok(())
}

/// Unmounts everything that is mounted below the lab's folders and over the machine's places.
pub fn release(context: &ClusterContext) {
    let mut points = mount_points();
    points.reverse();
    let ours = |point: &Path| {
        point.starts_with(&context.run)
            || point.starts_with(&context.sockets)
            || FIXED_PLACES.iter().any(|place| point.starts_with(place))
            || point.starts_with(PRODUCT_STATE)
            || KERNEL_SETTINGS.iter().any(|(setting, _)| point == Path::new("/proc/sys").join(setting))
    };
    for point in points.iter().filter(|point| ours(point)) {
        let _ = umount2(point, MntFlags::MNT_DETACH);
    }
}

/// Removes the empty folders that the lab made to mount over.
pub fn remove_mount_points(context: &ClusterContext) {
    let list = context.run.join(MADE_LIST);
    let Ok(made) = fs::read_to_string(&list) else { return };
    for place in made.lines() {
        let _ = fs::remove_dir(place);
    }
    let _ = fs::remove_file(list);
}

/// The snapshotter that works below `root`: overlayfs, where the file system can hold one.
pub fn snapshotter(root: &Path) -> &'static str {
    let probe = root.join(".overlay-probe");
    let layers = ["lower", "upper", "work", "merged"].map(|layer| probe.join(layer));
    let works = layers.iter().all(|layer| fs::create_dir_all(layer).is_ok()) && {
        let [lower, upper, work, merged] = &layers;
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let mounted = mount(Some("overlay"), merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())).is_ok();
        mounted && umount2(merged, MntFlags::MNT_DETACH).is_ok()
    };
    let _ = fs::remove_dir_all(&probe);
    if works { "overlayfs" } else { "native" }
}

/// Every mount point, in the order of mounting.
fn mount_points() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescape(point))).collect()
}

/// The kernel writes blanks and backslashes of a path as octal escapes.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}
