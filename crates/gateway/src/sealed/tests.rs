use super::*;

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[test]
fn a_handle_opens_only_where_it_was_made_and_for_fifteen_minutes() {
    let key = HandleKey::new([1; 32]);
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let content = Content {
        resource: "api_keys".to_owned(),
        method: "create".to_owned(),
        field: "key".to_owned(),
        expires_at: now.plus_seconds(SECONDS).as_micros(),
        secret: "live_secret".to_owned(),
    };
    let (account, elsewhere) = (Id::from_trusted("acc_one"), Id::from_trusted("acc_two"));
    let (connected, beside) = (Id::from_trusted("cac_one"), Id::from_trusted("cac_two"));
    let server = Id::from_suffix(&"A".repeat(20));
    let other = Id::from_suffix(&"B".repeat(20));
    let own = Bound {
        account: &account,
        connected: &connected,
        server: &server,
    };
    let handle = key.seal(own, &content, &Sevens);
    assert!(handle.starts_with(PREFIX) && !handle.contains("live_secret"));
    assert_eq!(server_of(&handle), Some(server.clone()));
    let opened = key.open(own, &handle, now).unwrap();
    assert_eq!(opened.plain.expose(), "live_secret");
    assert_eq!(opened.field, "api_keys.create.key");

    let at = |seconds| key.open(own, &handle, now.plus_seconds(seconds));
    assert!(at(SECONDS - 1).is_some() && at(SECONDS).is_none());
    for foreign in [
        Bound {
            server: &other,
            ..own
        },
        Bound {
            connected: &beside,
            ..own
        },
        Bound {
            account: &elsewhere,
            ..own
        },
    ] {
        assert!(key.open(foreign, &handle, now).is_none());
    }
    let of_another_program = HandleKey::new([2; 32]);
    assert!(of_another_program.open(own, &handle, now).is_none());
    for broken in [
        "",
        "sealed_mcp_x",
        "sealed_mcp_x.AAAA",
        &handle[..handle.len() - 1],
    ] {
        assert!(key.open(own, broken, now).is_none(), "{broken}");
    }
}
