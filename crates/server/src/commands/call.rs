//! One command as a value: what is asked of the server, how the answer is shown, and what is asked
//! of whoever typed it before.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Result, bail};
use claviger_domain::plain_text;
use serde_json::Value;

use super::client::{Asked, Client};
use super::server::ServerFlags;
use super::table::{Column, details, table};
use super::{Ending, Refusal};
use crate::output::{ask, json_text, print, tell};

/// A command.
#[derive(Debug)]
pub(super) struct Call {
    /// The request.
    pub(super) asked: Asked,
    /// How its answer is shown.
    pub(super) shown: Shown,
    /// What is asked before, unless `--yes` is given: it cannot be undone, or cuts somebody off.
    pub(super) question: Option<String>,
}

/// How an answer is shown to people.
#[derive(Debug)]
pub(super) enum Shown {
    /// A list, as a table.
    List(&'static [Column]),
    /// An object, a line for each member.
    One(&'static [Column]),
    /// A sentence, whatever it is.
    Done(String),
    /// One member alone, which a script takes.
    Alone(&'static str),
}

impl Call {
    /// A command that needs no question.
    pub(super) fn new(asked: Asked, shown: Shown) -> Self {
        Self {
            asked,
            shown,
            question: None,
        }
    }

    /// The same with a question before it.
    pub(super) fn after(mut self, question: String, is_answered: bool) -> Self {
        self.question = (!is_answered).then_some(question);
        self
    }

    /// Asks, sends, shows.
    pub(super) async fn carry_out(self, flags: &ServerFlags) -> Result<Ending> {
        let client = flags.client()?;
        self.carry_out_with(flags, &client).await
    }

    /// The same as the operator, where no other key is given.
    pub(super) async fn carry_out_as_operator(self, flags: &ServerFlags) -> Result<Ending> {
        let client = flags.operator_client()?;
        self.carry_out_with(flags, &client).await
    }

    /// The same with a client that is there.
    pub(super) async fn carry_out_with(
        self,
        flags: &ServerFlags,
        client: &Client,
    ) -> Result<Ending> {
        if let Some(question) = &self.question {
            confirm(question)?;
        }
        let answer = client.send(self.asked).await?;
        print(&match (&self.shown, flags.json) {
            (Shown::Alone(member), _) => {
                format!("{}\n", answer.body[member].as_str().unwrap_or(""))
            }
            (_, true) => json_text(&answer.body),
            (Shown::List(columns), _) => table(columns, listed(&answer.body), answer.total),
            (Shown::One(columns), _) => details(columns, &answer.body),
            (Shown::Done(sentence), _) => format!("{sentence}\n"),
        });
        // A script that takes the answer whole has them there.
        if !flags.json {
            let warnings = answer.body["warnings"].as_array();
            for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
                tell(&format!("warning: {}", plain_text::clean(warning)));
            }
        }
        Ok(Ending::Done)
    }
}

/// The objects of a list: bare, or in an envelope of the gateway.
fn listed(body: &Value) -> &[Value] {
    let list = body.as_array().or_else(|| body["result"].as_array());
    list.map_or(&[], Vec::as_slice)
}

/// Asks on a terminal, and goes on only after a yes; without a terminal, `--yes` has to be given.
pub(crate) fn confirm(question: &str) -> Result<()> {
    let input = io::stdin();
    if !input.is_terminal() {
        bail!(
            "{}: add --yes where nobody can be asked",
            plain_text::clean(question)
        );
    }
    ask(&format!("{} [y/N] ", plain_text::clean(question)));
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Refusal("nothing was done".to_owned()).into())
}
