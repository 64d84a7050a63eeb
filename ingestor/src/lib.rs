//! From the stream `bng_events` to PostgreSQL: decode, project, store, acknowledge.
//!
//! [`decode`] and [`project`] are pure. [`store`] writes one batch in one transaction, [`consume`] is the loop around them,
//! [`migrate`] and [`rebuild`] are verbs of their own. Nothing is acknowledged before it is committed, and everything may
//! come twice and in any order: the tables end up the same.

pub mod config;
pub mod consume;
pub mod decode;
pub mod http;
pub mod metrics;
pub mod migrate;
pub mod project;
pub mod rebuild;
pub mod store;
