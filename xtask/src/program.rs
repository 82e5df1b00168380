//! The program on this machine, with a folder of its own, for as long as it is asked.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

const READY: &str = "Claviger is ready: ";

/// How it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flags {
    /// As it is.
    Plain,
    /// With what `conformance/seeds.py` needs.
    WithSeeds,
}

/// Dropping it ends it.
pub(crate) struct Program {
    child: Child,
    url: String,
    data: PathBuf,
    receiver_port: u16,
}

impl Program {
    /// Starts it with nothing in its folder, and waits until it is ready.
    pub(crate) fn start(binary: &Path, folder: &Path, flags: Flags) -> Result<Self> {
        let (data, log) = (folder.join("data"), folder.join("server.log"));
        if data.exists() {
            fs::remove_dir_all(&data).context("cannot remove the last run's data")?;
        }
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let receiver_port = free_port()?;
        let mut command = Command::new(binary);
        command.env_clear();
        command.args(["serve", "--listen=127.0.0.1:0", "--log=warn"]);
        if flags == Flags::WithSeeds {
            command
                .arg("--signup=open")
                // The seeds have a receiver on this machine; each request is from an address of its own.
                .args(["--outbound-allow-private", "--trusted-proxies=127.0.0.1"])
                // It is Firebase's set of keys, too, which is fetched when somebody signs in with it.
                .arg("--firebase-project=acme-1")
                .arg(format!(
                    "--firebase-keys=http://127.0.0.1:{receiver_port}/keys"
                ));
        }
        let mut child = command
            .arg("--data-dir")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let welcome = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut program = Self {
            child,
            url: String::new(),
            data,
            receiver_port,
        };
        for line in welcome.lines() {
            let line = line.context("cannot read what the program told")?;
            if let Some(url) = line.strip_prefix(READY) {
                url.trim().clone_into(&mut program.url);
                return Ok(program);
            }
        }
        bail!(
            "the program ended before it was ready: see server.log in {}",
            folder.display()
        );
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The port on which the seeds are to have their receiver.
    pub(crate) const fn receiver_port(&self) -> u16 {
        self.receiver_port
    }

    /// The folder with its database and the credentials of its first start.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}

/// A port of this machine that nobody has, as far as it can be told beforehand.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended, which is what this is for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
