//! What a webhook is made with, or changed to.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value};

/// What the API calls the headers that are sent along.
pub(super) const HEADERS: &str = "customHeaders";

/// The settings of a webhook.
#[derive(Args, Debug)]
pub(super) struct SettingsFlags {
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// For this project only
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// `POST`, `PUT` or `PATCH`
    #[arg(long)]
    method: Option<String>,
    /// `standard`, or `slack` for a message that chat programs show
    #[arg(long)]
    format: Option<String>,
    /// A header to send along, such as 'x-tenant: 4711'; can be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A file with a header a line, for what is not to stand in a command line
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    /// Whether deliveries have the header `theauthapi-signature` as well
    #[arg(long, value_name = "BOOL")]
    legacy_signature: Option<bool>,
}

impl SettingsFlags {
    /// The members that are given, as the API names them.
    pub(super) fn read(self) -> Result<Map<String, Value>> {
        let mut body = Map::new();
        let texts = [
            ("name", self.name),
            ("projectId", self.project),
            ("httpMethod", self.method),
            ("format", self.format),
        ];
        for (name, value) in texts {
            body.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        let legacy = self.legacy_signature;
        body.extend(legacy.map(|is_on| ("legacySignature".to_owned(), is_on.into())));
        let mut lines = self.headers;
        if let Some(file) = &self.headers_file {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            lines.extend(text.lines().map(str::to_owned));
        }
        let lines = lines.iter().filter(|line| !line.trim().is_empty());
        let headers = lines
            .map(|line| read_header(line))
            .collect::<Result<Map<_, _>>>()?;
        if !headers.is_empty() {
            body.insert(HEADERS.to_owned(), headers.into());
        }
        Ok(body)
    }
}

/// Never tells the value of one that is malformed.
fn read_header(line: &str) -> Result<(String, Value)> {
    let Some((name, value)) = line.split_once(':') else {
        bail!("a header is a name, a colon and a value");
    };
    Ok((name.trim().to_owned(), value.trim().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_header_is_not_told() {
        let (name, value) = read_header("authorization: Bearer a:b").unwrap();
        assert_eq!(
            (name.as_str(), value),
            ("authorization", "Bearer a:b".into())
        );
        let error = read_header("authorization Bearer canary").unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }
}
