//! What calls of tools are answered with, by the proxy and by the protocol: the upstream's own answers are among it.

use serde_json::{Map, Value, json};

use super::named;

/// What a call is refused with, by the gateway or by the upstream: status, name, description.
const OF_CALLS: [(&str, &str, &str); 9] = [
    (
        "400",
        "CallMalformed",
        "The call is malformed, or the upstream says so.",
    ),
    (
        "401",
        "CallUnauthorized",
        "No credential, or one that is not live; or the upstream takes the stored one no more.",
    ),
    (
        "403",
        "CallForbidden",
        "The credential lacks the permission, or the upstream says so.",
    ),
    (
        "404",
        "CallNotFound",
        "No such connected account, resource or method; or the upstream has nothing there.",
    ),
    (
        "413",
        "CallTooLarge",
        "The body is larger than 4 MiB, or the upstream says so.",
    ),
    (
        "429",
        "CallTooMany",
        "The caller or the upstream is over a limit.",
    ),
    (
        "500",
        "CallFailed",
        "Something of ours failed, or of the upstream's.",
    ),
    (
        "503",
        "CallUnavailable",
        "The database is away, too much waits for it or for the upstream, or the upstream says so.",
    ),
    (
        "default",
        "CallAnsweredOtherwise",
        "As the upstream answered. 501: the connector is not there any more. 502: the upstream cannot be reached, \
         or its answer is none that can be passed on. 504: it is too slow.",
    ),
];

/// The headers by which an answer tells of the upstream's limit.
const LIMITS: [(&str, &str); 4] = [
    (
        "ratelimit-limit",
        "Requests that the upstream allows in a window, where it tells.",
    ),
    ("ratelimit-remaining", "Requests that are left in this one."),
    ("ratelimit-reset", "Seconds until it ends."),
    ("retry-after", "In how many seconds to come again."),
];

/// The refusal of a call whose answer is passed on, whatever it says.
const PASSED_ON: &str = "CallPassedOn";

/// Adds what calls are refused with.
pub(super) fn add_refusals(responses: &mut Value) {
    for (status, name, description) in OF_CALLS {
        let mut response = refusal(description, "CallFailure");
        if ["429", "default"].contains(&status) {
            response["headers"] = limits();
        }
        responses[name] = response;
    }
    let mut passed_on = refusal(
        "A refusal of ours, or what the upstream answered, as it is.",
        "CallFailure",
    );
    let content = &mut passed_on["content"];
    let as_it_is = json!({ "description": "What the upstream answered." });
    if let Some(forms) = content["application/json"]["schema"]["anyOf"].as_array_mut() {
        forms.push(as_it_is.clone());
    }
    content["application/problem+json"]["schema"] =
        json!({ "anyOf": [named("Problem"), as_it_is.clone()] });
    content["*/*"]["schema"] = as_it_is;
    passed_on["headers"] = limits();
    responses[PASSED_ON] = passed_on;
}

/// Says what a call is answered with beside a result: the upstream's own status, and one of two bodies.
pub(super) fn describe(operation: &mut Value, is_custom: bool) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, name, _) in OF_CALLS {
        let name = if is_custom { PASSED_ON } else { name };
        let response = json!({ "$ref": format!("#/components/responses/{name}") });
        responses.insert(status.to_owned(), response);
    }
    responses["2XX"]["headers"] = limits();
    if !is_custom {
        // What is no JSON passes as it is.
        responses["2XX"]["content"]["*/*"] = json!({ "schema": {} });
    }
    responses.sort_keys();
}

/// One description is of all methods: each operation has a name of its own, and a GET no body.
pub(super) fn tell_apart(operation: &mut Value, method: &str) {
    if let (Some(operation), "get") = (operation.as_object_mut(), method) {
        operation.shift_remove("requestBody");
    }
    let method = format!("{}{}", method[..1].to_uppercase(), &method[1..]);
    operation["operationId"] = format!("callUpstream{method}").into();
}

/// Says that the protocol has errors of its own, beside the refusals of a path.
pub(super) fn describe_protocol(operation: &mut Value) {
    for (status, description) in [
        (
            "400",
            "The body is no message of the protocol, or its headers say otherwise than it.",
        ),
        ("404", "The server has no such method."),
    ] {
        operation["responses"][status] = refusal(description, "JsonRpcAnswer");
    }
}

/// A refusal that has the body of all, or another.
fn refusal(description: &str, or: &str) -> Value {
    json!({ "description": description, "content": {
        "application/json": { "schema": { "anyOf": [named("Error"), named(or)] } },
        "application/problem+json": { "schema": named("Problem") },
    } })
}

fn limits() -> Value {
    let header = |(name, description): (&str, &str)| {
        let header = json!({ "description": description, "schema": { "type": "integer" } });
        (name.to_owned(), header)
    };
    Value::Object(LIMITS.into_iter().map(header).collect::<Map<_, _>>())
}
