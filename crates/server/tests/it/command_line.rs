//! What the program prints when it is asked for something else than to serve.

use std::collections::BTreeSet;
use std::fs;

use claviger_testkit::program::{command, run_to_end};
use serde_json::Value;
use tempfile::tempdir;

use crate::CLAVIGER;

/// What a command prints that succeeds.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = run_to_end(command(CLAVIGER, arguments));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    assert_eq!(complaint, "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_teaches_by_examples() {
    insta::assert_snapshot!(printed(&["--help"]), @r#"
Keys for your API, and tools for AI agents on any REST API

Usage: claviger [COMMAND] [OPTIONS]

Commands:
  serve         Start the program (what `claviger` alone does)
  config        Print the configuration file with every setting and its default
  check-config  Print the settings in force, with secrets masked and warnings, and start nothing
  health        Ask the program that runs with these settings whether it is alive: exit code 0, or 1
  openapi       Print the OpenAPI document of the API that this version serves
  keys          API keys, which your customers present
  projects      Projects, which keys are made in
  access-keys   Access keys, which programs of yours call this API with
  accounts      Accounts: yours and those below it
  users         People: who holds which role, and who is invited
  webhooks      Webhooks: URLs that are told what happens
  mcp           URLs that give an AI agent this server's API as tools
  usage         How often keys were checked
  audit         Who changed what, and when
  import        Move projects and keys here from another server
  backup        Copy the databases of this machine's server into a new folder, while it runs
  restore       Put a backup in the place of the databases of this machine's server, which must not run
  secrets       The secrets that the server keeps to itself
  operator-key  The keys of whoever runs the server, changed on its machine
  completions   Print a script that completes these commands in a shell
  connector     Make and look at connectors, which turn REST APIs into tools
  help          Print this message or the help of the given subcommand(s)

Options:
  -h, --help     Print help
  -V, --version  Print version

Examples:
  claviger                            start, with its data in ./claviger-data
  claviger --listen 127.0.0.1:0       the same, on a free port
  claviger config > claviger.toml     write a configuration file to edit
  claviger check-config --config claviger.toml
  claviger keys create 'Acme'         make a key on the server in ./claviger-data
  claviger keys list --json           every command that asks a server can print JSON
  CLAVIGER_LOG=debug claviger         every flag has a variable
"#);
}

