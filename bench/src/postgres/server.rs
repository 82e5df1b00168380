//! A PostgreSQL server over a directory of its own, reached over a unix socket only.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::binaries::server_binaries;

/// Runs the server until its standard input ends: the kernel closes that pipe also when the process
/// that holds it is killed, as the benchmark ends its servers.
///
/// Arguments: the server's directory, then its program, with what runs that as another user where
/// this is root. The shell stays who started it: it tidies up where the other user may not.
const UNTIL_THE_PIPE_CLOSES: &str = r#"
directory=$1
shift
"$@" -D "$directory/data" -k "$directory" -c listen_addresses= -c shared_buffers=1GB \
  -c synchronous_commit=off &
read -r _
kill -QUIT $!
wait $!
rm -rf "$directory"
"#;

/// A running server. It ends, and its directory goes, with this or with the process.
pub(crate) struct PostgresServer {
    directory: PathBuf,
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl PostgresServer {
    /// Starts a server with an empty database, and waits until it takes connections.
    pub(crate) fn start() -> Result<Self> {
        let binaries = server_binaries().context("no PostgreSQL server binaries")?;
        // A socket's path is short, and open to the user that the server runs as.
        let directory = PathBuf::from(format!("/tmp/claviger-bench-{}", std::process::id()));
        std::fs::create_dir(&directory).context("cannot make a directory for PostgreSQL")?;
        let user = unprivileged_user(&directory)?;
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group))?;
        }
        let mut program = Vec::new();
        let mut initdb = Command::new(binaries.join("initdb"));
        if let Some((user, group)) = user {
            initdb.uid(user).gid(group);
            program.push("setpriv".into());
            program.push(format!("--reuid={user}").into());
            program.push(format!("--regid={group}").into());
            program.push("--clear-groups".into());
        }
        program.push(binaries.join("postgres").into_os_string());
        let made = initdb
            .current_dir("/")
            .args(["-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"])
            .arg("--no-sync")
            .arg("-D")
            .arg(directory.join("data"))
            .output()
            .context("cannot run initdb")?;
        ensure!(made.status.success(), "initdb failed: {made:?}");
        let mut shell = Command::new("sh")
            .current_dir("/")
            .args(["-c", UNTIL_THE_PIPE_CLOSES, "sh"])
            .arg(&directory)
            .args(program)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start postgres")?;
        let lifeline = shell.stdin.take();
        let mut log = BufReader::new(shell.stderr.take().context("standard error is piped")?);
        let server = Self {
            directory,
            shell,
            lifeline,
        };
        let mut said = String::new();
        while !said.contains("ready to accept connections") {
            if log.read_line(&mut said)? == 0 {
                bail!("PostgreSQL ended before it was ready: {said}");
            }
        }
        // The pipe must not fill.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(server)
    }

    /// Where to connect.
    pub(crate) fn url(&self) -> String {
        let directory = self.directory.display();
        format!("postgres://bench@localhost/postgres?host={directory}")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // A failure to wait leaves nothing to do about it: the shell ends by itself.
        drop(self.shell.wait());
    }
}

/// The user and group to run PostgreSQL as, where this is root: it refuses root.
fn unprivileged_user(made: &Path) -> Result<Option<(u32, u32)>> {
    if made.metadata()?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find_map(|line| line.strip_prefix(name))?;
        let mut numbers = line.strip_prefix(":x:")?.split(':').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = find("postgres").or_else(|| find("nobody"));
    found
        .context("no user `postgres` or `nobody` to run PostgreSQL as")
        .map(Some)
}
