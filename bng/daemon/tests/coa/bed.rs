//! A gateway as its pod runs it, in a network namespace of its own, and beside it the RADIUS server's host.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use lastmile_bng::journal::{Image, Journal};
use lastmile_types::{InstanceId, config::BngConfig};
use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sessions;

pub const NAS: Ipv4Addr = Ipv4Addr::new(10, 231, 0, 11);
pub const COA: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(NAS), 3799);
/// A listed client with the secret `SECRET`.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 231, 0, 2);
/// Another, of whom everything is required; its secret is `STRICT_SECRET`.
pub const STRICT: Ipv4Addr = Ipv4Addr::new(10, 231, 0, 3);
/// Not listed.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 231, 0, 9);
pub const SECRET: &str = "testing123";
pub const STRICT_SECRET: &str = "another-secret";

/// Two namespaces, a folder, and the gateway's process: all go with the test.
pub struct Bed {
    prefix: String,
    folder: tempfile::TempDir,
    gateway: Option<Child>,
}

impl Bed {
    /// A gateway that goes on with the sessions of [`sessions::seed`].
    pub fn new() -> Self {
        let bed = Self::without_gateway();
        bed.configure(&config());
        sessions::seed(&bed.state(), &parsed(&config()), false);
        bed.running()
    }

    /// All but the gateway and its sessions.
    pub fn without_gateway() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
        let prefix = format!("wnc-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bed = Self { prefix, folder: tempfile::tempdir().unwrap(), gateway: None };
        for name in ["gateway", "servers"] {
            run(&format!("ip netns add {}", bed.netns(name)));
            bed.ip(name, "link set lo up");
        }
        for (interface, address) in [
            ("mgmt0", "10.231.0.11/24"),
            ("access0", "10.231.11.1/24"),
            ("uplink0", "192.0.2.1/24"),
            ("dhcp0", "10.231.1.11/24"),
        ] {
            let (gateway, servers) = (bed.netns("gateway"), bed.netns("servers"));
            run(&format!("ip link add {interface} netns {gateway} type veth peer name {interface} netns {servers}"));
            bed.ip("gateway", &format!("addr add {address} dev {interface}"));
            bed.ip("gateway", &format!("link set {interface} up"));
            bed.ip("servers", &format!("link set {interface} up"));
        }
        for address in [CLIENT, STRICT, STRANGER] {
            bed.ip("servers", &format!("addr add {address}/24 dev mgmt0"));
        }
        fs::create_dir(bed.config_dir()).unwrap();
        write_keys(&bed.config_dir());
        bed
    }

    pub fn running(mut self) -> Self {
        self.start();
        self
    }

