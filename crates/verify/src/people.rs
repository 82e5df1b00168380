//! People who are signed in: who presents an access token, what they may do, and their tokens.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{DrawnKey, KeyDigest, KeyPurpose, KeyShape, PlainKey};
use claviger_domain::rights::{AccountRef, Rights};
use claviger_domain::time::Timestamp;
use claviger_store::roles::{self, RoleAssignment};
use claviger_store::sessions::{self, Exchanged, Pair, Refreshing};
use claviger_store::users::User;
use claviger_store::{Change, StoreError, Tx};
use futures::future::BoxFuture;

use crate::guesses::Guesser;
use crate::told::Touched;
use crate::{LookError, Network, Verifier};

/// A person who is signed in, with their rights, worked out once.
#[derive(Debug)]
pub struct KnownUser {
    /// The person.
    pub user: User,
    /// The session that the token is of.
    pub session: Id<id::Session>,
    /// When they showed who they are, to begin the session.
    pub shown_at: Timestamp,
    /// Until when the token is taken.
    until: Timestamp,
    /// What they may do.
    pub rights: Arc<Rights>,
    /// The account that is meant where none is named: the only one in which they hold a role.
    pub account: Option<AccountRef>,
    held: Vec<RoleAssignment>,
}

impl KnownUser {
    /// Whether they hold a role in that family of accounts.
    pub(crate) fn is_in(&self, root: &Id<id::Account>) -> bool {
        self.held.iter().any(|held| held.account.root == *root)
    }

    /// The family of accounts in which they held their first role.
    pub fn family(&self) -> Option<&Id<id::Account>> {
        self.held.first().map(|held| &held.account.root)
    }

    /// The ids of the places where they hold roles.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        self.held.iter().flat_map(|held| {
            let project = held.project.as_ref().map(Id::as_str);
            let account = [held.account.id.as_str(), held.account.root.as_str()];
            account.into_iter().chain(project)
        })
    }
}

/// A pair of tokens that was just drawn: the only time that they are known in full.
#[derive(Debug)]
pub struct Tokens {
    /// Presented with each request.
    pub access: PlainKey,
    /// Exchanged for another pair, once.
    pub refresh: PlainKey,
    /// What is stored of them.
    pub pair: Pair,
}

/// What came of presenting a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// Its successors, for that person, and until when the access token is taken.
    Done(Tokens, Id<id::User>, Timestamp),
    /// It is not taken, whatever the reason.
    Refused,
}

impl Verifier {
    /// Draws a pair of tokens for a session that begins.
    pub fn draw_tokens(&self) -> Tokens {
        let random = &*self.random;
        self.tokens_of(
            KeyPurpose::UserAccess.draw(random),
            KeyPurpose::UserRefresh.draw(random),
        )
    }

    fn tokens_of(&self, access: DrawnKey, refresh: DrawnKey) -> Tokens {
        let stored = |drawn: &DrawnKey, kind: &str| {
            // Both tokens of a pair may have drawn the same public part.
            let id = Id::from_suffix(&format!("{}{kind}", drawn.public));
            (id, self.digest(drawn.plain.expose()))
        };
        Tokens {
            pair: Pair {
                access: stored(&access, "a"),
                refresh: stored(&refresh, "r"),
            },
            access: access.plain,
            refresh: refresh.plain,
        }
    }

    /// Exchanges a refresh token for its successors, which follow from it: one that comes twice within
    /// seconds gets the same.
    pub async fn refresh(
        self: &Arc<Self>,
        change: Change,
        token: &PlainKey,
        from: Option<Network>,
    ) -> Result<Refreshed, LookError> {
        let shape = KeyShape::read(token.expose()).filter(|shape| shape.checksum_holds);
        if shape.is_none_or(|shape| shape.purpose != KeyPurpose::UserRefresh) {
            return Ok(Refreshed::Refused);
        }
        let digest = self.digest(token.expose());
        let found = self
            .look_for_one_time(from, async || {
                sessions::find_by_refresh(&self.db, &digest).await
            })
            .await?;
        let Some(Refreshing {
            user_id: user,
            is_used,
        }) = found
        else {
            return Ok(Refreshed::Refused);
        };
        // One that was exchanged before gets what it got or ends the session, whatever was counted: nobody
        // hides that they have somebody else's by using the budget up.
        if !is_used {
            self.count_refresh(&user)?;
        }
        let tokens = self.tokens_of(
            self.pepper.successor(token, KeyPurpose::UserAccess),
            self.pepper.successor(token, KeyPurpose::UserRefresh),
        );
        let pair = tokens.pair.clone();
        let whose = user.clone();
        let exchanged = self
            .change_person::<_, StoreError, _>(user.clone(), move |tx| {
                Box::pin(
                    async move { sessions::exchange(tx, &change, &whose, &digest, &pair).await },
                )
            })
            .await?;
        Ok(match exchanged {
            Exchanged::Done { access_until } => Refreshed::Done(tokens, user, access_until),
            Exchanged::Reused | Exchanged::Absent => Refreshed::Refused,
        })
    }

    /// Changes what a person is, may do, or is signed in by: that it is so is true here when this
    /// returns, and elsewhere as soon as its event is heard.
    pub async fn change_person<T, E, F>(
        self: &Arc<Self>,
        user: Id<id::User>,
        change: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.change(move |tx, touched| {
            touched.note(Touched::Person(user));
            change(tx)
        })
        .await
    }

    /// Forgets what a person may do, and which tokens are theirs.
    pub(crate) fn forget_person(&self, id: &Id<id::User>) {
        self.people.forget_where(|_, known| known.user.id == *id);
    }

    /// Who presents an access token with that digest, unless it is over.
    pub(crate) async fn signed_in(
        &self,
        digest: KeyDigest,
        from: Option<Network>,
    ) -> Result<Option<Arc<KnownUser>>, LookError> {
        let known = self
            .people
            .get_or_load(digest, self.believes(), async |digest| {
                let who = from.map(Guesser::Tokens);
                self.look(who, async || self.load_person(digest).await)
                    .await
            })
            .await?;
        let now = self.clock.now();
        Ok(known.filter(|known| now < known.until))
    }

    async fn load_person(&self, digest: &KeyDigest) -> Result<Option<Arc<KnownUser>>, StoreError> {
        let Some(found) = sessions::find_by_access(&self.db, digest).await? else {
            return Ok(None);
        };
        let held = roles::of_user(&self.db, &found.user.id).await?;
        let rights = Arc::new(roles::rights_of(&held));
        let first = held.first().map(|held| held.account.clone());
        let account = first.filter(|first| held.iter().all(|held| held.account.id == first.id));
        Ok(Some(Arc::new(KnownUser {
            user: found.user,
            session: found.session_id,
            shown_at: found.shown_at,
            until: found.until,
            rights,
            account,
            held,
        })))
    }
}
