//! JSON-RPC 2.0: what was posted, and the texts that answer it. An id that is null is not an id that is
//! missing: the one is asked by a client that wants an answer, the other is a notification.

use bytes::Bytes;
use serde_json::{Map, Number, Value, json};

use super::text::Text;

/// The id of a request, as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Id {
    Null,
    Text(String),
    Number(Number),
}

/// One message, well formed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// Wants an answer, but for `id: None`, which is a notification.
    Call {
        id: Option<Id>,
        method: String,
        params: Option<Value>,
    },
    /// Answers something that we never ask.
    Response,
}

/// What was posted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Posted {
    One(Result<Message, Malformed>),
    Batch(Vec<Result<Message, Malformed>>),
}

/// A message that is none, with its id where that can be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Malformed {
    pub(super) id: Option<Id>,
    pub(super) error: Box<RpcError>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const HEADER_MISMATCH: i32 = -32020;
pub(super) const UNSUPPORTED_VERSION: i32 = -32022;

impl RpcError {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }
}

/// Reads what was posted, whatever it is; only text that is no JSON at all is an error of the whole.
pub(super) fn parse(body: &[u8]) -> Result<Posted, RpcError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    claviger_edge::check_text(body)
        .map_err(|fault| RpcError::new(PARSE_ERROR, fault.to_string()))?;
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        RpcError::new(
            PARSE_ERROR,
            format!("the body is not JSON: line {line} column {column}"),
        )
    })?;
    Ok(match value {
        Value::Array(items) => Posted::Batch(items.into_iter().map(message).collect()),
        other => Posted::One(message(other)),
    })
}

fn message(value: Value) -> Result<Message, Malformed> {
    let unread = |message: &str| Malformed {
        id: None,
        error: Box::new(RpcError::new(INVALID_REQUEST, message)),
    };
    let Value::Object(mut members) = value else {
        return Err(unread("a message must be an object"));
    };
    let id = match members.remove("id") {
        None => None,
        Some(Value::Null) => Some(Id::Null),
        Some(Value::String(text)) => Some(Id::Text(text)),
        Some(Value::Number(number)) => Some(Id::Number(number)),
        Some(_) => return Err(unread("`id` must be a text or a number")),
    };
    let known = id.clone();
    let invalid = |message: &str| Malformed {
        id: known.clone(),
        ..unread(message)
    };
    if members.get("jsonrpc") != Some(&Value::from("2.0")) {
        return Err(invalid("`jsonrpc` must be `2.0`"));
    }
    match members.remove("method") {
        Some(Value::String(method)) => match members.remove("params") {
            params @ (None | Some(Value::Object(_) | Value::Array(_))) => {
                Ok(Message::Call { id, method, params })
            }
            Some(Value::Null) => Ok(Message::Call {
                id,
                method,
                params: None,
            }),
            Some(_) => Err(invalid("`params` must be an object")),
        },
        Some(_) => Err(invalid("`method` must be a text")),
        None if is_response(&members) && id.is_some() => Ok(Message::Response),
        None => Err(invalid("`method` is missing")),
    }
}

fn is_response(members: &Map<String, Value>) -> bool {
    members.contains_key("result") || members.contains_key("error")
}

impl Id {
    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::Number(number.clone()),
        }
    }
}

/// The answer with a result whose bytes are ready.
pub(super) fn result(id: &Id, result: Bytes) -> Text {
    Text::around(head(id), result, "}")
}

/// The answer with a result of which the members are ready, in parts.
pub(super) fn result_of(id: &Id, members: [&[u8]; 2]) -> Text {
    let [first, second] = members;
    let whole = [head(id).as_bytes(), b"{", first, second, b"}}"].concat();
    Bytes::from(whole).into()
}

fn head(id: &Id) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, id.to_value())
}

/// The answer with an error; an id that could not be read is null.
pub(super) fn error(id: Option<&Id>, error: &RpcError) -> Bytes {
    let mut told = json!({ "code": error.code, "message": error.message });
    if let Some(data) = &error.data {
        told["data"] = data.clone();
    }
    let id = id.map_or(Value::Null, Id::to_value);
    json!({ "jsonrpc": "2.0", "id": id, "error": told })
        .to_string()
        .into()
}

/// Answers in a row.
pub(super) fn batch(answers: &[Bytes]) -> Bytes {
    let mut text = vec![b'['];
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(answer);
    }
    text.push(b']');
    text.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Result<Message, Malformed> {
        match parse(text.as_bytes()) {
            Ok(Posted::One(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn id_of(text: &str) -> Option<Id> {
        match one(text) {
            Ok(Message::Call { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn null_and_missing_ids_are_kept_apart() {
        assert_eq!(id_of(r#"{"jsonrpc":"2.0","method":"ping"}"#), None);
        assert_eq!(
            id_of(r#"{"jsonrpc":"2.0","method":"ping","id":null}"#),
            Some(Id::Null)
        );
    }

    #[test]
    fn an_id_comes_back_as_it_was_given() {
        for id in [
            "0",
            "-7",
            "1.5",
            "18446744073709551615",
            r#""""#,
            r#""a\"b""#,
            "null",
        ] {
            let asked =
                id_of(&format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{id}}}"#)).unwrap();
            let answer = result(&asked, Bytes::from_static(b"{}")).whole();
            assert_eq!(
                answer,
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).as_bytes()
            );
        }
    }

    #[test]
    fn what_is_no_message_is_an_invalid_request() {
        for text in [
            "1",
            "null",
            r#"{"method":"ping","id":1}"#,
            r#"{"jsonrpc":"1.0","method":"ping","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":2}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":3}"#,
        ] {
            assert_eq!(one(text).unwrap_err().error.code, INVALID_REQUEST, "{text}");
        }
        assert_eq!(parse(b"{").unwrap_err().code, PARSE_ERROR);
        assert_eq!(
            one(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Ok(Message::Response)
        );
    }

    #[test]
    fn a_malformed_request_keeps_the_id_that_can_be_read() {
        for (text, id) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"method":2}"#,
                Some(Id::Number(7.into())),
            ),
            (r#"{"id":"a","method":"ping"}"#, Some(Id::Text("a".into()))),
            (r#"{"jsonrpc":"2.0","id":null}"#, Some(Id::Null)),
            (r#"{"jsonrpc":"2.0","id":[],"method":2}"#, None),
            (r#"{"jsonrpc":"2.0","method":2}"#, None),
        ] {
            assert_eq!(one(text).unwrap_err().id, id, "{text}");
        }
    }

    #[test]
    fn what_no_body_may_have_is_no_message_either() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
            "[".repeat(64),
            "]".repeat(64)
        );
        let nul = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\u0000"}}"#;
        for text in [deep.as_str(), nul] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().code, PARSE_ERROR);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _answered = parse(&body);
        }

        #[test]
        fn no_members_panic(
            id in "(null|1|\"x\"|\\{\\}|\\[\\]|1e400)", method in "(\"ping\"|1|null)", params in "(\\{\\}|\\[\\]|1|null)"
        ) {
            let _answered =
                parse(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#).as_bytes());
        }
    }
}
