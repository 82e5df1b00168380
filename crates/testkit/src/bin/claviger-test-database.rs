//! Databases on a PostgreSQL of its own, for tests in other languages: makes one for each line that it
//! reads, and answers with its URL. The server ends when its input does.

use std::io::{BufRead, Write, stdin, stdout};

use claviger_testkit::migrated;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut databases = Vec::new();
    for line in stdin().lock().lines() {
        line?;
        let database = runtime.block_on(migrated());
        writeln!(stdout(), "{}", database.url())?;
        databases.push(database);
    }
    Ok(())
}
