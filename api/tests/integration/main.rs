//! Both servers with a real PostgreSQL. `LASTMILE_TEST_POSTGRES` says where.

mod harness;
mod rest;
mod sessions_api;
