//! Templates: texts with holes that are filled from what a connected account and a call have. A hole is
//! `{{root.path}}`, with `|` alternatives and a `?:` default. What fills one is never read as a template.

use std::fmt;

use serde_json::Value;

/// Where a hole's value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// What a connected account was made with and is no secret.
    Context,
    /// Its secrets.
    Credentials,
    /// The arguments of a call that go to its query.
    Query,
    /// The arguments that go to its body.
    Body,
    /// The id of what the call is about.
    Id,
}

impl Root {
    /// Its name in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Credentials => "credentials",
            Self::Query => "query",
            Self::Body => "body",
            Self::Id => "id",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Context,
            Self::Credentials,
            Self::Query,
            Self::Body,
            Self::Id,
        ];
        all.into_iter().find(|root| root.as_str() == name)
    }
}

/// A value by its name: `context.region`, `body.owner.name`, `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is from.
    pub root: Root,
    /// The names of members from there on.
    pub path: Vec<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root.as_str())?;
        self.path.iter().try_for_each(|step| write!(f, ".{step}"))
    }
}

/// A text with holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Hole(Hole),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hole {
    alternatives: Vec<Reference>,
    default: Option<String>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// A hole has no end.
    #[error("`{{{{` has no `}}}}`")]
    Open,
    /// A hole names nothing that there is.
    #[error(
        "`{0}` names no value; there are context.NAME, credentials.NAME, query.NAME, body.NAME and id"
    )]
    Reference(String),
}

/// A hole that nothing fills.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no value")]
pub struct Unresolved(pub String);

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or(TemplateFault::Open)?;
            if !before.is_empty() {
                parts.push(Part::Fixed(before.to_owned()));
            }
            parts.push(Part::Hole(Hole::parse(inside)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Fixed(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// A template that is one value.
    pub fn of(root: Root, name: &str) -> Self {
        let reference = Reference {
            root,
            path: vec![name.to_owned()],
        };
        Self(vec![Part::Hole(Hole {
            alternatives: vec![reference],
            default: None,
        })])
    }

    /// All values that it may need.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().flat_map(|part| match part {
            Part::Fixed(_) => [].iter(),
            Part::Hole(hole) => hole.alternatives.iter(),
        })
    }

    /// Its text without what is in the holes.
    pub fn fixed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Fixed(text) => Some(text.as_str()),
            Part::Hole(_) => None,
        })
    }

    /// The defaults of its holes.
    pub fn defaults(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Fixed(_) => None,
            Part::Hole(hole) => hole.default.as_deref(),
        })
    }

    /// Whether it is more than what fills its holes.
    pub fn has_own_text(&self) -> bool {
        self.fixed().any(|text| !text.is_empty()) || self.defaults().next().is_some()
    }

    /// What lies before the first `at` that is in no hole, and what lies from there on.
    pub fn split_before(mut self, at: char) -> (Self, Self) {
        let found = self
            .0
            .iter()
            .enumerate()
            .find_map(|(index, part)| match part {
                Part::Fixed(text) => text
                    .find(at)
                    .map(|place| (index, text[..place].to_owned(), text[place..].to_owned())),
                Part::Hole(_) => None,
            });
        let Some((index, before, from)) = found else {
            return (self, Self::default());
        };
        let mut rest = self.0.split_off(index);
        rest[0] = Part::Fixed(from);
        if !before.is_empty() {
            self.0.push(Part::Fixed(before));
        }
        (self, Self(rest))
    }

    /// The text behind its last hole; none where it has no holes.
    pub fn tail(&self) -> Option<&str> {
        match self.0.as_slice() {
            [.., Part::Hole(_)] => Some(""),
            [.., Part::Hole(_), Part::Fixed(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is one hole and nothing else.
    pub fn is_one_hole(&self) -> bool {
        matches!(self.0.as_slice(), [Part::Hole(_)])
    }

    /// The text with each hole filled by the first of its alternatives that has a value.
    pub fn fill(
        &self,
        value_of: impl Fn(&Reference) -> Option<String>,
    ) -> Result<String, Unresolved> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Fixed(text) => filled.push_str(text),
                Part::Hole(hole) => filled.push_str(&hole.fill(&value_of)?),
            }
        }
        Ok(filled)
    }
}

impl Hole {
    fn parse(inside: &str) -> Result<Self, TemplateFault> {
        let (names, default) = match inside.split_once("?:") {
            Some((names, default)) => (names, Some(default.trim().to_owned())),
            None => (inside, None),
        };
        let alternatives = names.split('|').map(|name| {
            let name = name.trim();
            reference(name).ok_or_else(|| TemplateFault::Reference(name.to_owned()))
        });
        Ok(Self {
            alternatives: alternatives.collect::<Result<_, _>>()?,
            default,
        })
    }

    fn fill(&self, value_of: impl Fn(&Reference) -> Option<String>) -> Result<String, Unresolved> {
        let value = self.alternatives.iter().find_map(value_of);
        value.or_else(|| self.default.clone()).ok_or_else(|| {
            let names: Vec<_> = self.alternatives.iter().map(ToString::to_string).collect();
            Unresolved(names.join(" | "))
        })
    }
}

fn reference(name: &str) -> Option<Reference> {
    let mut steps = name.split('.');
    let root = Root::named(steps.next()?)?;
    let path: Vec<String> = steps.map(str::to_owned).collect();
    let is_name = |step: &String| {
        let mut bytes = step.bytes();
        !step.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let is_whole = (root == Root::Id) == path.is_empty();
    (is_whole && path.iter().all(is_name)).then_some(Reference { root, path })
}

/// A value as it stands in a text; objects and lists stand in none, and null is no value.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
