//! Secrets in answers that are kept: each is replaced by what may be shown.

use claviger_domain::id::{ApiKey, Id};
use claviger_domain::key_string::{self, KeyName, KeyShape, PUBLIC_LENGTH};
use claviger_domain::token::{
    INVITATION_PREFIX, LINK_TOKEN_PREFIX, MCP_SERVER_PREFIX, TOKEN_LENGTH, WEBHOOK_SECRET_PREFIX,
};
use serde_json::Value;

/// Replaces every full key, token and webhook's secret in an answer by its reference or a mask.
pub fn mask_secrets(value: &mut Value) {
    match value {
        Value::String(text) => mask_text(text),
        Value::Array(items) => items.iter_mut().for_each(mask_secrets),
        Value::Object(members) => {
            // A key that the caller brought may have any shape: it is known by its place.
            let id = members
                .get("id")
                .and_then(Value::as_str)
                .and_then(Id::<ApiKey>::parse);
            if let (Some(id), Some(Value::String(key))) = (id, members.get_mut("key"))
                && key_string::name_of_api_key(key) != KeyName::Id(id.clone())
            {
                let shape = KeyShape::read(key).filter(|shape| shape.checksum_holds);
                let own =
                    shape.filter(|shape| id.as_str().strip_prefix("key_") == Some(shape.public));
                *key = own.map_or_else(
                    || key_string::custom_reference(&id),
                    |shape| shape.purpose.reference(shape.public),
                );
            }
            members.values_mut().for_each(mask_secrets);
        }
        _ => {}
    }
}

fn mask_text(text: &mut String) {
    if let Some(shape) = KeyShape::read(text) {
        // Without our checksum it is somebody else's key, of which no character is public.
        let public = if shape.checksum_holds {
            shape.public
        } else {
            ""
        };
        *text = shape.purpose.reference(public);
    } else if text.starts_with(WEBHOOK_SECRET_PREFIX) {
        text.truncate(WEBHOOK_SECRET_PREFIX.len());
        text.extend(std::iter::repeat_n('*', PUBLIC_LENGTH));
    }
    for prefix in [MCP_SERVER_PREFIX, LINK_TOKEN_PREFIX, INVITATION_PREFIX] {
        // Also within the URL that carries it.
        let mut ends = text
            .match_indices(prefix)
            .map(|(at, prefix)| at + prefix.len());
        let token = ends.find(|end| {
            let rest = text.as_bytes()[*end..].iter();
            // Shorter, it is a name that somebody chose.
            let of_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
            rest.take_while(of_token).count() >= TOKEN_LENGTH
        });
        if let Some(end) = token {
            text.truncate(end);
            text.extend(std::iter::repeat_n('*', PUBLIC_LENGTH));
        }
    }
}

#[cfg(test)]
mod tests {
    use claviger_domain::key_string::{Environment, KeyPurpose};
    use claviger_domain::random::Random;
    use serde_json::json;

    use super::*;

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn keys_and_tokens_are_masked_wherever_they_are() {
        let drawn = KeyPurpose::ApiKey(Environment::Live).draw(&Sevens);
        let (own, public) = (drawn.plain.expose(), drawn.public);
        let foreign = format!("live_{}", "0123456789abcdef".repeat(4));
        let token = "a-_".repeat(TOKEN_LENGTH / 3 + 1);
        let mut value = json!({
            "generated": {"id": format!("key_{public}"), "key": own},
            "shown": {"id": format!("key_{public}"), "key": format!("live_{public}*********")},
            "custom": {"id": "key_0123456789abcdef", "key": "a-custom-key-of-mine"},
            "foreign": {"id": "key_fedcba9876543210", "key": foreign},
            "list": [own, foreign, "plain"],
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "url": format!("http://localhost/mcp/clvmcp_{token}"),
            "link": format!("http://localhost/accept-invitation?token=invite_{token}"),
            "names": ["invite_only GmbH", "clvmcp_", "invite_invite_only"],
        });
        mask_secrets(&mut value);
        let reference = format!("live_{public}*********");
        assert_eq!(
            value,
            json!({
                "generated": {"id": format!("key_{public}"), "key": reference},
                "shown": {"id": format!("key_{public}"), "key": reference},
                "custom": {"id": "key_0123456789abcdef", "key": "key_0123456789abcdef*********"},
                "foreign": {"id": "key_fedcba9876543210", "key": "key_fedcba9876543210*********"},
                "list": [reference, "live_*********", "plain"],
                "secret": "whsec_****************",
                "url": "http://localhost/mcp/clvmcp_****************",
                "link": "http://localhost/accept-invitation?token=invite_****************",
                "names": ["invite_only GmbH", "clvmcp_", "invite_invite_only"],
            })
        );
    }
}
