//! Which events of an account are asked for, and the way to them.

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_store::events::Event;
use claviger_store::events::trail::{self, Order, Place, Placed};
use claviger_store::{Db, StoreError};

/// Events that are read at once.
const PART: i64 = 1_000;
/// Events that one page looks at, at most, however few of them are wanted.
const MOST_LOOKED_AT: usize = 20_000;
/// Seconds by which the clocks of two programs are apart, at most, and by which a change may wait for
/// its turn after its instant was noted: events are in the order of time but for that.
const OUT_OF_ORDER: i64 = 600;

/// Which events.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) account: Id<id::Account>,
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) target: Option<String>,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) order: Order,
}

/// Some of them.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) events: Vec<Placed>,
    /// Where to go on; none at the end.
    pub(super) next: Option<Place>,
}

impl Wanted {
    /// Where to begin where no cursor says so.
    pub(super) async fn first(&self, db: &Db) -> Result<Place, StoreError> {
        match (self.order, self.from) {
            (Order::NewestFirst, _) => Ok(Place::LAST),
            (Order::OldestFirst, None) => Ok(Place::FIRST),
            (Order::OldestFirst, Some(from)) => {
                trail::before(db, from.plus_seconds(-OUT_OF_ORDER)).await
            }
        }
    }

    /// The next events behind a place, up to `most`. There may be more although there are fewer: what
    /// one request looks at is bounded.
    pub(super) async fn find(
        &self,
        db: &Db,
        mut after: Place,
        most: usize,
    ) -> Result<Found, StoreError> {
        let mut events = Vec::new();
        if most == 0 {
            return Ok(Found { events, next: None });
        }
        let mut looked_at = 0;
        loop {
            // One more than are wanted tells whether there is more.
            let left = i64::try_from(most - events.len()).unwrap_or(PART);
            let count = if self.is_all() {
                left.min(PART) + 1
            } else {
                PART
            };
            let part = trail::part(db, &self.account, after, self.order, count).await?;
            let is_last = i64::try_from(part.len()).is_ok_and(|found| found < count);
            for placed in part {
                if events.len() == most {
                    let next = Some(after);
                    return Ok(Found { events, next });
                }
                after = placed.place();
                if self.is_past(&placed.event) {
                    return Ok(Found { events, next: None });
                }
                if self.fits(&placed.event) {
                    events.push(placed);
                }
                looked_at += 1;
            }
            if is_last {
                return Ok(Found { events, next: None });
            }
            // Whether there is more would be a whole part to read.
            if looked_at >= MOST_LOOKED_AT || events.len() == most {
                let next = Some(after);
                return Ok(Found { events, next });
            }
        }
    }

    /// Whether each event is wanted.
    const fn is_all(&self) -> bool {
        self.actor.is_none()
            && self.action.is_none()
            && self.target.is_none()
            && self.from.is_none()
            && self.to.is_none()
    }

    /// Whether nothing that is wanted comes behind an event.
    fn is_past(&self, event: &Event) -> bool {
        match self.order {
            Order::OldestFirst => self
                .to
                .is_some_and(|to| event.at >= to.plus_seconds(OUT_OF_ORDER)),
            Order::NewestFirst => self
                .from
                .is_some_and(|from| event.at < from.plus_seconds(-OUT_OF_ORDER)),
        }
    }

    fn fits(&self, event: &Event) -> bool {
        let is_actor = |wanted: &String| event.actor.split(" via ").any(|one| one == wanted);
        let is_action = |wanted: &String| match wanted.strip_suffix('*') {
            Some(beginning) => event.kind.starts_with(beginning),
            None => event.kind == *wanted,
        };
        self.actor.as_ref().is_none_or(is_actor)
            && self.action.as_ref().is_none_or(is_action)
            && self
                .target
                .as_ref()
                .is_none_or(|target| event.target == *target)
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
    }
}
