//! Two subscribers, a router or an access node that bridges their ports, and a server, each in a network namespace that goes with the test.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use lastmile_netio::capture::{Batch, Capture, Filter};
use lastmile_types::relay::Mode;
use lastmile_wire::{
    dhcp::{Message, MessageType},
    frame::{Checksum, parse},
};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const SUBSCRIBERS: [&str; 2] = ["sub1", "sub2"];

/// The server, and who answers as one.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
/// The giaddr.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);

/// Namespaces and processes that go with the test.
pub struct Bench {
    prefix: String,
    folder: tempfile::TempDir,
    mode: Mode,
    pub children: Vec<Child>,
}

/// What the server was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: MessageType,
    pub src: Ipv4Addr,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    /// Empty = none.
    pub circuit_id: String,
}

impl Bench {
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("wnr-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bench = Self { prefix, folder: tempfile::tempdir().unwrap(), mode: Mode::Route, children: Vec::new() };
        for name in ["server", "router", "sub1", "sub2"] {
            run(&format!("ip netns add {}", bench.netns(name)));
            bench.ip(name, "link set lo up");
        }
        bench.ip("router", "link add lan0 type bridge");
        bench.ip("router", "link set lan0 up");
        bench.ip("router", "addr add 100.64.1.1/24 dev lan0");
        bench.wire("server", "svc0", "up0");
        for (index, subscriber) in SUBSCRIBERS.into_iter().enumerate() {
            let port = format!("port{}", index + 1);
            bench.wire(subscriber, "eth0", &port);
            // Not isolated: that the ports do not hear each other's DHCP is the relay's doing here.
            bench.ip("router", &format!("link set {port} master lan0"));
        }
        bench.ip("server", "addr add 10.231.1.2/24 dev svc0");
        bench.ip("server", "route add 100.64.1.0/24 via 10.231.1.9");
        bench.ip("router", "addr add 10.231.1.9/24 dev up0");
        run(&format!("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1", bench.netns("router")));
        bench
    }

    /// The router is an access node: the server, and gateway, is on the subscribers' link.
    pub fn bridged() -> Self {
        let mut bench = Self::new();
        bench.mode = Mode::Bridge;
        bench.ip("router", "addr flush dev lan0");
        bench.ip("router", "addr flush dev up0");
        bench.ip("router", "link set up0 master lan0");
        bench.ip("server", "route del 100.64.1.0/24");
        bench.ip("server", "addr add 100.64.1.1/24 dev svc0");
        bench
    }

