//! Two subscribers, an access node that bridges their ports, the gateway, a server with real Kea, and the internet.
//!
//! The gateway runs in the caller's network namespace, where `lab services --` has Redis and FreeRADIUS on loopback; everything
//! else has a namespace of its own. All of it goes with the test.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

pub const INTERNET: Ipv4Addr = Ipv4Addr::new(10, 67, 0, 2);
const NAMESPACES: [&str; 5] = ["server", "internet", "node", "sub1", "sub2"];
/// The gateway's namespace has room for one.
static ONE: Mutex<()> = Mutex::new(());

pub struct Bed {
    prefix: String,
    /// The gateway's interfaces: access, uplink, DHCP.
    sides: [String; 3],
    metrics: SocketAddr,
    folder: tempfile::TempDir,
    children: Vec<(String, Child)>,
    _one: MutexGuard<'static, ()>,
}

pub fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test under `lab services --`"))
}

impl Bed {
    /// Everything but the gateway addresses and the programs.
    pub fn new() -> Self {
        env("LASTMILE_TEST_REDIS");
        let id = std::process::id();
        let bed = Self {
            prefix: format!("lmb-{id}"),
            sides: ["a", "u", "d"].map(|side| format!("lmb{side}{id}")),
            metrics: free_port(),
            folder: tempfile::tempdir().unwrap(),
            children: Vec::new(),
            _one: ONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        for name in NAMESPACES {
            run(&format!("ip netns add {}", bed.netns(name)));
            bed.ip(name, "link set lo up");
        }
        let [access, uplink, dhcp] = &bed.sides;
        for (side, name, peer, address) in [
            (access, "node", "up0", None),
            (uplink, "internet", "inet0", Some("10.67.0.1/24")),
            (dhcp, "server", "svc0", Some("10.231.1.9/24")),
        ] {
            run(&format!("ip link add {side} type veth peer name {peer} netns {}", bed.netns(name)));
            run(&format!("ip link set {side} up"));
            bed.ip(name, &format!("link set {peer} up"));
            if let Some(address) = address {
                run(&format!("ip addr add {address} dev {side}"));
            }
        }
        bed.ip("internet", &format!("addr add {INTERNET}/24 dev inet0"));
        bed.ip("internet", "route add default via 10.67.0.1");
        bed.ip("server", "addr add 10.231.1.2/24 dev svc0");
        bed.ip("server", "route add 100.64.0.0/16 via 10.231.1.9");
        bed.ip("node", "link add lan0 type bridge mcast_snooping 0 forward_delay 0");
        bed.ip("node", "link set lan0 up");
        bed.ip("node", "link set up0 master lan0");
        for (subscriber, port) in [("sub1", "port1"), ("sub2", "port2")] {
            let (left, right) = (bed.netns(subscriber), bed.netns("node"));
            run(&format!("ip link add eth0 netns {left} type veth peer name {port} netns {right}"));
            bed.ip(subscriber, "link set eth0 up");
            // Split horizon, as an access node has it.
            bed.ip("node", &format!("link set {port} master lan0 up"));
            bed.ip("node", &format!("link set {port} type bridge_slave isolated on"));
        }
        run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
        bed
    }

    pub fn access(&self) -> &str {
        &self.sides[0]
    }

    /// What a bridged gateway needs on its subscriber interface.
    pub fn gateway_addresses(&self) {
        for address in ["100.64.1.1/24", "100.64.2.1/24"] {
            run(&format!("ip addr add {address} dev {}", self.access()));
        }
    }

    /// A shared network of two subnets; the first has one address.
    pub fn kea(&mut self) {
        let config = self.path("kea.json");
        let subnet = |id, net: &str, pool: &str| {
            json!({ "id": id, "subnet": format!("{net}.0/24"), "pools": [{ "pool": format!("{net}.{pool}") }],
                    "option-data": [{ "name": "routers", "data": format!("{net}.1") }] })
        };
        let text = json!({ "Dhcp4": {
            "interfaces-config": { "interfaces": ["svc0"], "dhcp-socket-type": "udp" },
            "lease-database": { "type": "memfile", "persist": true, "name": self.path("leases.csv"), "lfc-interval": 0 },
            "store-extended-info": true, "valid-lifetime": 600, "authoritative": true,
            "shared-networks": [{ "name": "link", "subnet4": [
                subnet(1, "100.64.1", "10-100.64.1.10"), subnet(2, "100.64.2", "10-100.64.2.99")] }],
            "loggers": [{ "name": "kea-dhcp4", "severity": "INFO", "output_options": [{ "output": "stdout" }] }],
        }});
        fs::write(&config, text.to_string()).unwrap();
        self.start("server", "kea", "kea-dhcp4", &["-c", text_of(&config)]);
        wait("Kea to start", || self.log("kea").contains("DHCP4_STARTED"));
    }

    pub fn gateway(&mut self, trusted: bool) -> usize {
        let (folder, state) = (self.path("config"), self.path("state"));
        if !folder.exists() {
            fs::create_dir_all(&state).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("bng.json"), self.config(trusted).to_string()).unwrap();
            fs::write(folder.join("radius-secret"), env("LASTMILE_TEST_RADIUS_SECRET")).unwrap();
            fs::write(folder.join("radius-password"), env("LASTMILE_TEST_RADIUS_PASSWORD")).unwrap();
            fs::write(folder.join("redis-url"), env("LASTMILE_TEST_REDIS")).unwrap();
            keys(&folder);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_lastmile-bng"));
        command.args(["run", "--config-dir", text_of(&folder), "--state-dir", text_of(&state)]);
        self.spawn("gateway", command)
    }

    fn config(&self, trusted: bool) -> serde_json::Value {
        let [access, uplink, dhcp] = &self.sides;
        json!({
            "configRevision": "1", "bngId": "edge/bridged", "nasIdentifier": "bridged", "nasIpAddress": "127.0.0.1",
            "interfaces": { "subscriber": access, "uplink": uplink, "dhcp": dhcp }, "accessMode": "Bridged",
            "trust": { "option82": trusted },
            "pools": [{ "prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": null },
                      { "prefix": "100.64.2.0/24", "gateway": "100.64.2.1", "nextHop": null }],
            "dhcp": { "servers": ["10.231.1.2"] },
            "radius": { "servers": [{ "auth": env("LASTMILE_TEST_RADIUS"), "acct": env("LASTMILE_TEST_RADIUS_ACCT"),
                                      "secretFile": "radius-secret", "requireMessageAuthenticator": true }],
                        "passwordFile": "radius-password", "userNameTemplate": env("LASTMILE_TEST_RADIUS_USER"),
                        "timeoutMs": 1000, "retries": 2 },
            "accounting": { "interimSeconds": 60, "idleAfterSeconds": 300, "healthSeconds": 10 },
            "eventBus": { "urlFile": "redis-url" }, "kea": null,
            "routers": { "nameSeparator": "|", "livenessSeconds": 10 },
            "policies": [{ "name": "gold", "filterId": "gold", "default": true, "rates": {}, "idleTimeoutSeconds": null,
                           "sessionTimeoutSeconds": null, "interimSeconds": null }],
            "protected": ["10.231.1.0/24"],
            "status": { "listen": free_port(), "metricsListen": self.metrics, "certFile": "tls.crt", "keyFile": "tls.key",
                        "caFile": "ca.crt" },
        })
    }

    /// The access node's relay, without its source guard: what is stopped is stopped by the gateway.
    pub fn relay(&mut self) {
        let config = self.path("relay.json");
        let port = |number| json!({ "interface": format!("port{number}"), "slot": 1, "port": number, "remoteId": format!("line-0{number}") });
        let text = json!({ "router": "ar-01", "mode": "Bridge", "lan": { "interface": "lan0" },
            "uplink": { "interface": "up0" }, "servers": ["10.231.1.2"], "ports": [port(1), port(2)], "sourceGuard": false });
        fs::write(&config, text.to_string()).unwrap();
        let relay = Path::new(env!("CARGO_BIN_EXE_lastmile-bng")).with_file_name("lastmile-relay");
        assert!(relay.exists(), "{} is not built: cargo build -p lastmile-relay", relay.display());
        self.start("node", "relay", text_of(&relay), &["run", "--config", text_of(&config)]);
        wait("the relay to start", || self.log("relay").contains("relaying"));
    }

    /// dhclient or udhcpc on a subscriber's interface.
    pub fn client(&mut self, name: &str, program: &str) -> usize {
        let (script, bound) = (self.path(&format!("{name}.sh")), self.path(&format!("{name}.bound")));
        let text = format!(
            "#!/bin/sh\n\
             case \"${{reason:-$1}}\" in BOUND|bound|renew|RENEW) ;; *) exit 0 ;; esac\n\
             ip addr replace \"${{new_ip_address:-$ip}}/24\" dev eth0\n\
             ip route replace default via \"${{new_routers:-$router}}\"\n\
             echo \"${{new_ip_address:-$ip}}\" > {}\n",
            bound.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let (leases, pid) = (self.path("dhclient.leases"), self.path("dhclient.pid"));
        let arguments = match program {
            "dhclient" => {
                vec!["-d", "-4", "-sf", text_of(&script), "-lf", text_of(&leases), "-pf", text_of(&pid), "eth0"]
            }
            _ => vec!["-f", "-R", "-i", "eth0", "-s", text_of(&script)],
        };
        self.start(name, name, program, &arguments)
    }

    pub fn bound(&self, name: &str) -> Ipv4Addr {
        let file = self.path(&format!("{name}.bound"));
        let read = || fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        wait(&format!("{name} to be bound"), || read().is_some());
        read().unwrap()
    }

    /// The last line that Kea wrote about an address, in capitals.
    pub fn lease(&self, ip: Ipv4Addr) -> String {
        let leases = fs::read_to_string(self.path("leases.csv")).unwrap().to_uppercase();
        leases.lines().rfind(|lease| lease.starts_with(&format!("{ip},"))).unwrap_or_default().to_owned()
    }

    /// Whether the internet answers a subscriber.
    pub fn online(&self, name: &str) -> bool {
        self.online_from(name, "eth0")
    }

    /// Likewise, from one of his addresses.
    pub fn online_from(&self, name: &str, from: &str) -> bool {
        let netns = self.netns(name);
        let mut ping = Command::new("ip");
        ping.args(["netns", "exec", &netns, "ping", "-c", "1", "-W", "1", "-I", from, &INTERNET.to_string()]);
        ping.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    pub fn mac(&self, name: &str) -> String {
        let link = output(&format!("ip -n {} -o link show eth0", self.netns(name)));
        link.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap().to_owned()
    }

    /// What the gateway's kernel knows of an address.
    pub fn neighbour(&self, ip: Ipv4Addr) -> String {
        output(&format!("ip neigh show {ip} dev {}", self.access()))
    }

    pub fn signal(&mut self, child: usize, signal: Signal) {
        kill(Pid::from_raw(self.children[child].1.id() as i32), signal).unwrap();
    }

    pub fn killed(&mut self, child: usize) {
        self.signal(child, Signal::SIGKILL);
        self.children[child].1.wait().unwrap();
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> String {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bng\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer
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

    pub fn ip(&self, name: &str, arguments: &str) {
        run(&format!("ip -n {} {arguments}", self.netns(name)));
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn netns(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self, netns: &str, name: &str, program: &str, arguments: &[&str]) -> usize {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns(netns), program]).args(arguments);
        command.env("KEA_PIDFILE_DIR", self.folder.path()).env("KEA_LOCKFILE_DIR", self.folder.path());
        self.spawn(name, command)
    }

    fn spawn(&mut self, name: &str, mut command: Command) -> usize {
        let log = self.path(&format!("{name}.log"));
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push((name.to_owned(), command.spawn().unwrap()));
        self.children.len() - 1
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for (name, child) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
            if thread::panicking() {
                let log = fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
                eprintln!("--- {name}\n{log}");
            }
        }
        for side in &self.sides {
            let _ = Command::new("ip").args(["link", "del", side]).status();
        }
        for family in ["ip", "ip6"] {
            let table = ["delete", "table", family, "lastmile_edge_bridged"];
            let _ = Command::new("nft").args(table).stderr(Stdio::null()).status();
        }
        for name in NAMESPACES {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(name)]).status();
        }
    }
}

/// A CA, and the gateway's certificate.
fn keys(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["bridged.edge.bng.lastmile.io".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn run(command: &str) {
    output(command);
}

fn output(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited 30 s for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}
