//! The published JSON Schema of connector files.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::ConnectorFile;

/// The JSON Schema of a connector file, for editors and for whoever checks one without this program. It
/// knows members and their kinds; what needs the document is for `connector check`.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<ConnectorFile>().to_value();
    schema["title"] = "Claviger connector".into();
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::schema;

    const BUILT_IN: &str = include_str!("../../../../connectors/theauthapi.yaml");

    fn faults(file: &Value) -> Vec<String> {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let errors = validator.iter_errors(file);
        errors
            .map(|error| error.instance_path().to_string())
            .collect()
    }

    #[test]
    fn the_built_in_connector_fits_its_schema() {
        let file: Value = serde_saphyr::from_str(BUILT_IN).unwrap();
        assert_eq!(faults(&file), Vec::<String>::new());
    }

    #[test]
    fn misspelt_members_and_wrong_kinds_do_not() {
        let sound = json!({
            "slug": "tea", "label": "Tea", "tool_prefix": "tea", "openapi": "tea.json",
            "base_url": "https://tea.example",
            "pagination": { "style": "offset", "limit": "limit", "offset": "offset" },
            "resources": { "pots": { "methods": { "list": { "http": "GET /pots" } } } },
        });
        assert_eq!(faults(&sound), Vec::<String>::new());
        for (pointer, wrong) in [
            ("/slug", json!(7)),
            ("/pagination", json!({ "style": "pages" })),
            (
                "/resources/pots/methods/list",
                json!({ "htp": "GET /pots" }),
            ),
        ] {
            let mut file = sound.clone();
            *file.pointer_mut(pointer).unwrap() = wrong;
            let told = faults(&file);
            assert!(
                told.iter().any(|place| place.starts_with(pointer)),
                "{pointer}: {told:?}"
            );
        }
        let mut more = sound;
        more["opneapi"] = json!("x");
        assert_eq!(faults(&more), [""]);
    }
}
