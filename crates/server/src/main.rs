//! The program.

use std::process::ExitCode;

use claviger_allocator::{Allocator, keep_for_longer};
use claviger_server::{Outside, run};

/// Allocating and freeing is a good part of what a check costs, and of what a key takes.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_for_longer();
    run(std::env::args_os(), Outside::of_this_machine())
}