    /// Whose neighbours the subscribers are.
    pub fn gateway(&self) -> &'static str {
        match self.mode {
            Mode::Route => "router",
            Mode::Bridge => "server",
        }
    }

    fn netns(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ip(&self, name: &str, arguments: &str) {
        run(&format!("ip -n {} {arguments}", self.netns(name)));
    }

    fn wire(&self, name: &str, interface: &str, router: &str) {
        let (left, right) = (self.netns(name), self.netns("router"));
        run(&format!("ip link add {interface} netns {left} type veth peer name {router} netns {right}"));
        self.ip(name, &format!("link set {interface} up"));
        self.ip("router", &format!("link set {router} up"));
    }

    /// Starts a program in a namespace; its place in `children`.
    pub fn start(&mut self, name: &str, program: &str, arguments: &[&str]) -> usize {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns(name), program]).args(arguments);
        command.env("KEA_PIDFILE_DIR", self.folder.path()).env("KEA_LOCKFILE_DIR", self.folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().unwrap());
        self.children.len() - 1
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    pub fn kea(&mut self) {
        let config = self.path("kea.json");
        let leases = self.path("leases.csv");
        // Who has no address yet is answered by a raw socket only.
        let socket = if self.mode == Mode::Route { "udp" } else { "raw" };
        let text = format!(
            r#"{{ "Dhcp4": {{
                "interfaces-config": {{ "interfaces": ["svc0/{SERVER}"], "dhcp-socket-type": "{socket}" }},
                "lease-database": {{ "type": "memfile", "persist": true, "name": "{}", "lfc-interval": 0 }},
                "store-extended-info": true, "valid-lifetime": 600,
                "subnet4": [{{ "id": 1, "subnet": "100.64.1.0/24", "interface": "svc0", "pools": [{{ "pool": "100.64.1.10-100.64.1.99" }}],
                    "option-data": [{{ "name": "routers", "data": "100.64.1.1" }}] }}],
                "loggers": [{{ "name": "kea-dhcp4", "severity": "INFO", "output_options": [{{ "output": "stdout" }}] }}]
            }} }}"#,
            leases.display()
        );
        fs::write(&config, text).unwrap();
        self.start("server", "kea-dhcp4", &["-c", config.to_str().unwrap()]);
        wait("Kea to start", || self.log("server").contains("DHCP4_STARTED"));
    }

    pub fn relay(&mut self) -> usize {
        self.relay_with(r#""sourceGuard": true"#)
    }

    /// The relay with a member more in its configuration.
    pub fn relay_with(&mut self, member: &str) -> usize {
        let config = self.path("relay.json");
        let text = r#"{ "router": "ar-01", "lan": { "interface": "lan0", "address": "100.64.1.1" },
            "uplink": { "interface": "up0", "address": "10.231.1.9" }, "servers": ["10.231.1.2"],
            "ports": [ { "interface": "port1", "slot": 1, "port": 1, "remoteId": "line-01" },
                       { "interface": "port2", "slot": 1, "port": 2, "remoteId": "line-02" } ] }"#;
        fs::write(&config, text.replacen('{', &format!(r#"{{ "mode": "{:?}", {member},"#, self.mode), 1)).unwrap();
        let arguments = ["run", "--config", config.to_str().unwrap()];
        let relay = self.start("router", env!("CARGO_BIN_EXE_lastmile-relay"), &arguments);
        wait("the relay to start", || self.log("router").contains("relaying"));
        relay
    }

    /// dhclient or udhcpc on a subscriber's interface; its place in `children`.
    pub fn client(&mut self, name: &str, program: &str) -> usize {
        let (script, leases, pid) = (self.script(name), self.path("dhclient.leases"), self.path("dhclient.pid"));
        match program {
            "dhclient" => {
                let files = ["-sf", text(&script), "-lf", text(&leases), "-pf", text(&pid)];
                self.start(name, program, &[&["-d", "-4"], &files[..], &["eth0"]].concat())
            }
            _ => self.start(name, program, &["-f", "-R", "-i", "eth0", "-s", text(&script)]),
        }
    }

    pub fn signal(&self, child: usize, signal: Signal) {
        kill(Pid::from_raw(self.children[child].id() as i32), signal).unwrap();
    }

    /// Runs `work` on a thread that stands in the namespace.
    pub fn within<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(format!("/run/netns/{}", self.netns(name))).unwrap();
        let enter = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// What a program prints in a namespace.
    pub fn output(&self, name: &str, command: &str) -> String {
        let netns = self.netns(name);
        let words = ["netns", "exec", &netns].into_iter().chain(command.split(' '));
        let output = Command::new("ip").args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Everything that clients and relays send to the server, from now on. The thread ends with the process.
    pub fn sniff(&self) -> Receiver<Seen> {
        let namespace = fs::File::open(format!("/run/netns/{}", self.netns("server"))).unwrap();
        let ((seen, receiver), (ready, started)) = (channel(), channel());
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (capture, mut batch) = (Capture::open("svc0", Filter::DhcpFromClients).unwrap(), Batch::new());
                ready.send(()).unwrap();
                while capture.recv(&mut batch).await.is_ok() {
                    batch.frames().for_each(|frame| drop(seen.send(describe(frame.bytes))));
                }
            });
        });
        started.recv().unwrap();
        receiver
    }

    /// A script for both clients that configures the address and writes it down.
    pub fn script(&self, name: &str) -> PathBuf {
        let (script, bound) = (self.path(&format!("{name}.sh")), self.path(&format!("{name}.bound")));
        let text = format!(
            "#!/bin/sh\n\
             case \"${{reason:-$1}}\" in BOUND|bound|renew|RENEW) ;; *) exit 0 ;; esac\n\
             ip addr add \"${{new_ip_address:-$ip}}/24\" dev eth0 2>/dev/null\n\
             ip route replace default via 100.64.1.1\n\
             echo \"${{new_ip_address:-$ip}}\" > {}\n",
            bound.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    pub fn bound(&self, name: &str) -> String {
        let file = self.path(&format!("{name}.bound"));
        wait(&format!("{name} to be bound"), || file.exists());
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    pub fn leases(&self) -> String {
        fs::read_to_string(self.path("leases.csv")).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in ["server", "router", "sub1", "sub2"] {
            if thread::panicking() {
                eprintln!("--- {name}\n{}", self.log(name));
            }
            let _ = Command::new("ip").args(["netns", "del", &self.netns(name)]).status();
        }
    }
}

fn describe(bytes: &[u8]) -> Seen {
    let frame = parse(bytes, Checksum::Unfinished).unwrap();
    let message = Message::parse(frame.payload).unwrap();
    let circuit = message.option82().unwrap().and_then(|option| option.circuit_id().map(<[u8]>::to_vec));
    Seen {
        kind: message.message_type(),
        src: frame.src,
        ciaddr: message.ciaddr(),
        giaddr: message.giaddr(),
        circuit_id: String::from_utf8(circuit.unwrap_or_default()).unwrap(),
    }
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "waited 20 s for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
