//! Subscribers, an access node that bridges their ports, the gateway, a host of real Kea servers, and the internet.
//!
//! The gateway runs in the caller's network namespace, where `lab services --` has Redis and FreeRADIUS on loopback; everything
//! else has a namespace of its own. All of it goes with the test.

mod kea;

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use lastmile_bng::journal::{Image, Journal};
use lastmile_types::InstanceId;
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

pub use crate::tools::{drop_database, env, hex, run, wait};
use crate::{
    sql::{psql, url},
    tools::{beside, delete_tables, free_port, keys, output, text_of},
};

pub const INTERNET: Ipv4Addr = Ipv4Addr::new(10, 67, 0, 2);
const SUBSCRIBERS: [&str; 4] = ["sub1", "sub2", "sub3", "sub4"];
const NAMESPACES: [&str; 3] = ["server", "internet", "node"];
/// The DHCP servers' addresses.
pub const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 231, 1, 2), Ipv4Addr::new(10, 231, 1, 3)];
/// The gateway's namespace has room for one.
static ONE: Mutex<()> = Mutex::new(());

pub struct Bed {
    prefix: String,
    /// The gateway's interfaces: access, uplink, DHCP.
    sides: [String; 3],
    metrics: SocketAddr,
    folder: tempfile::TempDir,
    children: Vec<(String, Child)>,
    /// Seconds that the host of the gateway is up longer than this one.
    uptime: u32,
    /// Where the gateway's events go.
    redis: String,
    /// Options that Kea sends to everybody.
    pub options: serde_json::Value,
    _one: MutexGuard<'static, ()>,
}

