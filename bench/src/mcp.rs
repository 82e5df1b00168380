//! What a tool's call costs, beside the same translation by hand and beside `FastMCP`'s `from_openapi`.

mod caller;
mod crowd;
mod served;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::figures::{Bar, Figure, Judged, judgement, short, table, write_json};
use crate::instance::Instance;
use crate::loader::{self, Load, Pace, count};
use crate::machine::{Machine, cores};
use crate::options::McpOptions;
use crate::scratch::{self, Scratch};
use crate::server::{CORE, Server, claviger, own_server, pinned};

pub(crate) use caller::{Caller, HEAD};
pub(crate) use served::{translation, upstream};

/// Clients of the greater load, each with one call under way.
const MANY: usize = 16;
/// How long one server is called before the next one has its turn: so what the machine does beside befalls all
/// of them alike.
const SLICE: Duration = Duration::from_secs(1);
/// Clients of a steady rate: enough that each call is made when it is due.
const STEADY: usize = 64;
/// Clients that list tools.
const LISTING: usize = 64;
pub(crate) fn run(options: &McpOptions) -> Result<()> {
    ensure!(
        cores()? >= 2,
        "it needs two cores: one for a server, one for the load"
    );
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let load_core = scratch::pin_to_last_core()?;
    let log = |name: &str| scratch.path().join(name).with_extension("log");
    // The API behind them all is beside the load, so that servers have their core for themselves.
    let mut api = pinned(load_core, std::env::current_exe()?);
    api.arg("serve-upstream");
    let api = Server::start(api, &log("upstream"))?;

    let instance = Instance::make(&scratch.path().join("data"))?;
    let mut own = claviger(&instance.folder)?;
    own.arg("--outbound-allow-private");
    let own = Server::start(own, &log("claviger"))?;
    let caller = Caller {
        server: &own,
        key: &instance.owner_key,
    };
    caller.bring(&served::connector())?;
    let connected = caller.connect(served::SLUG, &api.address, "bench")?;
    let path = caller.expose(&connected)?;
    let listed = caller.expose(&instance.connected()?)?;

    let mut by_hand = own_server("serve-translation")?;
    by_hand.arg(&api.address);
    let by_hand = Server::start(by_hand, &log("translation"))?;
    let fastmcp = fastmcp(&scratch, &api.address, &log("fastmcp"))?;

    let mut faces = [
        Face::new("claviger", &own, path, served::CALLED),
        Face::new("by hand", &by_hand, "/mcp".to_owned(), "getItem"),
        Face::new("FastMCP", &fastmcp, "/mcp".to_owned(), "getItem"),
    ];
    let time = Duration::from_secs(options.seconds.into());
    let mut lists = Vec::new();
    for number in 1..=options.rounds {
        round(&mut faces, time)?;
        for face in &faces {
            println!("Round {number} of {}: {}", options.rounds, face.last());
        }
        let [ours, translation, _] = &mut faces;
        let greatest = ours.rounds.last().map_or(1.0, |it| it.many_per_second);
        go_steadily([ours, translation], greatest / 2.0, time)?;
        lists.push(list_tools(&own, &listed, time)?);
    }
    let resident = crowd::resident_mebibytes(&caller, &api.address, options.servers)?;
    report(&machine, options, &faces, lists, resident)
}

/// `FastMCP` over the same document and API, in the environment that `cargo xtask bench` made for it.
fn fastmcp(scratch: &Scratch, api: &str, log: &Path) -> Result<Server> {
    let this = std::env::current_exe().context("cannot tell which program this is")?;
    let target = this
        .ancestors()
        .nth(2)
        .context("it is in no target directory")?;
    let python = target.join("fastmcp/python/bin/python");
    let document = scratch.path().join("bench.openapi.json");
    std::fs::write(&document, served::document().to_string())?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fastmcp/serve.py");
    let mut command = pinned(CORE, python);
    command
        .arg(script)
        .arg("--openapi")
        .arg(&document)
        .args(["--upstream", &format!("http://{api}")])
        .args(["--port", &address.port().to_string()]);
    Server::listening(command, &address.to_string(), log)
}

