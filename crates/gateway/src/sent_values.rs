//! What a connector's file sends with every call, as headers, in the query or beside a credential, and has
//! text of its own: it may be a key, so that it is kept sealed beside the file, and shown to nobody.

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
/// The member that says where a credential goes, of a file and of each of its formats, and the places in it of
/// such values.
const AUTHORIZATION: &str = "authorization";
const AUTHORIZING: [&str; 5] = [
    "header/value",
    "query/value",
    "basic/username",
    "basic/password",
    "bearer",
];
/// What is shown in their place, and sent back for what stays.
pub(crate) const HIDDEN: &str = "***";

/// Values by member and name; of what authorizes, by the place in the file.
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
        let mut authorizing = Map::new();
        for place in authorizing_places(file) {
            if let Some(value) = at(file, &place).filter(|value| has_own_text(value)) {
                authorizing.insert(place, std::mem::replace(value, HIDDEN.into()));
            }
        }
        if !authorizing.is_empty() {
            taken.insert(AUTHORIZATION.to_owned(), authorizing.into());
        }
        Self(taken)
    }

    /// Puts them back where their places were left.
    pub(crate) fn put_back(&self, file: &mut Map<String, Value>) {
        let authorizing = self.0.get(AUTHORIZATION).and_then(Value::as_object);
        for (place, known) in authorizing.into_iter().flatten() {
            if let Some(value) = at(file, place).filter(|value| **value == HIDDEN) {
                value.clone_from(known);
            }
        }
        for member in MEMBERS {
            let Some(known) = self.0.get(member) else {
                continue;
            };
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
pub(crate) fn left_hidden(file: &mut Map<String, Value>) -> Option<String> {
    let of_member = MEMBERS.into_iter().find_map(|member| {
        let values = file.get(member)?.as_object()?;
        let (name, _) = values.iter().find(|(_, value)| **value == HIDDEN)?;
        Some(format!("{member}.{name}"))
    });
    of_member.or_else(|| {
        let mut places = authorizing_places(file).into_iter();
        let place = places.find(|place| at(file, place).is_some_and(|value| *value == HIDDEN))?;
        Some(place.replace('/', "."))
    })
}

/// Where in a file something may stand beside a credential.
fn authorizing_places(file: &Map<String, Value>) -> Vec<String> {
    let formats = file.get("credentials").and_then(Value::as_object);
    let formats = formats.into_iter().flat_map(Map::keys);
    let of_formats = formats.map(|format| format!("credentials/{format}/{AUTHORIZATION}"));
    std::iter::once(AUTHORIZATION.to_owned())
        .chain(of_formats)
        .flat_map(|member| AUTHORIZING.map(|place| format!("{member}/{place}")))
        .collect()
}

/// The value at a place in a file.
fn at<'f>(file: &'f mut Map<String, Value>, place: &str) -> Option<&'f mut Value> {
    let mut names = place.split('/');
    let first = file.get_mut(names.next()?);
    names.try_fold(first?, |value, name| value.as_object_mut()?.get_mut(name))
}

/// Whether a value is more than what fills its holes.
fn has_own_text(value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        return !value.is_null();
    };
    Template::parse(text).map_or(true, |template| template.has_own_text() && text != HIDDEN)
}
