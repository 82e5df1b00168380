//! What the tests of this workspace stand on: a PostgreSQL of their own. Never part of the program.

pub mod postgres;
