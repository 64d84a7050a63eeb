//! The three ways' namespaces and wires, as lines for `ip -batch`: a pure function of the number of ports.
//!
//! A way's namespaces and client interfaces (`a1`, `a2`, …) begin with its letter; the clients' stay in the caller's namespace.
use std::fmt::Write;
use std::net::Ipv4Addr;

/// The subscribers' addresses.
pub const POOL: &str = "10.64.0.0/16";
/// The subscribers' router in every way: the server itself, or the relay, whose giaddr it is.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// The DHCP server behind a relay.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 2);
/// The gateway, or the relay where there is none, on the server's network.
pub const MIDDLE: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 11);
/// The gateway on its access network.
pub const ACCESS: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 1);
/// The router's uplink on that network.
pub const UPLINK: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 2);
/// The subscribers' addresses where there are very many.
pub const NULL_POOL: &str = "10.64.0.0/12";
/// The generator's wire to the gateway between null responders, in the caller's namespace.
pub const GENERATOR: &str = "n1";
/// Its wire past the gateway.
pub const DIRECT: &str = "n2";
/// The bridge of the ports.
pub const LAN: &str = "lan0";

/// A network namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its own lines.
    pub lines: String,
    /// Links on which the kernel finishes checksums, so that captured frames have them.
    pub finished: Vec<&'static str>,
}

impl Namespace {
    fn new(name: &str, lines: String, finished: &[&'static str]) -> Self {
        Self { name: name.to_owned(), lines: format!("link set lo up\n{lines}"), finished: finished.to_vec() }
    }
}

/// The wires of one way.
#[derive(Debug, Clone)]
pub struct Wires {
    /// Made first, without their lines.
    pub namespaces: Vec<Namespace>,
    /// Lines for the caller's namespace: the wires between the namespaces, and the clients' interfaces.
    pub between: String,
    /// The clients' interfaces.
    pub clients: Vec<String>,
}

/// A port's name in the namespace that has the ports.
pub fn port(number: usize) -> String {
    format!("port{number}")
}

/// The server with the ports in a bridge of its own.
pub fn alone(way: &str, ports: usize) -> Wires {
    let services = format!("{way}-services");
    let mut lines = bridge(ports);
    let _ = writeln!(lines, "address add {ROUTER}/16 dev {LAN}");
    wires(way, &services, ports, "", vec![Namespace::new(&services, lines, &[])])
}

/// A router between the server and ports that are interfaces of their own, as dhcrelay wants for a circuit-id each.
pub fn apart(way: &str, ports: usize) -> Wires {
    let mut lines = String::new();
    for number in 1..=ports {
        let port = port(number);
        let _ = writeln!(lines, "address add {ROUTER}/32 dev {port}\nlink set {port} up");
    }
    relayed(way, ports, lines)
}

/// A router between the server and ports in a bridge, as Lastmile's relay wants them.
pub fn bridged(way: &str, ports: usize) -> Wires {
    relayed(way, ports, bridge(ports) + &format!("address add {ROUTER}/16 dev {LAN}\n"))
}

fn relayed(way: &str, ports: usize, mut lines: String) -> Wires {
    let (services, router) = (format!("{way}-services"), format!("{way}-router"));
    let _ = writeln!(lines, "address add {MIDDLE}/24 dev up0\nlink set up0 up");
    let between = wire(&services, "svc0", &router, "up0");
    let namespaces = vec![self::services(&services), Namespace::new(&router, lines, &["up0"])];
    wires(way, &router, ports, &between, namespaces)
}

/// An access router with the ports, a gateway, and the server.
pub fn routed(way: &str, ports: usize) -> Wires {
    let [services, gateway, router] = ["services", "gateway", "router"].map(|part| format!("{way}-{part}"));
    let mut lines = bridge(ports);
    let _ = writeln!(lines, "address add {ROUTER}/16 dev {LAN}\naddress add {UPLINK}/24 dev up0\nlink set up0 up");
    let _ = writeln!(lines, "route add default via {ACCESS}");
    let between = wire(&services, "svc0", &gateway, "dhcp0")
        + &wire(&services, "inet0", &gateway, "uplink0")
        + &wire(&gateway, "access0", &router, "up0");
    let mut around = self::services(&services);
    around.lines.push_str("address add 10.67.0.2/24 dev inet0\nlink set inet0 up\n");
    let namespaces = vec![
        around,
        Namespace::new(&gateway, gateway_lines(), &["dhcp0", "uplink0", "access0"]),
        Namespace::new(&router, lines, &["up0"]),
    ];
    wires(way, &router, ports, &between, namespaces)
}

/// A gateway between a generator in the caller's namespace and null responders, and a wire past it.
pub fn null() -> Wires {
    let gateway = gateway_lines();
    let mut services = services("n-services");
    let back = format!(
        "address add 10.67.0.2/24 dev inet0\nlink set inet0 up\naddress add 10.68.0.2/24 dev direct0\nlink set direct0 up\n\
         route replace {NULL_POOL} via {MIDDLE}\n"
    );
    services.lines.push_str(&back);
    let between = wire("n-services", "svc0", "n-gateway", "dhcp0")
        + &wire("n-services", "inet0", "n-gateway", "uplink0")
        + &format!(
            "link add {GENERATOR} type veth peer name access0 netns n-gateway\nlink add {DIRECT} type veth peer name direct0 netns \
             n-services\naddress add {UPLINK}/24 dev {GENERATOR}\nlink set {GENERATOR} up\naddress add 10.68.0.1/24 dev {DIRECT}\n\
             link set {DIRECT} up\nroute add {SERVER}/32 via 10.68.0.2\n"
        );
    let namespaces = vec![services, Namespace::new("n-gateway", gateway, &["dhcp0", "uplink0", "access0"])];
    Wires { namespaces, between, clients: Vec::new() }
}

fn gateway_lines() -> String {
    format!(
        "address add {ACCESS}/24 dev access0\nlink set access0 up\naddress add {MIDDLE}/24 dev dhcp0\nlink set dhcp0 up\n\
         address add 10.67.0.1/24 dev uplink0\nlink set uplink0 up\nroute add default via 10.67.0.2\n"
    )
}

fn services(name: &str) -> Namespace {
    let lines = format!("address add {SERVER}/24 dev svc0\nlink set svc0 up\nroute add {POOL} via {MIDDLE}\n");
    Namespace::new(name, lines, &["svc0"])
}

/// The ports in a bridge, each deaf to the others as on an access switch: a client's broadcast goes to the router alone.
fn bridge(ports: usize) -> String {
    let mut lines = format!("link add {LAN} type bridge mcast_snooping 0 forward_delay 0\n");
    for number in 1..=ports {
        let port = port(number);
        let _ = writeln!(lines, "link set {port} master {LAN} up\nlink set {port} type bridge_slave isolated on");
    }
    let _ = writeln!(lines, "link set {LAN} up");
    lines
}

fn wire(left: &str, link: &str, right: &str, peer: &str) -> String {
    format!("link add {link} netns {left} type veth peer name {peer} netns {right}\n")
}

fn wires(way: &str, owner: &str, ports: usize, between: &str, namespaces: Vec<Namespace>) -> Wires {
    let clients: Vec<String> = (1..=ports).map(|number| format!("{way}{number}")).collect();
    let mut between = between.to_owned();
    for (number, client) in (1..).zip(&clients) {
        let _ = writeln!(between, "link add {client} type veth peer name {} netns {owner}", port(number));
        let _ = writeln!(between, "link set {client} up");
    }
    Wires { namespaces, between, clients }
}
