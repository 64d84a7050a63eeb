//! A subscriber, a gateway and a host behind its uplink, each in a network namespace that goes with the test.

use std::{
    fs::File,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::sched::{CloneFlags, setns};

/// `subscriber` 100.64.1.10 — `gateway` (access0 100.64.1.1, uplink0 192.0.2.1) — `host` 192.0.2.2, and 198.51.100.1 on the host's
/// loopback. Checksums are left as the kernel leaves them; segmentation offload is off, so that counts are of packets on a wire.
pub struct Bench {
    prefix: String,
}

impl Bench {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        let prefix = format!("wnr-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bench = Self { prefix };
        for name in ["subscriber", "gateway", "host"] {
            ip(&format!("netns add {}", bench.name(name)));
            bench.ip(name, "link set lo up");
        }
        bench.wire("subscriber", "eth0", "gateway", "access0");
        bench.wire("host", "eth0", "gateway", "uplink0");
        bench.ip("subscriber", "addr add 100.64.1.10/24 dev eth0");
        bench.ip("subscriber", "route add default via 100.64.1.1");
        bench.ip("gateway", "addr add 100.64.1.1/24 dev access0");
        bench.ip("gateway", "addr add 192.0.2.1/24 dev uplink0");
        bench.ip("gateway", "route add 198.51.100.0/24 via 192.0.2.2");
        bench.ip("host", "addr add 192.0.2.2/24 dev eth0");
        bench.ip("host", "addr add 198.51.100.1/32 dev lo");
        bench.ip("host", "route add default via 192.0.2.1");
        bench.within("gateway", || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        bench
    }

    /// Runs `work` on a thread that stands in the namespace.
    pub fn within<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name(name))).unwrap();
        let enter = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// The same with a tokio runtime.
    pub fn within_async<T: Send>(&self, name: &str, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.within(name, || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
        })
    }

    /// `ip -n NAMESPACE …`
    pub fn ip(&self, name: &str, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name(name)));
    }

    /// A program, in a namespace; what it says.
    pub fn run(&self, name: &str, line: &str) -> String {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        let output = self.within(name, || command.args(words).output().unwrap());
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `nft …`
    pub fn nft(&self, name: &str, arguments: &str) -> String {
        self.run(name, &format!("nft {arguments}"))
    }

    fn wire(&self, left: &str, left_if: &str, right: &str, right_if: &str) {
        let (left_ns, right_ns) = (self.name(left), self.name(right));
        ip(&format!("link add {left_if} netns {left_ns} type veth peer name {right_if} netns {right_ns}"));
        self.ip(left, &format!("link set {left_if} up"));
        self.ip(right, &format!("link set {right_if} up"));
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for name in ["subscriber", "gateway", "host"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(name)]).status();
        }
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
