//! The server process: made in a scratch directory, reached over a unix socket only, gone with the
//! process that started it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::binaries::server_binaries;

/// Runs the server until its standard input ends. The kernel closes that pipe however the process that
/// holds it ends, also by SIGKILL, which no destructor would see. Until then it takes orders there.
///
/// Arguments: where the binaries are, the server's directory, the words before a command that run it as
/// the server's user (none where that is this one), then arguments of the server. The shell itself stays
/// who started it: it tidies up in a directory that may be closed to the server's user.
const UNTIL_THE_PIPE_CLOSES: &str = r#"
# Whoever reads this may be gone, and must not keep it from tidying up.
trap '' PIPE
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
        else
            if [ -n "$server" ]; then
                kill -KILL "$server" $(cat /proc/"$server"/task/*/children)
                wait "$server"
                # Its number may be another process's from here on.
                server=
            fi
            echo "the server is killed"
        fi
    done
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

/// How long a line of the log is waited for: some times as long as the slowest step takes on a slow disk.
const PATIENCE: Duration = Duration::from_mins(1);

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
    /// It said this, and then no more.
    #[error("PostgreSQL does not start:\n{0}")]
    Said(String),
}

/// A running server. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    shell: Child,
    lifeline: Option<ChildStdin>,
    /// Its log: all of it until it is ready, then what tells of orders.
    log: Mutex<Receiver<String>>,
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

    pub(super) fn start_in(parent: &Path, settings: &[&str]) -> Result<Self, StartError> {
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
            // What it says is looked for.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of reach of a terminal's Ctrl-C, which would end the shell before it has tidied up.
            .process_group(0);
        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let log = shell.stdout.take().expect("standard output is piped");
        // Made before the wait, so that it is ended when that fails.
        let mut server = Self {
            directory: directory.keep(),
            shell,
            lifeline,
            log: Mutex::new(read_on(log)),
        };
        let log = server.log.get_mut();
        wait_until_ready(log.unwrap_or_else(PoisonError::into_inner))?;
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
        let log = self.log.get_mut();
        let log = log.unwrap_or_else(PoisonError::into_inner);
        let shell = self.lifeline.as_mut().expect("it is there until the drop");
        // Of orders before.
        while log.try_recv().is_ok() {}
        writeln!(shell, "{order}")?;
        loop {
            let line = log.recv_timeout(PATIENCE).map_err(std::io::Error::other)?;
            if line.contains(done) {
                return Ok(());
            }
            if line.contains(TOO_EARLY) {
                writeln!(shell, "{order}")?;
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

/// Reads the server's log to its end on a thread of its own, so that the pipe never fills; gives all lines
/// up to the first ready one, and from there on those that tell of orders.
pub(super) fn read_on(log: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        let mut is_ready = false;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let is_of_orders = [READY, KILLED, TOO_EARLY];
            if !is_ready || is_of_orders.iter().any(|text| line.contains(text)) {
                is_ready |= line.contains(READY);
                // Where nobody listens, the log is read on all the same.
                drop(tell.send(line));
            }
        }
    });
    lines
}

/// Reads that log up to its ready line.
pub(super) fn wait_until_ready(log: &Receiver<String>) -> Result<(), StartError> {
    let mut said = String::new();
    while let Ok(line) = log.recv_timeout(PATIENCE) {
        if line.contains(READY) {
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
        if line.contains(FATAL) {
            break;
        }
    }
    Err(StartError::Said(said))
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
