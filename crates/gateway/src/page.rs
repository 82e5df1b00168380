//! Pages of a list: which part of it a call asks for, how the upstream is asked for that, and which
//! parts lie before and after what it answered.

mod link;

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use crate::connector::file::PaginationEntry;
use crate::connector::template::text_of;
use crate::cursor::{Asked, CURSOR, ForeignCursor, LIMIT, Window};
use crate::request::UpstreamRequest;

/// How many items a page has unless asked otherwise.
pub const DEFAULT_LIMIT: u64 = 50;
/// How many items a page has at most.
pub const MAX_LIMIT: u64 = 1_000;

/// One page, and where its neighbours are.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its items.
    pub items: Vec<Value>,
    /// The page after it.
    pub next: Option<Asked>,
    /// The page before it.
    pub previous: Option<Asked>,
}

/// The part of a list that checked arguments ask for; an empty cursor is the first page.
pub fn asked<A: From<Window> + AsMut<Window>>(
    arguments: &Map<String, Value>,
    open: impl FnOnce(&str) -> Result<A, ForeignCursor>,
) -> Result<A, ForeignCursor> {
    let limit = arguments
        .get(LIMIT)
        .and_then(whole_number)
        .map(|limit| limit.clamp(1, MAX_LIMIT));
    let cursor = arguments.get(CURSOR).and_then(Value::as_str);
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        return Ok(Window { offset: 0, limit }.into());
    };
    let mut asked = open(cursor)?;
    if let Some(limit) = limit {
        asked.as_mut().limit = limit;
    }
    Ok(asked)
}

/// JSON has no whole numbers of its own: `5.0` is one too.
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
        format!("{number:.0}").parse().ok()
    })
}

/// Asks the upstream for a part, in the words of its style.
pub fn ask(pagination: &PaginationEntry, asked: &Asked, request: &mut UpstreamRequest) {
    let Window { offset, limit } = asked.window;
    let mut add = |name: &String, value: String| request.query.push((name.clone(), value));
    match pagination {
        PaginationEntry::None => {}
        PaginationEntry::Offset {
            limit: how_many,
            offset: from,
            ..
        } => {
            add(how_many, limit.to_string());
            add(from, offset.to_string());
        }
        PaginationEntry::Page {
            limit: how_many,
            page,
            first,
            ..
        } => {
            if let Some(name) = how_many {
                add(name, limit.to_string());
            }
            add(page, first.saturating_add(offset).to_string());
        }
        PaginationEntry::Cursor {
            limit: how_many,
            cursor,
            ..
        } => {
            if let Some(name) = how_many {
                add(name, limit.to_string());
            }
            asked.mark.iter().for_each(|mark| add(cursor, mark.clone()));
        }
        PaginationEntry::LinkHeader { limit: how_many } => match &asked.mark {
            Some(mark) => link::follow(mark, &mut request.query),
            None => how_many
                .iter()
                .for_each(|name| add(name, limit.to_string())),
        },
        PaginationEntry::Range { unit } => {
            let last = offset.saturating_add(limit).saturating_sub(1);
            let range = HeaderValue::try_from(format!("{unit}={offset}-{last}"));
            request
                .headers
                .extend(range.ok().map(|range| (RANGE, range)));
        }
    }
}

/// The page that the upstream's items are, by what it told beside them; where it answers all at once,
/// the part is cut here. Neighbours have none of those parameters that are secret: an API that is asked with
/// a key in its URLs writes links with it, and cursors, sealed as they are, tell what is in them by a dry run.
pub fn page(
    pagination: &PaginationEntry,
    asked: &Asked,
    mut items: Vec<Value>,
    told: Told<'_>,
    is_secret: impl Fn(&str) -> bool,
) -> Page {
    let window = asked.window;
    let at = |offset| Asked::from(Window { offset, ..window });
    let marked = |mark: Option<String>| {
        let mark = Some(mark?);
        let other = Asked { window, mark }.without(&is_secret)?;
        // One that leads to where it stands would lead round and round.
        (other.mark != asked.mark).then_some(other)
    };
    let (next, previous) = match pagination {
        PaginationEntry::Cursor { next, .. } => {
            let next = told.body.and_then(|body| next.of(body)).and_then(text_of);
            (marked(next), None)
        }
        PaginationEntry::LinkHeader { .. } => {
            let to = |relation| marked(link::query_of(told.headers, relation));
            (to("next"), to("prev"))
        }
        PaginationEntry::Page { limit, .. } => {
            let count = items.len() as u64;
            let seen = window.offset.saturating_add(1).saturating_mul(window.limit);
            let is_full = limit.is_none() || count >= window.limit;
            let total = told.total(pagination).filter(|_| limit.is_some());
            let more = count > 0 && total.map_or(is_full, |total| seen < total);
            let next = more.then(|| at(window.offset.saturating_add(1)));
            (next, window.offset.checked_sub(1).map(at))
        }
        PaginationEntry::None | PaginationEntry::Offset { .. } | PaginationEntry::Range { .. } => {
            let total = match pagination {
                PaginationEntry::None => Some(cut(&mut items, window)),
                _ => told.total(pagination),
            };
            let count = items.len() as u64;
            let end = window.offset.saturating_add(count);
            let more = count > 0 && total.map_or(count >= window.limit, |total| end < total);
            let before = window.offset.saturating_sub(window.limit);
            (
                more.then(|| at(end)),
                (window.offset > 0).then(|| at(before)),
            )
        }
    };
    Page {
        items,
        next,
        previous,
    }
}

/// The part behind the first `kept` items of one, where the upstream can be asked for that.
pub fn behind(pagination: &PaginationEntry, asked: &Asked, kept: usize) -> Option<Asked> {
    match pagination {
        PaginationEntry::None | PaginationEntry::Offset { .. } | PaginationEntry::Range { .. } => {
            let Window { offset, limit } = asked.window;
            let offset = offset.saturating_add(kept as u64);
            Some(Window { offset, limit }.into())
        }
        PaginationEntry::Page { .. }
        | PaginationEntry::Cursor { .. }
        | PaginationEntry::LinkHeader { .. } => None,
    }
}

/// Leaves of all items those of the part, and tells how many there were.
fn cut(items: &mut Vec<Value>, window: Window) -> u64 {
    let all = items.len() as u64;
    let start = usize::try_from(window.offset).unwrap_or(usize::MAX);
    items.drain(..start.min(items.len()));
    items.truncate(usize::try_from(window.limit).unwrap_or(usize::MAX));
    all
}

/// What an upstream told beside the items of a page.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The headers of its answer.
    pub headers: &'a HeaderMap,
    /// The whole of its body, where it is JSON.
    pub body: Option<&'a Value>,
}

impl Told<'_> {
    /// How many items there are in all.
    fn total(&self, pagination: &PaginationEntry) -> Option<u64> {
        let text = |name: &str| self.headers.get(name)?.to_str().ok();
        match pagination {
            PaginationEntry::Offset { total_header, .. }
            | PaginationEntry::Page { total_header, .. } => {
                text(total_header.as_deref()?)?.parse().ok()
            }
            PaginationEntry::Range { .. } => {
                let (_, total) = text(CONTENT_RANGE.as_str())?.rsplit_once('/')?;
                total.parse().ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
