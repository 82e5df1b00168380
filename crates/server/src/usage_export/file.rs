//! A file that is whole once it has its name, and until then can be gone on with.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use claviger_store::Db;
use claviger_store::usage::export;

use super::lease::Lease;
use super::{KEYS, Period};
use crate::config::ExportFormat as Format;

/// The end of a file in which its last line is looked for: longer than any.
const TAIL: u64 = 64 * 1_024;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows that this run wrote.
    pub(crate) rows: u64,
    /// Whether an earlier run had begun it.
    pub(crate) is_continued: bool,
}

/// Writes the usage of a period to a file that must not be there. Rows are in the order of keys, so that
/// the last one tells where to go on. A lease is kept meanwhile.
pub(crate) async fn write_file(
    db: &Db,
    period: &Period,
    format: Format,
    path: &Path,
    lease: Option<&Lease<'_>>,
) -> Result<Written> {
    if path.symlink_metadata().is_ok() {
        bail!("{} is there already: it is written once", path.display());
    }
    let unfinished = unfinished(path);
    let failed = || format!("cannot write {}", unfinished.display());
    let mut file = open(&unfinished)?;
    let left_at = last_key(&mut file, period, format, &unfinished)?;
    let is_continued = left_at.is_some();
    let mut after = left_at.unwrap_or_default();
    let mut rows = 0;
    loop {
        let part = export::part(db, &period.days(), &after, KEYS).await?;
        let (keys, Some(next)) = part else { break };
        let lines = format.lines(period, &keys)?;
        file.write_all(lines.as_bytes())
            .and_then(|()| file.sync_data())
            .with_context(failed)?;
        rows += keys.len() as u64;
        after = next;
        if let Some(lease) = lease {
            lease.keep().await?;
        }
    }
    file.sync_all().with_context(failed)?;
    if let Some(lease) = lease {
        // Whoever has it now may have written the whole file elsewhere.
        lease.keep().await?;
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::rename(&unfinished, path)
        .and_then(|()| File::open(folder)?.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Written { rows, is_continued })
}

/// Rows of a whole file: each is a line.
pub(crate) fn rows_of_file(path: &Path, format: Format) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut lines = 0;
    loop {
        let some = reader.fill_buf()?;
        if some.is_empty() {
            let header = format.header().lines().count() as u64;
            return Ok(lines - header.min(lines));
        }
        // One more piece than there are ends.
        lines += some.split(|byte| *byte == b'\n').count() as u64 - 1;
        let length = some.len();
        reader.consume(length);
    }
}

