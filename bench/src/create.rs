//! How many keys are created a second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use claviger_domain::key_string::Pepper;
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::figures::{Bar, Figure, Judged, judgement, short, write_json};
use crate::instance::{Instance, draw, settings};
use crate::loader::{self, Pace, count};
use crate::machine::{Machine, cores, now};
use crate::options::CreateOptions;
use crate::scratch::{self, Scratch, run_async};
use crate::server::own_server;

const CONNECTIONS: usize = 64;

pub(crate) fn run(options: &CreateOptions) -> Result<()> {
    ensure!(
        cores()? >= 2,
        "it needs two cores: one for a server, one for the load"
    );
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    scratch::pin_to_last_core()?;
    let instance = Instance::make(&scratch.path().join("data"))?;
    let server = instance.start()?;
    let time = Duration::from_secs(options.seconds.into());
    let (mut created, mut inserted) = (Vec::new(), Vec::new());
    let (mut p99, mut spent) = (Vec::new(), Vec::new());
    for number in 1..=options.rounds {
        let before = server.processor_time()?;
        let mut load = loader::run(
            &server.address,
            CONNECTIONS,
            Pace::For(time),
            |sent, request| {
                write_creation(
                    &format!("Key {number}/{sent}"),
                    &instance.owner_key,
                    request,
                );
            },
        )?;
        let after = server.processor_time()?;
        let micros = after.saturating_sub(before).as_secs_f64() * 1e6 / count(load.answered);
        let database = scratch.path().join(format!("{number}.db"));
        let bare = insert_apart(&database, options.seconds)?;
        println!(
            "Round {number} of {}: {} keys created a second, {} µs CPU each, {} bare inserts",
            options.rounds,
            short(load.rate()),
            short(micros),
            short(bare)
        );
        created.push(load.rate());
        inserted.push(bare);
        p99.push(load.percentile(99));
        spent.push(micros);
    }
    let ratio = created
        .iter()
        .zip(&inserted)
        .map(|(one, other)| one / other);
    let judged = [Judged::new(
        "keys created a second, beside bare inserts",
        "times",
        Figure::of(ratio),
        Bar::AtLeast(1.0, Some(3.0)),
    )];
    let (created, inserted) = (Figure::of(created), Figure::of(inserted));
    let (p99, spent) = (Figure::of(p99), Figure::of(spent));
    println!(
        "\n{machine}\n{CONNECTIONS} connections, {} rounds of {} s a load; median (least to greatest)\n",
        options.rounds, options.seconds
    );
    println!("keys created a second: {created}, p99 {p99} ms, CPU {spent} µs each");
    println!("bare inserts a second: {inserted}\n");
    println!("{}", judgement(&judged));
    let figures = json!({
        "machine": machine,
        "createdPerSecond": created,
        "p99Millis": p99,
        "cpuMicros": spent,
        "insertedPerSecond": inserted,
        "bars": judged,
    });
    write_json(options.json.as_deref(), &figures)
}

fn write_creation(name: &str, access_key: &str, request: &mut Vec<u8>) {
    let body = settings(name).to_string();
    let text = format!(
        "POST /api-keys HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {access_key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    request.extend_from_slice(text.as_bytes());
}

/// The bare inserts a second, by a process on the servers' core.
fn insert_apart(database: &Path, seconds: u32) -> Result<f64> {
    let output = own_server("insert")?
        .args(["--seconds", &seconds.to_string(), "--database"])
        .arg(database)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    said.trim()
        .parse()
        .with_context(|| format!("the inserts failed: {complained}"))
}

/// Inserts rows one by one, each on the disk before the next, and prints how many a second.
pub(crate) fn insert(database: PathBuf, seconds: u32) -> Result<()> {
    let time = Duration::from_secs(seconds.into());
    let pepper = Pepper::new(&[7; 32]);
    let body = settings("Key").to_string();
    let keys = draw(100_000);
    let (rows, took) = run_async(async {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query(
            "CREATE TABLE keys (digest BLOB PRIMARY KEY NOT NULL, body TEXT NOT NULL) STRICT",
        )
        .execute(&mut connection)
        .await?;
        let start = now();
        let mut rows = 0;
        for key in &keys {
            if start.elapsed() >= time {
                break;
            }
            let digest = pepper.digest(key.plain.expose());
            sqlx::query("INSERT INTO keys (digest, body) VALUES ($1, $2)")
                .bind(&digest.as_bytes()[..])
                .bind(&body)
                .execute(&mut connection)
                .await?;
            rows += 1;
        }
        let took = start.elapsed();
        connection.close().await?;
        Ok((rows, took))
    })?;
    println!("{}", count(rows) / took.as_secs_f64());
    Ok(())
}
