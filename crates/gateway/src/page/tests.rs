use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connector::value_path::ValuePath;

const FIRST: Window = Window {
    offset: 0,
    limit: 50,
};

fn offset_style() -> PaginationEntry {
    PaginationEntry::Offset {
        limit: "limit".into(),
        offset: "offset".into(),
        total_header: Some("x-total-count".into()),
    }
}

fn page_style() -> PaginationEntry {
    PaginationEntry::Page {
        limit: Some("size".into()),
        page: "page".into(),
        first: 1,
        total_header: None,
    }
}

fn request() -> UpstreamRequest {
    UpstreamRequest {
        verb: http::Method::GET,
        path: "/pots".into(),
        query: Vec::new(),
        headers: HeaderMap::new(),
        body: None,
        form: None,
    }
}

fn question(arguments: &Value) -> Result<Window, ForeignCursor> {
    asked(arguments.as_object().unwrap(), |cursor| match cursor {
        "second" => Ok(Window {
            offset: 20,
            limit: 20,
        }),
        _ => Err(ForeignCursor),
    })
}

fn nothing_is_secret(_: &str) -> bool {
    false
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (*name, value.parse().unwrap()));
    pairs
        .map(|(name, value)| (http::HeaderName::from_static(name), value))
        .collect()
}

fn sent(pagination: &PaginationEntry, asked: &Asked) -> String {
    let mut request = request();
    ask(pagination, asked, &mut request);
    let range = request
        .headers
        .get(RANGE)
        .map(|it| format!(" {}", it.to_str().unwrap()));
    format!("{}{}", request.path_and_query(), range.unwrap_or_default())
}

#[test]
fn the_first_page_is_fifty() {
    assert_eq!(question(&json!({})), Ok(FIRST));
    assert_eq!(question(&json!({ "next_cursor": "" })), Ok(FIRST));
    let five = Window {
        offset: 0,
        limit: 5,
    };
    assert_eq!(
        question(&json!({ "next_cursor": null, "limit": 5.0 })),
        Ok(five)
    );
}

#[test]
fn a_cursor_keeps_the_limit_it_was_made_with() {
    let second = Window {
        offset: 20,
        limit: 20,
    };
    assert_eq!(question(&json!({ "next_cursor": "second" })), Ok(second));
    let five = Window { limit: 5, ..second };
    assert_eq!(
        question(&json!({ "next_cursor": "second", "limit": 5 })),
        Ok(five)
    );
    assert_eq!(
        question(&json!({ "next_cursor": "other" })),
        Err(ForeignCursor)
    );
}

#[test]
fn the_last_page_has_no_next() {
    let items = vec![json!(1), json!(2)];
    let asked = Asked::from(Window {
        offset: 2,
        limit: 2,
    });
    let told = |headers| {
        page(
            &offset_style(),
            &asked,
            items.clone(),
            Told {
                headers,
                body: None,
            },
            nothing_is_secret,
        )
    };
    let (four, none) = (headers(&[("x-total-count", "4")]), HeaderMap::new());
    let last = told(&four);
    assert_eq!(last.next, None);
    assert_eq!(
        last.previous,
        Some(
            Window {
                offset: 0,
                limit: 2
            }
            .into()
        )
    );
    let unknown = told(&none);
    assert_eq!(
        unknown.next,
        Some(
            Window {
                offset: 4,
                limit: 2
            }
            .into()
        )
    );
}

#[test]
fn each_style_asks_in_its_own_words() {
    let third = Asked {
        window: Window {
            offset: 2,
            limit: 10,
        },
        mark: Some("a b".into()),
    };
    let next = ValuePath::parse("meta.next").unwrap();
    let cursor = PaginationEntry::Cursor {
        limit: None,
        cursor: "after".into(),
        next,
    };
    let link = PaginationEntry::LinkHeader {
        limit: Some("per_page".into()),
    };
    let range = PaginationEntry::Range {
        unit: "items".into(),
    };
    assert_eq!(sent(&page_style(), &third), "/pots?size=10&page=3");
    assert_eq!(sent(&cursor, &third), "/pots?after=a%20b");
    assert_eq!(sent(&link, &third), "/pots?a%20b=");
    assert_eq!(sent(&link, &FIRST.into()), "/pots?per_page=50");
    assert_eq!(sent(&range, &third), "/pots items=2-11");
}

