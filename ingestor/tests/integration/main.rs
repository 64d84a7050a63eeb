//! The ingestor with a real PostgreSQL and a real Redis. `LASTMILE_TEST_POSTGRES` and `LASTMILE_TEST_REDIS` say where.

mod events;
mod harness;
mod projections;
mod stream;
