//! The kernel, as the gateway and the access router use it.
//!
//! Sockets that capture and send frames ([`capture`], [`rawip`]), the gate and the access router's source guard in nftables
//! ([`gate`], [`guard`]), subscribers' queues ([`shaper`]), interfaces, neighbours, routes and ICMP echo ([`links`], [`neighbours`],
//! [`routes`], [`ping`]). Nothing here decides anything:
//! callers say what to do, this crate does it and says what happened. It is the only crate of the workspace with `unsafe`; each block says why it is sound. It spawns no process and, but
//! for the one that serves an rtnetlink connection, no task.
#![allow(unsafe_code)]

pub mod capture;
mod conntrack;
mod error;
pub mod gate;
pub mod guard;
pub mod links;
pub mod neighbours;
mod netlink;
pub mod ping;
pub mod rawip;
pub mod routes;
pub mod shaper;
mod sys;

pub use error::Error;
