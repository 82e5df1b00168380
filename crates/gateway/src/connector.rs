//! A connector: how to talk to one product, read from its YAML file and checked as far as the file
//! alone allows. What needs the OpenAPI document as well is checked where both meet, in `catalogue`.

pub mod access;
pub mod fault;
pub mod file;
mod import;
mod schema;
pub mod template;
pub mod value_path;

use sha2::{Digest, Sha256};

pub use access::Access;
pub use fault::{Fault, Faults};
pub use file::ConnectorFile;
pub use import::connector_file;
pub use schema::schema;
use value_path::ValuePath;

/// A connector whose file has been read and found sound.
#[derive(Debug, Clone)]
pub struct Connector {
    file: ConnectorFile,
    access: Access,
    digest: [u8; 32],
}

impl Connector {
    /// Reads a connector file; the faults carry the line and column of what is wrong.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        let file = ConnectorFile::parse(text)?;
        let mut faults = Vec::new();
        check_name("slug", &file.slug, &mut faults);
        check_name("tool_prefix", &file.tool_prefix, &mut faults);
        for (name, resource) in &file.resources {
            if resource.methods.is_empty() {
                faults.push(Fault::without_place(format!(
                    "resource `{name}` has no methods"
                )));
            }
            for (method, entry) in &resource.methods {
                check_method(name, method, entry, &mut faults);
            }
        }
        let access = Access::read(&file, &mut faults);
        if faults.is_empty() {
            Ok(Self {
                file,
                access,
                digest: Sha256::digest(text.as_bytes()).into(),
            })
        } else {
            Err(Faults(faults))
        }
    }

    /// The file as it was read.
    pub fn file(&self) -> &ConnectorFile {
        &self.file
    }

    /// Who calls are made as.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// SHA-256 of the file's text.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether calls go to The Auth API of this instance.
    pub fn is_local(&self) -> bool {
        self.file.base_url.value == "local"
    }
}

fn check_name(member: &str, name: &file::Placed, faults: &mut Vec<Fault>) {
    let sound = !name.value.is_empty()
        && name.value.len() <= 40
        && name
            .value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !sound {
        faults.push(Fault::at(
            &name.referenced,
            format!(
                "`{member}` must be 1 to 40 letters, digits, `_` or `-`; it is `{}`",
                name.value
            ),
        ));
    }
}

/// Words that a filter reads as a group of methods, so that no method may be called so.
const GROUPS: [&str; 3] = ["read", "write", "custom"];

fn check_method(resource: &str, method: &str, entry: &file::MethodEntry, faults: &mut Vec<Fault>) {
    let place = entry
        .http
        .as_ref()
        .or(entry.operation.as_ref())
        .map(|source| &source.referenced);
    if GROUPS.contains(&method.to_ascii_lowercase().as_str()) {
        faults.push(Fault::perhaps_at(
            place,
            format!("method `{method}` of `{resource}` has the name of a filter's group"),
        ));
    }
    let paths = entry.map.values().chain(&entry.response_path);
    for path in paths {
        if let Err(fault) = ValuePath::parse(&path.value) {
            faults.push(Fault::at(
                &path.referenced,
                format!(
                    "method `{method}` of `{resource}`: `{}` {fault}",
                    path.value
                ),
            ));
        }
    }
    match (&entry.http, &entry.operation) {
        (Some(_), Some(both)) => faults.push(Fault::at(
            &both.referenced,
            format!("method `{method}` of `{resource}` has `http` and `operation`; keep one"),
        )),
        (None, None) => faults.push(Fault::without_place(format!(
            "method `{method}` of `{resource}` needs `http` or `operation`"
        ))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::{Bounds, read_value};

    const SMALL: &str =
        "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\nbase_url: local\n";

    fn message(text: &str) -> String {
        Connector::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_has_its_line() {
        let text = format!("{SMALL}resources:\n  pots:\n    methods:\n      list: {{ htp: x }}\n");
        let fault = message(&text);
        assert!(fault.starts_with("line 9"), "{fault}");
        assert!(fault.contains("htp"), "{fault}");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let text = SMALL
            .replace("slug: tea", "slug: 'te a'")
            .replace("tool_prefix: tea", "tool_prefix: ''");
        let text = format!(
            "{text}resources: {{ pots: {{ methods: {{ read: {{ http: GET /pots }} }} }} }}\n"
        );
        let Faults(faults) = Connector::parse(&text).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(faults[0].line, Some(1));
        assert_eq!(faults[1].line, Some(3));
    }

    #[test]
    fn http_and_operation_exclude_each_other() {
        let both = format!(
            "{SMALL}resources: {{ pots: {{ methods: {{ list: {{ http: GET /pots, operation: pots }} }} }} }}"
        );
        assert!(message(&both).contains("keep one"));
        let none = format!("{SMALL}resources: {{ pots: {{ methods: {{ list: {{}} }} }} }}");
        assert!(message(&none).contains("needs `http` or `operation`"));
    }

    #[test]
    fn a_file_says_what_it_says_in_a_body() {
        let fixed = "{ country: NO, notify: off, axis: y, all: true, count: 7 }";
        let text = format!(
            "{SMALL}resources: {{ pots: {{ methods: {{ list: {{ http: GET /pots, fixed: {fixed} }} }} }} }}"
        );
        let of_file = Connector::parse(&text).unwrap();
        let of_file = json!(of_file.file().resources["pots"].methods["list"].fixed);
        let said =
            json!({ "country": "NO", "notify": "off", "axis": "y", "all": true, "count": 7 });
        assert_eq!(of_file, said);
        let of_body = read_value(text.as_bytes(), &Bounds::OWN).unwrap();
        assert_eq!(
            of_body["resources"]["pots"]["methods"]["list"]["fixed"],
            said
        );
    }

    #[test]
    fn aliases_are_not_followed() {
        let text = format!(
            "{SMALL}resources: &r {{ pots: {{ methods: {{ list: {{ http: GET /p }} }} }} }}\ncategory: *r\n"
        );
        assert!(Connector::parse(&text).is_err());
    }
}
