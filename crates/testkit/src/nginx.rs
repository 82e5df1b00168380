//! Debian's nginx, as a process of the test's own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, bail};

mod binaries;

/// A running nginx. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    // Open as long as it runs: it would end at the first line that nobody can read.
    _log: BufReader<ChildStderr>,
}

impl Nginx {
    /// Starts one with `http` as the inside of its `http` block and all its files in `folder`, and
    /// waits until it listens.
    pub fn start(folder: &Path, http: &str) -> Result<Self> {
        let binary = binaries::nginx()
            .context("no nginx: on Debian, `sudo apt-get install nginx-light` installs it")?;
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr notice;\n\
             events {{}}\nhttp {{\naccess_log off;\n{scratch}{http}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config)?;
        let mut prefix = OsString::from(folder);
        prefix.push("/");
        let mut child = Command::new(binary)
            .arg("-p")
            .arg(prefix)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?);
        let mut said = String::new();
        // It begins to wait for events once its sockets listen.
        while !said.contains("event method") {
            if log.read_line(&mut said)? == 0 {
                log.read_to_string(&mut said)?;
                bail!("nginx ended before it listened: {said}");
            }
        }
        Ok(Self { child, _log: log })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended, which is what this is for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
