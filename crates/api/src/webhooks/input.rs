//! What callers say of a webhook, read and judged.

use std::collections::BTreeMap;

use claviger_domain::webhook::{Format, Method, Status, Topic};
use claviger_edge::{ApiError, Patch};
use claviger_outbound::{Target, Webhooks, custom_headers};

use super::body::MASK;

/// Headers as they are given: a name and a value each.
pub(super) type Headers = BTreeMap<String, String>;

/// Reads where deliveries go.
pub(super) fn target(webhooks: &Webhooks, url: &str) -> Result<Target, ApiError> {
    webhooks
        .client()
        .target(url)
        .map_err(|fault| ApiError::field("url", fault.to_string()))
}

/// Topics of a list, at most.
const MOST_TOPICS: usize = 100;

/// Reads topics: a list, or a single one; both where the single one is the first of the list.
pub(super) fn topics(
    list: Option<&[String]>,
    single: Option<&str>,
) -> Result<Option<Vec<Topic>>, ApiError> {
    if let (Some(list), Some(one)) = (list, single)
        && list.first().is_none_or(|first| first != one)
    {
        let message = "says something else than topics: give one of them";
        return Err(ApiError::field("topic", message));
    }
    if list.is_some_and(|list| list.len() > MOST_TOPICS) {
        return Err(ApiError::field("topics", "has more than 100 topics"));
    }
    let (field, named): (_, Vec<&str>) = match (list, single) {
        (Some(list), _) => ("topics", list.iter().map(String::as_str).collect()),
        (None, Some(one)) => ("topic", vec![one]),
        (None, None) => return Ok(None),
    };
    if named.is_empty() {
        return Err(ApiError::field(field, "must name at least one topic"));
    }
    let mut topics = Vec::new();
    for name in named {
        let topic = one_topic(field, name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(Some(topics))
}

/// Reads one topic.
pub(super) fn one_topic(field: &str, name: &str) -> Result<Topic, ApiError> {
    one_of(field, name, Topic::parse(name), Topic::ALL, Topic::as_str)
}

/// Reads the verb of deliveries, in any case.
pub(super) fn method(name: &str) -> Result<Method, ApiError> {
    let read = Method::parse(&name.to_ascii_uppercase());
    one_of("httpMethod", name, read, Method::ALL, Method::as_str)
}

/// Reads how bodies look.
pub(super) fn format(name: &str) -> Result<Format, ApiError> {
    one_of(
        "format",
        name,
        Format::parse(name),
        Format::ALL,
        Format::as_str,
    )
}

/// Reads a status. Nobody disables a webhook: they pause it.
pub(super) fn status(name: &str) -> Result<Status, ApiError> {
    let accepted = [Status::Live, Status::Paused];
    let read = Status::parse(name).filter(|status| accepted.contains(status));
    one_of("status", name, read, &accepted, Status::as_str)
}

fn one_of<T: Copy>(
    field: &str,
    given: &str,
    read: Option<T>,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, ApiError> {
    read.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        let given: String = given.chars().take(50).collect();
        let message = format!("must be one of {}, not {given:?}", names.join(", "));
        ApiError::field(field, message)
    })
}

/// Judges headers that are all new.
pub(super) fn new_headers(field: &str, given: Headers) -> Result<Headers, ApiError> {
    if let Some((name, _)) = given.iter().find(|(_, value)| *value == MASK) {
        let message = "*** stands for a value that is kept: give the value itself";
        return Err(ApiError::field(format!("{field}.{name}"), message));
    }
    judged(field, given)
}

/// Judges headers over those that are kept, whose values are given as `***`.
pub(super) fn headers_over(
    kept: &Headers,
    given: Patch<Headers>,
) -> Result<Option<Headers>, ApiError> {
    let mut given = match given {
        Patch::Keep => return Ok(None),
        Patch::Clear => return Ok(Some(Headers::new())),
        Patch::Set(given) => given,
    };
    for (name, value) in &mut given {
        if value == MASK
            && let Some(known) = kept.get(&name.to_ascii_lowercase())
        {
            value.clone_from(known);
        }
    }
    new_headers("customHeaders", given).map(Some)
}

fn judged(field: &str, given: Headers) -> Result<Headers, ApiError> {
    custom_headers(&given).map_err(|fault| match fault.name.as_str() {
        "" => ApiError::field(field, fault.message),
        name => ApiError::field(format!("{field}.{name}"), fault.message),
    })?;
    let lower = given
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value));
    Ok(lower.collect())
}
