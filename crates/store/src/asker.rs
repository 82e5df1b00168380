//! Whom work at the database is for, so that it is shared out fairly among them.

use claviger_domain::id::{self, Id};

tokio::task_local! {
    static ASKER: Asker;
}

/// Whom work is for. It goes with the task: whoever answers a request says it once, and each query
/// and each change takes its turn as one of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A family of accounts, by its root.
    Family(Id<id::Account>),
    /// Whoever runs the instance.
    Operator,
    /// Whoever has not shown yet who they are; all of them together.
    Stranger,
    /// The program itself.
    Program,
}

impl Asker {
    /// Whom the work of this task is for.
    pub fn current() -> Self {
        ASKER.try_with(Clone::clone).unwrap_or(Self::Program)
    }

    /// Does work for them. What it spawns is not theirs, unless it is told so again.
    pub fn scope<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        // Boxed, since what is done for a whole request is large; and at once, so that it is moved no more.
        ASKER.scope(self, Box::pin(work))
    }
}
