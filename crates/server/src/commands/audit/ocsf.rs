//! Events as the Open Cybersecurity Schema Framework has them: Authentication for who signs in, User Access
//! Management for roles, Account Change for credentials and people, API Activity for all else.

use claviger_domain::date;
use serde_json::{Value, json};

/// The version of the schema.
const VERSION: &str = "1.4.0";

const ACCOUNT_CHANGE: u64 = 3_001;
const AUTHENTICATION: u64 = 3_002;
const USER_ACCESS: u64 = 3_005;
const API_ACTIVITY: u64 = 6_003;

/// The number of what a class has no number for.
const OTHER: u64 = 99;

/// An event of the API as one of the schema; none where it has no time.
pub(super) fn event(event: &Value) -> Option<Value> {
    let text = |name: &str| event[name].as_str().unwrap_or("");
    let (subject, verb) = text("action").split_once('.').unwrap_or(("", ""));
    let time = date::parse(text("createdAt"))?.as_millis();
    let (class, activity, activity_name) = activity(subject, verb);
    let mut written = json!({
        "class_uid": class,
        "category_uid": class / 1_000,
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": class * 100 + activity,
        "time": time,
        "severity_id": 1,
        "status_id": 1,
        "message": format!("{} {}", text("action"), text("target")),
        "metadata": {
            "version": VERSION,
            "uid": event["id"],
            "log_name": "audit",
            "event_code": event["action"],
            "tenant_uid": event["accountId"],
            "product": {
                "name": "Claviger",
                "vendor_name": "Claviger",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "actor": actor(event),
        "unmapped": {
            "cursor": event["cursor"],
            "project_id": event["projectId"],
            "data": event["data"],
        },
    });
    let person = json!({"uid": event["target"], "type_id": 1, "type": "user"});
    match class {
        AUTHENTICATION => {
            written["user"] = person;
            written["service"] = json!({"name": "claviger"});
        }
        USER_ACCESS => {
            written["user"] = person;
            written["privileges"] = json!([event["data"]["role"]]);
            let (place, kind) = if event["projectId"].is_null() {
                (&event["accountId"], "account")
            } else {
                (&event["projectId"], "project")
            };
            written["resource"] = json!({"uid": place, "type": kind});
        }
        ACCOUNT_CHANGE if subject == "user" => written["user"] = person,
        ACCOUNT_CHANGE => {
            written["user"] = json!({"uid": event["target"], "type_id": OTHER, "type": subject});
        }
        _ => {
            written["api"] = json!({"operation": event["action"], "service": {"name": "claviger"}});
            written["src_endpoint"] = json!({"svc_name": door(event)});
            written["resources"] = json!([{"uid": event["target"], "type": subject}]);
        }
    }
    Some(written)
}

/// By which door whoever did it came.
fn door(event: &Value) -> &'static str {
    match event["via"].as_str() {
        None => "api",
        Some(via) if via.starts_with("lnk_") => "link",
        Some(_) => "mcp",
    }
}

fn actor(event: &Value) -> Value {
    let mut actor = json!({"app_name": "claviger"});
    if event["actorType"] != "SYSTEM" {
        // A key is no person, and the schema has no number for it.
        let type_id = if event["actorType"] == "USER" { 1 } else { 99 };
        actor["user"] =
            json!({"uid": event["actor"], "type_id": type_id, "type": event["actorType"]});
    }
    if event["via"].is_string() {
        actor["app_uid"] = event["via"].clone();
    }
    actor
}

/// What was done: the class, the number in it, and what that is called. What has no number is called as
/// it is here.
fn activity<'a>(subject: &str, verb: &'a str) -> (u64, u64, &'a str) {
    match (subject, verb) {
        ("user", "signedIn") => (AUTHENTICATION, 1, "Logon"),
        ("user", "signedOut") => (AUTHENTICATION, 2, "Logoff"),
        ("role", "granted") => (USER_ACCESS, 1, "Assign Privileges"),
        ("role", "removed") => (USER_ACCESS, 2, "Revoke Privileges"),
        ("user", "passwordChanged") => (ACCOUNT_CHANGE, 3, "Password Change"),
        ("access-key" | "operator-key" | "user" | "invitation", verb) => match verb {
            "created" | "signup" => (ACCOUNT_CHANGE, 1, "Create"),
            "reactivated" => (ACCOUNT_CHANGE, 2, "Enable"),
            "deleted" | "revoked" => (ACCOUNT_CHANGE, 5, "Disable"),
            other => (ACCOUNT_CHANGE, OTHER, other),
        },
        (_, "created") => (API_ACTIVITY, 1, "Create"),
        (_, "revealed") => (API_ACTIVITY, 2, "Read"),
        (_, "updated" | "reactivated" | "rotated") => (API_ACTIVITY, 3, "Update"),
        (_, "deleted" | "purged") => (API_ACTIVITY, 4, "Delete"),
        (_, other) => (API_ACTIVITY, OTHER, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(action: &str, actor: &str, kind: &str, via: Option<&str>) -> Value {
        json!({
            "id": "evt_1", "createdAt": "2030-01-01T00:00:00.123Z", "accountId": "acc_1",
            "projectId": "prj_1", "actor": actor, "actorType": kind, "via": via, "action": action,
            "target": "key_1", "data": {"name": "Acme", "role": "admin"}, "cursor": "0-7",
        })
    }

    /// The attributes that the published classes require, and those of which an object needs one.
    fn assert_is_valid(event: &Value) {
        let is_number = |value: &Value| value.is_u64() || value.is_i64();
        for name in [
            "activity_id",
            "category_uid",
            "class_uid",
            "severity_id",
            "time",
            "type_uid",
        ] {
            assert!(is_number(&event[name]), "{name}: {event}");
        }
        let class = event["class_uid"].as_u64().unwrap();
        assert_eq!(event["category_uid"], class / 1_000);
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], class * 100 + activity);
        let metadata = &event["metadata"];
        assert!(metadata["version"].is_string() && metadata["product"]["vendor_name"].is_string());
        let has_one = |object: &Value, names: &[&str]| {
            let found = names.iter().any(|name| !object[*name].is_null());
            assert!(found, "none of {names:?} in {object}");
        };
        has_one(
            &event["actor"],
            &[
                "process",
                "user",
                "invoked_by",
                "session",
                "app_name",
                "app_uid",
            ],
        );
        match class {
            ACCOUNT_CHANGE => {
                has_one(&event["user"], &["account", "name", "uid"]);
                assert!([1, 2, 3, 5, 6, 99].contains(&activity), "{event}");
            }
            AUTHENTICATION => {
                has_one(&event["user"], &["account", "name", "uid"]);
                has_one(event, &["service", "dst_endpoint"]);
                assert!([1, 2].contains(&activity), "{event}");
            }
            USER_ACCESS => {
                has_one(&event["user"], &["account", "name", "uid"]);
                assert!(event["privileges"][0].is_string(), "{event}");
                assert!([1, 2].contains(&activity), "{event}");
            }
            API_ACTIVITY => {
                assert!(event["api"]["operation"].is_string());
                has_one(
                    &event["src_endpoint"],
                    &["ip", "uid", "name", "hostname", "svc_name"],
                );
                assert!([1, 2, 3, 4, 99].contains(&activity), "{event}");
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_happens_has_the_class_and_the_number_that_rules_look_for() {
        for (action, class, activity) in [
            ("user.signedIn", AUTHENTICATION, 1),
            ("user.signedOut", AUTHENTICATION, 2),
            ("role.granted", USER_ACCESS, 1),
            ("role.removed", USER_ACCESS, 2),
            ("user.signup", ACCOUNT_CHANGE, 1),
            ("user.passwordChanged", ACCOUNT_CHANGE, 3),
            ("user.emailVerified", ACCOUNT_CHANGE, 99),
            ("invitation.accepted", ACCOUNT_CHANGE, 99),
            ("webhook.secretRotated", API_ACTIVITY, 99),
            ("api-key.created", API_ACTIVITY, 1),
            ("api-keys.revealed", API_ACTIVITY, 2),
            ("api-key.rotated", API_ACTIVITY, 3),
            ("api-key.deleted", API_ACTIVITY, 4),
            ("api-key.firstUsed", API_ACTIVITY, 99),
            ("mcp-server.created", API_ACTIVITY, 1),
            ("access-key.created", ACCOUNT_CHANGE, 1),
            ("access-key.reactivated", ACCOUNT_CHANGE, 2),
            ("access-key.deleted", ACCOUNT_CHANGE, 5),
            ("operator-key.revoked", ACCOUNT_CHANGE, 5),
            ("access-key.rotated", ACCOUNT_CHANGE, 99),
            ("instance.restored", API_ACTIVITY, 99),
        ] {
            let written = event(&audit(action, "ack_1", "ACCESS_KEY", None)).unwrap();
            assert_is_valid(&written);
            let found = (&written["class_uid"], &written["activity_id"]);
            assert_eq!(found, (&json!(class), &json!(activity)), "{action}");
            if activity == 99 {
                let verb = action.split_once('.').unwrap().1;
                assert_eq!(written["activity_name"], verb);
            }
            assert_eq!(written["unmapped"]["cursor"], "0-7");
            assert_eq!(written["time"], 1_893_456_000_123_i64);
        }
    }

    #[test]
    fn who_did_it_is_a_user_an_agent_or_the_program() {
        let of = |actor, kind, via| {
            let written = event(&audit("api-key.updated", actor, kind, via)).unwrap();
            assert_is_valid(&written);
            written["actor"].clone()
        };
        let system = of("system", "SYSTEM", None);
        assert_eq!(system, json!({"app_name": "claviger"}));
        let person = of("usr_1", "USER", None);
        assert_eq!(
            person["user"],
            json!({"uid": "usr_1", "type_id": 1, "type": "USER"})
        );
        let agent = of("ack_1", "ACCESS_KEY", Some("mcp_1"));
        assert_eq!(
            (&agent["app_uid"], &agent["user"]["type_id"]),
            (&json!("mcp_1"), &json!(99))
        );
    }

    #[test]
    fn what_a_customer_does_by_a_link_came_by_another_door() {
        for (via, door) in [
            (None, "api"),
            (Some("mcp_1"), "mcp"),
            (Some("lnk_1"), "link"),
        ] {
            let audit = audit("connected-account.created", "ack_1", "ACCESS_KEY", via);
            let written = event(&audit).unwrap();
            assert_is_valid(&written);
            assert_eq!(written["src_endpoint"]["svc_name"], door);
        }
    }

    #[test]
    fn an_event_without_a_time_is_none() {
        assert_eq!(event(&json!({"action": "api-key.created"})), None);
    }
}
