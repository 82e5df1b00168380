//! What a browser keeps in the place of a link's token: a ticket, in a cookie that only these pages read. It
//! is made of the link's id and of chance, and nothing is stored until it is used: opening a link, which
//! programs do that look at mails, changes nothing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::{self, Id};
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Bytes of chance in a ticket.
const CHANCE: usize = 32;
/// What the tag of a ticket, and that of a form on its page, are made over.
const TICKET: &[u8] = b"ticket ";
const FORM: &[u8] = b"form ";

/// The key under which tickets are made.
pub(crate) struct TicketKey([u8; 32]);

/// What a browser has that opened a link.
pub(crate) struct Ticket {
    pub(crate) link: Id<id::LinkToken>,
    text: SecretString,
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[ticket key]")
    }
}

impl Ticket {
    /// The whole of it, as its cookie has it.
    pub(crate) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl TicketKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A new ticket for a link.
    pub(crate) fn issue(&self, link: &Id<id::LinkToken>, random: &dyn Random) -> Ticket {
        let mut chance = [0; CHANCE];
        random.fill(&mut chance);
        let body = format!("{link}.{}", URL_SAFE_NO_PAD.encode(chance));
        let tag = URL_SAFE_NO_PAD.encode(self.tag(TICKET, &body).finalize().into_bytes());
        Ticket {
            link: link.clone(),
            text: format!("{body}.{tag}").into(),
        }
    }

    /// Reads a ticket of ours.
    pub(crate) fn read(&self, text: &str) -> Option<Ticket> {
        let (body, tag) = text.rsplit_once('.')?;
        let (link, _) = body.split_once('.')?;
        self.holds(TICKET, body, tag).then(|| Ticket {
            link: Id::from_trusted(link),
            text: text.to_owned().into(),
        })
    }

    /// What a form on the page of a ticket carries, and no other site knows.
    pub(crate) fn form_token(&self, ticket: &Ticket) -> String {
        URL_SAFE_NO_PAD.encode(self.tag(FORM, ticket.expose()).finalize().into_bytes())
    }

    /// Whether a form is of the page of a ticket.
    pub(crate) fn is_form_of(&self, ticket: &Ticket, form_token: &str) -> bool {
        self.holds(FORM, ticket.expose(), form_token)
    }

    fn holds(&self, purpose: &[u8], text: &str, tag: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(tag);
        tag.is_ok_and(|tag| self.tag(purpose, text).verify_slice(&tag).is_ok())
    }

    fn tag(&self, purpose: &[u8], text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is taken");
        mac.update(purpose);
        mac.update(text.as_bytes());
        mac
    }
}

/// The cookie that tickets are in. Over https no other site of the same domain can set it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie {
    is_https: bool,
}

impl Cookie {
    /// The cookie of pages at that URL.
    pub(crate) fn of(public_url: &str) -> Self {
        Self {
            is_https: public_url.starts_with("https://"),
        }
    }

    fn name(self) -> &'static str {
        if self.is_https {
            "__Host-claviger-connect"
        } else {
            "claviger-connect"
        }
    }

    /// What a browser sent; nothing where it sent several, of which one may be somebody else's.
    pub(crate) fn sent(self, headers: &HeaderMap) -> Option<&str> {
        let values = headers.get_all(header::COOKIE).iter();
        let pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let mut found = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name.trim() == self.name()).then_some(value.trim())
        });
        found.next().filter(|_| found.next().is_none())
    }

    /// Has a browser keep a ticket for as long as its link is good.
    pub(crate) fn keep(self, ticket: &Ticket, until: Timestamp, now: Timestamp) -> HeaderValue {
        let seconds = until.as_seconds() - now.as_seconds();
        let (name, text) = (self.name(), ticket.expose());
        let secure = if self.is_https { "; Secure" } else { "" };
        let text =
            format!("{name}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        let mut value = HeaderValue::try_from(text).expect("ids and base64 fit a header");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn link() -> Id<id::LinkToken> {
        Id::from_trusted("lnk_0123456789abcdef0123")
    }

    #[test]
    fn a_ticket_is_read_by_its_own_key_and_as_it_was_issued() {
        let key = TicketKey::new([1; 32]);
        let ticket = key.issue(&link(), &Sevens);
        assert_eq!(key.read(ticket.expose()).unwrap().link, link());
        let of_another = ticket.expose().replace("lnk_0", "lnk_1");
        let other = TicketKey::new([2; 32]);
        assert!(key.read(&of_another).is_none() && other.read(ticket.expose()).is_none());
        for text in ["", ".", "..", "lnk_0123456789abcdef0123", "a.b.c"] {
            assert!(key.read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_form_is_of_one_ticket_and_a_ticket_is_no_form_token() {
        let key = TicketKey::new([1; 32]);
        let ticket = key.issue(&link(), &Sevens);
        let token = key.form_token(&ticket);
        assert!(key.is_form_of(&ticket, &token));
        let other = key.issue(&Id::from_trusted("lnk_other"), &Sevens);
        assert!(!key.is_form_of(&other, &token) && !key.is_form_of(&ticket, ""));
        let tag = ticket.expose().rsplit_once('.').unwrap().1;
        assert!(!key.is_form_of(&ticket, tag));
    }

    #[test]
    fn one_cookie_is_read_and_of_two_none() {
        let cookie = Cookie::of("https://keys.example.com");
        let sent = |texts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(header::COOKIE, HeaderValue::from_static(text));
            }
            cookie.sent(&headers).map(str::to_owned)
        };
        assert_eq!(sent(&["a=b; __Host-claviger-connect=x; c=d"]).unwrap(), "x");
        assert_eq!(sent(&["claviger-connect=x"]), None);
        assert_eq!(
            sent(&["__Host-claviger-connect=x", "__Host-claviger-connect=y"]),
            None
        );
    }

    #[test]
    fn a_cookie_is_for_pages_of_https_alone_where_there_is_https() {
        let ticket = TicketKey::new([1; 32]).issue(&link(), &Sevens);
        let at = Timestamp::from_micros;
        let text = |url| {
            let kept = Cookie::of(url).keep(&ticket, at(60_000_000), at(0));
            kept.to_str().unwrap().to_owned()
        };
        let secure = text("https://keys.example.com");
        assert!(secure.starts_with("__Host-claviger-connect=lnk_"));
        assert!(secure.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"));
        let local = text("http://127.0.0.1:8420");
        assert!(local.starts_with("claviger-connect=") && !local.contains("Secure"));
    }
}
