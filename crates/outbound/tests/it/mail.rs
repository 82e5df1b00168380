//! What mail withstands: a server that is away, refuses or is slow, and other programs beside this one.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;

use claviger_outbound::mail::{
    Authorities, AuthoritiesFault, MailUrlFault, Post, PostSettings, Transport,
};
use claviger_testkit::{MailServer, Tenant, TestApp, on_both_engines};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;

/// Another program over the database of the app, with a mail server.
fn program(app: &TestApp, url: &str) -> Post {
    program_trusting(app, url, None)
}

/// The same where those authorities, in PEM, vouch for the server.
fn program_trusting(app: &TestApp, url: &str, authorities: Option<&str>) -> Post {
    let authorities = authorities.map(|pem| Authorities::read(pem.as_bytes()).unwrap());
    let settings = PostSettings {
        db: app.core.db.clone(),
        sealing: Arc::clone(&app.sealing),
        transport: Transport::smtp(url, authorities.as_ref()).unwrap(),
        from: "Keys <keys@example.com>".to_owned(),
    };
    let (clock, random) = (app.clock.clone(), Arc::clone(&app.core.random));
    Post::new(settings, clock, random).unwrap()
}

async fn invite(app: &TestApp, tenant: &Tenant, email: &str) -> Value {
    let request = app.request("POST", "/invitations").key(tenant.owner());
    let body = json!({"email": email, "role": "viewer"});
    request.json(body).send().await.expect(201)
}

async fn shown(app: &TestApp, tenant: &Tenant, invitation: &Value) -> Value {
    let path = format!("/invitations/{}", invitation["id"].as_str().unwrap());
    let request = app.request("GET", &path).key(tenant.owner());
    request.send().await.expect(200)
}

async fn told(app: &TestApp, tenant: &Tenant) -> Value {
    let request = app.request("GET", "/notifications").key(tenant.owner());
    request.send().await.expect(200)
}

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("smtp://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_server_is_trusted_by_who_vouches_for_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let made = invite(&app, &tenant, "ada@example.com").await;
    let (server, pem) = MailServer::encrypted().await;
    let (_, of_another) = MailServer::encrypted().await;
    for authorities in [None, Some(&*of_another)] {
        let post = program_trusting(&app, &server.url, authorities);
        assert_eq!(post.deliver().await.unwrap(), 1);
        app.advance(60);
    }
    assert_eq!(shown(&app, &tenant, &made).await["mail"], "queued");
    let post = program_trusting(&app, &server.url, Some(&pem));
    assert_eq!(post.deliver().await.unwrap(), 1);
    assert_eq!(shown(&app, &tenant, &made).await["mail"], "sent");
    assert_eq!(server.taken().len(), 1);
    // What is none, or of no use, is told at the start.
    let of = |pem: &str| Authorities::read(pem.as_bytes()).err();
    assert_eq!(of("no certificate"), Some(AuthoritiesFault::Empty));
    let broken = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
    assert_eq!(of(broken), Some(AuthoritiesFault::Broken));
    assert_eq!(
        of(&format!("{pem}{broken}")),
        Some(AuthoritiesFault::Broken)
    );
    assert_eq!(of(&format!("{pem}{of_another}")), None);
    let authorities = Authorities::read(pem.as_bytes()).unwrap();
    let in_clear = Transport::smtp("smtp://127.0.0.1:2525", Some(&authorities));
    assert_eq!(in_clear.err(), Some(MailUrlFault::NoTls));
}

on_both_engines!(
    while_the_mail_server_is_away_mails_wait_and_are_sent_after_that,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let made = invite(&app, &tenant, "ada@example.com").await;
        let away = program(&app, &nowhere());
        assert_eq!(away.deliver().await.unwrap(), 1);
        // Not at once again, but sooner or later, and to be seen meanwhile.
        assert_eq!(away.deliver().await.unwrap(), 0);
        assert_eq!(shown(&app, &tenant, &made).await["mail"], "queued");
        for wait in [10, 30, 60, 300, 900, 3_600, 3_600] {
            app.advance(wait - 1);
            assert_eq!(away.deliver().await.unwrap(), 0, "{wait}");
            app.advance(1);
            assert_eq!(away.deliver().await.unwrap(), 1, "{wait}");
        }
        away.measure().await.unwrap();
        let figures = away.figures();
        assert_eq!((figures.sent(), figures.failed()), (0, 0));
        assert_eq!((figures.put_off(), figures.waiting()), (8, 1));
        assert_eq!(figures.oldest_us(), 8_500_000_000);
        let server = MailServer::start().await;
        let there = program(&app, &server.url);
        app.advance(3_600);
        assert_eq!(there.deliver().await.unwrap(), 1);
        let taken = server.taken();
        assert_eq!(taken.len(), 1);
        assert!(taken[0].contains("To: ada@example.com\r\n"), "{}", taken[0]);
        assert_eq!(shown(&app, &tenant, &made).await["mail"], "sent");
        assert_eq!(told(&app, &tenant).await, json!([]));
    }
);

