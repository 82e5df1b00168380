//! From the bytes of a document to its value: JSON or YAML, within bounds that hold before anything is
//! made of it.

use std::io::{self, Read};
use std::thread;

use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Options};

use super::fault::{DocumentError, DocumentFault, Position};
use super::{DEEPEST, LARGEST};

/// How often somebody looks whether there is time left: once in so many bytes.
const SLICE: usize = 64 * 1_024;

/// The stack of the thread that reads YAML.
const STACK: usize = 16 * 1_024 * 1_024;

/// What a document may cost, by who sent it.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Whether YAML aliases are followed, within bounds of their own.
    pub aliases: bool,
    /// Whether there is time left.
    pub has_time: &'a (dyn Fn() -> bool + Sync),
}

impl std::fmt::Debug for Bounds<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "[bounds, aliases: {}]", self.aliases)
    }
}

impl Bounds<'_> {
    /// For a file of whoever runs the program.
    pub const OWN: Bounds<'static> = Bounds {
        aliases: true,
        has_time: &|| true,
    };

    pub(super) fn check_time(&self) -> Result<(), DocumentError> {
        if (self.has_time)() {
            Ok(())
        } else {
            Err(DocumentFault::TooSlow.into())
        }
    }
}

/// The value of a document. What begins with a brace is JSON; anything else is read as YAML.
pub(crate) fn read(bytes: &[u8], bounds: &Bounds<'_>) -> Result<Value, DocumentError> {
    if bytes.len() > LARGEST {
        return Err(DocumentFault::TooLarge.into());
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value = if text.trim_ascii_start().starts_with(b"{") {
        json(text)?
    } else {
        yaml(text, bounds)?
    };
    check(&value, DEEPEST)?;
    bounds.check_time()?;
    Ok(value)
}

fn json(text: &[u8]) -> Result<Value, DocumentError> {
    serde_json::from_slice(text).map_err(|error| {
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let position = Position {
            line: number(error.line()),
            column: number(error.column()),
        };
        // The parser's own end of recursion lies deeper than ours, and is a fault of its syntax to it.
        let kind = if error.to_string().starts_with("recursion limit") {
            DocumentFault::TooDeep
        } else {
            DocumentFault::NotJson
        };
        kind.at(Some(position))
    })
}

/// YAML is read by a thread of its own: what is nested as deep as may be takes more stack than others have.
fn yaml(text: &[u8], bounds: &Bounds<'_>) -> Result<Value, DocumentError> {
    let read = || {
        let slices = Slices {
            text,
            bounds: *bounds,
        };
        serde_saphyr::from_reader_with_options(slices, options(bounds.aliases)).map_err(|error| {
            let place = error.without_snippet().location();
            let position = place.map(|place| Position {
                line: place.line(),
                column: place.column(),
            });
            fault(error.without_snippet(), bounds).at(position)
        })
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        let reading = thread.spawn_scoped(scope, read);
        // Without a thread, or where the parser itself fails, there is nothing that was read.
        let reading = reading.map_err(|_| DocumentError::from(DocumentFault::TooSlow))?;
        let read = reading.join();
        read.unwrap_or_else(|_| Err(DocumentFault::NotYaml.into()))
    })
}

/// How YAML is read wherever it comes from: a connector says the same in a file as in a body.
pub(crate) fn options(aliases: bool) -> Options {
    let mut options = Options::default();
    options.with_snippet = false;
    // `no`, `on` and `y` are texts, as YAML 1.2 has it: countries, switches and coordinates are named so.
    options.strict_booleans = true;
    let mut budget = serde_saphyr::Budget::default();
    budget.max_reader_input_bytes = Some(LARGEST);
    // What is read is a value of its own beside the text, so that either count ends what is larger.
    budget.max_nodes = LARGEST / 8;
    budget.max_events = LARGEST / 2;
    budget.max_total_scalar_bytes = LARGEST;
    // A parser counts the document itself as well; the depth is checked again on what was read.
    budget.max_depth = DEEPEST + 2;
    budget.max_documents = 1;
    if !aliases {
        budget.max_aliases = 0;
        options.alias_limits.max_total_replayed_events = 0;
    }
    options.budget = Some(budget);
    options
}

fn fault(error: &Error, bounds: &Bounds<'_>) -> DocumentFault {
    match error {
        Error::IOError { .. } if !(bounds.has_time)() => DocumentFault::TooSlow,
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => DocumentFault::TooDeep,
            BudgetBreach::Aliases { .. } | BudgetBreach::AliasAnchorRatio { .. } => {
                DocumentFault::Alias
            }
            BudgetBreach::Documents { .. } => DocumentFault::NotYaml,
            _ => DocumentFault::TooLarge,
        },
        Error::AliasError { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => DocumentFault::Alias,
        Error::DuplicateMappingKey { .. } => DocumentFault::DuplicateKey,
        _ => DocumentFault::NotYaml,
    }
}

/// The text piece by piece, until there is no time left.
struct Slices<'a> {
    text: &'a [u8],
    bounds: Bounds<'a>,
}

impl Read for Slices<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !(self.bounds.has_time)() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = into.len().min(SLICE);
        self.text.read(&mut into[..length])
    }
}

/// Looks for what is nested too deep, and for NUL.
fn check(value: &Value, left: usize) -> Result<(), DocumentError> {
    let deeper = || left.checked_sub(1).ok_or(DocumentFault::TooDeep);
    match value {
        Value::String(text) => check_text(text),
        Value::Array(items) => {
            let left = deeper()?;
            items.iter().try_for_each(|item| check(item, left))
        }
        Value::Object(members) => {
            let left = deeper()?;
            members.iter().try_for_each(|(name, member)| {
                check_text(name)?;
                check(member, left)
            })
        }
        _ => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), DocumentError> {
    if text.contains('\0') {
        return Err(DocumentFault::Nul.into());
    }
    Ok(())
}
