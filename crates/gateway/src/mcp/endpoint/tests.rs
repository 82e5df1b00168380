use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::catalogue::Catalogue;
use crate::catalogue::filter::Filter;
use crate::connector::Connector;
use crate::exposure::{Choices, ToolExposure};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::looking::Question;
use crate::mcp::{ToolOutcome, Wanted};
use crate::openapi::Document;
use crate::own_answer::Answering;

const CURRENT: &str = "2026-07-28";

fn exposure() -> Arc<Exposure> {
    exposure_of(Choices::default())
}

fn exposure_of(choices: Choices) -> Arc<Exposure> {
    let connector = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: t\nbase_url: local\nresources:\n  \
         pots: { singular: pot, methods: { list: { http: GET /pots }, delete: { http: 'DELETE /pots/{id}' } } }\n";
    let document = json!({
        "openapi": "3.1.0", "info": { "description": "Pots of tea." },
        "paths": {
            "/pots": { "get": { "summary": "List pots" } },
            "/pots/{id}": { "delete": { "summary": "Empty a pot" } }
        }
    });
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    let catalogue = Catalogue::compile(&Connector::parse(connector).unwrap(), &document).unwrap();
    Arc::new(Exposure::new(Arc::new(catalogue), choices).unwrap())
}

struct Asked {
    status: u16,
    body: Option<Value>,
    headers: Vec<String>,
    calls: Vec<ToolCall>,
}

async fn post_to(
    exposure: &Arc<Exposure>,
    headers: &[(&str, &str)],
    body: &str,
    outcome: ToolResult,
) -> Asked {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let calls = Mutex::new(Vec::new());
    let call = |call: ToolCall| {
        let outcome = match &call.wanted {
            Wanted::Tool(_) => outcome.clone(),
            Wanted::Own(own) => own.clone().outcome(),
        };
        calls.lock().unwrap().push(call);
        std::future::ready(outcome)
    };
    let now = claviger_domain::date::parse("2026-11-21T10:00:00Z").unwrap();
    let answer = answer(
        exposure,
        now,
        Post {
            headers: &map,
            body: body.as_bytes(),
        },
        call,
    )
    .await;
    Asked {
        status: answer.status.as_u16(),
        body: answer
            .body
            .map(|body| serde_json::from_slice(&body.whole()).unwrap()),
        headers: answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect(),
        calls: calls.into_inner().unwrap(),
    }
}

fn success() -> ToolOutcome {
    let envelope = json!({ "result": [] }).as_object().unwrap().clone();
    let limits = Limits {
        remaining: Some(4),
        ..Limits::default()
    };
    ToolOutcome {
        status: StatusCode::OK,
        envelope,
        limits,
        passed: None,
    }
}

async fn post(headers: &[(&str, &str)], body: &Value) -> Asked {
    post_to(&exposure(), headers, &body.to_string(), Ok(success())).await
}

fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

async fn earlier(method: &str, params: Value) -> Asked {
    post(
        &[("mcp-protocol-version", "2025-11-25")],
        &request(method, &params),
    )
    .await
}

async fn current(method: &str, mut params: Value) -> Asked {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": CURRENT,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "probe", "version": "1" }
    });
    let name = params["name"].as_str().unwrap_or("none").to_owned();
    let headers = [
        ("mcp-protocol-version", CURRENT),
        ("mcp-method", method),
        ("mcp-name", name.as_str()),
    ];
    post(&headers, &request(method, &params)).await
}

fn code(asked: &Asked) -> (u16, i64) {
    (
        asked.status,
        asked.body.as_ref().unwrap()["error"]["code"]
            .as_i64()
            .unwrap(),
    )
}

