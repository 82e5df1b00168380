//! The page on which somebody enters what a connector needs: who asks, for whom, and which host gets it.

use axum::response::Response;
use claviger_domain::plain_text;
use claviger_edge::ApiError;
use http::StatusCode;
use percent_encoding::utf8_percent_encode;

use super::PATH;
use super::choice::Picked;
use super::entering::{CONTEXT, CREDENTIALS, Entered};
use super::link::Live;
use super::page::{Choice, ConnectForm, ConnectPage, Field, Input};
use super::pattern::of_whole_value;
use crate::catalogue::Catalogue;
use crate::connector::access::UrlTemplate;
use crate::connector::file::{FieldEntry, FieldKind, Format};
use crate::connector::template::Reference;
use crate::gateway::Gateway;
use crate::request::IN_SEGMENT;
use crate::ticket::Ticket;
use crate::upstream::Account;

/// Of whose page a form is, and what it is about.
pub(crate) struct Showing<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) live: &'a Live,
    pub(crate) ticket: &'a Ticket,
    pub(crate) picked: &'a Picked,
}

/// The page with the form, with why it is shown again.
pub(crate) fn ask(
    showing: &Showing<'_>,
    entered: &Entered,
    why: Option<&str>,
    status: StatusCode,
) -> Response {
    let Showing {
        gateway,
        live,
        ticket,
        picked,
    } = showing;
    let catalogue = &picked.catalogue;
    let label = plain_text::clean(catalogue.label());
    let method = &picked.draft.authentication_method;
    let is_consent = method == Format::OAuth2.as_str();
    let places = places(gateway, picked);
    let said = if is_consent {
        "You sign in there and say yes. Your password stays there."
    } else if places.len() == 1 {
        "What you enter here is kept sealed, is sent to that host alone, and is not shown to anybody again."
    } else {
        "What you enter here is kept sealed, is sent to those hosts alone, and is not shown to anybody again."
    };
    let page = ConnectPage {
        title: &format!("Connect {label}"),
        why,
        said: &[said],
        facts: &facts(live, places),
        form: Some(ConnectForm {
            action: PATH,
            token: gateway.keys.tickets.form_token(ticket),
            integration: &picked.draft.integration,
            format: method,
            fields: &fields(live, picked, entered),
            button: if is_consent {
                format!("Go on to {label}")
            } else {
                "Connect".to_owned()
            },
        }),
        ..ConnectPage::default()
    };
    page.answer(status)
}

/// The page on which a connector is chosen.
pub(crate) fn offer(live: &Live, offered: &[(String, String)]) -> Response {
    let choices: Vec<_> = offered
        .iter()
        .map(|(slug, label)| Choice {
            href: href(live, slug, None),
            label: plain_text::clean(label),
        })
        .collect();
    let said = if choices.is_empty() {
        "There is nothing to connect."
    } else {
        "What do you want to connect?"
    };
    let page = ConnectPage {
        title: "Connect an account",
        said: &[said],
        facts: &asked_by(live),
        choices: &choices,
        ..ConnectPage::default()
    };
    page.answer(StatusCode::OK)
}

/// The page on which one of a connector's forms of credentials is chosen.
pub(crate) fn offer_formats(live: &Live, catalogue: &Catalogue) -> Response {
    let formats = catalogue.access().formats.keys();
    let choices: Vec<_> = formats
        .map(|format| Choice {
            href: href(live, catalogue.slug(), Some(*format)),
            label: label_of(*format).to_owned(),
        })
        .collect();
    let page = ConnectPage {
        title: &format!("Connect {}", plain_text::clean(catalogue.label())),
        said: &["How do you want to connect?"],
        facts: &asked_by(live),
        choices: &choices,
        ..ConnectPage::default()
    };
    page.answer(StatusCode::OK)
}

fn label_of(format: Format) -> &'static str {
    match format {
        Format::ApiKey => "With a key",
        Format::Basic => "With a user name and a password",
        Format::Bearer => "With a token",
        Format::OAuth2 => "By signing in there",
        Format::OAuth2ClientCredentials => "With the credentials of a client",
    }
}

/// Where a choice leads, on the page of the same link.
fn href(live: &Live, slug: &str, format: Option<Format>) -> String {
    let slug = utf8_percent_encode(slug, IN_SEGMENT);
    let of_link = format!("{PATH}?link={}&integration={slug}", live.link.id);
    match format {
        None => of_link,
        Some(format) => format!("{of_link}&auth_format={}", format.as_str()),
    }
}

