//! What is mailed to people, and what they do with it.

use claviger_domain::role::Role;
use claviger_testkit::{Mail, Person, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn post(app: &TestApp, path: &str, body: Value) -> TestResponse {
    app.request("POST", path).json(body).send().await
}

/// The one mail that was sent since so many.
async fn next_mail(app: &TestApp, before: usize) -> Mail {
    let mails = app.mails().await;
    assert_eq!(mails.len(), before + 1, "one mail was sent");
    mails
        .into_iter()
        .max_by_key(|mail| mail.order.clone())
        .expect("one was sent")
}

async fn validate(app: &TestApp, body: Value) -> TestResponse {
    post(app, "/auth/validate-login-code", body).await
}

on_both_engines!(an_invitation_says_who_invites, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Owner).await;
    let body = |email: &str| json!({"email": email, "role": "viewer"});
    let by_key = app.request("POST", "/invitations").key(tenant.owner());
    let by_key = by_key.json(body("ada@example.com")).send().await;
    by_key.expect(201);
    let said = next_mail(&app, 0).await.text;
    assert!(
        said.contains("by a program that has a key for it."),
        "{said}"
    );
    let by_person = app.request("POST", "/invitations").bearer(&person.access);
    let by_person = by_person.json(body("bob@example.com")).send().await;
    by_person.expect(201);
    let said = next_mail(&app, 1).await.text;
    let by = format!("by owner ({}).", person.email);
    assert!(said.contains(&by), "{said}");
    // Also of a customer's account that they made.
    let tenants = app.request("POST", "/tenants").bearer(&person.access);
    let body = json!({"externalId": "1", "invite": {"email": "eve@example.com"}});
    tenants.json(body).send().await.expect(201);
    let said = next_mail(&app, 2).await.text;
    assert!(said.contains(&by), "{said}");
});

on_both_engines!(
    a_code_goes_to_the_spelling_that_signed_up_whoever_asks,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let spelt = person.email.to_uppercase();
        assert_ne!(spelt, person.email);
        for (place, path) in ["/auth/email-otc", "/auth/password-reset"]
            .into_iter()
            .enumerate()
        {
            post(&app, path, json!({"email": spelt})).await.expect(201);
            assert_eq!(next_mail(&app, place).await.to, person.email);
        }
    }
);

on_both_engines!(an_invitation_is_mailed_and_its_link_signs_up, async |app| {
    let tenant = app.tenant("Acme & Söhne").await;
    let invite = app.request("POST", "/invitations").key(tenant.owner());
    let body = json!({"email": "ada@example.com", "role": "viewer"});
    let made = invite.json(body).send().await.expect(201);
    assert_eq!(made["mail"], "queued");
    assert!(made.get("link").is_none());
    let show = async || {
        let path = format!("/invitations/{}", made["id"].as_str().unwrap());
        app.request("GET", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200)
    };
    assert_eq!(
        (&show().await["mail"], &show().await["sentAt"]),
        (&"queued".into(), &Value::Null)
    );
    app.advance(5);
    let mail = next_mail(&app, 0).await;
    assert_eq!(mail.to, "ada@example.com");
    let shown = show().await;
    assert_eq!(shown["mail"], "sent");
    assert_ne!(shown["sentAt"], shown["createdAt"]);
    assert!(
        mail.text
            .contains("https://keys.example.com/accept-invitation?token=invite_")
    );
    let body = json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada",
        "invitationId": mail.token()});
    let joined = post(&app, "/auth/signup", body).await.expect(201);
    let projects = app
        .request("GET", "/projects")
        .bearer(joined["access_token"].as_str().unwrap());
    assert_eq!(
        projects.send().await.expect(200)[0]["id"],
        tenant.project.id.as_str()
    );
    // It is sent once, and what it said is gone.
    assert_eq!(app.mails().await.len(), 1);
});

