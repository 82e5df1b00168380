//! Published clients that need more than `cargo xtask test` asks of a machine: a newer Node, or Python.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::needs::{self, Node};
use crate::process::succeed;

/// Tries all of them against the server at `url`.
pub(super) fn run(workspace: &Path, node: &Node, folder: &Path, url: &str) -> Result<()> {
    inspector(node, folder, url)?;
    remote(node, folder, url)?;
    let conformance = workspace.join("conformance");
    let python = needs::python(&conformance.join("clients.txt"), folder)?;
    let mut sdk = Command::new(python);
    succeed(sdk.arg(conformance.join("clients.py")).arg(url))
}

/// MCP Inspector, which fails where a client of some provider would refuse a schema.
fn inspector(node: &Node, folder: &Path, url: &str) -> Result<()> {
    let mut command = of_npm(node, folder, "mcp-inspector");
    command.args(["--cli", url, "--transport", "http"]);
    command.args(["--method", "tools/list", "--strict"]);
    let output = command.output().context("cannot run the inspector")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or_default();
    if !output.status.success() {
        bail!("the inspector refuses the tools: {last}");
    }
    println!("MCP Inspector, --strict: {last}");
    Ok(())
}

/// `mcp-remote`, through which a client that starts a program reaches a URL.
fn remote(node: &Node, folder: &Path, url: &str) -> Result<()> {
    let mut command = of_npm(node, folder, "mcp-remote");
    let mut child = command
        .args([url, "--allow-http"])
        .env("MCP_REMOTE_CONFIG_DIR", folder.join("mcp-remote"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run mcp-remote")?;
    let mut input = child.stdin.take().context("it has no input")?;
    let output = child.stdout.take().context("it has no output")?;
    let client = json!({ "name": "claviger-conformance", "version": "1.0.0" });
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
    ] {
        writeln!(input, "{message}").context("mcp-remote takes no message")?;
    }
    let mut tools = None;
    for line in BufReader::new(output).lines() {
        let answer: Value = serde_json::from_str(&line.context("mcp-remote ended")?)?;
        if answer["id"] == 2 {
            tools = answer["result"]["tools"].as_array().map(Vec::len);
            break;
        }
    }
    drop(input);
    // It may have ended with its input already.
    drop(child.kill());
    child.wait().context("mcp-remote does not end")?;
    let tools = tools.context("mcp-remote answered no tools")?;
    println!("mcp-remote: {tools} tools");
    Ok(())
}

fn of_npm(node: &Node, folder: &Path, name: &str) -> Command {
    let mut command = Command::new("node");
    command
        .env("PATH", &node.search_path)
        .arg(folder.join("node_modules/.bin").join(name));
    command
}
