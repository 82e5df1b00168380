//! Templates of connector files, filled with values: the first line is the template, each line after it
//! the value of another reference.
#![no_main]

use std::collections::HashMap;

use claviger_gateway::connector::access::UrlTemplate;
use claviger_gateway::connector::template::{Reference, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Some(line) = lines.next() else {
        return;
    };
    let lines: Vec<&str> = lines.collect();
    if let Ok(template) = Template::parse(line) {
        let values = values(template.references(), &lines);
        what_fills_a_hole_is_no_template(line, &template, &values);
        a_split_loses_nothing(&template, &values);
    }
    if let Ok(template) = UrlTemplate::parse(line) {
        let values = values(template.references(), &lines);
        no_value_leads_elsewhere(line, &template, &values);
    }
});

type Values = HashMap<String, String>;

/// The lines as values of the references, each of which has one.
fn values<'a>(references: impl Iterator<Item = &'a Reference>, lines: &[&str]) -> Values {
    let mut values = Values::new();
    let mut lines = lines.iter();
    for reference in references {
        let name = reference.to_string();
        if !values.contains_key(&name)
            && let Some(line) = lines.next()
        {
            values.insert(name, (*line).to_owned());
        }
    }
    values
}

/// Values with braces in them come out as they are, between what is fixed, and in its order.
fn what_fills_a_hole_is_no_template(text: &str, template: &Template, values: &Values) {
    let Ok(filled) = template.fill(|reference| values.get(&reference.to_string()).cloned()) else {
        // Something has neither a value nor a default.
        assert!(template.references().any(|it| !values.contains_key(&it.to_string())));
        return;
    };
    let mut rest = filled.as_str();
    for fixed in template.fixed() {
        let at = rest.find(fixed).expect("what is fixed stays as it is");
        rest = &rest[at + fixed.len()..];
    }
    if template.references().next().is_none() {
        assert_eq!(filled, text);
    }
    // One pass: a marker in the place of each value comes to the same length, whatever the values say.
    let marked = template.fill(|reference| {
        let value = values.get(&reference.to_string())?;
        Some("x".repeat(value.len()))
    });
    assert_eq!(marked.map(|marked| marked.len()), Ok(filled.len()));
}

/// Both parts of a template make the whole, and only the second has what it was split at.
fn a_split_loses_nothing(template: &Template, values: &Values) {
    let fill = |template: &Template| {
        let value_of = |reference: &Reference| {
            let value = values.get(&reference.to_string()).cloned();
            Some(value.unwrap_or_default())
        };
        template.fill(value_of).expect("all have a value")
    };
    let (before, after) = template.clone().split_before('/');
    assert_eq!(fill(&before) + &fill(&after), fill(template));
    assert!(before.fixed().all(|text| !text.contains('/')));
}

/// A host has a label in each hole, and a path a segment's part: what is between is as the file says it.
fn no_value_leads_elsewhere(text: &str, template: &UrlTemplate, values: &Values) {
    let value_of = |reference: &Reference| values.get(&reference.to_string()).cloned();
    let Ok(url) = template.fill(value_of, |_| false) else {
        return;
    };
    let label = |_: &Reference| Some("x".to_owned());
    let like = template.fill(label, |_| false).expect("each hole has a label");
    let shape = |url: &str| {
        let after = url.split_once("://").expect("it has a scheme").1;
        let (host, path) = after.split_once('/').unwrap_or((after, ""));
        let dots = host.matches('.').count();
        let colons = host.matches(':').count();
        (dots, colons, path.matches('/').count())
    };
    assert_eq!(shape(&url), shape(&like), "{text}");
    assert!(!url.contains(['?', '#', '@', '\\', '%']), "{url}");
    let mut segments = url.split('/').skip(3);
    assert!(segments.all(|segment| !matches!(segment, "." | "..")), "{url}");
}