#[test]
fn the_help_of_serve_names_each_setting() {
    insta::assert_snapshot!(printed(&["serve", "-h"]), @r#"
Start the program (what `claviger` alone does)

Usage: claviger serve [OPTIONS]

Options:
      --config <FILE>
          Configuration file; `claviger config` prints one [env: CLAVIGER_CONFIG]
      --listen <ADDRESS>
          Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:8420] [env: CLAVIGER_LISTEN]
      --data-dir <FOLDER>
          Folder for databases, keys and credentials, made when it is missing [default: ./claviger-data] [env: CLAVIGER_DATA_DIR]
      --public-url <URL>
          URL under which others reach this program, for the links that it hands out [default: http:// and the address] [env: CLAVIGER_PUBLIC_URL]
      --trusted-proxies <NETWORKS>
          Networks of proxies in front that are believed when they tell whom they were asked by, with commas between them [default: none] [env: CLAVIGER_TRUSTED_PROXIES]
      --key-cache <MIB>
          MiB of memory for keys that are checked, some 2,500 keys each; keys beyond it are read from the database when they are checked [default: 512] [env: CLAVIGER_KEY_CACHE]
      --connectors <FOLDER>
          Folder with connector files (`*.yaml`), which all accounts have beside the built-in one [default: none] [env: CLAVIGER_CONNECTORS]
      --master-key-file <FILE>
          File with the master key: 32 bytes, base64 or hexadecimal [default: master.key in the folder] [env: CLAVIGER_MASTER_KEY_FILE]
      --staleness-bound <PERIOD>
          With PostgreSQL: how long changes of other programs over the same database may be unknown here, before each check asks it [default: 1s] [env: CLAVIGER_STALENESS_BOUND]
      --away-bound <PERIOD>
          With PostgreSQL: how long keys in memory are checked on while it is away [default: 5m] [env: CLAVIGER_AWAY_BOUND]
      --signup <WHO>
          Who may sign up: nobody (`closed`), who is invited (`invited`), or everybody, into an account of their own (`open`) [default: invited] [env: CLAVIGER_SIGNUP] [possible values: closed, invited, open]
      --database-url <URL>
          PostgreSQL to keep the rows in, `postgres://user@host/database` [default: SQLite in the folder] [env: CLAVIGER_DATABASE_URL]
      --database-url-file <FILE>
          File with that URL, for one that has a password [env: CLAVIGER_DATABASE_URL_FILE]
      --tls-cert <FILE>
          File with the certificate and those between it and the root, PEM, for https without a proxy [env: CLAVIGER_TLS_CERT]
      --tls-key <FILE>
          File with the certificate's private key, PEM [env: CLAVIGER_TLS_KEY]
      --metrics-listen <ADDRESS>
          Address and port on which /metrics is served to everybody who reaches it [default: none, with the operator key only] [env: CLAVIGER_METRICS_LISTEN]
      --operator-remote[=<BOOL>]
          Whether the operator key is taken from other machines than this one [default: false] [env: CLAVIGER_OPERATOR_REMOTE] [possible values: true, false]
      --outbound-allow-private[=<BOOL>]
          For development: whether webhooks may go to this machine and private networks, and to any port [default: false] [env: CLAVIGER_OUTBOUND_ALLOW_PRIVATE] [possible values: true, false]
      --outbound-ports <PORTS>
          Ports to which webhooks may go beside 80, 443 and 8443, with commas between them [default: none] [env: CLAVIGER_OUTBOUND_PORTS]
      --outbound-networks <NETWORKS>
          Private networks to which webhooks may go, with commas between them [default: none] [env: CLAVIGER_OUTBOUND_NETWORKS]
      --mail-url <URL>
          Server that mails go to, `smtps://user:password@mail.example.com` [default: none, they are files in outbox/ in the folder] [env: CLAVIGER_MAIL_URL]
      --mail-url-file <FILE>
          File with that URL, for one that has a password [env: CLAVIGER_MAIL_URL_FILE]
      --mail-from <ADDRESS>
          Who mails are from; by default `Claviger <claviger@localhost>` [env: CLAVIGER_MAIL_FROM]
      --mail-ca-file <FILE>
          File with certificates, in PEM, of authorities that vouch for that server's, beside the usual ones [default: none] [env: CLAVIGER_MAIL_CA_FILE]
      --firebase-project <ID>
          Id of the Firebase project whose users may sign in [default: none] [env: CLAVIGER_FIREBASE_PROJECT]
      --firebase-keys <URL>
          Where the keys are that its tokens are signed with [default: Google's] [env: CLAVIGER_FIREBASE_KEYS]
      --log <FILTER>
          What to log: error, warn, info, debug, trace, or a filter such as `info,sqlx=debug` [default: info] [env: CLAVIGER_LOG]
      --log-format <FORMAT>
          How a line looks [default: text] [env: CLAVIGER_LOG_FORMAT] [possible values: text, json]
      --retention-calls <DAYS>
          How long calls stay in the log: days such as 30d, or forever [default: 30d] [env: CLAVIGER_RETENTION_CALLS]
      --retention-usage-by-hour <DAYS>
          How long usage is kept by hour, before it is added up to days [default: 90d] [env: CLAVIGER_RETENTION_USAGE_BY_HOUR]
      --retention-usage <DAYS>
          How long usage is kept at all [default: forever] [env: CLAVIGER_RETENTION_USAGE]
      --retention-events <DAYS>
          How long the audit trail is kept, at least 90d [default: forever] [env: CLAVIGER_RETENTION_EVENTS]
      --retention-deleted <DAYS>
          How long rows stay, unseen, that were deleted with their project or account, and MCP servers after their end [default: 30d] [env: CLAVIGER_RETENTION_DELETED]
      --retention-mails <DAYS>
          How long mails stay that are files, since no server is configured [default: 7d] [env: CLAVIGER_RETENTION_MAILS]
      --otlp-endpoint <URL>
          Collector of OpenTelemetry (OTLP over HTTP) that requests are told to as traces, such as `http://127.0.0.1:4318`; in a build with the feature opentelemetry [default: none] [env: CLAVIGER_OTLP_ENDPOINT]
      --traces-ratio <RATIO>
          How many of all traces are told, from 0 to 1 [default: 1] [env: CLAVIGER_TRACES_RATIO]
      --usage-export-schedule <CRON>
          When usage is exported, as cron says it (minute, hour, day of the month, month, day of the week; UTC), such as `30 0 1 * *` [default: never] [env: CLAVIGER_USAGE_EXPORT_SCHEDULE]
      --usage-export-every <PERIOD>
          What each export is of: all days, or all months, that are over and were not exported yet [default: month] [env: CLAVIGER_USAGE_EXPORT_EVERY] [possible values: day, month]
      --usage-export-format <FORMAT>
          How rows are written [default: csv] [env: CLAVIGER_USAGE_EXPORT_FORMAT] [possible values: csv, ndjson]
      --usage-export-to <PLACE>
          Folder for the files, or an https URL that they are posted to in parts [env: CLAVIGER_USAGE_EXPORT_TO]
      --usage-export-authorization-file <FILE>
          File with what is sent to that URL as `Authorization` [env: CLAVIGER_USAGE_EXPORT_AUTHORIZATION_FILE]
  -h, --help
          Print help (see more with '--help')

Examples:
  claviger serve --listen 0.0.0.0:8420 --public-url https://keys.example.com
  claviger serve --database-url postgres://claviger@localhost/claviger
  claviger serve --config /etc/claviger.toml --log-format json

A flag goes before its variable, that before the configuration file. The master key is 32 bytes, such
as `openssl rand -base64 32` prints, in CLAVIGER_MASTER_KEY or in a file.
"#);
}

#[test]
fn the_version_is_told() {
    let version = format!("claviger {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), version);
}

#[test]
fn the_printed_configuration_file_is_understood() {
    let scratch = tempdir().unwrap();
    let file = scratch.path().join("claviger.toml");
    fs::write(&file, printed(&["config"])).unwrap();
    let path = file.to_str().unwrap();
    let with_file = printed(&["check-config", "--config", path]);
    assert_eq!(with_file, printed(&["check-config"]));
}

#[test]
fn a_flag_goes_before_its_variable_and_that_before_the_file() {
    let scratch = tempdir().unwrap();
    let file = scratch.path().join("claviger.toml");
    let written =
        "listen = '127.0.0.1:1'\npublic_url = 'https://file.example'\n[log]\nfilter = 'error'";
    fs::write(&file, written).unwrap();
    let mut command = command(CLAVIGER, ["check-config", "--listen", "127.0.0.1:3"]);
    command
        .env("CLAVIGER_CONFIG", &file)
        .env("CLAVIGER_LISTEN", "127.0.0.1:2")
        .env("CLAVIGER_LOG", "debug")
        .env("CLAVIGER_MASTER_KEY", "open sesame")
        .env(
            "CLAVIGER_DATABASE_URL",
            "postgres://me:sesame@db.example/keys",
        )
        .env("CLAVIGER_OPERATOR_REMOTE", "true");
    let output = run_to_end(command);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r#"
listen = "127.0.0.1:3"
data_dir = "claviger-data"
public_url = "https://file.example"
trusted_proxies = []
key_cache = 512
# connectors: the built-in one alone
master_key = "***"
staleness_bound = "1s"
away_bound = "5m"
signup = "invited"

[database]
url = "***"

[tls]
# cert, key: without TLS

[metrics]
# listen: with the operator key only

[operator]
remote = true

[outbound]
allow_private = false
ports = []
networks = []

[mail]
# url: files in outbox/ in the data directory
from = "Claviger <claviger@localhost>"
# ca_file: the usual authorities alone

[firebase]
# project: nobody signs in with Firebase
keys = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"

[log]
filter = "debug"
format = "text"

[retention]
calls = "30d"
usage_by_hour = "90d"
usage = "forever"
events = "forever"
deleted = "30d"
mails = "7d"

[traces]
# otlp_endpoint, ratio: no traces are sent

[usage_export]
# schedule, to: usage is not exported

# Warning: The operator key is taken from other machines (operator.remote): it opens every account.
"#);
}

#[test]
fn the_served_document_is_printed() {
    let document: Value = serde_json::from_str(&printed(&["openapi"])).unwrap();
    assert_eq!(
        document["openapi"].as_str().unwrap().split('.').next(),
        Some("3")
    );
    // Both halves.
    assert!(document["paths"]["/api-keys"]["post"].is_object());
    assert!(document["paths"]["/integration"]["post"].is_object());
    let tags = document["tags"].as_array().unwrap().iter();
    let tags: BTreeSet<_> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
    let items = document["paths"].as_object().unwrap().values();
    let operations: Vec<_> = items
        .flat_map(|item| item.as_object().unwrap().values())
        .collect();
    let used = operations
        .iter()
        .map(|one| one["tags"][0].as_str().unwrap());
    assert_eq!(used.collect::<BTreeSet<_>>(), tags);
    let ids = operations
        .iter()
        .map(|one| one["operationId"].as_str().unwrap());
    assert_eq!(ids.collect::<BTreeSet<_>>().len(), operations.len());
}