fn asked_by(live: &Live) -> Vec<(&'static str, String)> {
    vec![
        ("Asked for by", plain_text::clean(&live.asker)),
        ("For", plain_text::clean(&live.link.tenant_id)),
    ]
}

fn facts(live: &Live, places: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let mut facts = asked_by(live);
    facts.extend(places);
    facts
}

/// Each host that gets what is entered, or what comes of a consent, and before them where that is given.
fn places(gateway: &Gateway, picked: &Picked) -> Vec<(&'static str, String)> {
    let access = picked.catalogue.access();
    let Some(base) = &access.base else {
        return vec![("Goes to", gateway.public_url.clone())];
    };
    let oauth = picked
        .access()
        .and_then(|(_, access)| access.oauth.as_ref());
    let consent = oauth.and_then(|oauth| oauth.authorization_url.as_ref());
    let token = oauth.map(|oauth| &oauth.token_url);
    let mut places: Vec<_> = consent
        .map(|consent| ("You sign in at", host(gateway, picked, consent)))
        .into_iter()
        .collect();
    let mut seen = Vec::new();
    for url in [Some(base), token].into_iter().flatten() {
        let host = host(gateway, picked, url);
        if !seen.contains(&host) {
            seen.push(host);
        }
    }
    places.extend(seen.into_iter().map(|host| ("Goes to", host)));
    places
}

/// A host; with the fields that are part of it, where they are not filled in.
fn host(gateway: &Gateway, picked: &Picked, url: &UrlTemplate) -> String {
    let access = picked.catalogue.access();
    if let Ok(target) = Account::new(&picked.draft, &picked.catalogue).place(gateway, url) {
        return target.origin().to_owned();
    }
    let named = |reference: &Reference| {
        let name = reference
            .path
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        let entries = access.context.entries();
        let entry = entries.iter().find(|entry| entry.name.value == name);
        format!("[{}]", entry.map_or_else(|| name.to_owned(), label))
    };
    url.origin_with(named)
}

fn label(entry: &FieldEntry) -> String {
    let label = entry.label.as_ref().unwrap_or(&entry.name.value);
    plain_text::clean(label)
}

fn fields(live: &Live, picked: &Picked, entered: &Entered) -> Vec<Field> {
    let context = if live.link.reconnects {
        &[]
    } else {
        picked.catalogue.access().context.entries()
    };
    let context = context.iter().map(|entry| {
        let value = entered.context(&entry.name.value).unwrap_or_default();
        Field {
            value: value.to_owned(),
            ..field(CONTEXT, entry)
        }
    });
    let credentials = picked.access();
    let credentials = credentials.iter().flat_map(|(_, access)| {
        let entries = access.fields.entries().iter();
        entries.map(|entry| field(CREDENTIALS, entry))
    });
    context.chain(credentials).collect()
}

fn field(prefix: &str, entry: &FieldEntry) -> Field {
    Field {
        name: format!("{prefix}{}", entry.name.value),
        label: label(entry),
        input: match entry.kind {
            Some(FieldKind::Multiline) => Input::Lines,
            Some(FieldKind::Text) => Input::Text,
            _ if prefix == CONTEXT => Input::Text,
            _ => Input::Password,
        },
        required: entry.required,
        pattern: entry
            .pattern
            .as_ref()
            .and_then(|pattern| of_whole_value(&pattern.value)),
        help: entry.help.as_deref().map(plain_text::clean),
        value: String::new(),
    }
}

/// What a refusal of what was entered says to whoever entered it: fields by what stands above them.
pub(crate) fn said_of(error: ApiError, picked: &Picked) -> String {
    let Some(detail) = error.details.into_iter().next() else {
        return error.message;
    };
    let context = picked.catalogue.access().context.entries();
    let credentials = picked
        .access()
        .map_or(&[][..], |(_, access)| access.fields.entries());
    let entries = context.iter().chain(credentials);
    let named = entries.fold(detail.message, |said, entry| {
        let name = format!("field `{}`", entry.name.value);
        said.replace(&name, &format!("“{}”", label(entry)))
    });
    format!("Please look at what you entered: {named}")
}
