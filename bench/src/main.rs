//! The benchmarks, which `cargo xtask bench` builds and runs, and the servers that they compare with.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool reports on standard output"
)]

mod bare;
#[path = "../../crates/testkit/src/clock.rs"]
#[expect(
    unreachable_pub,
    reason = "a file of the test kit, of which the rest would bring the whole program"
)]
mod clock;
mod create;
mod figures;
mod flush;
mod import;
mod instance;
mod loader;
mod login;
mod machine;
mod mcp;
mod options;
mod postgres;
#[path = "../../crates/testkit/src/random.rs"]
#[expect(unreachable_pub, reason = "a file of the test kit as well")]
mod random;
mod scratch;
mod server;
mod train;
mod verify;
mod webhooks;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use options::Benchmark;
use train::TrainOptions;

#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Benchmark(Benchmark),
    /// What `cargo xtask dist` asks of the build that counts what it does
    #[command(hide = true)]
    Train(TrainOptions),
    /// A process of `verify`: the bare route, with this answer
    #[command(hide = true)]
    ServeBare { answer: String },
    /// A process of `verify`: a route that asks PostgreSQL
    #[command(hide = true)]
    ServePostgres {
        asks: postgres::Asks,
        #[arg(long)]
        keys: u32,
        /// The caller that it knows
        #[arg(long)]
        access_key: String,
    },
    /// A process of `train`: the API whose tools it calls
    #[command(hide = true)]
    ServeShop,
    /// A process of `mcp`: the API that tools are made of
    #[command(hide = true)]
    ServeUpstream,
    /// A process of `mcp`: the translation by hand, of that API
    #[command(hide = true)]
    ServeTranslation { upstream: String },
    /// A process of `create`: the bare inserts
    #[command(hide = true)]
    Insert {
        #[arg(long)]
        database: PathBuf,
        #[arg(long)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where the benchmarks report a failure"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Benchmark(Benchmark::Verify(options)) => verify::run(&options),
        Command::Benchmark(Benchmark::Create(options)) => create::run(&options),
        Command::Benchmark(Benchmark::Flush(options)) => flush::run(&options),
        Command::Benchmark(Benchmark::Import(options)) => import::run(&options),
        Command::Benchmark(Benchmark::Webhooks(options)) => webhooks::run(&options),
        Command::Benchmark(Benchmark::Login(options)) => login::run(&options),
        Command::Benchmark(Benchmark::Mcp(options)) => mcp::run(&options),
        Command::Train(options) => train::run(&options),
        Command::ServeBare { answer } => {
            serving(async move { bare::serve(bare::routes(&answer)?).await })
        }
        Command::ServeShop => serving(async { bare::serve(train::upstream()).await }),
        Command::ServeUpstream => serving(async { bare::serve(mcp::upstream()).await }),
        Command::ServeTranslation { upstream } => {
            serving(async move { bare::serve(mcp::translation(&upstream)?).await })
        }
        Command::ServePostgres {
            asks,
            keys,
            access_key,
        } => serving(async move {
            let (routes, _postgres) = postgres::routes(keys, asks, &access_key).await?;
            bare::serve(routes).await
        }),
        Command::Insert { database, seconds } => create::insert(database, seconds),
    }
}

/// Runs a server as the program runs its own: with a thread for each core that it may use.
fn serving(server: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Runtime::new()
        .context("cannot start threads")?
        .block_on(server)
}
