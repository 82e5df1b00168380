use proptest::prelude::*;

use super::*;

fn known(reference: &Reference) -> Option<String> {
    match reference.to_string().as_str() {
        "context.region" => Some("eu".to_owned()),
        "credentials.key" => Some("{{context.region}}".to_owned()),
        "id" => Some("7".to_owned()),
        "body.owner.name" => Some("Ada".to_owned()),
        _ => None,
    }
}

fn filled(text: &str) -> Result<String, String> {
    let template = Template::parse(text).map_err(|fault| fault.to_string())?;
    template.fill(known).map_err(|fault| fault.to_string())
}

#[test]
fn holes_are_filled_by_name() {
    assert_eq!(
        filled("https://{{context.region}}.x/{{ id }}"),
        Ok("https://eu.x/7".into())
    );
    assert_eq!(filled("{{body.owner.name}}"), Ok("Ada".into()));
    assert_eq!(filled("no hole } { }}"), Ok("no hole } { }}".into()));
}

#[test]
fn the_first_alternative_that_has_a_value_counts_and_then_the_default() {
    assert_eq!(
        filled("{{context.none | context.region ?: us}}"),
        Ok("eu".into())
    );
    assert_eq!(
        filled("{{context.none | context.not ?: us west}}"),
        Ok("us west".into())
    );
    assert_eq!(filled("[{{context.none?:}}]"), Ok("[]".into()));
}

#[test]
fn an_unresolved_one_is_named() {
    let error = filled("{{context.none|query.not}}").unwrap_err();
    assert_eq!(error, "`context.none | query.not` has no value");
}

#[test]
fn what_fills_a_hole_is_no_template() {
    assert_eq!(
        filled("{{credentials.key}}"),
        Ok("{{context.region}}".into())
    );
}

#[test]
fn what_is_no_template_says_why() {
    assert_eq!(filled("a {{id"), Err("`{{` has no `}}`".into()));
    for bad in [
        "{{}}",
        "{{secret.x}}",
        "{{context}}",
        "{{id.x}}",
        "{{context.}}",
        "{{context.a b}}",
        "{{id|}}",
    ] {
        assert!(filled(bad).unwrap_err().contains("names no value"), "{bad}");
    }
}

#[test]
fn only_plain_values_stand_in_a_text() {
    assert_eq!(text_of(&serde_json::json!(1.5)), Some("1.5".into()));
    assert_eq!(text_of(&serde_json::json!(true)), Some("true".into()));
    for none in [
        serde_json::json!(null),
        serde_json::json!([1]),
        serde_json::json!({}),
    ] {
        assert_eq!(text_of(&none), None);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[{}|?:. a-z]{0,40}") {
        let _ = filled(&text);
    }

    #[test]
    fn text_without_holes_stays_as_it_is(text in "[^{]{0,60}") {
        prop_assert_eq!(filled(&text), Ok(text));
    }

    #[test]
    fn one_pass_fills_each_hole_with_exactly_its_value(value in ".{0,40}", before in "[^{]{0,9}", after in "[^{]{0,9}") {
        let template = Template::parse(&format!("{before}{{{{context.v}}}}{after}")).unwrap();
        let filled = template.fill(|_| Some(value.clone()));
        prop_assert_eq!(filled, Ok(format!("{before}{value}{after}")));
    }
}
