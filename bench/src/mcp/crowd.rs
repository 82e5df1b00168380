//! Many MCP servers: what they leave in memory after one call each.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Caller, HEAD, served};
use crate::loader::count;
use crate::machine::resident_bytes;

/// MCP servers of one connected account.
const EACH: u32 = 10;
/// Threads that set them up: changes share commits.
const THREADS: u32 = 8;

/// Makes so many MCP servers, calls a tool of each once, and tells what the program has in memory then.
pub(super) fn resident_mebibytes(caller: &Caller<'_>, api: &str, servers: u32) -> Result<f64> {
    let accounts = servers / EACH;
    println!("Making {servers} MCP servers over {accounts} connected accounts, and calling each");
    let part = |first: u32| -> Result<()> {
        for number in (first..accounts).step_by(THREADS as usize) {
            let connected = caller.connect(served::SLUG, api, &format!("tenant-{number}"))?;
            for _ in 0..EACH {
                let path = caller.expose(&connected)?;
                let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                    "name": served::CALLED, "arguments": {"id": "item-7"}}});
                let said = caller
                    .server
                    .exchange(&format!("POST {path}"), HEAD, &body)?;
                ensure!(said.contains(served::LAST_WORD), "a call failed: {said}");
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || part(first)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(outcome) => outcome?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, anyhow::Error>(())
    })?;
    caller.server.rest()?;
    Ok(count(resident_bytes(caller.server.id())?) / f64::from(1 << 20))
}