impl Bed {
    /// Everything but the gateway addresses and the programs.
    pub fn new() -> Self {
        let id = std::process::id();
        let bed = Self {
            prefix: format!("lmb-{id}"),
            sides: ["a", "u", "d"].map(|side| format!("lmb{side}{id}")),
            metrics: free_port(),
            folder: tempfile::tempdir().unwrap(),
            children: Vec::new(),
            uptime: 1_000_000,
            redis: env("LASTMILE_TEST_REDIS"),
            options: json!([]),
            _one: ONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        bed.new_boot_id();
        for name in NAMESPACES.iter().chain(&SUBSCRIBERS) {
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
        for server in SERVERS {
            bed.ip("server", &format!("addr add {server}/24 dev svc0"));
        }
        bed.ip("server", "route add 100.64.0.0/16 via 10.231.1.9");
        bed.ip("node", "link add lan0 type bridge mcast_snooping 0 forward_delay 0");
        bed.ip("node", "link set lan0 up");
        bed.ip("node", "link set up0 master lan0");
        for (number, subscriber) in (1..).zip(SUBSCRIBERS) {
            let port = format!("port{number}");
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

    pub fn dhcp_side(&self) -> &str {
        &self.sides[2]
    }

    /// The subscribers' interface goes down and is up again at once.
    pub fn flap(&self) {
        run(&format!("ip link set {} down", self.access()));
        run(&format!("ip link set {} up", self.access()));
    }

    pub fn gateway(&mut self, trusted: bool) -> usize {
        self.gateway_with(json!({ "trust": { "option82": trusted } }))
    }

    /// With other fields than [`Bed::config`] has.
    pub fn gateway_with(&mut self, fields: serde_json::Value) -> usize {
        let (folder, state) = (self.path("config"), self.path("state"));
        fs::create_dir_all(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir_all(&folder).unwrap();
        let mut config = self.config();
        let fields = fields.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(fields);
        fs::write(folder.join("bng.json"), config.to_string()).unwrap();
        fs::write(folder.join("radius-secret"), env("LASTMILE_TEST_RADIUS_SECRET")).unwrap();
        fs::write(folder.join("radius-password"), env("LASTMILE_TEST_RADIUS_PASSWORD")).unwrap();
        fs::write(folder.join("redis-url"), &self.redis).unwrap();
        keys(&folder);
        let boot_id = self.path("boot_id");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--time", "--boottime", &self.uptime.to_string(), "sh", "-c"]);
        command.arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"").arg(boot_id);
        command.args([env!("CARGO_BIN_EXE_lastmile-bng"), "run", "--config-dir", text_of(&folder)]);
        command.args(["--state-dir", text_of(&state), "--record", text_of(&self.recording())]);
        self.spawn("gateway", command)
    }

    /// The gateway's host reboots, as far as the gateway can see it: what the kernel had of it is gone, boot time begins again.
    pub fn reboot(&mut self) {
        self.uptime = 0;
        self.new_boot_id();
        delete_tables();
        run(&format!("ip neigh flush nud permanent dev {}", self.access()));
    }

    /// Everything that the gateways were told.
    pub fn recording(&self) -> PathBuf {
        self.path("recording")
    }

    fn new_boot_id(&self) {
        fs::write(self.path("boot_id"), format!("{}\n", uuid::Uuid::now_v7())).unwrap();
    }

    /// The journal as a gateway that was killed left it.
    pub fn journal(&self) -> Image {
        Journal::open(&self.path("state"), InstanceId(uuid::Uuid::nil())).unwrap().1
    }

    fn config(&self) -> serde_json::Value {
        let [access, uplink, dhcp] = &self.sides;
        json!({
            "configRevision": "1", "bngId": "edge/bridged", "nasIdentifier": "bridged", "nasIpAddress": "127.0.0.1",
            "interfaces": { "subscriber": access, "uplink": uplink, "dhcp": dhcp }, "accessMode": "Bridged",
            "trust": { "option82": true },
            "pools": [{ "prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": null },
                      { "prefix": "100.64.2.0/24", "gateway": "100.64.2.1", "nextHop": null }],
            "dhcp": { "servers": [SERVERS[0]] },
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

    /// An ingestor of the gateway's own, which keeps what happens in this database.
    pub fn ingestor(&mut self, database: &str) {
        // It takes what it keeps off the stream, and other tests read theirs.
        self.redis = format!("{}/1", env("LASTMILE_TEST_REDIS"));
        let mut redis = redis::Client::open(self.redis.as_str()).unwrap().get_connection().unwrap();
        let () = redis::cmd("FLUSHDB").query(&mut redis).unwrap();
        drop_database(database);
        psql("postgres", &format!("CREATE DATABASE {database}"));
        let ingestor = beside("lastmile-ingestor");
        let environment = [("LASTMILE_DATABASE_URL", url(database)), ("LASTMILE_REDIS_URL", self.redis.clone())];
        let migrated = Command::new(&ingestor).arg("migrate").envs(environment.clone()).status().unwrap();
        assert!(migrated.success());
        let mut command = Command::new(ingestor);
        command.args(["run", "--listen", &free_port().to_string()]).envs(environment);
        self.spawn("ingestor", command);
    }

    /// The access node's relay, without its source guard: what is stopped is stopped by the gateway.
    pub fn relay(&mut self) {
        let config = self.path("relay.json");
        let port = |number| json!({ "interface": format!("port{number}"), "slot": 1, "port": number, "remoteId": format!("line-0{number}") });
        let text = json!({ "router": "ar-01", "mode": "Bridge", "lan": { "interface": "lan0" },
            "uplink": { "interface": "up0" }, "servers": SERVERS, "ports": [port(1), port(2), port(3), port(4)], "sourceGuard": false });
        fs::write(&config, text.to_string()).unwrap();
        let relay = beside("lastmile-relay");
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
        let _ = fs::remove_file(&bound);
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let (leases, pid) = (self.path(&format!("{name}.leases")), self.path(&format!("{name}.pid")));
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

    /// How many echo requests the host behind the uplink has had.
    pub fn echoes(&self) -> u64 {
        let text = output(&format!("ip netns exec {} nstat -asz IcmpInEchos", self.netns("internet")));
        let line = text.lines().find_map(|line| line.strip_prefix("IcmpInEchos")).expect(&text);
        line.split_whitespace().next().and_then(|count| count.parse().ok()).expect(&text)
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
        self.ended_by(child, Signal::SIGKILL);
    }

    /// How a child takes a signal that ends it.
    pub fn ended_by(&mut self, child: usize, signal: Signal) -> ExitStatus {
        self.signal(child, signal);
        self.children[child].1.wait().unwrap()
    }

    /// One number of the gateway's metrics, by its name with labels.
    pub fn metric(&self, name: &str) -> Option<i64> {
        let metrics = self.metrics();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.parse().ok()
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
        delete_tables();
        for name in NAMESPACES.iter().chain(&SUBSCRIBERS) {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(name)]).status();
        }
    }
}
