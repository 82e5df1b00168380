//! How long it takes to move keys here from a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::figures::{Bar, Figure, Judged, judgement, short, write_json};
use crate::instance::{Instance, draw};
use crate::loader::count;
use crate::machine::{Machine, now};
use crate::options::ImportOptions;
use crate::scratch::Scratch;
use crate::server::{Server, claviger_anywhere, program};

/// Seconds that a million keys may take.
const SECONDS: f64 = 60.0;

pub(crate) fn run(options: &ImportOptions) -> Result<()> {
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let instance = Instance::make(&scratch.path().join("data"))?;
    let file = scratch.path().join("keys.csv");
    write_keys(&file, options.keys)?;
    // On all cores, as its client is: whoever moves keys waits for both.
    let command = claviger_anywhere(&instance.folder)?;
    let server = Server::start(command, &scratch.path().join("server.log"))?;
    let first = import(&server, &instance.owner_key, &file)?;
    ensure!(
        first.told["created"] == options.keys,
        "not all keys were created: {}",
        first.told
    );
    let again = import(&server, &instance.owner_key, &file)?;
    ensure!(
        again.told["exists"] == options.keys,
        "not all keys were there: {}",
        again.told
    );
    server.stop()?;
    let millions = f64::from(options.keys) / 1e6;
    // Indexes grow with the keys: fewer are quicker, each.
    let judged = [Judged::new(
        "import, of a million keys",
        "s",
        Figure::of([first.seconds / millions]),
        Bar::AtMost(SECONDS, None),
    )];
    println!("\n{machine}\n{} keys of a CSV file\n", options.keys);
    for (what, took) in [("imported", &first), ("sent again", &again)] {
        println!(
            "{what}: {} s, server CPU {} µs a key",
            short(took.seconds),
            short(took.cpu_micros / count(options.keys.into())),
        );
    }
    println!("\n{}", judgement(&judged));
    let figures = json!({
        "machine": machine, "keys": options.keys, "seconds": first.seconds,
        "againSeconds": again.seconds, "cpuMicros": first.cpu_micros / count(options.keys.into()), "bars": judged,
    });
    write_json(options.json.as_deref(), &figures)
}

struct Took {
    seconds: f64,
    cpu_micros: f64,
    told: Value,
}

/// Imports the file by the program's own command.
fn import(server: &Server, access_key: &str, file: &Path) -> Result<Took> {
    let before = server.processor_time()?;
    let start = now();
    let output = Command::new(program()?)
        .env_clear()
        .env("CLAVIGER_URL", format!("http://{}", server.address))
        .env("CLAVIGER_ACCESS_KEY", access_key)
        .args(["keys", "import", "--json"])
        .arg(file)
        .output()
        .context("cannot import")?;
    let seconds = start.elapsed().as_secs_f64();
    let spent = server.processor_time()?.saturating_sub(before);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "an import failed: {complained}");
    Ok(Took {
        seconds,
        cpu_micros: spent.as_secs_f64() * 1e6,
        told: serde_json::from_slice(&output.stdout).context("an import told no JSON")?,
    })
}

fn write_keys(path: &Path, keys: u32) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "name,key,customAccountId,customMetaData,rateLimit,rateLimitTtl"
    )?;
    for (number, key) in draw(keys).iter().enumerate() {
        let customer = number % 5_000;
        // Of another's shape, as they are where they come from.
        let text = key.plain.expose().replace('_', "-");
        writeln!(
            file,
            "Key {number},{text},customer-{customer},\"{{\"\"plan\"\": \"\"business\"\"}}\",1000,60"
        )?;
    }
    file.flush()?;
    Ok(())
}
