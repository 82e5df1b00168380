//! What the benchmarks take on the command line. `xtask` includes this file, so that help and mistakes
//! come before the build; it depends on clap alone.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const VERIFY_HELP: &str = "\
What is compared, in turn, round after round:
  bare route           axum answering as many bytes as a check does, and doing nothing else
  claviger, many       the program checking random keys out of --keys
  claviger, few        the same out of 10,000
  PostgreSQL, look-up  axum asking PostgreSQL for each key: a digest, an indexed SELECT, JSON
  PostgreSQL, check    axum asking PostgreSQL for all of a check: caller, key, limit, usage

Each is pinned to the first core (PostgreSQL with its route), the load to the last. What counts is CPU
per request, user and system time of all processes of a server over requests answered: other work on
the machine disturbs it least. Latencies are read at half of the greatest load.

Examples:
  cargo xtask bench verify                             the published figures, some ten minutes
  cargo xtask bench verify --keys 100000 --rounds 3    a first look, some three minutes
  cargo xtask bench verify --json verify.json          for programs to read

It needs two cores, the load generator wrk and PostgreSQL's server binaries; on Debian, as root, it
installs what is missing.";

/// The benchmarks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Benchmark {
    /// Measures what checking a key costs, beside a bare route and one that asks PostgreSQL
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyOptions),
    /// Measures how many keys are created a second, beside bare durable inserts on the same disk
    ///
    /// Over HTTP with 64 connections and SQLite; the inserts are one row a transaction, over one
    /// connection, with the same journal and the same syncing.
    Create(CreateOptions),
    /// Measures how long it takes to write what was counted of 10,000 keys
    Flush(FlushOptions),
    /// Measures how long `claviger keys import` takes, and how long when all keys are there already
    ///
    /// Server and client run on all cores.
    Import(ImportOptions),
    /// Measures how many deliveries a second one webhook gets, beside loops that post the same bodies
    ///
    /// All run on all cores, with the receiver, which answers at once. One loop posts one body after
    /// the other, one has as many in flight as a webhook.
    Webhooks(WebhooksOptions),
    /// Measures whether the time that a refused sign-in takes tells who signed up
    Login(LoginOptions),
    /// Measures what calling a tool costs, beside the same translation by hand and beside `FastMCP`
    ///
    /// All call one operation of an API on this machine that answers a kilobyte. Also how often all
    /// tools are listed in a second, and what many MCP servers leave in memory. It needs Python, into
    /// whose environment under `target` it installs `FastMCP`.
    Mcp(McpOptions),
}

/// What `verify` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyOptions {
    /// Keys to choose from
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub(crate) keys: u32,
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds of each load; each server gets two a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `create` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateOptions {
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds of each load; there are two a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `flush` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct FlushOptions {
    /// Keys that were counted
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: u32,
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `import` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportOptions {
    /// Keys in the file
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: u32,
    /// Also writes the figures as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `webhooks` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct WebhooksOptions {
    /// Events of a round
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) events: u32,
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `login` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoginOptions {
    /// Wrong passwords of addresses that signed up, and of as many that did not, in each round
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub(crate) attempts: u32,
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub(crate) rounds: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `mcp` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct McpOptions {
    /// Rounds; medians are told, and how far apart the rounds are
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds of each load; each server gets two a round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// MCP servers, ten of each connected account, that are called once each
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) servers: u32,
    /// Also writes the figures of all rounds as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
