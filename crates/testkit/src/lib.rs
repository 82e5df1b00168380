//! What the tests of this workspace stand on: a whole program on a clock that they move, tenants to
//! try it with, the bare rows of either engine, and a PostgreSQL of their own. Never part of the
//! program.

mod app;
mod clock;
mod database;
mod http;
mod identity_provider;
mod logs;
mod mail;
mod mail_server;
pub mod nginx;
mod person;
pub mod postgres;
pub mod program;
mod random;
mod receiver;
mod tenant;
mod upstream;
pub mod world;

pub use app::{PROXY, PUBLIC_HOST, TestApp, run};
pub use clock::MockClock;
pub use database::{Engine, HeldTable, TestDatabase, migrated};
pub use http::{TestRequest, TestResponse};
pub use identity_provider::IdentityProvider;
pub use logs::Logs;
pub use mail::Mail;
pub use mail_server::MailServer;
pub use person::Person;
pub use program::Program;
pub use random::SeededRandom;
pub use receiver::{Received, Receiver};
pub use tenant::{MadeAccessKey, Tenant};