/// One server that is called.
struct Face<'a> {
    name: &'static str,
    server: &'a Server,
    path: String,
    tool: &'static str,
    rounds: Vec<Round>,
    /// p99 in milliseconds at a steady rate, of each round.
    steady: Vec<f64>,
}

/// What one round measured of it.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Round {
    alone_per_second: f64,
    many_per_second: f64,
    cpu_micros: f64,
    p50_millis: f64,
    p99_millis: f64,
}

impl<'a> Face<'a> {
    fn new(name: &'static str, server: &'a Server, path: String, tool: &'static str) -> Self {
        Self {
            name,
            server,
            path,
            tool,
            rounds: Vec::new(),
            steady: Vec::new(),
        }
    }

    fn call(&self, number: u64) -> String {
        let params =
            json!({"name": self.tool, "arguments": {"id": format!("item-{}", number % 1_000)}});
        json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            .to_string()
    }

    /// What it was asked for has to be in the answer, before and after.
    fn check(&self) -> Result<()> {
        let line = format!("POST {}", self.path);
        let body = serde_json::from_str(&self.call(7))?;
        let said = self.server.exchange(&line, HEAD, &body)?;
        let is_whole = said.contains("item-7") && said.contains(served::LAST_WORD);
        ensure!(is_whole, "{} does not call the API: {said}", self.name);
        Ok(())
    }

    fn load(&self, clients: usize, pace: Pace) -> Result<Load> {
        loader::run(&self.server.address, clients, pace, |sent, request| {
            write(&self.path, &self.call(sent), request);
        })
    }

    fn last(&self) -> String {
        self.rounds.last().map_or_else(String::new, |round| {
            format!(
                "{}: {} calls a second by one client, {} by {MANY}, {} µs CPU each",
                self.name,
                short(round.alone_per_second),
                short(round.many_per_second),
                short(round.cpu_micros),
            )
        })
    }

    fn figure(&self, of: impl Fn(&Round) -> f64) -> Figure {
        Figure::of(self.rounds.iter().map(of))
    }

    fn beside(&self, other: &Self, of: impl Fn(&Round) -> f64) -> Figure {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Figure::of(pairs.map(|(own, other)| of(own) / of(other)))
    }
}