on_both_engines!(a_mailed_code_signs_in_once, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let asked = post(&app, "/auth/email-otc", json!({"email": person.email})).await;
    assert_eq!(asked.expect(201), json!({}));
    let mail = next_mail(&app, 0).await;
    assert_eq!(mail.to, person.email);
    let (digits, token) = (mail.digits(), mail.token());
    // Digits alone are nobody's; with another address they are wrong.
    validate(&app, json!({"code": digits})).await.expect(401);
    let other = json!({"code": digits, "email": "nobody@example.com"});
    validate(&app, other).await.expect(401);
    let signed_in = validate(&app, json!({"code": digits, "email": person.email})).await;
    assert_eq!(signed_in.header("cache-control"), "no-store");
    let signed_in = signed_in.expect(201);
    assert_eq!(signed_in["user"]["id"], person.id.as_str());
    // Once, by whichever of the two.
    validate(&app, json!({"code": digits, "email": person.email}))
        .await
        .expect(401);
    validate(&app, json!({"code": token})).await.expect(401);
});

on_both_engines!(
    a_mailed_link_signs_in_once_and_for_ten_minutes,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        for (before, seconds) in [(0, 600), (1, 599)] {
            post(&app, "/auth/email-otc", json!({"email": person.email}))
                .await
                .expect(201);
            let mail = next_mail(&app, before).await;
            app.advance(seconds);
            let code = json!({"code": mail.token()});
            if seconds == 600 {
                validate(&app, code).await.expect(401);
            } else {
                validate(&app, code.clone()).await.expect(201);
                validate(&app, code).await.expect(401);
            }
        }
    }
);

on_both_engines!(
    signing_in_by_mail_shows_that_the_address_is_theirs,
    async |app| {
        let body = json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada"});
        let made = post(&app, "/auth/signup", body).await.expect(201);
        assert_eq!(made["user"]["isEmailVerified"], false);
        post(&app, "/auth/email-otc", json!({"email": "Ada@example.com"}))
            .await
            .expect(201);
        let mail = next_mail(&app, 0).await;
        let signed_in = validate(&app, json!({"code": mail.token()}))
            .await
            .expect(201);
        assert_eq!(signed_in["user"]["isEmailVerified"], true);
        // Whoever chose the password before may have been somebody else.
        let body = json!({"email": "ada@example.com", "password": "correct horse"});
        post(&app, "/auth/login", body).await.expect(401);
        let before = made["access_token"].as_str().unwrap();
        let me = app.request("GET", "/users/me").bearer(before).send().await;
        me.expect(401);
        let create = app
            .request("POST", "/accounts")
            .bearer(signed_in["access_token"].as_str().unwrap());
        create
            .json(json!({"name": "Another"}))
            .send()
            .await
            .expect(201);
    }
);

#[tokio::test]
async fn who_asks_for_a_mail_does_not_learn_who_signed_up() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    for path in ["/auth/email-otc", "/auth/password-reset"] {
        let known = post(&app, path, json!({"email": person.email})).await;
        let unknown = post(&app, path, json!({"email": "nobody@example.com"})).await;
        assert_eq!(known.expect(201), unknown.expect(201));
    }
    // Only whoever signed up gets any.
    let mails = app.mails().await;
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| mail.to == person.email));
    for _ in 0..9 {
        let body = json!({"email": "nobody@example.com"});
        post(&app, "/auth/email-otc", body).await;
    }
    let body = json!({"email": "nobody@example.com"});
    post(&app, "/auth/email-otc", body).await.expect(429);
}

on_both_engines!(
    sixty_four_wrong_codes_in_parallel_then_a_new_code_at_most_5_are_tried_and_none_anew,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let ask = async || {
            let body = json!({"email": person.email});
            post(&app, "/auth/email-otc", body).await.expect(201);
        };
        let from = |place: u8| std::net::SocketAddr::from(([192, 0, 2, place], 1));
        let guess = async |place: u8, code: &str| {
            let body = json!({"email": person.email, "code": code});
            let request = app.request("POST", "/auth/validate-login-code");
            request
                .from(from(place))
                .json(body)
                .send()
                .await
                .status
                .as_u16()
        };
        ask().await;
        let first = next_mail(&app, 0).await;
        let wrong = if first.digits() == "00000000" {
            "11111111"
        } else {
            "00000000"
        };
        let all = futures::future::join_all((0..64).map(|place| guess(place, wrong))).await;
        let looked_at = all.iter().filter(|status| **status == 401).count();
        assert_eq!(looked_at, 10, "{all:?}");
        assert!(all.iter().all(|status| [401, 429].contains(status)));
        // The code is dead after five of them, and so is, for the hour, every other of the address.
        assert_eq!(guess(100, first.digits()).await, 429);
        ask().await;
        let second = next_mail(&app, 1).await;
        assert_eq!(guess(101, second.digits()).await, 429);
        // The link is no guess.
        validate(&app, json!({"code": second.token()}))
            .await
            .expect(201);
        app.advance(3_600);
        ask().await;
        let third = next_mail(&app, 2).await;
        for place in 110..114 {
            assert_eq!(guess(place, wrong).await, 401);
        }
        assert_eq!(guess(120, third.digits()).await, 201);
    }
);

