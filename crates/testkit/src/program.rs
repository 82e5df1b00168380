//! The built program as a process of its own, reached through a socket.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::database::migrated;
use crate::{Engine, postgres};

/// How many lines of the welcome are there to be pasted.
const PASTED: usize = 3;

/// A running `claviger`, or test bed. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    /// What it printed until it was ready.
    pub welcome: String,
    folder: PathBuf,
    child: Child,
    output: BufReader<ChildStdout>,
    log: BufReader<ChildStderr>,
}

/// A command line without the variables of whoever runs the tests.
pub fn command<A: AsRef<OsStr>>(binary: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// `serve` on a free port, with its data in `folder`: on PostgreSQL, where this run is on that, in a
/// database of the folder's own.
pub fn serve(binary: &str, folder: &Path, flags: &[&str]) -> Command {
    let mut command = serve_on_sqlite(binary, folder, flags);
    if Engine::of_this_run() == Engine::Postgres && !flags.contains(&"--database-url") {
        command.env("CLAVIGER_DATABASE_URL", database_of(folder));
    }
    command
}

/// The URL of the database of a folder: the same each time, so that what starts there anew finds it.
fn database_of(folder: &Path) -> String {
    static DATABASES: Mutex<BTreeMap<PathBuf, postgres::Database>> = Mutex::new(BTreeMap::new());

    let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(database) = databases.get(folder) {
        return database.url().to_owned();
    }
    // A thread of its own: whoever asks may be in a runtime, which takes no second one.
    let made = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a test may start a runtime");
        runtime.block_on(migrated())
    });
    let database = made.join().expect("the tests' own server takes databases");
    let url = database.url().to_owned();
    databases.insert(folder.to_owned(), database);
    url
}

/// `serve` on a free port, with SQLite in `folder` whatever this run is on.
pub fn serve_on_sqlite(binary: &str, folder: &Path, flags: &[&str]) -> Command {
    let mut command = command(binary, ["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder).args(flags);
    command
}

/// Runs a command that ends by itself.
pub fn run_to_end(mut command: Command) -> Output {
    command
        .output()
        .expect("the program was built with the tests")
}

impl Program {
    /// Starts it and waits until it says that it is ready.
    pub fn start(binary: &str, folder: &Path, flags: &[&str]) -> Result<Self> {
        Self::start_as(serve(binary, folder, flags), folder)
    }

    /// The same with a command line of the test's own.
    pub fn start_as(mut command: Command, folder: &Path) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut program = Self {
            welcome: String::new(),
            folder: folder.to_owned(),
            output: BufReader::new(child.stdout.take().context("no output")?),
            log: BufReader::new(child.stderr.take().context("no log")?),
            child,
        };
        while !program.is_ready() {
            if program.output.read_line(&mut program.welcome)? == 0 {
                bail!("it ended before it was ready: {}", program.rest_of_log()?);
            }
        }
        Ok(program)
    }

    fn is_ready(&self) -> bool {
        self.welcome.contains("Claviger is ready: ")
    }

    /// The lines of the welcome that can be pasted, which are indented.
    pub fn pasted_lines(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        while lines.len() < PASTED {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the welcome has {} lines to paste", lines.len());
            }
            if line.starts_with("  ") {
                lines.push(line.trim().to_owned());
            }
        }
        Ok(lines)
    }

    /// What the first start handed over.
    pub fn bootstrap(&self) -> Result<Value> {
        let text = fs::read_to_string(self.folder.join("bootstrap.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Where it listens: host and port.
    pub fn address(&self) -> Result<String> {
        let (_, rest) = self
            .welcome
            .split_once("http://")
            .context("no address in the welcome")?;
        Ok(rest
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Connects to it.
    pub fn connect(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.address()?)?)
    }

    /// Sends a request, and gives status and body.
    pub fn call(&self, line: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        let mut stream = self.connect()?;
        stream.write_all(request(line, key, body).as_bytes())?;
        answer(stream)
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) -> Result<()> {
        let asked = Command::new("kill")
            .args(["-s", name])
            .arg(self.child.id().to_string())
            .status()?;
        anyhow::ensure!(asked.success(), "the program was not there for a signal");
        Ok(())
    }

    /// Reads its log up to a line with that text, and gives the line.
    pub fn wait_for_log(&mut self, text: &str) -> Result<String> {
        loop {
            let mut line = String::new();
            if self.log.read_line(&mut line)? == 0 {
                bail!("the log ended without {text:?}");
            }
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Ends it, and gives its exit code and the rest of what it printed and logged.
    pub fn stop(mut self) -> Result<(i32, String)> {
        self.terminate()?;
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<(i32, String)> {
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        said.push_str(&self.rest_of_log()?);
        let status = self.child.wait()?;
        Ok((status.code().context("it was killed")?, said))
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn rest_of_log(&mut self) -> Result<String> {
        let mut log = String::new();
        self.log.read_to_string(&mut log)?;
        Ok(log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended, which is what this is for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A request byte for byte; `line` is such as `POST /api-keys`.
pub fn request(line: &str, key: &str, body: &Value) -> String {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Reads the one answer of a connection: its status and body.
pub fn answer(mut stream: TcpStream) -> Result<(u16, Value)> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("it closed the connection without an answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}
