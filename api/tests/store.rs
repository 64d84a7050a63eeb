//! The queries against a real PostgreSQL.