#[tokio::test]
async fn initialize_agrees_on_a_version_of_the_earlier_era() {
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        ("2099-01-01", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let answer = earlier("initialize", json!({ "protocolVersion": asked })).await;
        assert_eq!(answer.body.unwrap()["result"]["protocolVersion"], agreed);
    }
    let answer = earlier("initialize", json!({ "protocolVersion": "2025-11-25" })).await;
    let mut body = answer.body.unwrap();
    body["result"]["serverInfo"]["version"] = "[version]".into();
    insta::assert_json_snapshot!(body, @r#"
    {
      "jsonrpc": "2.0",
      "id": 1,
      "result": {
        "protocolVersion": "2025-11-25",
        "capabilities": {
          "tools": {
            "listChanged": false
          }
        },
        "serverInfo": {
          "name": "claviger",
          "title": "Claviger",
          "version": "[version]"
        },
        "instructions": "Tools for Tea. Pots of tea.\n\nIds come from the tools that list and from what the tools that create answer; never make one up. A list answers 50 items unless `limit` says otherwise; pass `next_cursor` back as received for more. An answer is in `result`. A failed call says in `message` what to change, and in `retry_after_s` how long to wait. The server's time at the start of this conversation: 2026-11-21T10:00:00.000Z."
      }
    }
    "#);
}

#[tokio::test]
async fn initialize_without_an_id_is_answered() {
    let answer = post(
        &[],
        &json!({ "jsonrpc": "2.0", "method": "initialize", "params": {} }),
    )
    .await;
    let body = answer.body.unwrap();
    assert_eq!((answer.status, &body["id"]), (200, &Value::Null));
    assert_eq!(body["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn initialize_with_the_meta_of_the_current_era_is_not_found() {
    let answer = current("initialize", json!({})).await;
    assert_eq!(code(&answer), (404, -32601));
    let meta = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": CURRENT } });
    assert_eq!(
        code(&post(&[], &request("initialize", &meta)).await),
        (404, -32601)
    );
}

#[tokio::test]
async fn the_list_of_both_eras_in_full() {
    insta::assert_json_snapshot!(earlier("tools/list", json!({})).await.body, @r#"
    {
      "jsonrpc": "2.0",
      "id": 1,
      "result": {
        "tools": [
          {
            "name": "list_all_tea_pots",
            "title": "List pots",
            "description": "List pots",
            "inputSchema": {
              "type": "object",
              "properties": {
                "limit": {
                  "type": "integer",
                  "minimum": 1,
                  "maximum": 1000,
                  "description": "How many items to answer. Default: `50`."
                },
                "next_cursor": {
                  "type": "string",
                  "description": "The `next_cursor` of the previous answer, exactly as received, to go on from there with the same arguments. Leave it out for the first page."
                }
              }
            },
            "annotations": {
              "title": "List pots",
              "readOnlyHint": true,
              "destructiveHint": false,
              "idempotentHint": true,
              "openWorldHint": false
            }
          },
          {
            "name": "delete_a_tea_pot_by_id",
            "title": "Empty a pot",
            "description": "Empty a pot",
            "inputSchema": {
              "type": "object",
              "required": [
                "id"
              ],
              "properties": {
                "id": {
                  "type": "string",
                  "description": "Id"
                }
              }
            },
            "annotations": {
              "title": "Empty a pot",
              "readOnlyHint": false,
              "destructiveHint": true,
              "idempotentHint": true,
              "openWorldHint": false
            }
          }
        ]
      }
    }
    "#);
    let current = current("tools/list", json!({})).await.body.unwrap();
    let earlier = earlier("tools/list", json!({})).await.body.unwrap();
    assert_eq!(current["result"]["tools"], earlier["result"]["tools"]);
    assert_eq!(current["result"]["resultType"], "complete");
    assert_eq!(current["result"]["cacheScope"], "private");
    assert!(current["result"]["ttlMs"].is_u64());
    assert_eq!(
        current["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "claviger"
    );
}

#[tokio::test]
async fn the_bytes_of_a_list_are_made_once() {
    let exposure = exposure();
    let first = tools::earlier_list(&exposure).as_ptr();
    assert_eq!(first, tools::earlier_list(&exposure).as_ptr());
}

#[tokio::test]
async fn a_cursor_that_was_never_given_is_refused() {
    for cursor in [json!("x"), json!(""), json!(3)] {
        assert_eq!(
            code(&earlier("tools/list", json!({ "cursor": cursor })).await),
            (200, -32602)
        );
        assert_eq!(
            code(&current("tools/list", json!({ "cursor": cursor })).await),
            (200, -32602)
        );
    }
    assert_eq!(
        earlier("tools/list", json!({ "cursor": null }))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_call_reaches_the_tool_with_its_arguments() {
    let params = json!({ "name": "delete_a_tea_pot_by_id", "arguments": { "id": "a" } });
    for answer in [
        earlier("tools/call", params.clone()).await,
        current("tools/call", params).await,
    ] {
        assert_eq!(answer.calls.len(), 1);
        assert_eq!(answer.calls[0].wanted.tool().unwrap().method, "delete");
        assert_eq!(
            Value::Object(answer.calls[0].arguments.clone()),
            json!({ "id": "a" })
        );
        let result = &answer.body.unwrap()["result"];
        assert_eq!(
            result["content"],
            json!([{ "type": "text", "text": "{\"result\":[]}" }])
        );
        assert_eq!(result["structuredContent"], json!({ "result": [] }));
        assert_eq!(result["isError"], false);
        assert_eq!(answer.headers, ["ratelimit-remaining: 4"]);
    }
}

#[tokio::test]
async fn the_client_is_known_from_the_meta_or_the_user_agent() {
    let params = json!({ "name": "list_all_tea_pots" });
    let client = current("tools/call", params.clone())
        .await
        .calls
        .remove(0)
        .client;
    assert_eq!(client.unwrap().name, "probe");
    let headers = [("user-agent", "kettle/2.1 (linux)")];
    let client = post(&headers, &request("tools/call", &params))
        .await
        .calls
        .remove(0)
        .client
        .unwrap();
    assert_eq!(
        (client.name.as_str(), client.version.as_deref()),
        ("kettle", Some("2.1"))
    );
}

#[tokio::test]
async fn a_failure_is_a_result_that_a_model_can_read() {
    let limits = Limits {
        retry_after_s: Some(7),
        ..Limits::default()
    };
    let failure = Failure::upstream(
        StatusCode::TOO_MANY_REQUESTS,
        br#"{"message":"Too many requests"}"#,
        limits,
    );
    let body = request("tools/call", &json!({ "name": "list_all_tea_pots" })).to_string();
    let answer = post_to(&exposure(), &[], &body, Err(Box::new(failure))).await;
    let result = &answer.body.unwrap()["result"];
    assert_eq!((answer.status, &result["isError"]), (200, &json!(true)));
    assert!(result.get("structuredContent").is_none());
    assert_eq!(answer.headers, ["retry-after: 7"]);
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    insta::assert_json_snapshot!(text, @r#"
    {
      "statusCode": 429,
      "error": "Too Many Requests",
      "message": "Too many requests",
      "code": "remote_error",
      "is_remote_error": true,
      "raw_response": {
        "message": "Too many requests"
      },
      "retry_after_s": 7
    }
    "#);
}

#[tokio::test]
async fn a_tool_that_is_not_exposed_is_a_result_that_names_the_nearest() {
    let filter = Filter {
        methods: Some(vec!["read".to_owned()]),
        tags: None,
    };
    let exposure = exposure_of(Choices {
        filter,
        ..Choices::default()
    });
    for (name, told) in [
        (
            "list_all_tea_pot",
            "there is no tool `list_all_tea_pot`; did you mean `list_all_tea_pots`?",
        ),
        (
            "zzz",
            "there is no tool `zzz`; ask `tools/list` for the tools there are",
        ),
    ] {
        let body = request("tools/call", &json!({ "name": name })).to_string();
        let answer = post_to(&exposure, &[], &body, Ok(success())).await;
        assert!(matches!(&answer.calls[..], [call] if call.wanted.tool().is_none()));
        let result = &answer.body.unwrap()["result"];
        assert_eq!(result["isError"], true);
        let text: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text["message"], told);
    }
    let filtered = request("tools/call", &json!({ "name": "delete_a_tea_pot_by_id" })).to_string();
    let answer = post_to(&exposure, &[], &filtered, Ok(success())).await;
    assert!(matches!(&answer.calls[..], [call] if call.wanted.tool().is_none()));
}

// What a call costs is spent within the budget of its server, which is asked by whoever carries it out.
#[tokio::test]
async fn nothing_is_looked_for_before_a_call_is_carried_out() {
    let discovery = exposure_of(Choices {
        tool_exposure: ToolExposure::Discovery,
        ..Choices::default()
    });
    for (exposure, name, arguments, question) in [
        (
            &discovery,
            "search_tools",
            json!({ "query": "pots" }),
            Question::Find("pots".to_owned(), 10),
        ),
        (
            &discovery,
            "get_tool_schema",
            json!({ "name": "list_all_tea_pots" }),
            Question::Describe("list_all_tea_pots".to_owned()),
        ),
        (
            &exposure(),
            "list_all",
            json!({}),
            Question::Nearest("list_all".to_owned()),
        ),
    ] {
        let params = json!({ "name": name, "arguments": arguments });
        let body = request("tools/call", &params).to_string();
        let answer = post_to(exposure, &[], &body, Ok(success())).await;
        let [call] = &answer.calls[..] else {
            panic!("{name}")
        };
        let Wanted::Own(own) = &call.wanted else {
            panic!("{name}")
        };
        let Answering::Looked(_, asked) = &own.answer else {
            panic!("{name}: {:?}", own.answer)
        };
        assert_eq!(*asked, question);
    }
}

#[tokio::test]
async fn parameters_of_a_call_that_are_none_are_a_protocol_error() {
    for params in [
        json!({}),
        json!({ "name": 3 }),
        json!({ "name": "x", "arguments": [] }),
    ] {
        assert_eq!(
            code(&earlier("tools/call", params.clone()).await),
            (200, -32602)
        );
        assert_eq!(code(&current("tools/call", params).await), (200, -32602));
    }
    assert_eq!(
        code(
            &post(
                &[],
                &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call" })
            )
            .await
        ),
        (200, -32602)
    );
}

#[tokio::test]
async fn methods_are_found_in_their_era_only() {
    assert_eq!(
        earlier("ping", json!({})).await.body.unwrap()["result"],
        json!({})
    );
    assert_eq!(code(&current("ping", json!({})).await), (404, -32601));
    assert_eq!(
        code(&earlier("server/discover", json!({})).await),
        (200, -32601)
    );
    assert_eq!(
        code(&earlier("resources/list", json!({})).await),
        (200, -32601)
    );
    assert_eq!(
        code(&current("prompts/list", json!({})).await),
        (404, -32601)
    );
}

#[tokio::test]
async fn discover_tells_versions_and_what_the_server_is() {
    let mut body = current("server/discover", json!({})).await.body.unwrap();
    body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["version"] = "[version]".into();
    insta::assert_json_snapshot!(body, @r#"
    {
      "jsonrpc": "2.0",
      "id": 1,
      "result": {
        "supportedVersions": [
          "2026-07-28",
          "2025-11-25",
          "2025-06-18",
          "2025-03-26",
          "2024-11-05"
        ],
        "capabilities": {
          "tools": {
            "listChanged": false
          }
        },
        "instructions": "Tools for Tea. Pots of tea.\n\nIds come from the tools that list and from what the tools that create answer; never make one up. A list answers 50 items unless `limit` says otherwise; pass `next_cursor` back as received for more. An answer is in `result`. A failed call says in `message` what to change, and in `retry_after_s` how long to wait. The server's time at the start of this conversation: 2026-11-21T10:00:00.000Z.",
        "ttlMs": 60000,
        "cacheScope": "private",
        "resultType": "complete",
        "_meta": {
          "io.modelcontextprotocol/serverInfo": {
            "name": "claviger",
            "title": "Claviger",
            "version": "[version]"
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn the_headers_of_the_current_era_must_agree_with_the_body() {
    let meta = json!({ "name": "list_all_tea_pots", "_meta": {
        "io.modelcontextprotocol/protocolVersion": CURRENT,
        "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = request("tools/call", &meta);
    let version = ("mcp-protocol-version", CURRENT);
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "list_all_tea_pots");
    for headers in [
        vec![method, name],
        vec![("mcp-protocol-version", "2025-11-25"), method, name],
        vec![version, name],
        vec![version, ("mcp-method", "tools/list"), name],
        vec![version, method],
        vec![version, method, ("mcp-name", "delete_a_tea_pot_by_id")],
        vec![version, method, name, name],
    ] {
        let answer = post(&headers, &body).await;
        assert_eq!(code(&answer), (400, -32020), "{headers:?}");
        assert!(answer.calls.is_empty());
        assert_eq!(answer.body.unwrap()["id"], 1);
    }
    let encoded = ("mcp-name", "=?base64?bGlzdF9hbGxfdGVhX3BvdHM=?=");
    assert_eq!(
        post(&[version, method, encoded], &body).await.calls.len(),
        1
    );
}

#[tokio::test]
async fn an_unsupported_version_is_told_which_there_are() {
    let answer = post(
        &[("mcp-protocol-version", "2023-01-01")],
        &request("ping", &json!({})),
    )
    .await;
    assert_eq!(code(&answer), (400, -32022));
    let data = &answer.body.unwrap()["error"]["data"];
    assert_eq!(data["requested"], "2023-01-01");
    assert_eq!(data["supported"][0], CURRENT);
}

#[tokio::test]
async fn notifications_and_responses_are_accepted_without_a_body() {
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": "list_all_tea_pots" } }),
        json!({ "jsonrpc": "2.0", "id": 4, "result": {} }),
        json!([{ "jsonrpc": "2.0", "method": "notifications/cancelled" }]),
    ] {
        let answer = post(&[], &body).await;
        assert_eq!(
            (answer.status, answer.body.is_none(), answer.calls.len()),
            (202, true, 0),
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_null_id() {
    for (body, expected) in [
        ("{", -32700),
        ("", -32700),
        ("1", -32600),
        ("[]", -32600),
        ("[1", -32700),
    ] {
        let answer = post_to(&exposure(), &[], body, Ok(success())).await;
        assert_eq!(code(&answer), (400, expected), "{body}");
        assert_eq!(answer.body.unwrap()["id"], Value::Null);
    }
    let unreadable = json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" });
    assert_eq!(code(&post(&[], &unreadable).await), (400, -32600));
}

#[tokio::test]
async fn a_batch_is_answered_as_an_array() {
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "ping" },
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        { "jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": { "name": "list_all_tea_pots" } },
        7,
        { "jsonrpc": "2.0", "id": 3, "method": "initialize" }
    ]);
    let answer = post(&[], &batch).await;
    let body = answer.body.unwrap();
    let ids: Vec<_> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(json!(ids), json!([1, "b", null, 3]));
    assert_eq!((answer.status, answer.calls.len()), (200, 1));
    assert_eq!(body[2]["error"]["code"], -32600);
    assert_eq!(body[3]["error"]["code"], -32600);
}

#[tokio::test]
async fn a_batch_is_of_its_version_and_of_fifty_at_most() {
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let of = |count: usize| Value::Array(vec![ping.clone(); count]);
    assert_eq!(post(&[], &of(50)).await.status, 200);
    assert_eq!(code(&post(&[], &of(51)).await), (400, -32600));
    let version = |version| [("mcp-protocol-version", version)];
    assert_eq!(post(&version("2025-03-26"), &of(1)).await.status, 200);
    assert_eq!(
        code(&post(&version("2025-06-18"), &of(1)).await),
        (400, -32600)
    );
    assert_eq!(code(&post(&version(CURRENT), &of(1)).await), (400, -32600));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "(2\\.0|ping|tools/call|tools/list|initialize|2026-07-28|.{0,8})".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            let name = "(jsonrpc|id|method|params|name|arguments|_meta|cursor|result|\
                io.modelcontextprotocol/protocolVersion|io.modelcontextprotocol/clientInfo)";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::vec((name, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn answered(body: &str) -> Asked {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(post_to(&exposure(), &[], body, Ok(success())))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_json_is_answered_with_an_answer_of_the_protocol(mut body in any_json()) {
            if let Some(members) = body.as_object_mut() {
                members.insert("jsonrpc".to_owned(), "2.0".into());
            }
            let answer = answered(&body.to_string());
            prop_assert!([200, 202, 400, 404].contains(&answer.status));
            if let Some(Value::Object(body)) = answer.body {
                prop_assert_eq!(&body["jsonrpc"], "2.0");
                prop_assert!(body.contains_key("id"));
                prop_assert!(body.contains_key("result") != body.contains_key("error"));
            }
        }

        #[test]
        fn any_text_is_answered(body in ".{0,100}") {
            prop_assert!([200, 202, 400, 404].contains(&answered(&body).status));
        }
    }
}
