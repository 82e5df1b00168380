//! How many deliveries a second a quick receiver on this machine gets.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver as Told, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::figures::{Bar, Figure, Judged, judgement, short, write_json};
use crate::instance::Instance;
use crate::loader::count;
use crate::machine::{Machine, now};
use crate::options::WebhooksOptions;
use crate::scratch::{Scratch, run_async};
use crate::server::{Server, claviger_anywhere};

/// Keys of one import, each with an event.
const IMPORTED: u32 = 1_000;
/// Requests that one webhook has in flight.
const AT_ONCE: usize = 8;
/// How long nothing may arrive before something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn run(options: &WebhooksOptions) -> Result<()> {
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let instance = Instance::make(&scratch.path().join("data"))?;
    // On all cores, as the loops that it is compared with.
    let mut command = claviger_anywhere(&instance.folder)?;
    command.arg("--outbound-allow-private");
    let server = Server::start(command, &scratch.path().join("server.log"))?;
    let receiver = Receiver::start()?;
    let told = Telling::start(&server, &instance.owner_key, &receiver.url())?;
    let mut rates = Rates::default();
    for round in 1..=options.rounds {
        told.prepare(round, options.events)?;
        server.rest()?;
        let before = server.processor_time()?;
        let start = now();
        told.set("live")?;
        let bodies = receiver.receive(options.events)?;
        let took = start.elapsed();
        let spent = server.processor_time()?.saturating_sub(before);
        told.set("paused")?;
        server.rest()?;
        let each = count(options.events.into());
        rates.delivered.push(each / took.as_secs_f64());
        rates.cpu_micros.push(spent.as_secs_f64() * 1e6 / each);
        for (at_once, rates) in [(1, &mut rates.in_turn), (AT_ONCE, &mut rates.at_once)] {
            let took = post_all(&receiver.url(), bodies.clone(), at_once)?;
            receiver.receive(options.events)?;
            rates.push(each / took.as_secs_f64());
        }
        println!(
            "Round {round} of {}: {} a second delivered, {} and {} posted by bare loops",
            options.rounds,
            Rates::last(&rates.delivered),
            Rates::last(&rates.in_turn),
            Rates::last(&rates.at_once),
        );
    }
    server.stop()?;
    report(&machine, options, &rates)
}

#[derive(Default)]
struct Rates {
    delivered: Vec<f64>,
    in_turn: Vec<f64>,
    at_once: Vec<f64>,
    cpu_micros: Vec<f64>,
}

impl Rates {
    fn last(rates: &[f64]) -> String {
        rates.last().map_or_else(String::new, |rate| short(*rate))
    }

    fn beside(&self, others: &[f64]) -> Figure {
        let pairs = self.delivered.iter().zip(others);
        Figure::of(pairs.map(|(own, other)| own / other))
    }
}

fn report(machine: &Machine, options: &WebhooksOptions, rates: &Rates) -> Result<()> {
    let judged = [
        Judged::new(
            "deliveries a second of one webhook, beside a bare loop",
            "times",
            rates.beside(&rates.in_turn),
            Bar::AtLeast(0.5, None),
        ),
        Judged::new(
            "the same, beside a loop that posts 8 at once",
            "times",
            rates.beside(&rates.at_once),
            Bar::AtLeast(0.5, None),
        ),
    ];
    let figure = |rates: &[f64]| Figure::of(rates.iter().copied());
    let (delivered, cpu) = (figure(&rates.delivered), figure(&rates.cpu_micros));
    let (in_turn, at_once) = (figure(&rates.in_turn), figure(&rates.at_once));
    println!(
        "\n{machine}\n{} events, {} rounds; median (least to greatest)\n",
        options.events, options.rounds
    );
    println!("deliveries a second: {delivered}, server CPU {cpu} µs each");
    println!("bare posts a second: {in_turn} in turn, {at_once} with 8 at once\n");
    println!("{}", judgement(&judged));
    let figures = json!({
        "machine": machine,
        "events": options.events,
        "deliveredPerSecond": delivered,
        "cpuMicros": cpu,
        "postedPerSecond": in_turn,
        "postedAtOncePerSecond": at_once,
        "bars": judged,
    });
    write_json(options.json.as_deref(), &figures)
}

