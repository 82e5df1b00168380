//! `claviger usage`: what the server is asked, and what is written from its database.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::commands::{Ending, SERVER_HELP, UsageQuery};
use crate::system::Outside;
use crate::usage_export::ExportFlags;

const EXAMPLES: &str = "\
Examples:
  claviger usage totals                                the last 30 days, day by day
  claviger usage totals --by month --customer acme
  claviger usage keys --by day --sort -total --limit 20      the keys that are used most
  claviger usage first-calls
  claviger usage export --period 2030-01               on the server's machine, for billing";

/// How often keys were checked
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Usage {
    #[command(subcommand)]
    command: UsageCommand,
}

#[derive(Subcommand, Debug)]
enum UsageCommand {
    #[command(flatten)]
    Query(UsageQuery),
    Export(ExportFlags),
}

impl Usage {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        match self.command {
            UsageCommand::Query(query) => query.run().await,
            UsageCommand::Export(export) => export.run(outside).await,
        }
    }
}
