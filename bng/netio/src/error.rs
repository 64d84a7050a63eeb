//! Why the kernel did not do what it was asked.

use std::io;

/// Why the kernel did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No interface of this name exists in this network namespace.
    #[error("there is no interface {0}")]
    NoInterface(String),
    /// An interface's name is empty, longer than 15 octets, or holds `/` or white space.
    #[error("{0:?} cannot be the name of an interface")]
    BadInterfaceName(String),
    /// A socket could not be made or set up. `EPERM` = CAP_NET_RAW or CAP_NET_ADMIN is missing.
    #[error("{operation}")]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// nftables refused a transaction; none of it took effect.
    #[error("nftables: {operation}")]
    Nftables {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Traffic control refused a request.
    #[error("traffic control: {operation}")]
    TrafficControl {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// rtnetlink refused a request.
    #[error("rtnetlink: {operation}")]
    Rtnetlink {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: Box<rtnetlink::Error>,
    },
    /// The kernel answered with something that is not the protocol.
    #[error("{operation}: the kernel's answer is malformed")]
    Malformed {
        /// What was tried.
        operation: &'static str,
    },
}

impl Error {
    pub(crate) fn socket(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Socket { operation, source }
    }

    pub(crate) fn nftables(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Nftables { operation, source }
    }

    pub(crate) fn tc(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::TrafficControl { operation, source }
    }

    pub(crate) fn rtnetlink(operation: &'static str) -> impl FnOnce(rtnetlink::Error) -> Self {
        move |source| Self::Rtnetlink { operation, source: Box::new(source) }
    }
}
