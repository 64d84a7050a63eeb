//! Lastmile's lab: the two-BNG topology of `lab/topology.toml` on one Linux machine, with the real services, real
//! DHCP clients and a real Kubernetes.
//!
//! Plans are pure functions of the topology (addresses, batch files, service configurations); `process` and the
//! modules that call it are the only ones that touch the machine. Nothing here runs in production.
#[cfg(feature = "kubernetes")]
pub mod cluster;
#[cfg(feature = "kubernetes")]
pub mod images;
pub mod isolation;
pub mod paths;
pub mod process;
pub mod secrets;
pub mod services;
pub mod topology;
