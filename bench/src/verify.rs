//! What checking a key costs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::figures::{Bar, Figure, Judged, judgement, short, table, write_json};
use crate::instance::{Instance, Key, draw};
use crate::loader::{self, Pace, count};
use crate::machine::{Machine, busy_time, cores, now, processor_time, resident_bytes};
use crate::options::VerifyOptions;
use crate::scratch::{self, Scratch, run_async};
use crate::server::{Server, own_server};
use crate::wrk;

/// Connections of each load.
const CONNECTIONS: usize = 64;
/// The smaller number of keys.
const FEW: usize = 10_000;

/// A server under load.
struct Target {
    name: &'static str,
    server: Server,
    /// The file with the keys, and the keys.
    file: PathBuf,
    keys: Vec<Key>,
    access_key: String,
    rounds: Vec<Round>,
}

/// What one round measured of one server.
#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    full: Sample,
    half: Sample,
    /// What others did on this machine meanwhile, in hundredths of one core.
    others_percent: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    requests_per_second: f64,
    cpu_micros: f64,
    p50_millis: f64,
    p99_millis: f64,
}

/// What is measured once, before the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Once {
    start_seconds: f64,
    bytes_per_key: f64,
    resident_mebibytes: f64,
    /// Of a check that reads its key from the database.
    cold_cpu_micros: f64,
}

pub(crate) fn run(options: &VerifyOptions) -> Result<()> {
    ensure!(
        cores()? >= 2,
        "it needs two cores: one for a server, one for the load"
    );
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let load_core = scratch::pin_to_last_core()?;

    println!(
        "Drawing {} keys and making the data directories",
        options.keys
    );
    let keys = draw(options.keys);
    let few = &keys[..FEW.min(keys.len())];
    let many_file = write_keys(&scratch.path().join("many.keys"), &keys)?;
    let few_file = write_keys(&scratch.path().join("few.keys"), few)?;
    let many = prepare(&scratch.path().join("many"), &keys)?;
    let small = prepare(&scratch.path().join("few"), few)?;

    println!("Starting over {} keys and reading each once", keys.len());
    let (many_server, once) = first_reads(&many, &keys)?;
    let small_server = small.start()?;
    read_each(&small_server, &small.verifier_key, few)?;
    small_server.rest()?;

    println!("Starting the bare route, and PostgreSQL twice with as many keys");
    let answer = many_server.call(&line_of(&keys[0]), &many.verifier_key, &Value::Null)?;
    let answer = serde_json::to_string(&(answer.headers, answer.body))?;
    let log = |name: &str| scratch.path().join(name).with_extension("log");
    let mut bare = own_server("serve-bare")?;
    bare.arg(answer);
    let bare = Server::start(bare, &log("bare"))?;
    let postgres = |asks| {
        let mut command = own_server("serve-postgres")?;
        command.args([asks, "--keys", &options.keys.to_string(), "--access-key"]);
        command.arg(&many.verifier_key);
        Server::start(command, &log(asks))
    };
    let (look_up, check) = (postgres("look-up")?, postgres("check")?);

    let target = |name, server, file: &Path, keys: &[Key], instance: &Instance| Target {
        name,
        server,
        file: file.to_owned(),
        keys: keys.to_vec(),
        access_key: instance.verifier_key.clone(),
        rounds: Vec::new(),
    };
    let mut targets = [
        target("bare route", bare, &many_file, &keys, &many),
        target("claviger, many keys", many_server, &many_file, &keys, &many),
        target("claviger, few keys", small_server, &few_file, few, &small),
        target("PostgreSQL, look-up", look_up, &many_file, &keys, &many),
        target("PostgreSQL, check", check, &many_file, &keys, &many),
    ];
    let time = Duration::from_secs(options.seconds.into());
    for number in 1..=options.rounds {
        for target in &mut targets {
            let round = target.round(load_core, time)?;
            println!(
                "Round {number} of {}: {}: {} µs CPU per request, {} requests/s",
                options.rounds,
                target.name,
                short(round.full.cpu_micros),
                short(round.full.requests_per_second),
            );
            target.rounds.push(round);
        }
    }
    report(options, &machine, once, &targets)
}

