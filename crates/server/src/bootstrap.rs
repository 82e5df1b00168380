//! `bootstrap.json`: what the first start hands to whoever started the program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use claviger_domain::key_string::PlainKey;
use serde_json::{Map, Value};

use crate::data_directory::{self, DataDirectory};

const FILE: &str = "bootstrap.json";
/// The same before the program listens. It is on the disk before the first account is committed.
const NEW: &str = "bootstrap.json.new";
/// Header lines, for `curl -H @file`: a credential is used without being printed or listed.
pub(crate) const OWNER_HEADER: &str = "owner.header";
pub(crate) const VERIFIER_HEADER: &str = "verifier.header";

/// The content of `bootstrap.json`.
#[derive(Clone)]
pub(crate) struct Bootstrap(Map<String, Value>);

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[bootstrap]")
    }
}

/// How far a start's credentials have come to whoever started the program.
#[derive(Debug)]
pub(crate) enum Handover {
    /// Made just now, or by a start that was cut short: they are to be handed over.
    New(Bootstrap),
    /// They were handed over by an earlier start.
    Done(Bootstrap),
    /// They were, and somebody took them away, or they are on another machine.
    TakenAway,
}

/// A member of `bootstrap.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Url,
    AccountId,
    ProjectId,
    AccessKey,
    VerifierKey,
    OperatorKey,
    IntegratedAccountId,
    SignInUrl,
}

impl Member {
    /// The member's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::AccountId => "accountId",
            Self::ProjectId => "projectId",
            Self::AccessKey => "accessKey",
            Self::VerifierKey => "verifierKey",
            Self::OperatorKey => "operatorKey",
            Self::IntegratedAccountId => "integratedAccountId",
            Self::SignInUrl => "signInUrl",
        }
    }
}

impl Bootstrap {
    /// Takes the members that are known; the others are null.
    pub(crate) fn new(known: &[(Member, &str)]) -> Self {
        use Member::{
            AccessKey, AccountId, IntegratedAccountId, OperatorKey, ProjectId, SignInUrl, Url,
            VerifierKey,
        };
        let all = [
            Url,
            AccountId,
            ProjectId,
            AccessKey,
            VerifierKey,
            OperatorKey,
            IntegratedAccountId,
            SignInUrl,
        ];
        let value = |member| {
            let found = known.iter().find(|(one, _)| *one == member);
            found.map_or(Value::Null, |(_, text)| Value::from(*text))
        };
        let members = all.map(|member| (member.as_str().to_owned(), value(member)));
        Self(Map::from_iter(members))
    }

    /// A member, where it is text.
    pub(crate) fn text(&self, member: Member) -> Option<&str> {
        self.0.get(member.as_str()).and_then(Value::as_str)
    }

    /// A member that is a credential.
    pub(crate) fn key(&self, member: Member) -> Option<PlainKey> {
        self.text(member).map(PlainKey::new)
    }

    /// Sets a member.
    pub(crate) fn set(&mut self, member: Member, text: &str) {
        self.0.insert(member.as_str().to_owned(), Value::from(text));
    }

    fn render(&self) -> Vec<u8> {
        format!("{:#}\n", Value::Object(self.0.clone())).into_bytes()
    }

    /// Reads what an earlier start handed over; `None` when there is nothing, or no more.
    pub(crate) fn read(directory: &DataDirectory) -> Result<Option<Self>> {
        read(directory, FILE)
    }

    /// Reads what was handed over in a folder, without opening it as a server does.
    pub(crate) fn of_folder(folder: &Path) -> Result<Option<Self>> {
        read_file(&folder.join(FILE))
    }

    /// Writes it into a folder, without holding that as a server does; gives the file.
    pub(crate) fn write_to(&self, folder: &Path) -> Result<PathBuf> {
        let place = folder.join(FILE);
        data_directory::write_private(&place, &self.render())?;
        Ok(place)
    }

    /// Reads what an earlier start kept and did not come to hand over.
    pub(crate) fn read_new(directory: &DataDirectory) -> Result<Option<Self>> {
        read(directory, NEW)
    }

    /// Where it is kept until the program listens.
    pub(crate) fn new_place(directory: &DataDirectory) -> PathBuf {
        directory.file(NEW)
    }

    /// Keeps it there.
    pub(crate) fn keep_new(&self, place: &Path) -> Result<()> {
        data_directory::write_private(place, &self.render())
    }

    /// Forgets what was kept.
    pub(crate) fn discard_new(directory: &DataDirectory) -> Result<()> {
        let path = directory.file(NEW);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Hands it over: called when the program listens, so that the file's appearance says that it
    /// is ready. The files with header lines are there by then.
    pub(crate) fn hand_over(&mut self, directory: &mut DataDirectory, url: &str) -> Result<()> {
        self.set(Member::Url, url);
        for (name, member) in [
            (OWNER_HEADER, Member::AccessKey),
            (VERIFIER_HEADER, Member::VerifierKey),
        ] {
            let key = self.text(member).unwrap_or_default();
            directory.write_private(name, format!("x-api-key: {key}\n").as_bytes())?;
        }
        directory.write_private(FILE, &self.render())?;
        Self::discard_new(directory)
    }

    /// Removes the header lines too, where somebody took the rest away: credentials that are kept
    /// elsewhere now do not stay here in clear.
    pub(crate) fn remove_headers(directory: &DataDirectory) -> Result<()> {
        for name in [OWNER_HEADER, VERIFIER_HEADER] {
            let path = directory.file(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context(format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes where the program listens now.
    pub(crate) fn move_to(&mut self, directory: &mut DataDirectory, url: &str) -> Result<()> {
        if self.text(Member::Url) == Some(url) {
            return Ok(());
        }
        self.set(Member::Url, url);
        directory.write_private(FILE, &self.render())
    }
}

fn read(directory: &DataDirectory, name: &str) -> Result<Option<Bootstrap>> {
    read_file(&directory.file(name))
}

fn read_file(path: &Path) -> Result<Option<Bootstrap>> {
    if !path.exists() {
        return Ok(None);
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    match serde_json::from_str(&text) {
        Ok(members) => Ok(Some(Bootstrap(members))),
        // The error's own text would quote the file.
        Err(_) => anyhow::bail!(
            "{} is not what the first start wrote: put it back, or remove it",
            path.display()
        ),
    }
}