/// A webhook of the server that is measured.
struct Telling<'a> {
    server: &'a Server,
    owner_key: &'a str,
    path: String,
    project: String,
}

impl<'a> Telling<'a> {
    fn start(server: &'a Server, owner_key: &'a str, url: &str) -> Result<Self> {
        let ask = |line: &str, body: &Value| server.call(line, owner_key, body)?.json();
        let body = json!({"url": url, "topics": ["api-key.created"], "status": "paused"});
        let webhook = ask("POST /webhooks", &body)?;
        let projects = ask("GET /projects", &Value::Null)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = text(&webhook["id"]).context("a webhook has an id")?;
        Ok(Self {
            server,
            owner_key,
            path: format!("/webhooks/{id}"),
            project: text(&projects[0]["id"]).context("the first account has a project")?,
        })
    }

    /// Makes events, each by a key of its own.
    fn prepare(&self, round: u32, events: u32) -> Result<()> {
        for first in (0..events).step_by(IMPORTED as usize) {
            let last = events.min(first + IMPORTED);
            let keys = (first..last).map(|number| {
                json!({"name": "told", "key": format!("custom-key-of-{round:04}-{number:08}")})
            });
            let body = json!({"projectId": self.project, "keys": keys.collect::<Vec<_>>()});
            self.server
                .call("POST /api-keys/import", self.owner_key, &body)?;
        }
        Ok(())
    }

    fn set(&self, status: &str) -> Result<()> {
        let line = format!("PATCH {}", self.path);
        let body = json!({"status": status});
        self.server.call(&line, self.owner_key, &body).map(drop)
    }
}

/// Takes whatever is posted, on a thread of its own.
struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    told: Told<()>,
}

impl Receiver {
    fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let (tell, told) = channel();
        let routes = Self::routes(Arc::clone(&bodies), tell);
        std::thread::spawn(move || {
            run_async(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, routes)
                    .await
                    .context("serving failed")
            })
        });
        Ok(Self {
            address,
            bodies,
            told,
        })
    }

    fn routes(bodies: Arc<Mutex<Vec<Bytes>>>, tell: Sender<()>) -> Router {
        let take = move |body: Bytes| {
            bodies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(body);
            // Nobody listens when the benchmark ends.
            let _ = tell.send(());
            async { StatusCode::NO_CONTENT }
        };
        Router::new().route("/hooks", post(take))
    }

    fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Waits for so many, and answers their bodies.
    fn receive(&self, events: u32) -> Result<Vec<Bytes>> {
        for number in 0..events {
            let came = self.told.recv_timeout(PATIENCE);
            came.with_context(|| format!("only {number} of {events} arrived"))?;
        }
        ensure!(self.told.try_recv().is_err(), "more than that arrived");
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *bodies))
    }
}

/// Posts bodies, so many at once, over connections that are kept.
#[expect(
    clippy::disallowed_methods,
    reason = "the guarded client is what is measured; this is what it is compared with"
)]
fn post_all(url: &str, bodies: Vec<Bytes>, at_once: usize) -> Result<Duration> {
    // It may have been installed by the round before.
    drop(rustls::crypto::ring::default_provider().install_default());
    tokio::runtime::Runtime::new()
        .context("cannot start threads")?
        .block_on(async {
            let client = reqwest::Client::new();
            let start: Instant = now();
            stream::iter(bodies)
                .map(|body| {
                    let request = client.post(url).header("content-type", "application/json");
                    async move { request.body(body).send().await?.error_for_status() }
                })
                .buffer_unordered(at_once)
                .try_for_each(|_| async { Ok(()) })
                .await?;
            Ok(start.elapsed())
        })
}
