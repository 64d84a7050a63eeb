//! The processes that hold the lab together, and the files that say so.
//!
//! `lab up` starts the *supervisor* (detached; holds the machine-wide lock; outside all namespaces), which starts the
//! *init* (first process of the lab's PID namespace; reaps), which starts the *keeper* (brings the lab up, answers
//! [`control`] requests). Taking the lab down is ending the init: the kernel ends every process of the namespace, and
//! namespaces, wires and mounts end with them. What then is left (folders, control groups) the supervisor removes, and
//! the next start removes again what a killed supervisor could not.
pub mod control;
mod init;
mod lock;
mod outside;
mod state;

pub use init::run as init;
pub use lock::{Holder, holder};
pub use outside::{spawn, supervise, wait_gone};
pub use state::{Phase, State, phase, set_phase};

/// The verb of the supervisor.
pub const SUPERVISE: &str = "lab-supervise";
/// The verb of the init.
pub const INIT: &str = "lab-init";
/// The verb of the keeper.
pub const KEEPER: &str = "lab-keeper";

use serde::{Deserialize, Serialize};

/// What the user asked `lab up` for; handed from process to process as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpOptions {
    /// Folder of `topology.toml` and `manifests`.
    pub folder: std::path::PathBuf,
    /// Folder of the programs under test.
    pub bin_dir: std::path::PathBuf,
    /// Namespaces, services and routers only.
    pub without_cluster: bool,
    /// Without a cluster: run the gateways directly in their nodes.
    pub gateways: bool,
    /// Kubernetes without Lastmile in it, and without subscribers.
    pub without_release: bool,
    /// The kubeconfig of an existing cluster that takes the place of the lab's own.
    pub kubeconfig: Option<std::path::PathBuf>,
}
