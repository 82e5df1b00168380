//! The developer's commands: `cargo xtask --help`. Each is a module; what they share is how they
//! run another program, in `process`.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool reports on standard output"
)]

mod bench;
mod conformance;
mod deny;
mod dist;
mod fuzz;
mod lint;
mod needs;
mod openapi;
mod process;
mod program;
mod schemathesis;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a developer of Claviger runs. CI runs the same commands, through `.ci/run`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all tests, on a fresh machine too
    ///
    /// Installs what is missing or says the command that would, starts what the tests need in scratch
    /// directories, and ends with the totals of the Rust tests, the published clients and the packages in
    /// sdk/.
    Test {
        /// Runs only this part
        #[arg(long, value_enum)]
        only: Option<test::Part>,
    },
    /// Checks formatting, lints, documentation, file lengths and import circles
    Lint,
    /// Writes docs/openapi.json as the program would serve it, and docs/connector.schema.json as it reads it
    Openapi {
        /// Fails if a file differs, and leaves them as they are
        #[arg(long)]
        check: bool,
    },
    /// Checks the dependencies against deny.toml: licenses, sources, duplicates
    ///
    /// Installs cargo-deny when it is missing, which takes some minutes. Known vulnerabilities are
    /// not part of it: `cargo deny check advisories` looks them up on the network.
    Deny,
    /// Tries what reads keys, dates, bodies and files with inputs that nobody would think of
    ///
    /// Installs cargo-fuzz when it is missing. Each target is tried for some minutes, beginning with
    /// the inputs in fuzz/seeds; CI does not do this.
    Fuzz {
        /// Tries only this target, which is the name of a file in fuzz/
        target: Option<String>,
        /// How long each is tried
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Asks the program what its OpenAPI document describes, and compares each answer with that
    ///
    /// Installs schemathesis, which is of Python, below the target directory, and starts the built program
    /// with a scratch folder. No answer may be a server error, or have a status, content type or body that
    /// the document does not have. Takes a while, and CI does not do this; see docs/testing.md.
    Schemathesis(schemathesis::Options),
    /// Tries the MCP endpoint with the protocol's own conformance tests
    ///
    /// Installs them, which are of npm, below the target directory, and starts the built program with a
    /// scratch folder. Fails where a check fails that docs/testing.md does not name. CI does not do this.
    Conformance,
    /// Measures what the program costs, beside what else could do the same
    ///
    /// Builds the program as packages ship it first. The published figures are in docs/performance.md.
    Bench(bench::Options),
    /// Builds the program as packages ship it
    ///
    /// Twice: the first build counts what it does while it is asked what it is asked often, and the second one
    /// is laid out by that. Leaves it in the target folder, as dist/claviger, until another build of that
    /// profile is made. Takes two builds with all optimizations and one without, and installs the compiler's
    /// llvm-tools when they are missing. On Linux; for the machine's own kind; flags of Cargo's configuration
    /// files are not used, those in RUSTFLAGS are.
    Dist,
}

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a directory of the workspace");
    let outcome = match Arguments::parse().command {
        Command::Test { only } => return test::run(workspace, only),
        Command::Lint => lint::run(workspace),
        Command::Openapi { check } => openapi::run(workspace, check),
        Command::Deny => deny::run(workspace),
        Command::Fuzz { target, minutes } => fuzz::run(workspace, target.as_deref(), minutes),
        Command::Schemathesis(options) => schemathesis::run(workspace, &options),
        Command::Conformance => conformance::run(workspace),
        Command::Bench(options) => bench::run(workspace, &options),
        Command::Dist => dist::run(workspace),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::complain(&error);
            ExitCode::FAILURE
        }
    }
}
