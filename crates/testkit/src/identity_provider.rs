//! An identity provider on this machine: it publishes keys and signs tokens, also hostile ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::time::Timestamp;
use http::{StatusCode, header};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock};

use crate::Receiver;

/// Keys of the tests alone: what they sign is worth nothing anywhere.
const PROVIDER: &[u8] = include_bytes!("identity_provider/provider.der");
const STRANGER: &[u8] = include_bytes!("identity_provider/stranger.der");
/// Seconds for which a set of keys is good.
const MAX_AGE: u32 = 600;

/// The provider. It has one pair of keys, under the ids that it publishes.
#[derive(Debug)]
pub struct IdentityProvider {
    published: Arc<Mutex<Published>>,
    /// Whoever has this for itself has answers wait.
    gate: Arc<RwLock<()>>,
    came: Arc<Notify>,
    receiver: Receiver,
}

#[derive(Debug)]
struct Published {
    ids: Vec<String>,
    is_away: bool,
}

impl IdentityProvider {
    /// The project that its tokens are for.
    pub const PROJECT: &str = "acme-1";

    /// One that publishes a key under `first`.
    pub async fn start() -> Self {
        let published = Arc::new(Mutex::new(Published {
            ids: vec!["first".to_owned()],
            is_away: false,
        }));
        let gate: Arc<RwLock<()>> = Arc::default();
        let came = Arc::new(Notify::new());
        let (shown, shut, seen) = (Arc::clone(&published), Arc::clone(&gate), Arc::clone(&came));
        let receiver = Receiver::answering(move |_| {
            let (shut, answer) = (Arc::clone(&shut), answer(&lock(&shown)));
            seen.notify_one();
            async move {
                drop(shut.read().await);
                answer
            }
        })
        .await;
        Self {
            published,
            gate,
            came,
            receiver,
        }
    }

    /// Has it answer nothing until what this gives is dropped.
    pub async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.gate).write_owned().await
    }

    /// Waits until the keys are asked for, if nobody has waited since they were.
    pub async fn is_asked(&self) {
        self.came.notified().await;
    }

    /// Where the keys are.
    pub fn url(&self) -> &str {
        &self.receiver.url
    }

    /// How often the keys were fetched.
    pub fn asked(&self) -> usize {
        self.receiver.received().len()
    }

    /// Publishes the key under these ids from now on.
    pub fn publish(&self, ids: &[&str]) {
        lock(&self.published).ids = ids.iter().map(|id| (*id).to_owned()).collect();
    }

    /// Answers with an error from now on, or with keys again.
    pub fn set_away(&self, is_away: bool) {
        lock(&self.published).is_away = is_away;
    }

    /// What a token of somebody says who signed in a minute ago.
    pub fn claims(now: Timestamp, subject: &str, email: &str) -> Value {
        let now = now.as_seconds();
        json!({
            "iss": format!("https://securetoken.google.com/{}", Self::PROJECT),
            "aud": Self::PROJECT,
            "sub": subject, "user_id": subject,
            "iat": now, "auth_time": now - 60, "exp": now + 3_600,
            "email": email, "email_verified": true, "name": "Ada Lovelace",
            "firebase": {"sign_in_provider": "google.com"},
        })
    }

    /// A token that it signed.
    pub fn token(claims: &Value) -> String {
        Self::token_under("first", claims)
    }

    /// The same under another id of the key.
    pub fn token_under(id: &str, claims: &Value) -> String {
        signed(
            &json!({"alg": "RS256", "kid": id, "typ": "JWT"}),
            claims,
            |text| sign(PROVIDER, text),
        )
    }

    /// One that somebody else signed, and says is the provider's.
    pub fn token_of_a_stranger(claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "first", "typ": "JWT"});
        signed(&header, claims, |text| sign(STRANGER, text))
    }

    /// One that nobody signed.
    pub fn token_without_signature(algorithm: &str, claims: &Value) -> String {
        let header = json!({"alg": algorithm, "kid": "first", "typ": "JWT"});
        signed(&header, claims, |_| Vec::new())
    }

    /// One that is signed with a secret that everybody knows: the public key, in that form.
    pub fn token_by_secret(secret: &[u8], claims: &Value) -> String {
        let header = json!({"alg": "HS256", "kid": "first", "typ": "JWT"});
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        signed(&header, claims, |text| {
            hmac::sign(&key, text).as_ref().to_vec()
        })
    }

    /// One that brings its own key along, or asks to be understood.
    pub fn token_with_header(more: &Value, claims: &Value) -> String {
        let mut header = json!({"alg": "RS256", "kid": "first", "typ": "JWT"});
        for (name, value) in more.as_object().into_iter().flatten() {
            header[name] = value.clone();
        }
        let key = if more.get("crit").is_some() {
            PROVIDER
        } else {
            STRANGER
        };
        signed(&header, claims, |text| sign(key, text))
    }

    /// The public key as those who mistake it for a secret have it: the modulus, in bytes and in text.
    pub fn public_forms() -> Vec<Vec<u8>> {
        let modulus = public(PROVIDER).n;
        vec![
            URL_SAFE_NO_PAD.encode(&modulus).into_bytes(),
            modulus,
            jwk("first", PROVIDER).to_string().into_bytes(),
        ]
    }

    /// The public key of the stranger, as a header may have it.
    pub fn stranger() -> Value {
        jwk("first", STRANGER)
    }
}

fn lock(published: &Mutex<Published>) -> MutexGuard<'_, Published> {
    published.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(published: &Published) -> axum::response::Response {
    if published.is_away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let keys: Vec<_> = published.ids.iter().map(|id| jwk(id, PROVIDER)).collect();
    let kept = format!("public, max-age={MAX_AGE}, must-revalidate, no-transform");
    let body = json!({"keys": keys}).to_string();
    ([(header::CACHE_CONTROL, kept)], body).into_response()
}

fn jwk(id: &str, pair: &[u8]) -> Value {
    let PublicKeyComponents { n, e } = public(pair);
    let text = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": text(n), "e": text(e)})
}

fn pair(der: &[u8]) -> KeyPair {
    KeyPair::from_pkcs8(der).expect("the tests' keys are in order")
}

fn public(der: &[u8]) -> PublicKeyComponents<Vec<u8>> {
    PublicKeyComponents::from(pair(der).public())
}

fn sign(der: &[u8], text: &[u8]) -> Vec<u8> {
    let pair = pair(der);
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = SystemRandom::new();
    pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
        .expect("the signature has room");
    signature
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
