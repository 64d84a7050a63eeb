//! One controller per kind: watch, plan (pure), apply.

pub mod accessrouter;
pub mod bng;
pub mod policy;
