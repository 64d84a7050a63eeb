//! What the services are to be: derived from the topology, or private to a test run.
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::process::Place;
use crate::secrets::Secrets;
use crate::topology::{Dhcp, Range, Topology};

/// Everything that the services' configurations are rendered from.
#[derive(Clone, Debug)]
pub struct ServicesSpec {
    /// Namespace and log folder.
    pub place: Place,
    /// Their data; a folder that the user `postgres` can reach.
    pub dir: PathBuf,
    /// Address of PostgreSQL, Redis, FreeRADIUS and Kea's control agent.
    pub listen: Ipv4Addr,
    /// Kea's interface.
    pub dhcp_interface: String,
    /// Lease times.
    pub dhcp: Dhcp,
    /// Kea's subnets.
    pub subnets: Vec<Subnet>,
    /// Networks of RADIUS clients and database clients.
    pub clients: Vec<Ipv4Net>,
    /// RADIUS users.
    pub users: Vec<User>,
    /// Whether PostgreSQL and Redis wait for the disk. Tests that are over in a minute do not.
    pub durable: bool,
    /// Generated passwords.
    pub secrets: Secrets,
}

/// A subnet of Kea.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Kea's subnet id, from 1.
    pub id: u32,
    /// The subnet.
    pub prefix: Ipv4Net,
    /// The addresses handed out.
    pub pool: Range,
    /// The giaddr of its relay, which is the subscribers' router too.
    pub router: Ipv4Addr,
}

/// A RADIUS user.
#[derive(Clone, Debug)]
pub struct User {
    /// User-Name.
    pub name: String,
    /// Filter-Id of the Access-Accept.
    pub filter_id: String,
}

impl ServicesSpec {
    /// The services of the lab, in the namespace of the services' node.
    pub fn for_lab(topology: &Topology, dir: PathBuf, logs: PathBuf, secrets: Secrets) -> Self {
        Self {
            place: Place { netns: Some(topology.services.node.clone()), logs },
            dir,
            listen: topology.services.management.addr(),
            dhcp_interface: "svc0".to_owned(),
            dhcp: topology.dhcp.clone(),
            subnets: subnets(topology),
            clients: std::iter::once(topology.management.host.trunc())
                .chain(topology.bngs.iter().map(|bng| bng.pods))
                .collect(),
            users: users(topology),
            durable: true,
            secrets,
        }
    }

    /// Private services on loopback, for tests; the caller is inside a network namespace of its own.
    pub fn for_tests(topology: &Topology, dir: PathBuf, secrets: Secrets) -> Self {
        let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        Self {
            place: Place { netns: None, logs: dir.join("logs") },
            dir,
            listen: Ipv4Addr::LOCALHOST,
            dhcp_interface: "lo".to_owned(),
            dhcp: topology.dhcp.clone(),
            subnets: subnets(topology),
            clients: vec![loopback],
            users: users(topology),
            durable: false,
            secrets,
        }
    }
}

/// The databases with their owners' names and passwords.
pub fn databases(secrets: &Secrets) -> [(&'static str, &str); 3] {
    [("lastmile", &secrets.lastmile), ("kea", &secrets.kea), ("radius", &secrets.radius_db)]
}

fn subnets(topology: &Topology) -> Vec<Subnet> {
    (1..)
        .zip(&topology.routers)
        .map(|(id, router)| Subnet { id, prefix: router.lan.trunc(), pool: router.pool, router: router.lan.addr() })
        .collect()
}

fn users(topology: &Topology) -> Vec<User> {
    topology
        .subscribers
        .iter()
        .filter_map(|subscriber| {
            let filter_id = subscriber.policy.clone()?;
            Some(User { name: topology.user_name(subscriber), filter_id })
        })
        .collect()
}
