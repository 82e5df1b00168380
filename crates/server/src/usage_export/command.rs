//! `claviger usage export`: the usage of a period in a file, from the server's own database.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use claviger_domain::time::Timestamp;
use claviger_store::Db;

use super::{Period, prepare, waits_from, write_file};
use crate::commands::{Ending, Refusal};
use crate::config::{Config, ExportFormat, KeptFor};
use crate::output::{print, tell};
use crate::system::Outside;
use crate::upkeep::{PlaceFlags, open_beside};

const DAY_SECONDS: i64 = 86_400;
const HELP: &str = "\
Examples:
  claviger usage export                                  the month before this one, as CSV
  claviger usage export --period 2030-01 --format ndjson --output /billing/2030-01.ndjson
  claviger usage export --period 2030-01-31 --data-dir /var/lib/claviger

It works on the server's own database, on its machine, while that runs or not. Each key of every account that
was checked in the time is a row, with its account, project and customer, those that were removed for good
included, without a name and a customer. A file is written once: one that is there is left alone, and one that
was cut short is gone on with when the same command is run again. Times are UTC.

Exit code: 0 done; 1 the period is not over, or its usage is not kept any more; 2 it was refused, and no file
is there.";

/// Write the usage of a day, month or year to a file, for billing
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct ExportFlags {
    /// A day, month or year, such as 2030-01-31, 2030-01 or 2030 [default: the month before this one]
    #[arg(long)]
    period: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    format: ExportFormat,
    /// The file, which must not be there yet [default: usage-PERIOD.csv or .ndjson]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceFlags,
}

impl ExportFlags {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let now = outside.clock.now();
        let period = match &self.period {
            Some(text) => Period::read(text)?,
            None => Period::last_month(now),
        };
        if !period.is_closed(now) {
            let message = format!("{period} is not over: its usage would not be whole");
            return Err(Refusal(message).into());
        }
        let path = self.output.unwrap_or_else(|| {
            let name = format!("usage-{period}.{}", self.format.as_str());
            PathBuf::from(name)
        });
        let config = self.place.config()?;
        let db = open_beside(&config).await?;
        let written = async {
            expect_kept(&db, &config, &period, now).await?;
            prepare(&db, now).await?;
            write_file(&db, &period, self.format, &path, None).await
        }
        .await;
        db.close().await;
        let written = written?;
        let how = if written.is_continued {
            "gone on with, with"
        } else {
            "written, with"
        };
        tell(&format!(
            "The usage of {period} is {how} {} rows.",
            written.rows
        ));
        print(&format!("{}\n", path.display()));
        Ok(Ending::Done)
    }
}

/// Refuses a period of which usage is gone, all of it or some.
async fn expect_kept(db: &Db, config: &Config, period: &Period, now: Timestamp) -> Result<()> {
    let KeptFor::Days(days) = config.retention.usage else {
        return Ok(());
    };
    let mut kept_from = now.plus_seconds(-DAY_SECONDS * i64::from(days));
    if let Some(exports) = &config.usage_export {
        kept_from = kept_from.min(waits_from(db, exports.every, now).await?);
    }
    // Days go whole.
    if period.days().start < kept_from.as_hour().div_euclid(24) {
        let kept_from = &kept_from.to_string()[..10];
        let message = format!(
            "usage is kept for {days}d (retention.usage), since {kept_from}: that of {period} would not \
             be whole"
        );
        return Err(Refusal(message).into());
    }
    Ok(())
}
