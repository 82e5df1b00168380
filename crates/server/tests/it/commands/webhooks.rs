//! `claviger webhooks`.

use std::fs;

use serde_json::json;

use super::{Place, refused};

#[test]
fn a_webhook_is_made_changed_tried_and_deleted() {
    let place = Place::new();
    // A name that nobody has: nothing is sent anywhere.
    let url = "https://webhooks.invalid/hooks";
    let create = ["webhooks", "create", url, "--topic", "api-key.created"];
    let secret = place.printed(&[&create[..], &["--quiet", "--paused"]].concat());
    assert!(
        secret.starts_with("whsec_") && secret.lines().count() == 1,
        "{secret}"
    );
    let listed = place.json(&["webhooks", "list", "--topic", "api-key.created"]);
    let id = listed[0]["id"].as_str().unwrap();
    let table = place.printed(&["webhooks", "list"]);
    assert!(table.contains(url) && table.contains("paused"), "{table}");
    assert!(!table.contains("whsec_"));

    fs::write(
        place.path().join("headers"),
        "authorization: Bearer canary\n",
    )
    .unwrap();
    let update = [
        "webhooks",
        "update",
        id,
        "--name",
        "Billing",
        "--headers-file",
        "headers",
    ];
    let updated = place.printed(&update);
    assert!(
        updated.contains("Billing") && updated.contains("authorization"),
        "{updated}"
    );
    assert!(!updated.contains("canary"));
    let elsewhere = "https://webhooks.invalid/elsewhere";
    let moved = ["webhooks", "update", id, "--receiver", elsewhere];
    assert!(refused(&place.run(&moved), 1).contains("customHeaders"));
    let bare = place.json(&[&moved[..], &["--no-headers"]].concat());
    assert_eq!(
        (&bare["url"], &bare["customHeaders"]),
        (&elsewhere.into(), &json!({}))
    );
    assert_eq!(place.json(&["webhooks", "resume", id])["status"], "live");
    assert_eq!(place.json(&["webhooks", "pause", id])["status"], "paused");

    let pinged = place.run(&["webhooks", "ping", id]);
    assert_eq!(refused(&pinged, 1), "");
    let said = String::from_utf8(pinged.stdout).unwrap();
    assert!(said.contains("unreachable"), "{said}");

    let rotate = ["webhooks", "rotate-secret", id];
    let next = place.json(&rotate);
    assert_ne!(next["secret"], secret.trim());
    place.printed(&rotate);
    assert!(refused(&place.run(&rotate), 1).contains("twice within a day"));
    let unasked = place.run(&[&rotate[..], &["--revoke-previous"]].concat());
    assert!(refused(&unasked, 2).contains("--yes"));
    place.printed(&[&rotate[..], &["--revoke-previous", "--yes"]].concat());

    assert!(refused(&place.run(&["webhooks", "delete", id]), 2).contains("--yes"));
    place.printed(&["webhooks", "delete", id, "--yes"]);
    let gone = refused(&place.run(&["webhooks", "show", id]), 1);
    assert_eq!(gone, "claviger: Webhook not found\n");
}

#[test]
fn deliveries_are_listed_and_sent_again() {
    let place = Place::new();
    let create = [
        "webhooks",
        "create",
        "https://webhooks.invalid/",
        "--topic",
        "api-key.created",
    ];
    let made = place.json(&create);
    let id = made["id"].as_str().unwrap();
    place.printed(&["keys", "create", "Acme", "--quiet"]);
    let list = ["webhooks", "deliveries", id];
    let first = || place.json(&list)[0].clone();
    let mut delivery = first();
    while delivery["attempts"][0].is_null() {
        delivery = first();
    }
    let table = place.printed(&list);
    assert!(
        table.contains("unreachable") && table.contains("waiting"),
        "{table}"
    );
    let of_it = delivery["id"].as_str().unwrap();
    let again = place.printed(&["webhooks", "replay", id, of_it]);
    assert!(again.contains("waiting"), "{again}");
    let none = place.printed(&["webhooks", "replay", id, "--from", "2020-01-01"]);
    assert_eq!(none, "0 are sent again.\n");
    let unsaid = place.run(&["webhooks", "replay", id]);
    assert_eq!(unsaid.status.code(), Some(2));
}
