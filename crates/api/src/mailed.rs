//! What is mailed to people, from the operations that say so.

use claviger_domain::base62;
use claviger_domain::email::Email;
use claviger_domain::key_string::PlainKey;
use claviger_edge::{ApiError, Core};
use claviger_outbound::mail::{Letter, Link};
use claviger_store::one_time_codes::{self, CodePurpose, NewCode, VALID_SECONDS};
use claviger_store::{Change, mails};

/// Characters of a token after its prefix: 256 bits.
const LENGTH: usize = 43;
/// What the token of a link that signs in begins with.
pub(crate) const SIGN_IN: &str = "signin_";
/// Digits of a code.
const DIGITS: usize = 8;

/// Draws a token of a mailed link.
pub(crate) fn draw_token(core: &Core, prefix: &str) -> PlainKey {
    let text = base62::random_text(&*core.random, LENGTH);
    PlainKey::new(format!("{prefix}{text}"))
}

/// A link with a token: to a page of this instance, wherever the request came to.
pub(crate) fn link(core: &Core, page: &str, token: &PlainKey) -> String {
    format!("{}/{page}?token={}", core.people.public_url, token.expose())
}

/// Mails a code or a link to an address, whoever has it: the same work, and the same answer, where
/// nobody signed up with it.
pub(crate) async fn mail_code(
    core: &Core,
    change: Change,
    email: Email,
    purpose: CodePurpose,
) -> Result<(), ApiError> {
    let (prefix, page) = match purpose {
        CodePurpose::SignIn => (SIGN_IN, "sign-in"),
        CodePurpose::Password => ("reset_", "reset-password"),
    };
    let token = draw_token(core, prefix);
    let target = Link(link(core, page, &token));
    let digits = draw_digits(core);
    let (letter, of_digits) = match purpose {
        CodePurpose::SignIn => {
            let digest = digest_of(core, &email, &digits);
            let letter = Letter::SignIn {
                code: digits,
                link: target,
            };
            (letter, Some(digest))
        }
        CodePurpose::Password => (Letter::Password { link: target }, None),
    };
    let new = NewCode {
        token: core.verifier.digest(token.expose()),
        email,
        purpose,
        code: of_digits,
    };
    let expires_at = change.now.plus_seconds(VALID_SECONDS);
    let post = std::sync::Arc::clone(&core.people.post);
    let stored = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            let id = one_time_codes::create(tx, &change, &new).await?;
            let mail = post.seal(&letter, &new.email, &id, true, expires_at);
            Ok(mails::queue(tx, &change, &mail).await?)
        })
    });
    stored.await
}

/// Eight digits, each as likely as the others.
fn draw_digits(core: &Core) -> String {
    let mut digits = String::with_capacity(DIGITS);
    let mut bytes = [0u8; 32];
    while digits.len() < DIGITS {
        core.random.fill(&mut bytes);
        // 250 is the greatest multiple of ten that fits.
        let drawn = bytes.iter().filter(|byte| **byte < 250);
        let left = DIGITS - digits.len();
        digits.extend(drawn.take(left).map(|byte| char::from(b'0' + byte % 10)));
    }
    digits
}

/// What is stored of digits: with the address, so that they are good for that alone.
pub(crate) fn digest_of(
    core: &Core,
    email: &Email,
    digits: &str,
) -> claviger_domain::key_string::KeyDigest {
    core.verifier
        .digest(&format!("{}\n{digits}", email.folded()))
}
