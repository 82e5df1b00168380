//! What is true without a computer: ids, time, key strings, roles and permissions, limits, and the
//! decision whether a key may pass now.
//!
//! Pure: nothing here waits, reads a clock, draws a random number or knows a database.

pub mod address;
pub mod base62;
pub mod bucket;
pub mod date;
pub mod decision;
pub mod email;
pub mod event;
pub mod id;
pub mod identity_token;
pub mod key_hash;
pub mod key_storage;
pub mod key_string;
pub mod limit;
pub mod metadata;
pub mod origin;
pub mod password;
pub mod permission;
pub mod plain_text;
pub mod random;
pub mod rights;
pub mod role;
pub mod time;
pub mod token;
pub mod usage;
pub mod webhook;
