//! What a restore undoes, and whether that is meant.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, stdin};

use anyhow::{Context, Result, bail};
use claviger_domain::plain_text;
use claviger_store::restore::Undone;

use crate::commands::Refusal;
use crate::output::{ask, tell};

/// How many are listed.
const LISTED: usize = 20;
/// How much of a name is shown: enough to recognise it by, and not who it is.
const SHOWN: usize = 3;

/// What has to be answered before anything is replaced.
pub(super) struct Question<'a> {
    /// Since when.
    pub(super) taken_at: &'a str,
    /// Events since.
    pub(super) later_events: i64,
    /// Layers of pepper that the backup does not have.
    pub(super) lost_layers: i64,
    /// How many of those that ended something are done again.
    pub(super) kept: usize,
    /// What goes on again.
    pub(super) undone: &'a [Undone],
}

impl Question<'_> {
    /// Asks on a terminal; elsewhere the answer was given with the command.
    pub(super) fn ask(&self, answer: Option<usize>) -> Result<()> {
        tell(self.text().trim_end());
        let count = self.undone.len();
        match answer {
            Some(answer) if answer == count => Ok(()),
            Some(answer) => bail!(
                "--undo-revocations {answer} was given, and there are {count}: nothing was done"
            ),
            None if stdin().is_terminal() => {
                ask(&format!(
                    "Type {count} to go on, anything else to leave all as it is: "
                ));
                let mut line = String::new();
                let read = stdin().lock().read_line(&mut line);
                read.context("cannot read standard input")?;
                if line.trim() == count.to_string() {
                    Ok(())
                } else {
                    Err(Refusal("nothing was done".to_owned()).into())
                }
            }
            None => {
                bail!("nothing was done: where nobody can be asked, add --undo-revocations {count}")
            }
        }
    }

    fn text(&self) -> String {
        let count = self.undone.len();
        let mut text = format!(
            "The backup is of {}. The database that it replaces has {} later events.\n",
            self.taken_at, self.later_events
        );
        if self.lost_layers > 0 {
            line(
                &mut text,
                &format!(
                    "The pepper was exchanged since: keys lie under {} layers fewer again, and whoever has \
                     the earlier pepper can try out guesses. claviger secrets rotate-pepper exchanges it anew.",
                    self.lost_layers
                ),
            );
        }
        if self.kept > 0 {
            let kept = self.kept;
            line(
                &mut text,
                &format!("{kept} revocations, rotations and deletions are kept."),
            );
        }
        line(
            &mut text,
            &format!("{count} revocations, rotations and deletions are undone."),
        );
        for one in self.undone.iter().take(LISTED) {
            let name = one.name.as_deref().map(masked).unwrap_or_default();
            let (what, id, ending) = (&one.what, &one.id, &one.ending);
            line(
                &mut text,
                &format!("  {what:<12}  {id:<24}  {name:<6}  {ending}  {}", one.at),
            );
        }
        if count > LISTED {
            line(&mut text, &format!("  and {} more", count - LISTED));
        }
        text
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes whatever is written");
}

/// The beginning of a name, harmless to a terminal.
fn masked(name: &str) -> String {
    let clean = plain_text::clean(name).replace(['\n', '\t'], " ");
    let start: String = clean.chars().take(SHOWN).collect();
    format!("{start}***")
}

#[cfg(test)]
mod tests {
    use claviger_domain::time::Timestamp;

    use super::*;

    fn undone(number: usize) -> Undone {
        Undone {
            what: "api-key".to_owned(),
            id: format!("key_{number:016}"),
            name: Some("\u{1b}[2JAda Lovelace".to_owned()),
            ending: "revoked".to_owned(),
            at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn what_is_undone_is_listed_masked_and_not_endlessly() {
        let many: Vec<_> = (0..22).map(undone).collect();
        let mut question = Question {
            taken_at: "2026-01-15T12:00:00.000Z",
            later_events: 40,
            lost_layers: 0,
            kept: 0,
            undone: &many,
        };
        let text = question.text();
        assert_eq!(text.lines().count(), 2 + 20 + 1, "{text}");
        assert!(text.ends_with("  and 2 more\n"), "{text}");
        assert!(text.contains("Ada***") && !text.contains("Love"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        question.undone = &many[..2];
        assert!(!question.text().contains("rotate-pepper"));
        question.lost_layers = 1;
        assert!(question.text().contains("rotate-pepper"));
        assert!(question.ask(Some(2)).is_ok());
        let error = question.ask(Some(1)).unwrap_err().to_string();
        assert!(error.contains("there are 2"), "{error}");
    }
}