fn write_keys(path: &Path, keys: &[Key]) -> Result<PathBuf> {
    let lines: Vec<_> = keys.iter().map(|key| key.plain.expose()).collect();
    std::fs::write(path, lines.join("\n"))?;
    Ok(path.to_owned())
}

fn prepare(folder: &Path, keys: &[Key]) -> Result<Instance> {
    let instance = Instance::make(folder)?;
    run_async(instance.fill(keys, |done| {
        if done % 100_000 == 0 {
            println!("    {done} of {} keys", keys.len());
        }
    }))?;
    Ok(instance)
}

fn line_of(key: &Key) -> String {
    format!("POST /api-keys/auth/{}", key.plain.expose())
}

fn write_check(key: &Key, access_key: &str, request: &mut Vec<u8>) {
    for part in [
        &line_of(key),
        " HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ",
        access_key,
        "\r\n\r\n",
    ] {
        request.extend_from_slice(part.as_bytes());
    }
}

/// Checks every key once, so that the cache has it afterwards.
fn read_each(server: &Server, access_key: &str, keys: &[Key]) -> Result<loader::Load> {
    let mut next = keys.iter();
    loader::run(
        &server.address,
        CONNECTIONS,
        Pace::Count(keys.len() as u64),
        |_, request| {
            if let Some(key) = next.next() {
                write_check(key, access_key, request);
            }
        },
    )
}

/// Starts over all keys, and tells what that and the first check of each took.
fn first_reads(instance: &Instance, keys: &[Key]) -> Result<(Server, Once)> {
    let start = now();
    let server = instance.start()?;
    server.call(&line_of(&keys[0]), &instance.verifier_key, &Value::Null)?;
    let start_seconds = start.elapsed().as_secs_f64();

    server.rest()?;
    let empty = resident_bytes(server.id())?;
    let before = server.processor_time()?;
    let load = read_each(&server, &instance.verifier_key, keys)?;
    server.rest()?;
    let spent = server.processor_time()?.saturating_sub(before);
    let resident = resident_bytes(server.id())?;
    let keys = count(load.answered);
    let once = Once {
        start_seconds,
        bytes_per_key: count(resident.saturating_sub(empty)) / keys,
        resident_mebibytes: count(resident) / f64::from(1 << 20),
        cold_cpu_micros: spent.as_secs_f64() * 1e6 / keys,
    };
    Ok((server, once))
}

impl Target {
    /// The greatest load, then half of it.
    fn round(&self, load_core: usize, time: Duration) -> Result<Round> {
        let (start, busy, ours) = (now(), busy_time()?, processor_time(std::process::id())?);
        let before = self.server.processor_time()?;
        let full = wrk::run(
            load_core,
            &self.server.address,
            CONNECTIONS,
            time,
            &self.file,
            &self.access_key,
        )?;
        self.server.rest()?;
        let middle = self.server.processor_time()?;
        // Strides through the keys that come back to one only after all others.
        let (mut place, stride) = (0, (self.keys.len() * 618 / 1_000) | 1);
        let mut half = loader::run(
            &self.server.address,
            CONNECTIONS,
            Pace::Rate(full.rate / 2.0, time),
            |_, request| {
                write_check(&self.keys[place], &self.access_key, request);
                place = (place + stride) % self.keys.len();
            },
        )?;
        self.server.rest()?;
        let after = self.server.processor_time()?;
        let micros = |time: Duration, answered| time.as_secs_f64() * 1e6 / count(answered);
        let ours = processor_time(std::process::id())?.saturating_sub(ours);
        let others = busy_time()?.saturating_sub(busy).saturating_sub(ours);
        Ok(Round {
            full: Sample {
                requests_per_second: full.rate,
                cpu_micros: micros(middle.saturating_sub(before), full.answered),
                p50_millis: full.p50_millis,
                p99_millis: full.p99_millis,
            },
            half: Sample {
                requests_per_second: half.rate(),
                cpu_micros: micros(after.saturating_sub(middle), half.answered),
                p50_millis: half.percentile(50),
                p99_millis: half.percentile(99),
            },
            others_percent: others.as_secs_f64() * 100.0 / start.elapsed().as_secs_f64(),
        })
    }

