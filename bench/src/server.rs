//! A server as a process of its own, on a core of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::machine::{processor_time, wait};

/// Where servers run; loads run on the last core.
pub(crate) const CORE: usize = 0;

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    /// Host and port.
    pub(crate) address: String,
    child: Child,
    // Held open, so that what it writes does not fail.
    _output: BufReader<ChildStdout>,
}

/// `program` on one core.
pub(crate) fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// This program as a server of its own.
pub(crate) fn own_server(name: &str) -> Result<Command> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = pinned(CORE, program);
    command.arg(name);
    Ok(command)
}

/// The program that is measured, which lies beside this one.
pub(crate) fn program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell which program this is")?;
    Ok(this.with_file_name("claviger"))
}

/// `claviger serve` with its data in `folder`, on its core.
pub(crate) fn claviger(folder: &Path) -> Result<Command> {
    Ok(serving(pinned(CORE, program()?), folder))
}

/// The same on all cores.
pub(crate) fn claviger_anywhere(folder: &Path) -> Result<Command> {
    Ok(serving(Command::new(program()?), folder))
}

fn serving(mut command: Command, folder: &Path) -> Command {
    command
        .env_clear()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder);
    command
}

impl Server {
    /// Starts a server, and waits until it prints its address. Its log goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).context("cannot make a log file")?)
            .spawn()
            .context("cannot start a server: `taskset` comes with util-linux")?;
        let mut output = BufReader::new(child.stdout.take().context("standard output is piped")?);
        let address = loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("a server ended before it was ready: {said}");
            }
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim().to_owned();
            }
        };
        Ok(Self {
            address,
            child,
            _output: output,
        })
    }

    /// Starts a server that does not tell its address, and waits until somebody listens there.
    pub(crate) fn listening(mut command: Command, address: &str, log: &Path) -> Result<Self> {
        const TRIES: u32 = 300;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).context("cannot make a log file")?)
            .spawn()
            .context("cannot start a server")?;
        let output = BufReader::new(child.stdout.take().context("standard output is piped")?);
        let server = Self {
            address: address.to_owned(),
            child,
            _output: output,
        };
        for _ in 0..TRIES {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            wait(Duration::from_millis(100));
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        bail!("nobody listens at {address}: {said}")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// User and system time of all its processes so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.id())
    }

    /// Waits until it does nothing more: what it does once a second belongs to the load before.
    pub(crate) fn rest(&self) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(400);
        wait(Duration::from_millis(1_200));
        let mut before = self.processor_time()?;
        loop {
            wait(LOOK);
            let after = self.processor_time()?;
            if after.saturating_sub(before) <= LOOK / 40 {
                return Ok(());
            }
            before = after;
        }
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .context("a server was not there to be ended")?;
        let ended = self.child.wait()?;
        ensure!(ended.success(), "a server ended as it should not: {ended}");
        Ok(())
    }

    /// Sends one request over a connection of its own; `line` is such as `POST /api-keys`. Any answer
    /// but a success is an error.
    pub(crate) fn call(&self, line: &str, key: &str, body: &Value) -> Result<Answer> {
        let text = self.exchange(line, &format!("x-api-key: {key}\r\n"), body)?;
        Answer::read(&text).with_context(|| format!("{line} was no success: {text}"))
    }

    /// The same with these lines in its head; gives all that is answered, whatever that is.
    pub(crate) fn exchange(&self, line: &str, head: &str, body: &Value) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).context("cannot connect")?;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        write!(
            stream,
            "{line} HTTP/1.1\r\nhost: localhost\r\n{head}connection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, which is what this is for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The answer to a request that succeeded.
pub(crate) struct Answer {
    /// Names and values, but for those that every server of HTTP adds.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        if !lines.next()?.starts_with("HTTP/1.1 2") {
            return None;
        }
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| !["date", "connection", "content-length"].contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            headers,
            body: body.to_owned(),
        })
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).context("an answer is no JSON")
    }
}