#[test]
fn a_cursor_of_the_upstream_leads_on_until_there_is_none() {
    let next = ValuePath::parse("meta.next").unwrap();
    let style = PaginationEntry::Cursor {
        limit: None,
        cursor: "after".into(),
        next,
    };
    let asked = Asked {
        window: FIRST,
        mark: Some("b".into()),
    };
    for (body, mark) in [
        (json!({ "meta": { "next": "c" } }), Some("c")),
        (json!({ "meta": { "next": 7 } }), Some("7")),
        (json!({ "meta": { "next": "" } }), None),
        (json!({ "meta": { "next": null } }), None),
        // One that leads to where it was found would be followed for ever.
        (json!({ "meta": { "next": "b" } }), None),
        (json!([]), None),
    ] {
        let headers = HeaderMap::new();
        let turned = page(
            &style,
            &asked,
            Vec::new(),
            Told {
                headers: &headers,
                body: Some(&body),
            },
            nothing_is_secret,
        );
        assert_eq!(
            turned.next.and_then(|next| next.mark).as_deref(),
            mark,
            "{body}"
        );
    }
}

#[test]
fn a_link_and_a_range_lead_on() {
    let link = headers(&[("link", r#"<https://x.test/pots?page=3>; rel="next""#)]);
    let style = PaginationEntry::LinkHeader { limit: None };
    let turned = page(
        &style,
        &FIRST.into(),
        Vec::new(),
        Told {
            headers: &link,
            body: None,
        },
        nothing_is_secret,
    );
    assert_eq!(turned.next.unwrap().mark.as_deref(), Some("page=3"));
    assert_eq!(turned.previous, None);
    let style = PaginationEntry::Range {
        unit: "items".into(),
    };
    let items = vec![json!(1); 50];
    for (range, more) in [
        ("items 0-49/60", true),
        ("items 0-49/50", false),
        ("items 0-49/*", true),
    ] {
        let told = headers(&[("content-range", range)]);
        let turned = page(
            &style,
            &FIRST.into(),
            items.clone(),
            Told {
                headers: &told,
                body: None,
            },
            nothing_is_secret,
        );
        assert_eq!(turned.next.is_some(), more, "{range}");
    }
}

#[test]
fn a_link_to_the_page_itself_ends_a_list_with_a_secret_in_it_too() {
    let style = PaginationEntry::LinkHeader { limit: None };
    let asked = Asked {
        window: FIRST,
        mark: Some("page=2&size=50".into()),
    };
    for (query, mark) in [
        ("page=2&key=s3cret&size=50", None),
        ("key=s3cret&page=2&size=50", None),
        ("page=3&key=s3cret&size=50", Some("page=3&size=50")),
        ("page=2&size=50", None),
        ("key=s3cret", None),
    ] {
        let link = format!(r#"<https://x.test/pots?{query}>; rel="next prev""#);
        let told = headers(&[("link", &link)]);
        let told = Told {
            headers: &told,
            body: None,
        };
        let turned = page(&style, &asked, Vec::new(), told, |pair| {
            pair.contains("s3cret")
        });
        for neighbour in [turned.next, turned.previous] {
            let of_it = neighbour.and_then(|it| it.mark);
            assert_eq!(of_it.as_deref(), mark, "{query}");
        }
    }
}

fn part(list: &[Value], at: Window) -> Vec<Value> {
    let number = |number: u64| usize::try_from(number).unwrap();
    let items = list.iter().skip(number(at.offset)).take(number(at.limit));
    items.cloned().collect()
}

proptest! {
    #[test]
    fn walking_the_pages_shows_every_item_once(all in 0_u64..200, limit in 1_u64..60, style in 0..3) {
        let pagination = match style {
            0 => PaginationEntry::None,
            1 => offset_style(),
            _ => page_style(),
        };
        let list: Vec<Value> = (0..all).map(Value::from).collect();
        let total = headers(&[("x-total-count", &all.to_string())]);
        let mut seen = Vec::new();
        let mut asked = Some(Asked::from(Window { offset: 0, limit }));
        while let Some(at) = asked {
            let answered = match style {
                0 => list.clone(),
                1 => part(&list, at.window),
                _ => part(&list, Window { offset: at.window.offset * limit, limit }),
            };
            let turned = page(&pagination, &at, answered, Told { headers: &total, body: None }, nothing_is_secret);
            seen.extend(turned.items);
            asked = turned.next;
        }
        prop_assert_eq!(seen, list);
    }
}
