//! `claviger connector`: for whoever writes a connector file, or makes one of an OpenAPI document; and
//! the connectors of an instance.

mod folder;
mod import;
mod shown;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use claviger_gateway::connector::{self, Faults};
use claviger_gateway::gateway::BUILT_IN;
use claviger_gateway::openapi::Document;
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::{Catalogue, Connector};

use crate::output::{json_text, print};

pub(crate) use folder::read as read_folder;

/// What stands for the document of this program's own API.
const BUILT_IN_DOCUMENT: &str = "builtin:auth-api";
/// The exit code of a file that has faults.
const FAULTY: u8 = 1;

const TOOLS_EXAMPLES: &str = "\
Examples:
  claviger connector tools                         the tools on this server's own API
  claviger connector tools connectors/tea.yaml
  claviger connector tools tea.yaml --json --schema-profile openai-strict

A model gets the names, descriptions and schemas, and nothing else: read them as it would. Operations
that are no tools are listed last, with the reason.";

const CHECK_EXAMPLES: &str = "\
Examples:
  claviger connector check connectors/tea.yaml

Each fault is a line: file, line, column, what is wrong. The exit code is 0 without any, else 1.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  claviger connector schema > connector.schema.json

An editor with YAML support checks a connector file that begins with
# yaml-language-server: $schema=connector.schema.json";

const IMPORT_EXAMPLES: &str = "\
Examples:
  claviger connector import tea.json                      print a connector file
  claviger connector import tea.yaml --out connectors/tea.yaml

The document is OpenAPI 3.0, 3.1 or Swagger 2.0, JSON or YAML, at most 32 MiB. It is read from a file:
download it first. The connector file refers to it, so keep both.";

/// What can be done with connectors.
#[derive(Subcommand, Debug)]
pub(crate) enum ConnectorCommand {
    /// Print every fault of a connector file, with its line
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The connector's file
        file: PathBuf,
    },
    /// Print the tools that a connector yields, and the operations that are none
    #[command(after_help = TOOLS_EXAMPLES)]
    Tools {
        /// The connector's file; without it, the built-in one
        file: Option<PathBuf>,
        /// Print JSON, with descriptions and schemas
        #[arg(long)]
        json: bool,
        /// Which form of schemas to print with --json
        #[arg(long, value_enum, default_value_t, requires = "json")]
        schema_profile: Profile,
    },
    /// Print the JSON Schema of connector files, for your editor
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Write a connector file for an OpenAPI document
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The OpenAPI document's file
        openapi: PathBuf,
        /// Write the connector file there, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A form of schemas, as a flag names it.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Profile {
    /// What most clients accept
    #[default]
    Default,
    /// Every property required and nullable, none besides
    #[value(alias = "openai_strict")]
    OpenaiStrict,
}

impl From<Profile> for SchemaProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Default => Self::Default,
            Profile::OpenaiStrict => Self::OpenaiStrict,
        }
    }
}

impl ConnectorCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check { file } => return check(&file),
            Self::Tools {
                file,
                json,
                schema_profile,
            } => {
                let catalogue = catalogue(file.as_deref())?;
                print(&if json {
                    json_text(&shown::as_json(&catalogue, schema_profile.into()))
                } else {
                    shown::as_text(&catalogue)
                });
            }
            Self::Schema => print(&format!("{:#}\n", connector::schema())),
            Self::Import { openapi, out } => import::run(&openapi, out.as_deref())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is said of a document where the connector for it is wanted.
const IS_DOCUMENT: &str =
    "this is an OpenAPI document, for which `claviger connector import` writes a connector file";

/// Prints every fault as `file:line:column: what is wrong`, the form that editors follow.
fn check(file: &Path) -> Result<ExitCode> {
    match compiled(file)? {
        Ok(catalogue) => {
            print(&format!(
                "{}: {}\n",
                file.display(),
                shown::summary(&catalogue)
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in faults.0 {
                print(&format!("{}{}\n", file.display(), shown::fault(&fault)));
            }
            if Document::parse(read(file)?.as_bytes()).is_ok() {
                print(&format!("{}: {IS_DOCUMENT}\n", file.display()));
            }
            Ok(ExitCode::from(FAULTY))
        }
    }
}

/// The tools of the connector in `file`, or what is wrong with it.
fn compiled(file: &Path) -> Result<Result<Catalogue, Faults>> {
    let connector = match Connector::parse(&read(file)?) {
        Ok(connector) => connector,
        Err(faults) => return Ok(Err(faults)),
    };
    let document = document(&connector, Some(file)).with_context(|| file.display().to_string())?;
    Ok(Catalogue::compile(&connector, &document))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The tools of the connector in `file`, or of the built-in one.
fn catalogue(file: Option<&Path>) -> Result<Catalogue> {
    let (text, shown) = match file {
        Some(path) => (read(path)?, path.display().to_string()),
        None => (BUILT_IN.to_owned(), "the built-in connector".to_owned()),
    };
    let connector = match Connector::parse(&text) {
        Ok(connector) => connector,
        Err(_) if Document::parse(text.as_bytes()).is_ok() => bail!("{shown}: {IS_DOCUMENT}"),
        Err(faults) => return Err(faults).context(shown),
    };
    let document = document(&connector, file).context(shown.clone())?;
    Catalogue::compile(&connector, &document).context(shown)
}

/// The connector's OpenAPI document; a path is read as seen from the connector's own file.
fn document(connector: &Connector, file: Option<&Path>) -> Result<Document> {
    let place = &connector.file().openapi;
    if place == BUILT_IN_DOCUMENT {
        let bytes = claviger_api::document().to_string().into_bytes();
        return Ok(Document::parse(&bytes)?);
    }
    if place.contains("://") {
        bail!("openapi is {place}, and documents are read from files: download it beside this one");
    }
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    read_document(&folder.join(place))
}

fn read_document(path: &Path) -> Result<Document> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    Document::parse(&bytes).with_context(|| shown.to_string())
}
