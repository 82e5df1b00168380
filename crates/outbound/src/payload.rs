//! What a delivery says.

use bytes::Bytes;
use claviger_domain::plain_text;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::Format;
use claviger_store::webhook_deliveries::Due;
use serde::Serialize;
use serde_json::{Value, json};

/// An event as receivers read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload<'a> {
    pub(crate) id: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) account_id: &'a str,
    pub(crate) project_id: Option<&'a str>,
    pub(crate) data: Value,
}

impl<'a> Payload<'a> {
    /// The event of a delivery. Events have no secrets in them: the trail is written without.
    pub(crate) fn of(due: &'a Due) -> Self {
        let mut data = json!({"id": due.target});
        if let (Value::Object(data), Ok(Value::Object(more))) =
            (&mut data, serde_json::from_str(&due.data))
        {
            data.extend(more);
        }
        Self {
            id: &due.event_id,
            topic: &due.topic,
            created_at: due.at,
            account_id: &due.account_id,
            project_id: due.project_id.as_deref(),
            data,
        }
    }

    /// The body.
    pub(crate) fn body(&self, format: Format) -> Bytes {
        let text = match format {
            Format::Standard => serde_json::to_string(self),
            Format::Slack => serde_json::to_string(&json!({"text": self.as_text()})),
        };
        text.expect("texts are JSON").into()
    }

    /// One line, in which names of others act as nothing but text.
    fn as_text(&self) -> String {
        let target = self.data["id"].as_str().unwrap_or_default();
        let name = self.data["name"].as_str();
        let name = name.map_or(String::new(), |name| format!(" ({})", inert(name)));
        let project = self.project_id.filter(|project| *project != target);
        let project = project.map_or(String::new(), |project| format!(" in {project}"));
        format!("{} {target}{name}{project}", self.topic)
    }
}

/// Slack reads `<…>` as links and mentions, and `&` as the beginning of an entity.
fn inert(name: &str) -> String {
    let name = plain_text::clean(name).replace('\n', " ");
    let name = name.replace('&', "&amp;").replace('<', "&lt;");
    name.replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_mention_in_a_chat() {
        let payload = Payload {
            id: "evt_1",
            topic: "api-key.created",
            created_at: Timestamp::from_micros(0),
            account_id: "acc_1",
            project_id: Some("prj_1"),
            data: json!({"id": "key_1", "name": "<!channel>\n&co\u{202e}"}),
        };
        let body = payload.body(Format::Slack);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body["text"],
            "api-key.created key_1 (&lt;!channel&gt; &amp;co) in prj_1"
        );
    }
}
