//! Commands on a server's own files and database, on the machine where they are. The server is not
//! asked: some of them are for when there is none.

mod backup;
mod manifest;
mod place;
mod progress;
mod restore;
mod swap;

pub(crate) use self::backup::BackupFlags;
pub(crate) use self::restore::RestoreFlags;
pub(crate) use self::swap::finish as finish_restore;
