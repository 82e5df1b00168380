//! Tokens by which people show that they are signed in elsewhere: with a Firebase project.

mod signature;

use std::fmt;
use std::sync::Arc;

use claviger_domain::identity_token::{Claims, Identity};
use claviger_domain::time::Clock;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};

use crate::key_set::KeySet;
use crate::{Client, Target};

/// Bytes of a token, at most.
const LONGEST: usize = 8_192;

/// Why a token shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is none of the project's, or none that is good now.
    #[error("the token is not believed")]
    Refused,
    /// The provider's keys are not there, so that nobody can tell.
    #[error("the provider's keys are not there")]
    Away,
}

/// Who signs in with a Firebase project.
pub struct Firebase {
    project: String,
    keys: Arc<KeySet>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Firebase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Firebase")
            .field("project", &self.project)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Firebase {
    /// Believes tokens of a project that are signed by a key of that set.
    pub fn new(project: String, client: Client, keys: Target, clock: Arc<dyn Clock>) -> Self {
        signature::install();
        Self {
            project,
            keys: Arc::new(KeySet::new(client, keys, Arc::clone(&clock))),
            clock,
        }
    }

    /// Tells who a token is of.
    pub async fn identify(&self, token: &str) -> Result<Identity, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::Refused);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused(&Unread::Header))?;
        // Nothing but the one algorithm, whatever the token says: what was signed with a public key as
        // if it were a secret is refused before a key is looked for. A part that must be understood is not.
        let is_ours = header.alg == Algorithm::RS256 && header.crit.is_none();
        let id = header.kid.filter(|_| is_ours);
        let id = id.ok_or_else(|| refused(&Unread::Header))?;
        let key = self.keys.key(&id).await.map_err(|_| TokenFault::Away)?;
        let key = key.ok_or_else(|| refused(&Unread::Key))?;
        // What is said is judged by us: by our clock, and all of it.
        let mut signature_alone = Validation::new(Algorithm::RS256);
        signature_alone.required_spec_claims.clear();
        signature_alone.validate_exp = false;
        signature_alone.validate_aud = false;
        let read = jsonwebtoken::decode::<Claims>(token, &key, &signature_alone);
        let read = read.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => refused(&Unread::Signature),
            _ => refused(&Unread::Claims),
        })?;
        let claims = read.claims;
        claims
            .judge(&self.project, self.clock.now())
            .map_err(|fault| refused(&fault))
    }
}

/// Why a token is not read; the reader's own errors quote from it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Unread {
    #[error("the header is none, or of another algorithm")]
    Header,
    #[error("the key is unknown")]
    Key,
    #[error("the signature is wrong")]
    Signature,
    #[error("the claims are none")]
    Claims,
}

/// Notes why for whoever sets it up: whoever presents a token is not told.
fn refused(fault: &dyn fmt::Display) -> TokenFault {
    tracing::debug!(%fault, "a token of Firebase is not believed");
    TokenFault::Refused
}
