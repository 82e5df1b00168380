//! Query strings of the gateway: a list may be repeated, joined by commas, or written with indexes, as
//! published clients do.

use axum::extract::FromRequestParts;
use claviger_edge::ApiError;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::cursor::{Binding, CURSOR, LIMIT, Window};
use crate::gateway::Gateway;
use crate::page;

/// The parameters of a query, in their order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        claviger_edge::Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
    }
}

impl Parameters {
    /// A parameter that is there and not empty; the last one where it is repeated.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let given = self.0.iter().rev().find(|(known, _)| known == name);
        given
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A filter, where one is given. One that says nothing is refused: an id that a program has not filled in is
    /// not to answer what is of everybody.
    pub(super) fn filter(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            None if self.0.iter().any(|(known, _)| known == name) => {
                Err(ApiError::field(name, "is empty: leave it out for all"))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// All but those of these names.
    pub(super) fn without(self, names: &[&str]) -> Vec<(String, String)> {
        let mut pairs = self.0;
        pairs.retain(|(name, _)| !names.contains(&name.as_str()));
        pairs
    }

    /// Whether a parameter says `true`. One that is there and says nothing, or both, is refused: what was
    /// to be tried only must not be done.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let mut said = None;
        for (_, value) in self.0.iter().filter(|(known, _)| known == name) {
            let value = match value.trim() {
                "true" => true,
                "false" => false,
                _ => return Err(ApiError::field(name, "must be true or false")),
            };
            if said.replace(value).is_some_and(|earlier| earlier != value) {
                return Err(ApiError::field(name, "must be true or false, not both"));
            }
        }
        Ok(said.unwrap_or(false))
    }

    /// A list, however it is written; one that is there and empty is an empty list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let is_it = |known: &str| {
            let index = known
                .strip_prefix(name)
                .map(|rest| rest.trim_matches(['[', ']']));
            index.is_some_and(|index| index.bytes().all(|digit| digit.is_ascii_digit()))
        };
        let mut given = self.0.iter().filter(|(known, _)| is_it(known)).peekable();
        given.peek()?;
        let values = given.flat_map(|(_, value)| value.split(',')).map(str::trim);
        Some(
            values
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// The part of one of the gateway's own lists that is asked for. Its cursor is bound to the list,
    /// to what it is of and to the filters.
    pub(super) fn window(&self, gateway: &Gateway, list: Listing<'_>) -> Result<Window, ApiError> {
        let mut asked = Map::new();
        if let Some(limit) = self.text(LIMIT) {
            let limit = limit.parse::<u64>().ok().filter(|limit| *limit > 0);
            let limit =
                limit.ok_or_else(|| ApiError::field(LIMIT, "must be a whole number above 0"))?;
            asked.insert(LIMIT.to_owned(), limit.into());
        }
        if let Some(cursor) = self.text(CURSOR) {
            asked.insert(CURSOR.to_owned(), cursor.into());
        }
        page::asked(&asked, |cursor| {
            gateway.keys.cursors.open(list.binding(), cursor)
        })
        .map_err(|_| foreign_cursor())
    }

    /// The filters among `names` that are given, as cursors are bound to them.
    pub(super) fn filters(&self, names: &[&str]) -> Map<String, Value> {
        let given = |name: &&str| Some(((*name).to_owned(), self.text(name)?.into()));
        names.iter().filter_map(given).collect()
    }
}

/// The refusal of a cursor that was not made here, or for another caller, list or filter.
pub(super) fn foreign_cursor() -> ApiError {
    let message = "next_cursor is not one that this list gave for these filters";
    ApiError::new(claviger_edge::ErrorCode::InvalidCursor, message)
}

/// One of the gateway's own lists, as its cursors are bound to it.
#[derive(Clone, Copy)]
pub(super) struct Listing<'a> {
    pub(super) of: &'a str,
    pub(super) name: &'a str,
    pub(super) filters: &'a Map<String, Value>,
}

impl<'a> Listing<'a> {
    pub(super) fn binding(self) -> Binding<'a> {
        Binding {
            connected_account: self.of,
            origins: "",
            tool: (self.name, "list"),
            arguments: self.filters,
        }
    }

    /// The cursors of the pages beside the one that was read.
    pub(super) fn cursors(
        self,
        gateway: &Gateway,
        window: Window,
        count: usize,
        total: i64,
    ) -> (Option<String>, Option<String>) {
        let end = window.offset.saturating_add(count as u64);
        let more = count > 0 && end < u64::try_from(total).unwrap_or(0);
        let before = window.offset.saturating_sub(window.limit);
        let seal = |offset| {
            gateway
                .keys
                .cursors
                .seal(self.binding(), Window { offset, ..window })
        };
        (
            more.then(|| seal(end)),
            (window.offset > 0).then(|| seal(before)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_list_is_read_however_it_is_written() {
        for pairs in [
            &[("methods", "read,write")][..],
            &[("methods", "read"), ("methods", " write ")],
            &[("methods[]", "read"), ("methods[]", "write")],
            &[
                ("methods[0]", "read"),
                ("methods[1]", "write"),
                ("methodsx", "no"),
                ("tags", "no"),
            ],
        ] {
            assert_eq!(
                parameters(pairs).list("methods").unwrap(),
                ["read", "write"]
            );
        }
        assert_eq!(parameters(&[("tags", "x")]).list("methods"), None);
        assert_eq!(
            parameters(&[("methods", "")]).list("methods"),
            Some(Vec::new())
        );
    }

    #[test]
    fn an_empty_text_is_as_if_it_were_not_there() {
        assert_eq!(parameters(&[("next_cursor", "")]).text("next_cursor"), None);
        assert_eq!(parameters(&[("a", "1"), ("a", "2")]).text("a"), Some("2"));
    }
}