    pub fn start(&mut self) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns("gateway"), env!("CARGO_BIN_EXE_lastmile-bng"), "run"]);
        command.arg("--config-dir").arg(self.config_dir()).arg("--state-dir").arg(self.state());
        let log = File::create(self.folder.path().join("log")).unwrap();
        self.gateway = Some(command.env("LASTMILE_LOG", "debug").stderr(log).stdin(Stdio::null()).spawn().unwrap());
        self.eventually("the gateway serves metrics", || self.metrics().is_some());
        self.eventually("the gateway says whether it takes CoA", || {
            self.metric("lastmile_bng_condition{type=\"CoaListening\"}").is_some_and(|value| value >= 0)
        });
    }

    /// `kill -9`: what is left is the journal and the kernel.
    pub fn kill(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.kill().unwrap();
            gateway.wait().unwrap();
        }
    }

    pub fn configure(&self, config: &Value) {
        let write = |name: &str, content: &str| {
            let new = self.folder.path().join("new");
            fs::write(&new, content).unwrap();
            fs::rename(new, self.config_dir().join(name)).unwrap();
        };
        for (name, content) in [
            ("coa-secret-0", SECRET),
            ("coa-secret-1", STRICT_SECRET),
            ("radius-secret", "unused"),
            ("radius-password", "unused"),
            ("redis-url", "redis://10.231.0.3:6379"),
        ] {
            write(name, content);
        }
        write("bng.json", &config.to_string());
    }

    /// The journal as a killed gateway left it.
    pub fn journal(&self) -> Image {
        assert!(self.gateway.is_none(), "the gateway has it");
        Journal::open(&self.state(), InstanceId(Uuid::nil())).unwrap().1
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn config_dir(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn netns(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn ip(&self, name: &str, arguments: &str) {
        run(&format!("ip -n {} {arguments}", self.netns(name)));
    }

    /// Runs `work` on a thread that stands in the namespace.
    pub fn within<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.netns(name))).unwrap();
        let enter = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// What a program prints in the namespace.
    pub fn output(&self, name: &str, program: &str, arguments: &[&str]) -> String {
        let output = self.within(name, || Command::new(program).args(arguments).output().unwrap());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// One request by FreeRADIUS' radclient, and what it shows of the answer.
    pub fn radclient(&self, from: Ipv4Addr, kind: &str, secret: &str, attributes: &str) -> Answer {
        let request = format!("Packet-Src-IP-Address = {from}\n{attributes}\n");
        let text = self.within("servers", || {
            let mut command = Command::new("radclient");
            command.args(["-x", "-t", "1", "-r", "1", &COA.to_string(), kind, secret]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("freeradius-utils is installed");
            child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        });
        Answer { text }
    }

    /// A socket of the listed client's, towards the gateway.
    pub fn client_socket(&self) -> UdpSocket {
        let socket = self.within("servers", || UdpSocket::bind((CLIENT, 0)).unwrap());
        socket.connect(COA).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    fn metrics(&self) -> Option<String> {
        self.within("servers", || {
            let mut stream = TcpStream::connect_timeout(&(NAS, 9100).into(), Duration::from_secs(1)).ok()?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok().map(|_| text)
        })
    }

    /// One number of `/metrics`, by its name with labels.
    pub fn metric(&self, name: &str) -> Option<i64> {
        let text = self.metrics()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Waits until so many requests were dropped under this label.
    pub fn dropped(&self, label: &str, count: i64) {
        let name = format!("lastmile_bng_dropped_total{{reason=\"coa-{label}\"}}");
        self.eventually(&format!("{name} is {count}"), || self.metric(&name) == Some(count));
    }

    pub fn eventually(&self, what: &str, check: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !check() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "never: {what}\n{}\n{}", self.metrics().unwrap_or_default(), log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.kill();
        for name in ["gateway", "servers"] {
            let _ = Command::new("ip").args(["netns", "del", &self.netns(name)]).status();
        }
    }
}

/// What radclient said.
pub struct Answer {
    pub text: String,
}

impl Answer {
    /// `CoA-ACK`, `Disconnect-NAK 503`, …; empty when nothing came.
    pub fn outcome(&self) -> String {
        let Some((_, received)) = self.text.split_once("\nReceived ") else { return String::new() };
        let code = received.split(' ').next().unwrap_or_default();
        let cause = received.split_once("Error-Cause = ").and_then(|(_, cause)| cause.split_whitespace().next());
        [Some(code), cause].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

pub fn config() -> Value {
    json!({
        "configRevision": "1", "bngId": "edge/bng-01", "nasIdentifier": "bng-01", "nasIpAddress": NAS,
        "interfaces": {"subscriber": "access0", "uplink": "uplink0", "dhcp": "dhcp0"}, "accessMode": "Routed",
        "pools": [{"prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": "10.231.11.2"}],
        "dhcp": {"servers": ["10.231.1.2"]},
        "radius": {"servers": [{"auth": "10.231.0.3:1812", "acct": "10.231.0.3:1813", "secretFile": "radius-secret", "requireMessageAuthenticator": true}],
                   "passwordFile": "radius-password", "userNameTemplate": "{nas}/{remote}/{circuit}", "timeoutMs": 1000, "retries": 0},
        "accounting": {"interimSeconds": 60, "idleAfterSeconds": 30, "healthSeconds": 10},
        "eventBus": {"urlFile": "redis-url"}, "kea": null, "routers": {"nameSeparator": "|", "livenessSeconds": 10},
        "policies": [
            {"name": "gold", "filterId": null, "default": false, "rates": {"downKbps": 50000, "upKbps": 10000},
             "idleTimeoutSeconds": null, "sessionTimeoutSeconds": null, "interimSeconds": null},
            {"name": "basic", "filterId": null, "default": true, "rates": {"downKbps": 1000}, "idleTimeoutSeconds": null,
             "sessionTimeoutSeconds": null, "interimSeconds": null}],
        "protected": [],
        "status": {"listen": format!("{NAS}:9443"), "metricsListen": format!("{NAS}:9100"), "certFile": "tls.crt", "keyFile": "tls.key", "caFile": "ca.crt"},
        "coa": {
            "listen": COA, "windowSeconds": 300,
            "clients": [
                {"network": "10.231.0.2/32", "secretFile": "coa-secret-0"},
                {"network": "10.231.0.3/32", "secretFile": "coa-secret-1", "requireMessageAuthenticator": true},
            ],
        },
    })
}

pub fn parsed(config: &Value) -> BngConfig {
    let config: BngConfig = serde_json::from_value(config.clone()).unwrap();
    config.check().unwrap();
    config
}

fn write_keys(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["bng-01".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

fn run(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
