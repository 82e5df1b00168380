//! Whether the time that a refused sign-in takes tells who signed up.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::figures::{Bar, Figure, Judged, judgement, write_json};
use crate::machine::{Machine, now};
use crate::options::LoginOptions;
use crate::scratch::Scratch;
use crate::server::{Server, claviger};

/// People who signed up: each takes a hundred wrong passwords an hour.
const PEOPLE: u32 = 20;

pub(crate) fn run(options: &LoginOptions) -> Result<()> {
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let folder = scratch.path().join("data");
    let mut command = claviger(&folder)?;
    // Whoever asks comes from a network of their own, so that no budget of one is used up.
    command.args(["--signup", "open", "--trusted-proxies", "127.0.0.1"]);
    let server = Server::start(command, &folder.with_extension("log"))?;
    let mut asked = Asked {
        server,
        networks: 0,
    };
    for number in 0..PEOPLE {
        let said = asked.post(
            "/auth/signup",
            &format!("user{number}@example.com"),
            "correct horse battery",
        )?;
        ensure!(said.starts_with("HTTP/1.1 201"), "nobody signs up: {said}");
    }
    asked.server.rest()?;
    let (mut known, mut unknown, mut apart) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
        for number in 0..options.attempts {
            let person = number % PEOPLE;
            let (one, other) = (("user", &mut of_known), ("nobody", &mut of_unknown));
            // In turns, and each as often before the other as after it.
            let pair = if number % 2 == 0 {
                [one, other]
            } else {
                [other, one]
            };
            for (who, millis) in pair {
                let email = format!("{who}{person}@example.com");
                let start = now();
                let said = asked.post("/auth/login", &email, "wrong horse battery")?;
                millis.push(start.elapsed().as_secs_f64() * 1e3);
                ensure!(said.starts_with("HTTP/1.1 401"), "not refused: {said}");
            }
        }
        let (of_known, of_unknown) = (Figure::of(of_known), Figure::of(of_unknown));
        apart.push((of_known.median() / of_unknown.median() - 1.0).abs() * 100.0);
        known.push(of_known.median());
        unknown.push(of_unknown.median());
    }
    let judged = [Judged::new(
        "medians of refusals, of addresses that signed up and of others, apart",
        "%",
        Figure::of(apart),
        Bar::AtMost(10.0, Some(2.0)),
    )];
    let (known, unknown) = (Figure::of(known), Figure::of(unknown));
    let mut told = String::new();
    writeln!(
        told,
        "\n{machine}\n{} attempts of each, {} rounds; median (least to greatest)\n",
        options.attempts, options.rounds
    )?;
    writeln!(told, "a wrong password of who signed up: {known} ms")?;
    writeln!(
        told,
        "an address that nobody signed up with: {unknown} ms\n"
    )?;
    println!("{told}{}", judgement(&judged));
    let figures = json!({
        "machine": machine,
        "knownMillis": known,
        "unknownMillis": unknown,
        "bars": judged,
    });
    write_json(options.json.as_deref(), &figures)
}

struct Asked {
    server: Server,
    networks: u32,
}

impl Asked {
    /// Sends an address and a password, from a network of its own.
    fn post(&mut self, path: &str, email: &str, password: &str) -> Result<String> {
        self.networks += 1;
        let [_, a, b, c] = self.networks.to_be_bytes();
        let body = json!({"email": email, "password": password, "name": "Ada"});
        self.server.exchange(
            &format!("POST {path}"),
            &format!("x-forwarded-for: 10.{a}.{b}.{c}\r\n"),
            &body,
        )
    }
}
