//! Pages of a list: which part of it a call asks for, how the upstream is asked for that, and which
//! parts lie before and after what it answered.

use serde_json::{Map, Value};

use crate::connector::file::PaginationEntry;
use crate::cursor::{CURSOR, ForeignCursor, LIMIT, Window};

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
    pub next: Option<Window>,
    /// The page before it.
    pub previous: Option<Window>,
}

/// The part of a list that checked arguments ask for; an empty cursor is the first page.
pub fn asked(
    arguments: &Map<String, Value>,
    open: impl FnOnce(&str) -> Result<Window, ForeignCursor>,
) -> Result<Window, ForeignCursor> {
    let limit = arguments
        .get(LIMIT)
        .and_then(whole_number)
        .map(|limit| limit.clamp(1, MAX_LIMIT));
    match arguments
        .get(CURSOR)
        .and_then(Value::as_str)
        .filter(|cursor| !cursor.is_empty())
    {
        Some(cursor) => {
            let window = open(cursor)?;
            Ok(Window {
                limit: limit.unwrap_or(window.limit),
                ..window
            })
        }
        None => Ok(Window {
            offset: 0,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
        }),
    }
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

/// The query parameters that ask the upstream for a part.
pub fn parameters(pagination: &PaginationEntry, window: Window) -> Vec<(String, String)> {
    match pagination {
        PaginationEntry::None => Vec::new(),
        PaginationEntry::Offset { limit, offset, .. } => vec![
            (limit.clone(), window.limit.to_string()),
            (offset.clone(), window.offset.to_string()),
        ],
    }
}

/// The page that the upstream's items are; where it answers all at once, the part is cut here.
pub fn page(
    pagination: &PaginationEntry,
    window: Window,
    mut items: Vec<Value>,
    total: Option<u64>,
) -> Page {
    let total = match pagination {
        PaginationEntry::Offset { .. } => total,
        PaginationEntry::None => {
            let all = items.len() as u64;
            let start = usize::try_from(window.offset)
                .unwrap_or(usize::MAX)
                .min(items.len());
            items.drain(..start);
            items.truncate(usize::try_from(window.limit).unwrap_or(usize::MAX));
            Some(all)
        }
    };
    let count = items.len() as u64;
    let end = window.offset.saturating_add(count);
    let more = count > 0 && total.map_or(count >= window.limit, |total| end < total);
    Page {
        next: more.then_some(Window {
            offset: end,
            ..window
        }),
        previous: (window.offset > 0).then(|| Window {
            offset: window.offset.saturating_sub(window.limit),
            ..window
        }),
        items,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn offset_style() -> PaginationEntry {
        PaginationEntry::Offset {
            limit: "limit".into(),
            offset: "offset".into(),
            total_header: Some("x-total-count".into()),
        }
    }

    fn ask(arguments: &Value) -> Result<Window, ForeignCursor> {
        asked(arguments.as_object().unwrap(), |cursor| match cursor {
            "second" => Ok(Window {
                offset: 20,
                limit: 20,
            }),
            _ => Err(ForeignCursor),
        })
    }

    #[test]
    fn the_first_page_is_fifty() {
        assert_eq!(
            ask(&json!({})),
            Ok(Window {
                offset: 0,
                limit: 50
            })
        );
        assert_eq!(
            ask(&json!({ "next_cursor": "" })),
            Ok(Window {
                offset: 0,
                limit: 50
            })
        );
        assert_eq!(
            ask(&json!({ "next_cursor": null, "limit": 5.0 })),
            Ok(Window {
                offset: 0,
                limit: 5
            })
        );
    }

    #[test]
    fn a_cursor_keeps_the_limit_it_was_made_with() {
        assert_eq!(
            ask(&json!({ "next_cursor": "second" })),
            Ok(Window {
                offset: 20,
                limit: 20
            })
        );
        assert_eq!(
            ask(&json!({ "next_cursor": "second", "limit": 5 })),
            Ok(Window {
                offset: 20,
                limit: 5
            })
        );
        assert_eq!(ask(&json!({ "next_cursor": "other" })), Err(ForeignCursor));
    }

    #[test]
    fn the_last_page_has_no_next() {
        let items = vec![json!(1), json!(2)];
        let window = Window {
            offset: 2,
            limit: 2,
        };
        let last = page(&offset_style(), window, items.clone(), Some(4));
        assert_eq!(
            (last.next, last.previous),
            (
                None,
                Some(Window {
                    offset: 0,
                    limit: 2
                })
            )
        );
        let unknown = page(&offset_style(), window, items, None);
        assert_eq!(
            unknown.next,
            Some(Window {
                offset: 4,
                limit: 2
            })
        );
        assert_eq!(
            page(&offset_style(), window, Vec::new(), Some(9)).next,
            None
        );
    }

    fn part(list: &[Value], at: Window) -> Vec<Value> {
        let number = |number: u64| usize::try_from(number).unwrap();
        list.iter()
            .skip(number(at.offset))
            .take(number(at.limit))
            .cloned()
            .collect()
    }

    proptest! {
        #[test]
        fn walking_the_pages_shows_every_item_once(all in 0_u64..200, limit in 1_u64..60, here: bool) {
            let pagination = if here { PaginationEntry::None } else { offset_style() };
            let list: Vec<Value> = (0..all).map(Value::from).collect();
            let mut seen = Vec::new();
            let mut window = Some(Window { offset: 0, limit });
            while let Some(at) = window {
                let answered: Vec<Value> = if here { list.clone() } else {
                    part(&list, at)
                };
                let turned = page(&pagination, at, answered, Some(all));
                seen.extend(turned.items);
                window = turned.next;
            }
            prop_assert_eq!(seen, list);
        }
    }
}
