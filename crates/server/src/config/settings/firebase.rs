//! What may be set of signing in with Firebase.

use clap::Args;
use serde::Deserialize;

/// The section `[firebase]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct FirebaseSettings {
    /// Id of the Firebase project whose users may sign in [default: none]
    #[arg(
        id = "firebase_project",
        long = "firebase-project",
        env = "CLAVIGER_FIREBASE_PROJECT",
        hide_env_values = true,
        value_name = "ID"
    )]
    pub project: Option<String>,

    /// Where the keys are that its tokens are signed with [default: Google's]
    #[arg(
        id = "firebase_keys",
        long = "firebase-keys",
        env = "CLAVIGER_FIREBASE_KEYS",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub keys: Option<String>,
}
