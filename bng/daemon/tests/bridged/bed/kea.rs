//! Kea's DHCP servers of the bed, and who asks them.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{Bed, SERVERS, text_of, wait};

/// The control agent's port.
const AGENT: u16 = 8000;

impl Bed {
    /// A shared network of two subnets; the first has one address.
    pub fn kea(&mut self) -> usize {
        self.kea_of("kea", SERVERS[0], ["10-100.64.1.10", "10-100.64.2.99"], 600)
    }

    /// A Kea of its own address, with a pool in each of the two subnets and the leases' seconds.
    pub fn kea_of(&mut self, name: &str, address: Ipv4Addr, pools: [&str; 2], seconds: u32) -> usize {
        let config = self.path(&format!("{name}.json"));
        let subnet = |id, net: &str, pool: &str| {
            json!({ "id": id, "subnet": format!("{net}.0/24"), "pools": [{ "pool": format!("{net}.{pool}") }],
                    "option-data": [{ "name": "routers", "data": format!("{net}.1") }] })
        };
        let text = json!({ "Dhcp4": {
            "interfaces-config": { "interfaces": [format!("svc0/{address}")], "dhcp-socket-type": "udp" },
            "lease-database": { "type": "memfile", "persist": true, "name": self.path(&format!("{name}.csv")), "lfc-interval": 0 },
            "control-socket": { "socket-type": "unix", "socket-name": self.path(&format!("{name}.sock")) },
            "hooks-libraries": [{ "library": hook("libdhcp_lease_cmds.so") }],
            "store-extended-info": true, "valid-lifetime": seconds, "authoritative": true, "option-data": self.options,
            "shared-networks": [{ "name": "link", "subnet4": [
                subnet(1, "100.64.1", pools[0]), subnet(2, "100.64.2", pools[1])] }],
            "loggers": [{ "name": "kea-dhcp4", "severity": "INFO", "output_options": [{ "output": "stdout" }] }],
        }});
        fs::write(&config, text.to_string()).unwrap();
        let started = self.log(name).matches("DHCP4_STARTED").count();
        let kea = self.start("server", name, "kea-dhcp4", &["-c", text_of(&config)]);
        wait("Kea to start", || self.log(name).matches("DHCP4_STARTED").count() > started);
        kea
    }

    /// The control agent of [`Bed::kea`], as the gateway is told of it.
    pub fn control_agent(&mut self) -> Value {
        let (server, config) = (SERVERS[0], self.path("agent.json"));
        let text = json!({ "Control-agent": {
            "http-host": server.to_string(), "http-port": AGENT,
            "control-sockets": { "dhcp4": { "socket-type": "unix", "socket-name": self.path("kea.sock") } },
        }});
        fs::write(&config, text.to_string()).unwrap();
        self.start("server", "agent", "kea-ctrl-agent", &["-c", text_of(&config)]);
        wait("the control agent", || TcpStream::connect((server, AGENT)).is_ok());
        json!({ "url": format!("http://{server}:{AGENT}"), "form": "ControlAgent" })
    }

    /// What [`Bed::kea`] does when it is told something directly.
    pub fn tell_kea(&self, command: &str, arguments: Value) -> Value {
        let mut socket = UnixStream::connect(self.path("kea.sock")).unwrap();
        let request = json!({ "command": command, "arguments": arguments });
        socket.write_all(request.to_string().as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["result"], 0, "{request}: {answer}");
        answer["arguments"].clone()
    }

    /// How often [`Bed::kea`] was told so.
    pub fn kea_was_told(&self, command: &str) -> usize {
        self.log("kea").matches(&format!("Received command '{command}'")).count()
    }

    /// The last line that Kea wrote about an address, in capitals.
    pub fn lease(&self, ip: Ipv4Addr) -> String {
        let leases = fs::read_to_string(self.path("kea.csv")).unwrap().to_uppercase();
        leases.lines().rfind(|lease| lease.starts_with(&format!("{ip},"))).unwrap_or_default().to_owned()
    }
}

/// A shipped hook, wherever this architecture keeps it.
fn hook(name: &str) -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("kea/hooks"));
    folders.map(|folder| folder.join(name)).find(|hook| hook.exists()).expect("Kea's hooks: `make setup` installs them")
}