    fn figure(&self, of: impl Fn(&Round) -> f64) -> Figure {
        Figure::of(self.rounds.iter().map(of))
    }
}

/// A figure of two servers in the same round.
fn compare(one: &Target, other: &Target, of: impl Fn(&Round, &Round) -> f64) -> Figure {
    let rounds = one.rounds.iter().zip(&other.rounds);
    Figure::of(rounds.map(|(one, other)| of(one, other)))
}

fn report(
    options: &VerifyOptions,
    machine: &Machine,
    once: Once,
    targets: &[Target; 5],
) -> Result<()> {
    let rows: Vec<_> = targets
        .iter()
        .map(|target| {
            vec![
                target.name.to_owned(),
                target.figure(|round| round.full.cpu_micros).to_string(),
                target
                    .figure(|round| round.full.requests_per_second)
                    .to_string(),
                target.figure(|round| round.full.p99_millis).to_string(),
                target.figure(|round| round.half.cpu_micros).to_string(),
                target.figure(|round| round.half.p50_millis).to_string(),
                target.figure(|round| round.half.p99_millis).to_string(),
            ]
        })
        .collect();
    let head = [
        "server",
        "CPU µs per request",
        "requests/s",
        "p99 ms",
        "at half load: CPU µs",
        "p50 ms",
        "p99 ms",
    ];
    let judged = judge(once, targets);
    let rounds = targets.iter().flat_map(|target| &target.rounds);
    let others = Figure::of(rounds.map(|round| round.others_percent));
    println!(
        "\n{machine}\n{} keys, {} rounds of {} s a load, {CONNECTIONS} connections; median (least to greatest)\n",
        options.keys, options.rounds, options.seconds
    );
    println!("{}\n{}", table(&head, &rows), judgement(&judged));
    println!(
        "A check of a key that is not in memory: {} µs CPU. Resident with all keys in memory: {} MiB.\n\
         Others were busy on this machine meanwhile: {others} % of one core.",
        short(once.cold_cpu_micros),
        short(once.resident_mebibytes),
    );
    let rounds: serde_json::Map<String, Value> = targets
        .iter()
        .map(|target| {
            Ok((
                target.name.to_owned(),
                serde_json::to_value(&target.rounds)?,
            ))
        })
        .collect::<Result<_>>()?;
    let figures = serde_json::json!({
        "machine": machine,
        "keys": options.keys,
        "secondsOfEachLoad": options.seconds,
        "once": once,
        "bars": judged,
        "rounds": rounds,
    });
    write_json(options.json.as_deref(), &figures)
}

fn judge(once: Once, [bare, many, few, look_up, check]: &[Target; 5]) -> Vec<Judged> {
    let cpu = |one: &Round, other: &Round| one.full.cpu_micros / other.full.cpu_micros;
    vec![
        Judged::new(
            "CPU of a check, beside the bare route",
            "times",
            compare(many, bare, cpu),
            Bar::AtMost(1.6, Some(1.3)),
        ),
        Judged::new(
            "CPU of a check among many keys, beside one among few",
            "times",
            compare(many, few, cpu),
            Bar::AtMost(1.3, Some(1.1)),
        ),
        Judged::new(
            "CPU of a check over PostgreSQL, beside a check",
            "times",
            compare(check, many, cpu),
            Bar::AtLeast(12.0, None),
        ),
        Judged::new(
            "CPU of a look-up in PostgreSQL, beside a check",
            "times",
            compare(look_up, many, cpu),
            Bar::AtLeast(12.0, None),
        ),
        Judged::new(
            "p99 at half load, above the bare route's",
            "ms",
            compare(many, bare, |one, other| {
                one.half.p99_millis - other.half.p99_millis
            }),
            Bar::AtMost(1.0, None),
        ),
        Judged::new(
            "resident memory of a key in memory",
            "bytes",
            Figure::of([once.bytes_per_key]),
            Bar::AtMost(400.0, Some(200.0)),
        ),
        Judged::new(
            "start over all keys, until the first check is answered",
            "s",
            Figure::of([once.start_seconds]),
            Bar::AtMost(1.0, None),
        ),
    ]
}
