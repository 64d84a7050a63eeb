//! Real clients (dhclient, udhcpc), a bridge of two isolated ports, the relay, real Kea. Needs root.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const SUBSCRIBERS: [&str; 2] = ["sub1", "sub2"];

/// Namespaces and processes that go with the test.
struct Bench {
    prefix: String,
    folder: tempfile::TempDir,
    children: Vec<Child>,
}

impl Bench {
    fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
        let prefix = format!("wnr-{}", std::process::id());
        let bench = Self { prefix, folder: tempfile::tempdir().unwrap(), children: Vec::new() };
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
            bench.ip("router", &format!("link set {port} master lan0"));
            run(&format!("bridge -n {} link set dev {port} isolated on", bench.netns("router")));
        }
        bench.ip("server", "addr add 10.231.1.2/24 dev svc0");
        bench.ip("server", "route add 100.64.1.0/24 via 10.231.1.9");
        bench.ip("router", "addr add 10.231.1.9/24 dev up0");
        run(&format!("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1", bench.netns("router")));
        bench
    }

    fn netns(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ip(&self, name: &str, arguments: &str) {
        run(&format!("ip -n {} {arguments}", self.netns(name)));
    }

    fn wire(&self, name: &str, interface: &str, router: &str) {
        let (left, right) = (self.netns(name), self.netns("router"));
        run(&format!("ip link add {interface} netns {left} type veth peer name {router} netns {right}"));
        self.ip(name, &format!("link set {interface} up"));
        self.ip("router", &format!("link set {router} up"));
    }

    /// Starts a program in a namespace; its place in `children`.
    fn start(&mut self, name: &str, program: &str, arguments: &[&str]) -> usize {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns(name), program]).args(arguments);
        command.env("KEA_PIDFILE_DIR", self.folder.path()).env("KEA_LOCKFILE_DIR", self.folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().unwrap());
        self.children.len() - 1
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn kea(&mut self) {
        let config = self.path("kea.json");
        let leases = self.path("leases.csv");
        let text = format!(
            r#"{{ "Dhcp4": {{
                "interfaces-config": {{ "interfaces": ["svc0"], "dhcp-socket-type": "udp" }},
                "lease-database": {{ "type": "memfile", "persist": true, "name": "{}", "lfc-interval": 0 }},
                "store-extended-info": true, "valid-lifetime": 600,
                "subnet4": [{{ "id": 1, "subnet": "100.64.1.0/24", "pools": [{{ "pool": "100.64.1.10-100.64.1.99" }}],
                    "option-data": [{{ "name": "routers", "data": "100.64.1.1" }}] }}],
                "loggers": [{{ "name": "kea-dhcp4", "severity": "INFO", "output_options": [{{ "output": "stdout" }}] }}]
            }} }}"#,
            leases.display()
        );
        fs::write(&config, text).unwrap();
        self.start("server", "kea-dhcp4", &["-c", config.to_str().unwrap()]);
        wait("Kea to start", || self.log("server").contains("DHCP4_STARTED"));
    }

    fn relay(&mut self) -> usize {
        let config = self.path("relay.json");
        let text = r#"{ "router": "ar-01", "lan": { "interface": "lan0", "address": "100.64.1.1" },
            "uplink": { "interface": "up0", "address": "10.231.1.9" }, "servers": ["10.231.1.2"],
            "ports": [ { "interface": "port1", "circuitId": "{router}|1/1", "remoteId": "line-01" },
                       { "interface": "port2", "circuitId": "{router}|1/2", "remoteId": "line-02" } ] }"#;
        fs::write(&config, text).unwrap();
        let arguments = ["run", "--config", config.to_str().unwrap()];
        let relay = self.start("router", env!("CARGO_BIN_EXE_lastmile-relay"), &arguments);
        wait("the relay to start", || self.log("router").contains("relaying"));
        relay
    }

    /// A script for both clients that configures the address and writes it down.
    fn script(&self, name: &str) -> PathBuf {
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

    fn bound(&self, name: &str) -> String {
        let file = self.path(&format!("{name}.bound"));
        wait(&format!("{name} to be bound"), || file.exists());
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn leases(&self) -> String {
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

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "waited 20 s for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn clients_get_leases_that_say_where_they_are_and_release_them() {
    let mut bench = Bench::new();
    bench.kea();
    let relay = bench.relay();

    let (script, leases, pid) = (bench.script("sub1"), bench.path("dhclient.leases"), bench.path("dhclient.pid"));
    let dhclient = ["-d", "-4", "-sf", text(&script), "-lf", text(&leases), "-pf", text(&pid), "eth0"];
    bench.start("sub1", "dhclient", &dhclient);
    let script = bench.script("sub2");
    let udhcpc = bench.start("sub2", "udhcpc", &["-f", "-R", "-i", "eth0", "-s", text(&script)]);
    let (first, second) = (bench.bound("sub1"), bench.bound("sub2"));
    assert_ne!(first, second);
    for (address, circuit, line) in [(&first, "ar-01|1/1", "line-01"), (&second, "ar-01|1/2", "line-02")] {
        let leases = bench.leases().to_uppercase();
        let lease = leases.lines().find(|lease| lease.starts_with(address.as_str())).unwrap();
        assert!(lease.contains(&hex(circuit)) && lease.contains(&hex(line)), "{lease}");
    }

    // A renewal is unicast first: that one is routed by the kernel, not relayed, and Kea answers the client itself.
    let udhcpc_pid = Pid::from_raw(bench.children[udhcpc].id() as i32);
    kill(udhcpc_pid, Signal::SIGUSR1).unwrap();
    wait("the renewal", || bench.log("sub2").matches("lease of").count() >= 2);
    // SIGTERM makes it release (-R).
    kill(udhcpc_pid, Signal::SIGTERM).unwrap();
    wait("the release", || {
        let leases = bench.leases();
        leases
            .lines()
            .rfind(|lease| lease.starts_with(&second))
            .is_some_and(|lease| lease.split(',').nth(3) == Some("0"))
    });

    kill(Pid::from_raw(bench.children[relay].id() as i32), Signal::SIGTERM).unwrap();
    assert!(bench.children[relay].wait().unwrap().success(), "SIGTERM is a clean end");
    let log = bench.log("router");
    // udhcpc may miss a quick answer to its unicast and then broadcast, so requests are not counted here.
    for counter in ["discover=2", "offer=2", "routed="] {
        assert!(log.contains(counter), "{counter} in {log}");
    }
}
