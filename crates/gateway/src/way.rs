//! Where calls go, as far as that is kept beside what they are made with.

use claviger_outbound::Target;

/// Where the calls of a connected account go.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) base: Target,
    /// The origins that get the credentials.
    pub(crate) origins: Vec<String>,
    /// The version of the catalogue that says so.
    pub(crate) version: String,
}
