//! The gateway's own load: CPU and memory of its cgroup, version 1 or 2, as a rate over the real interval.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where the kernel says what this process's cgroup uses.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Files {
    /// `cpu.stat`, `memory.current`.
    V2 { folder: PathBuf },
    /// `cpuacct.usage`, `memory.usage_in_bytes`.
    V1 { cpu: PathBuf, memory: PathBuf },
}

/// Reads the load from time to time.
#[derive(Debug)]
pub struct Gauge {
    files: Files,
    last: Option<(Instant, Duration)>,
    cores: f64,
}

impl Gauge {
    /// Finds this process's cgroup.
    pub fn find() -> Self {
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let files = locate(Path::new("/sys/fs/cgroup"), &membership);
        let mut gauge = Self { files, last: None, cores: 0.0 };
        gauge.read();
        gauge
    }

    /// Cores in use since the last call, and octets in use now. What cannot be read is zero.
    pub fn read(&mut self) -> (f64, u64) {
        let now = Instant::now();
        if let Some(used) = self.files.cpu() {
            if let Some((then, before)) = self.last {
                let interval = now.duration_since(then).as_secs_f64();
                if interval > 0.0 {
                    self.cores = used.saturating_sub(before).as_secs_f64() / interval;
                }
            }
            self.last = Some((now, used));
        }
        (self.cores, self.files.memory().unwrap_or(0))
    }
}

impl Files {
    fn cpu(&self) -> Option<Duration> {
        match self {
            Self::V2 { folder } => {
                let text = fs::read_to_string(folder.join("cpu.stat")).ok()?;
                let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(Duration::from_micros(micros.trim().parse().ok()?))
            }
            Self::V1 { cpu, .. } => Some(Duration::from_nanos(number(&cpu.join("cpuacct.usage"))?)),
        }
    }

    fn memory(&self) -> Option<u64> {
        match self {
            Self::V2 { folder } => number(&folder.join("memory.current")),
            Self::V1 { memory, .. } => number(&memory.join("memory.usage_in_bytes")),
        }
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Chooses the files by `/proc/self/cgroup`. In a container with a cgroup namespace of its own (or with only its own cgroup
/// mounted) the path that the kernel names is not below the mount; the mount's top is the container's cgroup then.
fn locate(mount: &Path, membership: &str) -> Files {
    let path_of = |controller: &str| {
        membership.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            controllers.split(',').any(|name| name == controller).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let folder = |top: PathBuf, path: Option<String>, probe: &str| {
        let own = path.map(|path| top.join(path));
        own.filter(|own| own.join(probe).is_file()).unwrap_or(top)
    };
    if mount.join("cgroup.controllers").is_file() {
        return Files::V2 { folder: folder(mount.to_owned(), path_of(""), "cpu.stat") };
    }
    Files::V1 {
        cpu: folder(mount.join("cpuacct"), path_of("cpuacct"), "cpuacct.usage"),
        memory: folder(mount.join("memory"), path_of("memory"), "memory.usage_in_bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: PathBuf, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn version_2_is_read_below_its_one_mount() {
        let mount = tempfile::tempdir().unwrap();
        write(mount.path().join("cgroup.controllers"), "cpu memory");
        write(mount.path().join("pod/cpu.stat"), "usage_usec 1500000\nuser_usec 1\n");
        write(mount.path().join("pod/memory.current"), "4096\n");
        let files = locate(mount.path(), "0::/pod\n");
        assert_eq!((files.cpu(), files.memory()), (Some(Duration::from_millis(1500)), Some(4096)));
    }

    #[test]
    fn version_1_is_read_per_controller_and_from_the_top_where_the_path_is_another_namespaces() {
        let mount = tempfile::tempdir().unwrap();
        write(mount.path().join("cpuacct/kubepods/cpuacct.usage"), "2000000000\n");
        write(mount.path().join("memory/memory.usage_in_bytes"), "77\n");
        let files = locate(mount.path(), "5:memory:/elsewhere\n3:cpu,cpuacct:/kubepods\n");
        assert_eq!((files.cpu(), files.memory()), (Some(Duration::from_secs(2)), Some(77)));
    }

    #[test]
    fn the_load_of_this_very_process_is_there() {
        let mut gauge = Gauge::find();
        let (cores, _) = gauge.read();
        assert!((0.0..=1024.0).contains(&cores));
    }
}