on_both_engines!(
    a_mail_that_nobody_takes_until_it_is_of_no_use_is_told_of,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let made = invite(&app, &tenant, "ada@example.com").await;
        let away = program(&app, &nowhere());
        app.advance(72 * 3_600);
        assert_eq!(away.deliver().await.unwrap(), 1);
        assert_eq!(away.figures().failed(), 1);
        assert_eq!(shown(&app, &tenant, &made).await["mail"], "failed");
        let told = told(&app, &tenant).await;
        assert_eq!(told[0]["type"], "invitation.notDelivered");
    }
);

on_both_engines!(
    a_mail_that_the_server_refuses_is_given_up_and_told_of_and_others_are_sent,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let server = MailServer::judging(|to| async move {
            match to.as_str() {
                to if to.contains("nobody@") => "550 no such mailbox",
                to if to.contains("full@") => "452 later",
                _ => "250 fine",
            }
        })
        .await;
        let mut made = Vec::new();
        for email in ["nobody@example.com", "full@example.com", "ada@example.com"] {
            made.push(invite(&app, &tenant, email).await);
        }
        let post = program(&app, &server.url);
        assert_eq!(post.deliver().await.unwrap(), 3);
        let mut became = Vec::new();
        for one in &made {
            became.push(shown(&app, &tenant, one).await["mail"].clone());
        }
        assert_eq!(became, ["failed", "queued", "sent"]);
        let figures = post.figures();
        let counted = (figures.sent(), figures.failed(), figures.put_off());
        assert_eq!(counted, (1, 1, 1));
        let told = told(&app, &tenant).await;
        assert_eq!(told.as_array().unwrap().len(), 1);
        let body = told[0]["body"].as_str().unwrap();
        assert!(body.contains(made[0]["id"].as_str().unwrap()), "{body}");
        // Who may read what an account is told may not read whom it invites.
        assert!(body.contains("n***@example.com") && !body.contains("nobody@"));
    }
);

on_both_engines!(
    a_server_that_refuses_whoever_sends_loses_no_mail,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let answers = ["553 sender not owned by user", "554 5.7.1 relaying denied"];
        for (number, answer) in answers.into_iter().enumerate() {
            let server = MailServer::judging(move |_| async move { answer }).await;
            let email = format!("ada{number}@example.com");
            let made = invite(&app, &tenant, &email).await;
            let post = program(&app, &server.url);
            post.deliver().await.unwrap();
            assert_eq!(
                shown(&app, &tenant, &made).await["mail"],
                "queued",
                "{answer}"
            );
            let there = MailServer::start().await;
            app.advance(3_600);
            let post = program(&app, &there.url);
            assert_eq!(post.deliver().await.unwrap(), 1);
            assert_eq!(
                shown(&app, &tenant, &made).await["mail"],
                "sent",
                "{answer}"
            );
        }
        assert_eq!(told(&app, &tenant).await, json!([]));
        // What the server says of the mailbox is so, for one alone, too.
        let server = MailServer::judging(|_| async { "550 5.1.1 no such mailbox" }).await;
        let made = invite(&app, &tenant, "nobody@example.com").await;
        program(&app, &server.url).deliver().await.unwrap();
        assert_eq!(shown(&app, &tenant, &made).await["mail"], "failed");
    }
);

on_both_engines!(of_two_programs_that_live_one_sends_each_mail, async |app| {
    let tenant = app.tenant("Acme").await;
    let server = MailServer::start().await;
    for number in 0..25 {
        invite(&app, &tenant, &format!("ada{number}@example.com")).await;
    }
    let programs = [program(&app, &server.url), program(&app, &server.url)];
    let all = programs.iter().map(async |post| {
        let mut sent = 0;
        loop {
            match post.deliver().await.unwrap() {
                0 => return sent,
                some => sent += some,
            }
        }
    });
    let sent: usize = join_all(all).await.into_iter().sum();
    assert_eq!(sent, 25);
    assert_eq!(ids(&server).len(), 25);
    assert_eq!(server.taken().len(), 25);
});

/// What receivers tell mails apart by.
fn ids(server: &MailServer) -> BTreeSet<String> {
    let taken = server.taken();
    let ids = taken.iter().filter_map(|mail| {
        let line = mail.lines().find(|line| line.starts_with("Message-ID:"));
        line.map(str::to_owned)
    });
    ids.collect()
}

on_both_engines!(
    a_mail_is_another_program_s_only_when_the_first_is_dead,
    async |app| {
        let tenant = app.tenant("Acme").await;
        invite(&app, &tenant, "ada@example.com").await;
        let (tell, mut asked) = unbounded_channel();
        let leave = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&leave);
        let slow = MailServer::judging(move |_| {
            let (tell, held) = (tell.clone(), Arc::clone(&held));
            async move {
                // Whoever listens may be gone.
                let _ = tell.send(());
                held.acquire().await.unwrap().forget();
                "250 fine"
            }
        })
        .await;
        let first = Arc::new(program(&app, &slow.url));
        let other = program(&app, &slow.url);
        let sending = tokio::spawn({
            let first = Arc::clone(&first);
            async move { first.deliver().await }
        });
        asked.recv().await.unwrap();
        // While it lives, however slow the server is, nobody else does it.
        app.advance(119);
        assert_eq!(other.deliver().await.unwrap(), 0);
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        app.advance(1);
        leave.add_permits(2);
        assert_eq!(other.deliver().await.unwrap(), 1);
        assert_eq!(ids(&slow).len(), 1);
    }
);
