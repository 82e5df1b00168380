//! What the targets share: a project, a change and a key that are always the same, so that a crash
//! is seen again from its input alone.

use std::sync::Arc;

use claviger_domain::key_storage::KeyStorage;
use claviger_domain::event::Actor;
use claviger_domain::id::Id;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use claviger_store::projects::Project;
use claviger_store::{Base, Change};

/// Draws the same bytes each time.
pub struct Same(pub u8);

impl Random for Same {
    fn fill(&self, bytes: &mut [u8]) {
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = self.0.wrapping_add(u8::try_from(place % 251).unwrap_or(0));
        }
    }
}

/// The instant of every change: 2027-01-15T08:00:00.123456Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

/// A change of the program itself.
pub fn change() -> Change {
    Change {
        actor: Actor::System,
        now: NOW,
        random: Arc::new(Same(5)),
    }
}

/// A project of an account without a parent.
pub fn project() -> Project {
    let account = Id::from_suffix("AAAAAAAAAAAAAAAAAAAA");
    Project {
        id: Id::from_suffix("BBBBBBBBBBBBBBBBBBBB"),
        account_id: account.clone(),
        root_account_id: account,
        name: "a project".to_owned(),
        env: "live".to_owned(),
        key_storage: KeyStorage::Hashed,
        base: Base::made_by(&change()),
    }
}
