//! The server process: made in a scratch directory, reached over a unix socket only, gone with the
//! process that started it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::binaries::server_binaries;

/// Runs the server until its standard input ends. The kernel closes that pipe however the tests
/// end, also by SIGKILL, which no destructor would see.
///
/// Nothing here has to survive a crash, so nothing is synced; autovacuum would open connections to
/// the template while it is being cloned.
const UNTIL_THE_PIPE_CLOSES: &str = r#"
exec 2>&1
if "$1/initdb" -D "$2/data" -U test -A trust -E UTF8 --locale=C --no-sync; then
    "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses='' -c max_connections=200 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off &
    read -r _
    kill -QUIT $!
    wait $!
fi
rm -rf "$2"
"#;

/// The line with which the server says that it takes connections.
const READY: &str = "database system is ready to accept connections";

/// Why there is no server to test against.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("no PostgreSQL server binaries: install `postgresql`")]
    NoBinaries,
    #[error("no user `postgres` or `nobody` to run PostgreSQL as: it refuses to run as root")]
    NoUser,
    #[error("cannot prepare PostgreSQL")]
    Prepare(#[from] std::io::Error),
    #[error("PostgreSQL ended before it was ready:\n{0}")]
    Ended(String),
}

/// A running server. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub(super) struct Server {
    directory: PathBuf,
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Starts a server and waits until it takes connections: about a second, most of it `initdb`.
    pub(super) fn start() -> Result<Self, StartError> {
        let binaries = server_binaries().ok_or(StartError::NoBinaries)?;
        // Not in `$TMPDIR`: a socket's path must stay under 108 bytes, and the server's user must be
        // able to reach it, neither of which is sure there.
        let directory = tempfile::Builder::new()
            .prefix("claviger-postgres-")
            .tempdir_in("/tmp")?;

        let mut command = Command::new("sh");
        command
            .args(["-c", UNTIL_THE_PIPE_CLOSES, "sh"])
            .arg(binaries)
            .arg(directory.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of reach of a terminal's Ctrl-C, which would end the shell before it has tidied up.
            .process_group(0);
        if directory.path().metadata()?.uid() == 0 {
            let (user, group) = unprivileged_user()?.ok_or(StartError::NoUser)?;
            chown(directory.path(), Some(user), Some(group))?;
            command.uid(user).gid(group);
        }

        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let log = BufReader::new(shell.stdout.take().expect("standard output is piped"));
        let server = Self {
            directory: directory.keep(),
            shell,
            lifeline,
        };
        wait_until_ready(log)?;
        Ok(server)
    }

    /// A connection URL of the database `name`.
    pub(super) fn url(&self, name: &str) -> String {
        format!(
            "postgres://test@localhost/{name}?host={}",
            self.directory.display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // A failure to wait leaves nothing to do about it: the shell ends by itself.
        let _ = self.shell.wait();
    }
}

/// Reads the server's log up to its ready line, and goes on reading on a thread of its own, so that
/// the pipe never fills.
fn wait_until_ready(
    mut log: BufReader<impl std::io::Read + Send + 'static>,
) -> Result<(), StartError> {
    let mut said = String::new();
    loop {
        let start = said.len();
        if log.read_line(&mut said)? == 0 {
            return Err(StartError::Ended(said));
        }
        if said[start..].contains(READY) {
            break;
        }
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Ok(())
}

/// The user and group ids of `postgres`, else of `nobody`.
fn unprivileged_user() -> std::io::Result<Option<(u32, u32)>> {
    let users = std::fs::read_to_string(Path::new("/etc/passwd"))?;
    let find = |name: &str| {
        let mut fields = users.lines().map(|line| line.split(':'));
        let mut user = fields.find_map(|mut user| (user.next() == Some(name)).then_some(user))?;
        Some((user.nth(1)?.parse().ok()?, user.next()?.parse().ok()?))
    };
    Ok(find("postgres").or_else(|| find("nobody")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_leaves_nothing_behind_when_its_lifeline_closes() {
        let mut server = Server::start().expect("PostgreSQL starts");
        let directory = server.directory.clone();
        assert!(directory.join("data/postmaster.pid").exists());

        drop(server.lifeline.take());

        assert!(
            server
                .shell
                .wait()
                .expect("the shell can be waited for")
                .success()
        );
        assert!(!directory.exists());
    }

    #[test]
    fn the_output_of_a_server_that_ends_at_once_is_in_the_error() {
        let log = BufReader::new(&b"initdb: error: no space left\n"[..]);
        let error = wait_until_ready(log).expect_err("the log ends without the ready line");
        assert_eq!(
            error.to_string(),
            "PostgreSQL ended before it was ready:\ninitdb: error: no space left\n"
        );
    }
}
