//! The server process: made in a scratch directory, reached over a unix socket only, gone with the
//! process that started it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use super::binaries::server_binaries;

/// Runs the server until its standard input ends. The kernel closes that pipe however the process that
/// holds it ends, also by SIGKILL, which no destructor would see. Until then it takes orders there.
///
/// Arguments: where the binaries are, the server's directory, the words before a command that run it as
/// the server's user (none where that is this one), then arguments of the server. The shell itself stays
/// who started it: it tidies up in a directory that may be closed to the server's user.
const UNTIL_THE_PIPE_CLOSES: &str = r#"
exec 2>&1
binaries=$1
directory=$2
as_user=$3
shift 3
serve() {
    $as_user "$binaries/postgres" -D "$directory/data" -k "$directory" -c listen_addresses='' "$@" &
    server=$!
}
if $as_user "$binaries/initdb" -D "$directory/data" -U test -A trust -E UTF8 --locale=C --no-sync; then
    serve "$@"
    while read -r order; do
        if [ "$order" = start ]; then
            serve "$@"
        elif [ -n "$server" ]; then
            kill -KILL "$server" $(cat /proc/"$server"/task/*/children)
            wait "$server"
            # Its number may be another process's from here on.
            server=
            echo "the server is killed"
        fi
    done
    # Whoever read this may be gone, and must not keep it from tidying up.
    exec >/dev/null 2>&1
    if [ -n "$server" ]; then
        # Without its handlers yet it ignores the second, which the shell had ignored, and ends by the first.
        kill -TERM "$server"
        kill -QUIT "$server"
        wait "$server"
    fi
fi
rm -rf "$directory"
"#;

/// Nothing of a test has to survive a crash, so nothing is synced; autovacuum would open connections to
/// the template while it is being cloned.
const OF_TESTS: [&str; 5] = [
    "max_connections=200",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
];

/// The line with which the server says that it takes connections.
const READY: &str = "database system is ready to accept connections";

/// What is in the line with which the server says why it does not start.
const FATAL: &str = "FATAL:";

/// The line with which the shell says that it has killed the server.
const KILLED: &str = "the server is killed";

/// What the server says when one that was killed has not let go of everything yet.
const TOO_EARLY: &str = "pre-existing shared memory block";

/// Why there is no server to test against.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed.
    #[error("no PostgreSQL server binaries: install `postgresql`")]
    NoBinaries,
    /// The tests run as root, and there is nobody else.
    #[error("no user `postgres` or `nobody` to run PostgreSQL as: it refuses to run as root")]
    NoUser,
    /// Its directory or its process could not be made.
    #[error("cannot prepare PostgreSQL")]
    Prepare(#[from] std::io::Error),
    /// It said this and ended.
    #[error("PostgreSQL ended before it was ready:\n{0}")]
    Ended(String),
}

/// A running server. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    shell: Child,
    lifeline: Option<ChildStdin>,
    /// The lines of its log that tell what became of an order.
    outcomes: Mutex<Receiver<String>>,
}

impl Server {
    /// Starts a server for tests and waits until it takes connections: about a second, most of it `initdb`.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(&OF_TESTS)
    }

    /// The same with these settings, each such as `fsync=off`.
    pub fn start_with(settings: &[&str]) -> Result<Self, StartError> {
        // Not in `$TMPDIR`: a socket's path must stay under 108 bytes, and the server's user must be
        // able to reach it, neither of which is sure there.
        Self::start_in(Path::new("/tmp"), settings)
    }

    fn start_in(parent: &Path, settings: &[&str]) -> Result<Self, StartError> {
        let binaries = server_binaries().ok_or(StartError::NoBinaries)?;
        let directory = tempfile::Builder::new()
            .prefix("claviger-postgres-")
            .tempdir_in(parent)?;

        let mut as_user = String::new();
        if directory.path().metadata()?.uid() == 0 {
            let (user, group) = unprivileged_user()?.ok_or(StartError::NoUser)?;
            chown(directory.path(), Some(user), Some(group))?;
            as_user = format!("setpriv --reuid={user} --regid={group} --clear-groups");
        }
        let mut command = Command::new("sh");
        command
            .args(["-c", UNTIL_THE_PIPE_CLOSES, "sh"])
            .arg(binaries)
            .arg(directory.path())
            .arg(as_user)
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of reach of a terminal's Ctrl-C, which would end the shell before it has tidied up.
            .process_group(0);
        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let log = BufReader::new(shell.stdout.take().expect("standard output is piped"));
        // Made before the wait, so that it is ended when that fails.
        let (_, none) = channel();
        let mut server = Self {
            directory: directory.keep(),
            shell,
            lifeline,
            outcomes: Mutex::new(none),
        };
        server.outcomes = Mutex::new(wait_until_ready(log)?);
        Ok(server)
    }

    /// Kills it and all its processes at once, as the kernel does to who takes too much memory.
    pub fn kill(&mut self) -> std::io::Result<()> {
        self.order("kill", KILLED)
    }

    /// Starts it once more after that, on the same data.
    pub fn start_again(&mut self) -> std::io::Result<()> {
        self.order("start", READY)
    }

    /// Gives an order, and again where it came too early, until the log has that text.
    fn order(&mut self, order: &str, done: &str) -> std::io::Result<()> {
        let outcomes = self.outcomes.get_mut();
        let outcomes = outcomes.unwrap_or_else(PoisonError::into_inner);
        loop {
            let shell = self.lifeline.as_mut().expect("it is there until the drop");
            writeln!(shell, "{order}")?;
            match outcomes.recv() {
                Ok(line) if line.contains(done) => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(std::io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// A connection URL of the database `name`.
    pub fn url(&self, name: &str) -> String {
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
/// the pipe never fills; gives what tells of orders from there on.
fn wait_until_ready(
    mut log: BufReader<impl std::io::Read + Send + 'static>,
) -> Result<Receiver<String>, StartError> {
    let mut said = String::new();
    loop {
        let start = said.len();
        if log.read_line(&mut said)? == 0 || said[start..].contains(FATAL) {
            return Err(StartError::Ended(said));
        }
        if said[start..].contains(READY) {
            break;
        }
    }
    let (tell, outcomes) = channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if [READY, KILLED, TOO_EARLY]
                .iter()
                .any(|text| line.contains(text))
            {
                // Where nobody listens, the log is read on all the same.
                drop(tell.send(line));
            }
        }
    });
    Ok(outcomes)
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_server_leaves_nothing_behind_when_its_lifeline_closes() {
        // As a `/tmp` in which, where the tests run as root, the server's user could remove nothing.
        let parent = tempfile::tempdir_in("/tmp").expect("a directory can be made");
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let mut server = Server::start_in(parent.path(), &OF_TESTS).expect("PostgreSQL starts");
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
    fn a_server_that_does_not_start_says_why_and_leaves_nothing_behind() {
        let parent = tempfile::tempdir_in("/tmp").expect("a directory can be made");
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let error = Server::start_in(parent.path(), &["max_connections=many"])
            .expect_err("many is no number");
        assert!(error.to_string().contains("max_connections"), "{error}");
        let left = std::fs::read_dir(parent.path()).expect("it is there");
        assert_eq!(left.count(), 0);
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
