//! The program.

use std::process::ExitCode;

use claviger_server::{Outside, run};

fn main() -> ExitCode {
    run(std::env::args_os(), Outside::of_this_machine())
}
