//! A subscriber, a gateway and a host behind its uplink, each in a network namespace that goes with the test.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    process::Command,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};

/// `subscriber` 100.64.1.10 — `gateway` (access0 100.64.1.1, uplink0 192.0.2.1) — `host` 192.0.2.2, and 198.51.100.1 on the host's
/// loopback. Checksums are left as the kernel leaves them; segmentation offload is off, so that counts are of packets on a wire.
pub struct Bench {
    prefix: String,
    names: Vec<&'static str>,
    _turn: Turn,
}

/// The machine while a figure is measured belongs to that test alone; others share it.
static TURNS: RwLock<()> = RwLock::new(());

enum Turn {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// Measures until the figure is good, three times at most: other work on the machine spoils one, what is wrong spoils all.
pub fn measured<T: std::fmt::Debug>(what: &str, good: impl Fn(&T) -> bool, mut measure: impl FnMut() -> T) {
    let mut figures = Vec::new();
    for _ in 0..3 {
        let figure = measure();
        println!("{what}: {figure:?}");
        if good(&figure) {
            return;
        }
        figures.push(figure);
    }
    panic!("{what}: {figures:?}");
}

impl Bench {
    pub fn new() -> Self {
        Self::build(Turn::Shared { _guard: TURNS.read().unwrap_or_else(PoisonError::into_inner) })
    }

    /// While no other test of this program runs.
    pub fn alone() -> Self {
        Self::build(Turn::Alone { _guard: TURNS.write().unwrap_or_else(PoisonError::into_inner) })
    }

    fn build(turn: Turn) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        let prefix = format!("wnr-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut bench = Self { prefix, names: Vec::new(), _turn: turn };
        ["subscriber", "gateway", "host"].into_iter().for_each(|name| bench.add(name));
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

    /// `pod` 10.244.1.2, another one that the gateway's node forwards for (cni0 10.244.1.1).
    pub fn add_pod(&mut self) {
        self.attach("pod", "cni0", "10.244.1");
    }

    /// `server` 10.231.1.2, a DHCP server's place (dhcp0 10.231.1.1).
    pub fn add_server(&mut self) {
        self.attach("server", "dhcp0", "10.231.1");
    }

    fn attach(&mut self, name: &'static str, interface: &str, network: &str) {
        self.add(name);
        self.wire(name, "eth0", "gateway", interface);
        self.ip(name, &format!("addr add {network}.2/24 dev eth0"));
        self.ip(name, &format!("route add default via {network}.1"));
        self.ip("gateway", &format!("addr add {network}.1/24 dev {interface}"));
    }

    fn add(&mut self, name: &'static str) {
        ip(&format!("netns add {}", self.name(name)));
        self.ip(name, "link set lo up");
        self.names.push(name);
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

    /// `nft …`; whole tables as well.
    pub fn nft(&self, name: &str, arguments: &str) -> String {
        let output = self.within(name, || Command::new("nft").arg(arguments).output().unwrap());
        assert!(output.status.success(), "nft {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
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
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", &self.name(name)]).status();
        }
    }
}

/// Says who it is to everybody who connects, as long as the test runs.
pub fn listen(bench: &Bench, namespace: &str, address: (Ipv4Addr, u16), name: &'static str) {
    let listener = bench.within(namespace, || TcpListener::bind(address).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(name.as_bytes()));
        }
    });
}

/// Who answers there.
pub fn ask(bench: &Bench, from: &str, address: Ipv4Addr, port: u16) -> Option<String> {
    bench.within(from, || {
        let to = SocketAddrV4::new(address, port).into();
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(400)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut name = String::new();
        stream.read_to_string(&mut name).ok()?;
        Some(name)
    })
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