on_both_engines!(one_code_takes_five_wrong_digits, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    post(&app, "/auth/email-otc", json!({"email": person.email}))
        .await
        .expect(201);
    let mail = next_mail(&app, 0).await;
    let wrong = if mail.digits() == "00000000" {
        "11111111"
    } else {
        "00000000"
    };
    for _ in 0..5 {
        validate(&app, json!({"email": person.email, "code": wrong}))
            .await
            .expect(401);
    }
    let right = json!({"email": person.email, "code": mail.digits()});
    validate(&app, right).await.expect(401);
});

on_both_engines!(a_forgotten_password_is_reset_by_mail, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    post(&app, "/auth/password-reset", json!({"email": person.email}))
        .await
        .expect(201);
    let mail = next_mail(&app, 0).await;
    let reset = async |token: &str, password: &str| {
        let body = json!({"token": token, "newPassword": password});
        post(&app, "/auth/password-reset", body).await
    };
    // A link to one end is none to another.
    validate(&app, json!({"code": mail.token()}))
        .await
        .expect(401);
    reset("reset_no", "another horse").await.expect(401);
    let refused = reset(mail.token(), "short").await.expect(400);
    assert_eq!(refused["details"][0]["field"], "newPassword");
    reset(mail.token(), "another horse").await.expect(201);
    reset(mail.token(), "yet another").await.expect(401);
    app.request("GET", "/users/me")
        .bearer(&person.access)
        .send()
        .await
        .expect(401);
    let log_in = async |password: &str| {
        let body = json!({"email": person.email, "password": password});
        post(&app, "/auth/login", body).await
    };
    log_in(Person::PASSWORD).await.expect(401);
    log_in("another horse").await.expect(201);
});

on_both_engines!(
    a_code_or_a_link_is_good_once_among_many_at_once,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let statuses = async |all: Vec<TestResponse>| {
            let mut statuses: Vec<_> = all.iter().map(|one| one.status.as_u16()).collect();
            statuses.sort_unstable();
            statuses
        };
        let once = [vec![201], vec![401; 7]].concat();
        for (before, path) in [(0, "/auth/email-otc"), (1, "/auth/email-otc")] {
            post(&app, path, json!({"email": person.email}))
                .await
                .expect(201);
            let mail = next_mail(&app, before).await;
            let body = if before == 0 {
                json!({"code": mail.digits(), "email": person.email})
            } else {
                json!({"code": mail.token()})
            };
            let all = (0..8).map(|_| validate(&app, body.clone()));
            let all = futures::future::join_all(all).await;
            assert_eq!(statuses(all).await, once, "{before}");
        }
        post(&app, "/auth/password-reset", json!({"email": person.email}))
            .await
            .expect(201);
        let mail = next_mail(&app, 2).await;
        let all = (0..8).map(|number| {
            let password = format!("another horse {number}");
            let body = json!({"token": mail.token(), "newPassword": password});
            post(&app, "/auth/password-reset", body)
        });
        let all = futures::future::join_all(all).await;
        assert_eq!(statuses(all).await, once);
    }
);

#[tokio::test]
async fn a_wrong_code_looks_alike_whoever_has_the_address() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let refused = async |email: &str, code: &str| {
        let body = json!({"email": email, "code": code});
        let answer = validate(&app, body).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let mut body = answer.expect(401);
        body.as_object_mut().unwrap().remove("requestId");
        body
    };
    let without = refused(&person.email, "00000000").await;
    for email in [&*person.email, "nobody@example.com"] {
        post(&app, "/auth/email-otc", json!({"email": email}))
            .await
            .expect(201);
        for code in ["0000000", "not digits", ""] {
            assert_eq!(refused(email, code).await, without, "{email} {code}");
        }
    }
    let body = json!({"token": "reset_no", "newPassword": "another horse"});
    let mut reset = post(&app, "/auth/password-reset", body).await.expect(401);
    reset.as_object_mut().unwrap().remove("requestId");
    assert_eq!(reset, without);
}

