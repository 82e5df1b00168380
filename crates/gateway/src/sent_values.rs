//! What a connector's file sends with every call, as headers and in the query, and has text of its own: it
//! may be a key, so that it is kept sealed beside the file, and shown to nobody.

use claviger_domain::id::{self, Id};
use claviger_edge::{ApiError, Core};
use claviger_store::StoreError;
use claviger_store::connectors::Texts;
use claviger_store::sealing::Purpose;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use crate::connector::template::Template;

/// The members of a file that hold such values by name.
const MEMBERS: [&str; 2] = ["headers", "query"];
/// What is shown in their place, and sent back for what stays.
pub(crate) const HIDDEN: &str = "***";

/// Values by member and name.
#[derive(Default)]
pub(crate) struct SentValues(Map<String, Value>);

impl SentValues {
    /// Takes them out of a file.
    pub(crate) fn take_out(file: &mut Map<String, Value>) -> Self {
        let mut taken = Map::new();
        for member in MEMBERS {
            let Some(Value::Object(values)) = file.get_mut(member) else {
                continue;
            };
            let hidden = values.iter_mut().filter(|(_, value)| has_own_text(value));
            let of_member: Map<_, _> = hidden
                .map(|(name, value)| (name.clone(), std::mem::replace(value, HIDDEN.into())))
                .collect();
            if !of_member.is_empty() {
                taken.insert(member.to_owned(), of_member.into());
            }
        }
        Self(taken)
    }

    /// Puts them back where their places were left.
    pub(crate) fn put_back(&self, file: &mut Map<String, Value>) {
        for (member, known) in &self.0 {
            let Some(Value::Object(values)) = file.get_mut(member) else {
                continue;
            };
            for (name, value) in values.iter_mut().filter(|(_, value)| **value == HIDDEN) {
                if let Some(known) = known.get(name) {
                    value.clone_from(known);
                }
            }
        }
    }

    /// Seals them for a connector; nothing where there are none.
    pub(crate) fn seal(&self, core: &Core, connector: &Id<id::Connector>) -> Option<Vec<u8>> {
        let plain = (!self.0.is_empty()).then(|| Value::Object(self.0.clone()).to_string())?;
        let (sealing, random) = (&core.sealing, &*core.random);
        let subject = connector.as_str();
        Some(sealing.seal(Purpose::Connectors, subject, plain.as_bytes(), random))
    }

    /// Opens those of a stored connector.
    pub(crate) fn open(
        core: &Core,
        connector: &Id<id::Connector>,
        texts: &Texts,
    ) -> Result<Self, ApiError> {
        let Some(sealed) = &texts.sealed_values else {
            return Ok(Self::default());
        };
        let subject = connector.as_str();
        let opened = core.sealing.open(Purpose::Connectors, subject, sealed)?;
        let read = serde_json::from_slice(opened.expose_secret());
        Ok(Self(read.map_err(|_| StoreError::Row {
            table: "connectors",
            what: "sealed_values",
        })?))
    }
}

/// The names of values in a file whose places are empty, such as `headers.x-key`.
pub(crate) fn left_hidden(file: &Map<String, Value>) -> Option<String> {
    MEMBERS.into_iter().find_map(|member| {
        let values = file.get(member)?.as_object()?;
        let (name, _) = values.iter().find(|(_, value)| **value == HIDDEN)?;
        Some(format!("{member}.{name}"))
    })
}

/// Whether a value is more than what fills its holes.
fn has_own_text(value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        return !value.is_null();
    };
    Template::parse(text).map_or(true, |template| template.has_own_text() && text != HIDDEN)
}
