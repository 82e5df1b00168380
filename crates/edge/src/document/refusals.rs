//! What operations answer beside what each of them says itself: refusals of the same kinds, with one body.

use serde_json::{Value, json};

use crate::ErrorCode;

/// Which operations a refusal is of.
#[derive(Clone, Copy)]
enum Of {
    All,
    /// Those that read more than a path.
    Input,
    Body,
    Credential,
    /// Those that honour an `Idempotency-Key`.
    Repeatable,
}

/// A refusal that many operations have.
struct Refusal {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    of: Of,
    /// Whether it says when to come again.
    is_for_a_while: bool,
}

const REFUSALS: [Refusal; 10] = [
    Refusal::lasting(
        "400",
        "Malformed",
        "A parameter or a member of the body is malformed, which `details` names.",
        Of::Input,
    ),
    Refusal::lasting(
        "401",
        "Unauthorized",
        "No credential, or one that is not live.",
        Of::Credential,
    ),
    Refusal::lasting(
        "403",
        "Forbidden",
        "The credential lacks the permission, or is not taken from there.",
        Of::All,
    ),
    Refusal::lasting(
        "404",
        "NotFound",
        "Nothing with that id that the caller may see. With a verifier's key: no check of a key.",
        Of::All,
    ),
    Refusal::lasting(
        "409",
        "InFlight",
        "The first request with that `Idempotency-Key` is not finished.",
        Of::Repeatable,
    ),
    Refusal::lasting(
        "413",
        "BodyTooLarge",
        "The body is larger than 1 MiB, or than 32 MiB where keys are imported.",
        Of::Body,
    ),
    Refusal::lasting(
        "422",
        "KeyReused",
        "That `Idempotency-Key` was used with another body.",
        Of::Repeatable,
    ),
    Refusal::for_a_while(
        "429",
        "TooMany",
        "The caller is over its own limit, or too many credentials that are none came from there.",
    ),
    Refusal::lasting(
        "500",
        "Internal",
        "Something of ours failed, which the log has under the request's id.",
        Of::All,
    ),
    Refusal::for_a_while(
        "503",
        "Unavailable",
        "The database is away, or too much waits for it already.",
    ),
];

/// Gives every refusal its body, and every operation those that it shares with others.
pub(super) fn describe(document: &mut Value, repeatable: &[&str]) {
    let components = &mut document["components"];
    components["schemas"]["Error"] = error();
    components["schemas"]["Problem"] = problem();
    for refusal in &REFUSALS {
        components["responses"][refusal.name] = refusal.response();
    }
    let items = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in items {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let is_repeatable = method == "post" && repeatable.contains(&path.as_str());
            describe_one(operation, is_repeatable);
        }
    }
}

fn describe_one(operation: &mut Value, is_repeatable: bool) {
    if is_repeatable {
        let parameters = operation["parameters"].take();
        let mut parameters = parameters.as_array().cloned().unwrap_or_default();
        parameters.push(idempotency_key());
        operation["parameters"] = Value::Array(parameters);
    }
    let parameters = operation["parameters"].as_array();
    let mut parameters = parameters.into_iter().flatten();
    let reads_parameter = parameters.any(|parameter| parameter["in"] != "path");
    let has_body = operation.get("requestBody").is_some();
    let needs_credential = operation.get("security").is_none();
    let refuses = |refusal: &&Refusal| match refusal.of {
        Of::All => true,
        Of::Input => has_body || reads_parameter,
        Of::Body => has_body,
        Of::Credential => needs_credential,
        Of::Repeatable => is_repeatable,
    };
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses.iter_mut() {
        // One that has another body says so itself.
        if status.starts_with(['4', '5']) && response.get("content").is_none() {
            response["content"] = content();
        }
    }
    for refusal in REFUSALS.iter().filter(refuses) {
        // What an operation says of it itself is more to the point.
        responses
            .entry(refusal.status)
            .or_insert_with(|| json!({"$ref": format!("#/components/responses/{}", refusal.name)}));
    }
    responses.sort_keys();
}

impl Refusal {
    const fn lasting(
        status: &'static str,
        name: &'static str,
        description: &'static str,
        of: Of,
    ) -> Self {
        Self {
            status,
            name,
            description,
            of,
            is_for_a_while: false,
        }
    }

    const fn for_a_while(
        status: &'static str,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            status,
            name,
            description,
            of: Of::All,
            is_for_a_while: true,
        }
    }

    fn response(&self) -> Value {
        let mut response = json!({"description": self.description});
        if self.is_for_a_while {
            response["headers"]["Retry-After"] = json!({
                "description": "In how many seconds to come again.",
                "schema": {"type": "integer"},
            });
        }
        response["content"] = content();
        response
    }
}

/// Of each refusal: JSON of ours, or RFC 9457 for those who ask for it.
fn content() -> Value {
    let of = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    json!({"application/json": of("Error"), "application/problem+json": of("Problem")})
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A text of the caller's own. A repeat with the same one gets the first answer.",
        "required": false,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused.",
        "required": ["statusCode", "error", "message", "code", "requestId"],
        "properties": {
            "statusCode": {"type": "integer", "description": "The HTTP status.", "example": 404},
            "error": {"type": "string", "description": "The status in words."},
            "message": {"type": "string", "description": "A sentence for people."},
            "code": code(),
            "requestId": request_id(),
            "details": details(),
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "The same as RFC 9457 has it, for `Accept: application/problem+json`.",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string", "description": "Always `about:blank`."},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer", "description": "The HTTP status.", "example": 404},
            "detail": {"type": "string", "description": "A sentence for people."},
            "code": code(),
            "requestId": request_id(),
            "details": details(),
        },
    })
}

fn code() -> Value {
    json!({
        "type": "string",
        "description": "Why, for programs: one of a closed list.",
        "enum": ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
    })
}

fn request_id() -> Value {
    json!({"type": "string", "description": "The request's id, which the log has."})
}

fn details() -> Value {
    json!({
        "type": "array",
        "description": "Which members are wrong; on 400 only.",
        "items": {
            "type": "object",
            "required": ["field", "message"],
            "properties": {
                "field": {"type": "string", "description": "The member, as a path."},
                "message": {"type": "string", "description": "What is wrong with it."},
            },
        },
    })
}
