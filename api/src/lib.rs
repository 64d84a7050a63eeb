//! Lastmile's API server: REST and dashboard over HTTP, the aggregated sessions API over HTTPS, both from PostgreSQL.
//!
//! [`store`] asks the questions, [`rest`] and [`kube`] give the answers their form, [`auth`] asks Kubernetes who may, and
//! [`disconnect`] is the one order that goes out, to a gateway. Tasks: one that follows changes ([`changes`]), one that keeps the
//! TLS configuration fresh, two listeners. Nothing here writes to PostgreSQL.

pub mod app;
pub mod auth;
pub mod changes;
pub mod disconnect;
pub mod kube;
pub mod metrics;
pub mod rest;
pub mod serve;
pub mod store;
pub mod tls;
pub mod web;
