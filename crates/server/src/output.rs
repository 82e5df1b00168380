//! What the program says to whoever runs it, apart from its log.

use std::io::{self, Write};

use claviger_domain::plain_text;
use serde_json::Value;

/// Prints to standard output. Nobody may be reading it any more: that stops nothing.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// An answer for programs, which a person may look at too: nothing in it acts on a terminal.
pub(crate) fn json_text(value: &Value) -> String {
    format!("{}\n", plain_text::json(value))
}

/// Says something to whoever watches, on standard error: standard output is for what was asked for.
pub(crate) fn tell(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Asks something on standard error, and stays on the line.
pub(crate) fn ask(question: &str) {
    let mut out = io::stderr().lock();
    drop(write!(out, "{question}").and_then(|()| out.flush()));
}

/// Prints one sentence to standard error, on one line.
pub(crate) fn complain(error: &anyhow::Error) {
    let line = format!("claviger: {}\n", sentence(error));
    drop(io::stderr().lock().write_all(line.as_bytes()));
}

/// An error with its causes on one line. Some causes quote theirs already: those are said once.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if said.is_empty() {
            said = text;
        } else if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_one_line_that_repeats_nothing() {
        let cause = anyhow!("file is not\na database").context("code 26: file is not\na database");
        assert_eq!(
            sentence(&cause.context("cannot open x")),
            "cannot open x: code 26: file is not a database"
        );
    }
}
