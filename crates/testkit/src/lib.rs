//! What the tests of this workspace stand on: a PostgreSQL of their own, a world of either engine,
//! a clock that they move and randomness that repeats. Never part of the program.

pub mod postgres;
pub mod still;
pub mod world;