/// What it is called until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Opens it for its owner only, and for nobody else at the same time.
fn open(path: &Path) -> Result<File> {
    let failed = || format!("cannot write {}", path.display());
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("{} is being written by another", path.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// The key of the last whole line; what is behind that is taken away. A new file gets its header.
fn last_key(
    file: &mut File,
    period: &Period,
    format: Format,
    path: &Path,
) -> Result<Option<String>> {
    let failed = || format!("cannot write {}", path.display());
    let length = file.metadata().with_context(failed)?.len();
    let begin = length.saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begin))
        .and_then(|_| file.read_to_end(&mut tail))
        .with_context(failed)?;
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    if begin == 0 && whole == 0 {
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(format.header().as_bytes()))
            .with_context(failed)?;
        return Ok(None);
    }
    let last = tail[..whole]
        .trim_ascii_end()
        .rsplit(|byte| *byte == b'\n')
        .next();
    let last = last.and_then(|line| format.read_line(str::from_utf8(line).ok()?));
    let key = match last {
        Some((_, None)) => None,
        Some((name, Some(key))) if name == period.to_string() => Some(key),
        _ => bail!(
            "{} is not of this period and format: remove it",
            path.display()
        ),
    };
    let kept = begin + whole as u64;
    file.set_len(kept)
        .and_then(|()| file.seek(SeekFrom::Start(kept)))
        .with_context(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use claviger_domain::id::{self, Id};
    use claviger_domain::usage::UsageCounts;
    use claviger_store::usage::{self, Flush, UsageHour};
    use claviger_testkit::in_both_worlds;
    use claviger_testkit::world::World;
    use tempfile::tempdir;

    use super::*;

    in_both_worlds![
        an_export_that_was_cut_short_is_gone_on_with,
        another_period_or_format_is_not_gone_on_with,
    ];

    /// Usage of so many keys in January of 2026, and of one in the months around.
    async fn count(world: &World, keys: usize) -> Period {
        let period = Period::read("2026-01").unwrap();
        let hours = period.hours();
        let account = world.account("mine").await;
        let project = world.project(&account, "project").await;
        let keys: Vec<Id<id::ApiKey>> = (0..keys)
            .map(|number| Id::from_suffix(&format!("{number:016}")))
            .collect();
        let hour = |key, hour| UsageHour {
            key,
            project: &project.id,
            hour,
            counts: UsageCounts {
                successful: 2,
                failed: 1,
                rate_limited: 0,
            },
            last_used_at: None,
        };
        let counted = keys
            .iter()
            .flat_map(|key| [hour(key, hours.start), hour(key, hours.end - 1)]);
        let around = [hour(&keys[0], hours.start - 1), hour(&keys[0], hours.end)];
        let flush = Flush {
            hours: counted.chain(around).collect(),
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
        super::super::prepare(&world.db, world.now()).await.unwrap();
        period
    }

    async fn an_export_that_was_cut_short_is_gone_on_with(world: World) {
        let period = count(&world, 6_000).await;
        let folder = tempdir().unwrap();
        for format in [Format::Csv, Format::Ndjson] {
            let path = folder.path().join(format!("whole.{}", format.as_str()));
            let written = write_file(&world.db, &period, format, &path, None)
                .await
                .unwrap();
            let expected = Written {
                rows: 6_000,
                is_continued: false,
            };
            assert_eq!(written, expected);
            assert_eq!(rows_of_file(&path, format).unwrap(), 6_000);
            let whole = fs::read_to_string(&path).unwrap();
            let first = whole
                .lines()
                .nth(usize::from(format == Format::Csv))
                .unwrap();
            assert!(
                first.contains("key_0000000000000000") && first.contains('6'),
                "{first}"
            );
            let again = write_file(&world.db, &period, format, &path, None).await;
            assert!(
                again
                    .unwrap_err()
                    .to_string()
                    .ends_with("it is written once")
            );

            // Killed before the first row, between rows, within one, and before it got its name.
            let line = whole.len() / 2 + whole[whole.len() / 2..].find('\n').unwrap() + 1;
            for (number, length) in [0, 5, line, line + 7, whole.len()].into_iter().enumerate() {
                let path = folder.path().join(format!("{number}.{}", format.as_str()));
                fs::write(unfinished(&path), &whole[..length]).unwrap();
                let written = write_file(&world.db, &period, format, &path, None)
                    .await
                    .unwrap();
                assert_eq!(written.is_continued, length > 5);
                assert!(fs::read_to_string(&path).unwrap() == whole, "{length}");
                assert!(!unfinished(&path).exists());
            }
        }
    }

    async fn another_period_or_format_is_not_gone_on_with(world: World) {
        let period = count(&world, 2).await;
        let folder = tempdir().unwrap();
        let path = folder.path().join("usage.csv");
        let next = Period::read("2026-02").unwrap();
        write_file(&world.db, &next, Format::Csv, &path, None)
            .await
            .unwrap();
        fs::rename(&path, unfinished(&path)).unwrap();
        for format in [Format::Csv, Format::Ndjson] {
            let refused = write_file(&world.db, &period, format, &path, None)
                .await
                .unwrap_err();
            assert!(refused.to_string().ends_with("remove it"), "{refused}");
        }
    }
}
