//! Lastmile's lab: the two-BNG topology of `lab/topology.toml` on one Linux machine, with the real services, real
//! DHCP clients and a real Kubernetes.
//!
//! Plans are pure functions of the topology (addresses, batch files, service configurations); `process` and the
//! modules that call it are the only ones that touch the machine. Nothing here runs in production.
pub mod bench;
pub mod cluster;
pub mod environment;
pub mod existing;
pub mod gateways;
pub mod images;
pub mod isolation;
pub mod keeper;
pub mod network;
pub mod paths;
pub mod preflight;
pub mod process;
pub mod progress;
pub mod release;
pub mod routers;
pub mod secrets;
pub mod services;
pub mod subscribers;
pub mod supervisor;
pub mod topology;
pub mod up;
pub mod verbs;
