use serde_json::json;

use super::*;

fn document(schemas: &Value) -> Document {
    let text = json!({ "openapi": "3.1.0", "paths": {}, "components": { "schemas": schemas } });
    Document::parse(text.to_string().as_bytes()).unwrap()
}

fn strict(schemas: &Value, schema: &Value) -> Value {
    Value::Object(Strictly::new(&document(schemas)).make(schema).schema)
}

fn alone(schema: &Value) -> Value {
    strict(&json!({}), schema)
}

#[test]
fn references_are_inlined_with_the_description_beside_them() {
    let made = strict(
        &json!({ "Role": { "type": "string", "enum": ["a", "b"], "description": "far" } }),
        &json!({ "$ref": "#/components/schemas/Role", "description": "near" }),
    );
    assert_eq!(
        made,
        json!({ "type": "string", "description": "near", "enum": ["a", "b"] })
    );
}

#[test]
fn a_bound_beyond_all_numbers_is_told_in_words() {
    for (exclusive, limit, words) in [
        (
            "exclusiveMinimum",
            i64::MAX,
            "More than 9223372036854775807.",
        ),
        (
            "exclusiveMaximum",
            i64::MIN,
            "Less than -9223372036854775808.",
        ),
    ] {
        let made = alone(&json!({ "type": "integer", exclusive: limit }));
        assert_eq!(made, json!({ "type": "integer", "description": words }));
    }
}

#[test]
fn recursion_ends_at_a_described_open_object() {
    let node = json!({ "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Node" } } });
    let made = strict(
        &json!({ "Node": node }),
        &json!({ "$ref": "#/components/schemas/Node" }),
    );
    let end = made
        .pointer("/properties/next/properties/next/properties/next")
        .unwrap();
    assert_eq!(end["additionalProperties"], true);
    assert!(end["description"].as_str().unwrap().starts_with("Node"));
}

#[test]
fn schemas_that_multiply_or_never_end_stay_small() {
    let wide: Map<String, Value> = (0..30)
        .map(|n| {
            let properties: Map<String, Value> = (0..30)
                .map(|m| {
                    (
                        format!("p{m}"),
                        json!({ "$ref": format!("#/components/schemas/S{m}") }),
                    )
                })
                .collect();
            (
                format!("S{n}"),
                json!({ "type": "object", "properties": properties }),
            )
        })
        .collect();
    let made = strict(
        &Value::Object(wide),
        &json!({ "$ref": "#/components/schemas/S0" }),
    );
    let size = made.to_string().len();
    assert!(size < 400_000, "{size}");
    let circle = json!({ "A": { "allOf": [{ "$ref": "#/components/schemas/A" }] } });
    strict(&circle, &json!({ "$ref": "#/components/schemas/A" }));
}

#[test]
fn nullable_is_a_pair_however_it_was_said() {
    let pair = json!({ "type": ["string", "null"] });
    assert_eq!(alone(&json!({ "type": ["string", "null"] })), pair);
    assert_eq!(alone(&json!({ "type": "string", "nullable": true })), pair);
    assert_eq!(
        alone(&json!({ "oneOf": [{ "type": "null" }, { "type": "string" }] })),
        pair
    );
    assert_eq!(
        alone(&json!({ "type": ["string", "null"], "enum": ["a", null] })),
        json!({ "type": ["string", "null"], "enum": ["a"] })
    );
}

#[test]
fn intersections_become_one_object() {
    let made = strict(
        &json!({ "Base": { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] } }),
        &json!({ "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] }
        ] }),
    );
    assert_eq!(made["required"], json!(["id", "name"]));
    assert_eq!(made["properties"].as_object().unwrap().len(), 2);
    assert!(made.get("allOf").is_none());
}

#[test]
fn unions_of_objects_require_what_all_require() {
    let variant = |own: &str| {
        json!({ "type": "object", "required": ["kind", own],
            "properties": { "kind": { "type": "string" }, own: { "type": "string" } } })
    };
    let made = alone(&json!({ "oneOf": [variant("a"), variant("b")] }));
    assert_eq!(made["required"], json!(["kind"]));
    assert_eq!(made["properties"].as_object().unwrap().len(), 3);
}

#[test]
fn only_known_formats_and_textual_enumerations_stay() {
    assert_eq!(
        alone(&json!({ "type": "integer", "format": "int64" })),
        json!({ "type": "integer" })
    );
    assert_eq!(
        alone(&json!({ "type": "string", "format": "date-time" })),
        json!({ "type": "string", "format": "date-time" })
    );
    assert_eq!(
        alone(&json!({ "type": "integer", "enum": [1, 2] })),
        json!({ "type": "integer", "description": "One of 1, 2." })
    );
    assert_eq!(
        alone(&json!({ "type": "integer", "exclusiveMinimum": 0, "maximum": 9 })),
        json!({ "type": "integer", "maximum": 9, "minimum": 1 })
    );
}

#[test]
fn a_pattern_that_cannot_be_checked_in_linear_time_is_left_out() {
    assert_eq!(
        alone(&json!({ "type": "string", "pattern": "^(a+)+$" })),
        json!({ "type": "string", "pattern": "^(a+)+$" })
    );
    assert_eq!(
        alone(&json!({ "type": "string", "pattern": "(?=a)b" })),
        json!({ "type": "string" })
    );
}

#[test]
fn defaults_and_examples_are_words() {
    assert_eq!(
        alone(
            &json!({ "type": "integer", "description": "Seconds.", "default": 60, "examples": [30] })
        ),
        json!({ "type": "integer", "description": "Seconds. Default: `60`. Example: `30`." })
    );
}

#[test]
fn every_property_is_described_and_safely_named() {
    let made = Strictly::new(&document(&json!({}))).make(&json!({
        "type": "object", "required": ["a b"],
        "properties": { "a b": { "type": "string" }, "a_b": { "type": "string" } }
    }));
    let names: Vec<_> = made.properties().unwrap().keys().cloned().collect();
    assert_eq!(names, ["a_b", "a_b_2"]);
    assert_eq!(made.required().collect::<Vec<_>>(), ["a_b"]);
    assert!(
        made.properties()
            .unwrap()
            .values()
            .all(|property| property.get("description").is_some())
    );
    assert_eq!(
        made.renames.restore(json!({ "a_b": 1, "a_b_2": 2 })),
        json!({ "a b": 1, "a_b": 2 })
    );
}

#[test]
fn what_has_no_type_is_anything() {
    let made = alone(&json!({ "description": "Any JSON." }));
    assert_eq!(made["type"], json!(ANY));
    assert_eq!(made["description"], "Any JSON.");
}
