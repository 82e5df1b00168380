//! A data directory with many keys, as if they had been created and used one by one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyPurpose, PlainKey};
use claviger_domain::time::Clock;
use claviger_store::sealing::MasterKey;
use claviger_store::secrets::{self, Secrets};
use claviger_store::{Db, Location};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::clock::MockClock;
use crate::random::SeededRandom;
use crate::server::{Server, claviger, claviger_anywhere};

/// A key to present.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) plain: PlainKey,
    pub(crate) public: String,
}

/// Draws keys, the same ones each time.
pub(crate) fn draw(count: u32) -> Vec<Key> {
    let random = SeededRandom::new(1);
    let drawn = (0..count).map(|_| KeyPurpose::ApiKey(Environment::Live).draw(&random));
    drawn
        .map(|drawn| Key {
            plain: drawn.plain,
            public: drawn.public,
        })
        .collect()
}

/// What each key is made with: a limit that is counted and never reached, and some 100 bytes of
/// metadata.
pub(crate) fn settings(name: &str) -> Value {
    json!({
        "name": name,
        "customMetaData": {"plan": "business", "region": "eu-central-1", "seats": 25,
            "features": ["export", "webhooks", "audit"]},
        "customAccountId": "customer-4711",
        "rateLimitConfigs": {"rateLimit": 1_000_000_000, "rateLimitTtl": 60},
    })
}

/// A data directory that a server can be started over.
pub(crate) struct Instance {
    pub(crate) folder: PathBuf,
    /// The access key that may check keys and nothing else.
    pub(crate) verifier_key: String,
    /// The access key that may do everything in its account.
    pub(crate) owner_key: String,
    pub(crate) account: Id<id::Account>,
    /// The key that the others are copies of.
    template: String,
}

impl Instance {
    /// Lets the program make a data directory, with one key.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let instance = Self {
            folder: folder.to_owned(),
            verifier_key: String::new(),
            owner_key: String::new(),
            account: Id::from_trusted(""),
            template: String::new(),
        };
        let log = folder.with_extension("log");
        let server = Server::start(claviger_anywhere(folder)?, &log)?;
        let owner_key = instance.told("accessKey")?;
        let made = server.call("POST /api-keys", &owner_key, &settings("Template"))?;
        server.stop()?;
        Ok(Self {
            verifier_key: instance.told("verifierKey")?,
            owner_key,
            account: Id::from_trusted(instance.told("accountId")?),
            template: made.json()?["id"].as_str().unwrap_or_default().to_owned(),
            ..instance
        })
    }

    /// The connected account of the built-in connector.
    pub(crate) fn connected(&self) -> Result<String> {
        self.told("integratedAccountId")
    }

    /// What the program told when it made it.
    fn told(&self, name: &str) -> Result<String> {
        let text = fs::read_to_string(self.folder.join("bootstrap.json"))?;
        let bootstrap: Value = serde_json::from_str(&text)?;
        let text = bootstrap[name].as_str().map(str::to_owned);
        text.with_context(|| format!("no {name} in bootstrap.json"))
    }

    /// Starts the program over it.
    pub(crate) fn start(&self) -> Result<Server> {
        Server::start(claviger(&self.folder)?, &self.folder.with_extension("log"))
    }

    /// Opens its database, as the program does.
    pub(crate) async fn open(&self) -> Result<(Db, Secrets)> {
        let master = fs::read_to_string(self.folder.join("master.key"))?;
        let master: [u8; 32] = STANDARD
            .decode(master.trim())?
            .try_into()
            .map_err(|_| anyhow::anyhow!("the master key has not 32 bytes"))?;
        let db = Db::open(&Location::Folder(self.folder.clone())).await?;
        let now = MockClock::default().now();
        let random = SeededRandom::new(2);
        let opened = secrets::open(&db, &MasterKey::new(master), &random, now).await?;
        Ok((db, opened))
    }

    /// Fills it with keys that have been used before: copies of the template's row, with ids and
    /// digests of their own. The events of their creation are left out: no check reads them.
    pub(crate) async fn fill(&self, keys: &[Key], told: impl Fn(usize)) -> Result<()> {
        const DRAWN: &str = "CREATE TEMP TABLE drawn AS SELECT value ->> 0 AS drawn_id, \
                             unhex(value ->> 1) AS drawn_digest, value ->> 2 AS drawn_name \
                             FROM json_each($1)";
        const COPY: &str = "CREATE TEMP TABLE copies AS SELECT api_keys.* FROM drawn \
                            JOIN api_keys ON api_keys.id = $1";
        const RENAME: &str = "UPDATE copies SET id = drawn_id, lineage = drawn_id, \
                              digest = drawn_digest, name = drawn_name, \
                              name_folded = lower(drawn_name), first_used_at = created_at \
                              FROM drawn WHERE drawn.rowid = copies.rowid";
        const KEEP: &str = "INSERT INTO api_keys SELECT * FROM copies";
        const USE: &str = "INSERT INTO usage.usage_hours SELECT id, first_used_at / 3600000000, \
                           project_id, 1, 0, 0, first_used_at FROM copies";
        const BATCH: usize = 10_000;
        let (db, Secrets { pepper, .. }) = self.open().await?;
        db.close().await;
        let options = SqliteConnectOptions::new().filename(self.folder.join("claviger.db"));
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query("ATTACH DATABASE $1 AS usage")
            .bind(self.folder.join("usage.db").to_string_lossy())
            .execute(&mut connection)
            .await?;
        for (number, batch) in keys.chunks(BATCH).enumerate() {
            let rows: Vec<_> = batch
                .iter()
                .enumerate()
                .map(|(index, key)| {
                    let id = Id::<id::ApiKey>::from_suffix(&key.public);
                    let digest = pepper.digest(key.plain.expose());
                    let name = format!("Key {}", number * BATCH + index);
                    json!([id, hexadecimal(digest.as_bytes()), name])
                })
                .collect();
            let mut tx = connection.begin().await?;
            for (sql, value) in [
                (DRAWN, json!(rows).to_string()),
                (COPY, self.template.clone()),
            ] {
                sqlx::query(sql).bind(value).execute(&mut *tx).await?;
            }
            for sql in [RENAME, KEEP, USE, "DROP TABLE copies", "DROP TABLE drawn"] {
                sqlx::query(sql).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            told(number * BATCH + batch.len());
        }
        connection.close().await?;
        Ok(())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let pairs = bytes
        .iter()
        .map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    pairs.flatten().collect()
}