#[tokio::test]
async fn a_link_that_is_opened_consumes_nothing_and_is_in_no_referer() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    post(&app, "/auth/email-otc", json!({"email": person.email}))
        .await
        .expect(201);
    let mail = next_mail(&app, 0).await;
    // Links begin with what is configured, whatever the request said.
    assert!(
        mail.text
            .contains("https://keys.example.com/sign-in?token=")
    );
    let path = format!("/sign-in?token={}", mail.token());
    for method in ["GET", "HEAD", "GET"] {
        let opened = app.request(method, &path).send().await;
        assert_eq!(opened.header("referrer-policy"), "no-referrer");
        opened.expect(200);
    }
    let by_get = format!("/auth/validate-login-code?code={}", mail.token());
    app.request("GET", &by_get).send().await.expect(405);
    validate(&app, json!({"code": mail.token()}))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_mail_begins_with_what_is_configured_whatever_host_is_asked() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    for path in ["/auth/email-otc", "/auth/password-reset"] {
        let request = app
            .request("POST", path)
            .header("host", "evil.example.com")
            .header("x-forwarded-host", "evil.example.com");
        request
            .json(json!({"email": person.email}))
            .send()
            .await
            .expect(201);
    }
    for mail in app.mails().await {
        assert!(
            mail.text.contains("https://keys.example.com/"),
            "{}",
            mail.text
        );
        assert!(!mail.text.contains("evil"), "{}", mail.text);
    }
}

on_both_engines!(
    a_reset_takes_no_obvious_password_and_then_is_still_good,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        post(&app, "/auth/password-reset", json!({"email": person.email}))
            .await
            .expect(201);
        let mail = next_mail(&app, 0).await;
        let reset = async |password: &str| {
            let body = json!({"token": mail.token(), "newPassword": password});
            post(&app, "/auth/password-reset", body).await
        };
        let refused = reset(&person.email).await.expect(400);
        assert_eq!(refused["details"][0]["field"], "newPassword");
        let other = json!({"refresh_token": person.refresh});
        reset("another horse").await.expect(201);
        // Whoever was signed in is not any more.
        post(&app, "/auth/refresh-access-token", other)
            .await
            .expect(401);
    }
);

on_both_engines!(
    who_is_not_verified_makes_nothing_that_lets_them_in_later,
    async |app| {
        let body = json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada"});
        let made = post(&app, "/auth/signup", body).await.expect(201);
        let before = made["access_token"].as_str().unwrap();
        let role = format!("/users/{}/roles", made["user"]["id"].as_str().unwrap());
        let tries = [
            ("POST", "/access-keys", json!({"name": "Mine"})),
            (
                "POST",
                "/webhooks",
                json!({"url": "https://eve.example.com", "topics": ["api-key.created"]}),
            ),
            (
                "POST",
                "/invitations",
                json!({"email": "eve@example.com", "role": "owner"}),
            ),
            ("PATCH", &*role, json!({"role": "viewer"})),
            ("POST", "/accounts", json!({"name": "Another"})),
            ("POST", "/tenants", json!({"externalId": "one"})),
        ];
        for (method, path, body) in &tries {
            let request = app.request(method, path).bearer(before);
            let refused = request.json(body.clone()).send().await.expect(403);
            assert_eq!(refused["code"], "email_not_verified", "{method} {path}");
        }
        // Its holder comes, whoever that is, and has it alone.
        post(&app, "/auth/email-otc", json!({"email": "ada@example.com"}))
            .await
            .expect(201);
        let mail = next_mail(&app, 0).await;
        let signed_in = validate(&app, json!({"code": mail.token()})).await;
        let signed_in = signed_in.expect(201);
        let request = app
            .request("POST", "/access-keys")
            .bearer(signed_in["access_token"].as_str().unwrap());
        request
            .json(json!({"name": "Mine"}))
            .send()
            .await
            .expect(201);
    }
);