/// One round: each is called by one client, and then all of them by many, a slice at a time.
fn round(faces: &mut [Face<'_>; 3], time: Duration) -> Result<()> {
    let mut alone_per_second = Vec::new();
    for face in faces.iter() {
        face.check()?;
        let alone = face.load(1, Pace::For(time))?;
        alone_per_second.push(alone.rate());
        face.server.rest()?;
    }
    let spent = |faces: &[Face<'_>; 3]| {
        let spent = faces.iter().map(|face| face.server.processor_time());
        spent.collect::<Result<Vec<_>>>()
    };
    let before = spent(faces)?;
    let loads = in_turn(&faces.each_ref(), MANY, Pace::For, time)?;
    let after = spent(faces)?;
    let measured = loads.into_iter().zip(before).zip(after);
    let of_faces = faces.iter_mut().zip(alone_per_second);
    for ((face, alone_per_second), ((mut many, before), after)) in of_faces.zip(measured) {
        face.check()?;
        face.rounds.push(Round {
            alone_per_second,
            many_per_second: many.rate(),
            cpu_micros: after.saturating_sub(before).as_secs_f64() * 1e6 / count(many.answered),
            p50_millis: many.percentile(50),
            p99_millis: many.percentile(99),
        });
    }
    Ok(())
}

/// Calls each of them at a steady rate, over as many connections as it takes.
fn go_steadily(faces: [&mut Face<'_>; 2], rate: f64, time: Duration) -> Result<()> {
    let pace = |slice| Pace::Beside(rate, slice);
    let loads = in_turn(&faces.each_ref().map(|face| &**face), STEADY, pace, time)?;
    for (face, mut load) in faces.into_iter().zip(loads) {
        face.steady.push(load.percentile(99));
    }
    Ok(())
}

/// Calls them in turn, by so many clients each, a slice at a time, until each was called for that time.
fn in_turn(
    faces: &[&Face<'_>],
    clients: usize,
    pace: impl Fn(Duration) -> Pace,
    time: Duration,
) -> Result<Vec<Load>> {
    let mut loads = vec![Load::default(); faces.len()];
    let mut left = time;
    while !left.is_zero() {
        let slice = SLICE.min(left);
        for (face, load) in faces.iter().zip(&mut loads) {
            load.add(face.load(clients, pace(slice))?);
            // What it still does is not the next one's.
            face.server.rest()?;
        }
        left -= slice;
    }
    Ok(loads)
}

fn write(path: &str, body: &str, request: &mut Vec<u8>) {
    let length = body.len().to_string();
    for part in [
        "POST ",
        path,
        " HTTP/1.1\r\nhost: localhost\r\n",
        HEAD,
        "content-length: ",
        &length,
        "\r\n\r\n",
        body,
    ] {
        request.extend_from_slice(part.as_bytes());
    }
}

/// How often all tools of the built-in connector are listed in a second.
fn list_tools(server: &Server, path: &str, time: Duration) -> Result<f64> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let load = loader::run(&server.address, LISTING, Pace::For(time), |_, request| {
        write(path, &body, request);
    })?;
    Ok(load.rate())
}

fn report(
    machine: &Machine,
    options: &McpOptions,
    faces: &[Face<'_>; 3],
    lists: Vec<f64>,
    resident: f64,
) -> Result<()> {
    let [own, by_hand, fastmcp] = faces;
    let rows: Vec<_> = faces
        .iter()
        .map(|face| {
            vec![
                face.name.to_owned(),
                face.figure(|round| round.alone_per_second).to_string(),
                face.figure(|round| round.many_per_second).to_string(),
                face.figure(|round| round.cpu_micros).to_string(),
                face.figure(|round| round.p50_millis).to_string(),
                face.figure(|round| round.p99_millis).to_string(),
                if face.steady.is_empty() {
                    String::new()
                } else {
                    Figure::of(face.steady.iter().copied()).to_string()
                },
            ]
        })
        .collect();
    let judged = [
        Judged::new(
            "CPU of a call, beside the translation by hand",
            "times",
            own.beside(by_hand, |round| round.cpu_micros),
            Bar::AtMost(2.0, Some(1.4)),
        ),
        Judged::new(
            "p99 of calls at half of its greatest rate, beside that at the same rate",
            "times",
            Figure::of(
                own.steady
                    .iter()
                    .zip(&by_hand.steady)
                    .map(|(own, other)| own / other),
            ),
            Bar::AtMost(1.5, None),
        ),
        Judged::new(
            "p99 of a call of sixteen, beside that, each at its own greatest rate",
            "times",
            own.beside(by_hand, |round| round.p99_millis),
            Bar::AtMost(1.5, None),
        ),
        Judged::new(
            "calls a second by one client, beside FastMCP",
            "times",
            own.beside(fastmcp, |round| round.alone_per_second),
            Bar::AtLeast(8.0, None),
        ),
        Judged::new(
            "the same by sixteen",
            "times",
            own.beside(fastmcp, |round| round.many_per_second),
            Bar::AtLeast(40.0, None),
        ),
        Judged::new(
            "lists of 57 tools",
            "a second",
            Figure::of(lists),
            Bar::AtLeast(20_000.0, None),
        ),
        Judged::new(
            "resident memory with many MCP servers",
            "MiB",
            Figure::of([resident]),
            Bar::AtMost(150.0, None),
        ),
    ];
    let head = [
        "server",
        "calls/s by one client",
        "calls/s by 16",
        "CPU µs each",
        "p50 ms by 16",
        "p99 ms by 16",
        "p99 ms at a steady rate",
    ];
    println!(
        "\n{machine}\n{} rounds of {} s a load, {} MCP servers; median (least to greatest)\n",
        options.rounds, options.seconds, options.servers
    );
    println!("{}\n{}", table(&head, &rows), judgement(&judged));
    let rounds: serde_json::Map<String, Value> = faces
        .iter()
        .map(|face| {
            let rounds = json!({"rounds": face.rounds, "steady_p99_millis": face.steady});
            (face.name.to_owned(), rounds)
        })
        .collect();
    let figures = json!({"machine": machine, "rounds": rounds, "bars": judged});
    write_json(options.json.as_deref(), &figures)
}
