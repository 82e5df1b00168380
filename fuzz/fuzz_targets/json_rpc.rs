//! Bodies that are posted to an MCP server: what they say, and that an answer has the id that was asked with.
#![no_main]

// The file itself: a dependency on the whole gateway would take minutes to build.
#[path = "../../crates/gateway/src/mcp/json_rpc.rs"]
#[expect(dead_code, reason = "the eras of the protocol have codes that reading needs not")]
mod json_rpc;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use self::json_rpc::{INVALID_REQUEST, Id, Malformed, Message, PARSE_ERROR, Posted, RpcError};

fuzz_target!(|data: &[u8]| {
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    match json_rpc::parse(data) {
        Err(error) => {
            assert_eq!(error.code, PARSE_ERROR);
            // It says where, and quotes nothing: there may be a key in it.
            assert!(error.message.len() < 200, "{}", error.message);
            is_an_answer(None, &error, &Value::Null);
        }
        Ok(Posted::One(message)) => {
            let value: Value = serde_json::from_slice(text).expect("what was read is JSON");
            assert!(!value.is_array());
            is_read_as_it_is(&message, &value);
        }
        Ok(Posted::Batch(messages)) => {
            let value: Value = serde_json::from_slice(text).expect("what was read is JSON");
            let values = value.as_array().expect("a batch is a list");
            assert_eq!(messages.len(), values.len());
            let mut answers = Vec::new();
            for (message, value) in messages.iter().zip(values) {
                is_read_as_it_is(message, value);
                if let Ok(Message::Call { id: Some(id), .. }) = message {
                    answers.push(json_rpc::result(id, b"{}"));
                }
            }
            let together: Value = serde_json::from_slice(&json_rpc::batch(&answers)).expect("it is JSON");
            assert_eq!(together.as_array().map(Vec::len), Some(answers.len()));
        }
    }
});

/// A message means what its JSON says.
fn is_read_as_it_is(message: &Result<Message, Malformed>, value: &Value) {
    match message {
        Ok(Message::Call { id, method, params }) => {
            assert_eq!(value["jsonrpc"], "2.0");
            assert_eq!(value["method"], method.as_str());
            // An id that is null is one that is there.
            assert_eq!(id.is_some(), value.get("id").is_some());
            match params {
                Some(params) => assert_eq!(&value["params"], params),
                None => assert!(value["params"].is_null()),
            }
            if let Some(id) = id {
                let answer: Value = serde_json::from_slice(&json_rpc::result(id, b"{\"a\":1}"))
                    .expect("an answer is JSON");
                assert_eq!(answer["id"], value["id"]);
                assert_eq!(answer["result"]["a"], 1);
            }
        }
        Ok(Message::Response) => {
            assert!(value.get("method").is_none() && value.get("id").is_some());
        }
        Err(malformed) => {
            assert_eq!(malformed.error.code, INVALID_REQUEST);
            let expected = if malformed.id.is_some() { &value["id"] } else { &Value::Null };
            is_an_answer(malformed.id.as_ref(), &malformed.error, expected);
        }
    }
}

fn is_an_answer(id: Option<&Id>, error: &RpcError, expected: &Value) {
    let answer = json_rpc::error(id, error);
    assert!(!answer.contains(&b'\n'), "an answer is one line");
    let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
    assert_eq!(&answer["id"], expected);
    assert_eq!(answer["error"]["code"], error.code);
}
