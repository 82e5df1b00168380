//! What a check answers.

use claviger_domain::address::parse_network;
use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::key_string::PlainKey;
use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::Reach;
use claviger_domain::usage::UsageCounts;
use claviger_store::usage;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};
use claviger_verify::{Counting, Question};

use crate::{Gate, ask};

in_both_worlds![
    a_key_passes_within_the_reach_of_whoever_asks,
    what_is_no_key_is_not_found,
    a_key_ends_at_its_expiry_and_at_the_end_of_its_grace,
    each_rule_is_asked_of_the_request,
    an_explanation_counts_nothing,
    a_key_string_of_two_families_is_the_named_project_s_or_nobody_s,
    what_can_never_be_paid_is_told_before_anything_is_counted,
];

async fn a_key_passes_within_the_reach_of_whoever_asks(world: World) {
    let gate = Gate::new(world).await;
    let world = &gate.world;
    let beside = world.project(&gate.account, "beside").await;
    let foreign = world.account("foreign").await;
    let theirs = world.project(&foreign, "theirs").await;
    let (key, plain) = gate.key(|_| {}).await;
    let cases = [
        (everything(), Verdict::Valid),
        (whole(&gate.account), Verdict::Valid),
        (only(&[&gate.project]), Verdict::Valid),
        (only(&[&beside, &gate.project]), Verdict::Valid),
        (only(&[&beside]), Verdict::NotFound),
        (whole(&foreign), Verdict::NotFound),
        (only(&[&theirs]), Verdict::NotFound),
        (Reach::default(), Verdict::NotFound),
    ];
    // Twice: from the database, then from memory.
    for (reach, expected) in cases.iter().chain(&cases) {
        let checked = ask(&gate.verifier, reach, &plain, 1, Counting::Counts).await;
        assert_eq!(checked.verdict, *expected, "{reach:?}");
        let told = checked.known.map(|known| known.id().clone());
        assert_eq!(told, (*expected == Verdict::Valid).then(|| key.id.clone()));
    }
}

async fn what_is_no_key_is_not_found(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    let (_, never_made) = gate.world.draw_api_key(&gate.project, "never made");
    let mut typo = plain.expose().to_owned();
    let last = if typo.pop() == Some('a') { 'b' } else { 'a' };
    typo.push(last);
    for text in [
        key.id.as_str(),
        &key.view().reference(),
        &typo,
        never_made.expose(),
        "",
        "live_",
        &plain.expose().to_uppercase(),
        &format!("{} ", plain.expose()),
        "🔑",
    ] {
        let verdict = gate.check(&PlainKey::new(text)).await;
        assert_eq!(verdict, Verdict::NotFound, "{text}");
    }
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
}

async fn a_key_ends_at_its_expiry_and_at_the_end_of_its_grace(world: World) {
    let gate = Gate::new(world).await;
    let end = gate.world.now().plus_seconds(10);
    let (_, expiring) = gate.key(|key| key.expires_at = Some(end)).await;
    let (key, stopping) = gate.key(|_| {}).await;
    gate.edit(&key, move |key| key.stops_at = Some(end)).await;
    gate.world.clock.advance(9);
    assert_eq!(gate.check(&expiring).await, Verdict::Valid);
    assert_eq!(gate.check(&stopping).await, Verdict::Valid);
    gate.world.clock.advance(1);
    assert_eq!(gate.check(&expiring).await, Verdict::Expired);
    assert_eq!(gate.check(&stopping).await, Verdict::Revoked);
}

async fn each_rule_is_asked_of_the_request(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate
        .key(|key| {
            key.allowed_domains = vec![DomainPattern::parse("example.com").unwrap()];
            key.allowed_ips = vec![parse_network("10.0.0.0/8").unwrap()];
            key.scopes = vec!["read".to_owned()];
        })
        .await;
    let scopes = ["read".to_owned(), "write".to_owned()];
    let right = Presented {
        project: Some(gate.project.id.as_str()),
        origin: Some("https://example.com/page"),
        ip: "10.1.2.3".parse().ok(),
        scopes: &scopes[..1],
    };
    let cases = [
        (right.clone(), Verdict::Valid),
        (
            Presented {
                project: Some("prj_other"),
                ..right.clone()
            },
            Verdict::WrongProject,
        ),
        (
            Presented {
                origin: None,
                ..right.clone()
            },
            Verdict::OriginNotAllowed,
        ),
        (
            Presented {
                origin: Some("evil.com"),
                ..right.clone()
            },
            Verdict::OriginNotAllowed,
        ),
        (
            Presented {
                ip: None,
                ..right.clone()
            },
            Verdict::IpNotAllowed,
        ),
        (
            Presented {
                ip: "11.1.2.3".parse().ok(),
                ..right.clone()
            },
            Verdict::IpNotAllowed,
        ),
        (
            Presented {
                scopes: &scopes,
                ..right.clone()
            },
            Verdict::ScopeMissing,
        ),
    ];
    for (presented, expected) in cases {
        let question = Question {
            presented,
            cost: 1,
            counting: Counting::Counts,
        };
        let checked = gate
            .verifier
            .check(None, &gate.reach(), plain.expose(), &question)
            .await;
        assert_eq!(checked.unwrap().verdict, expected, "{question:?}");
    }
}

async fn an_explanation_counts_nothing(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate
        .key(|key| key.rate_limit = claviger_domain::limit::RateLimit::new(1, 3600))
        .await;
    for _ in 0..3 {
        let presented = Presented::default();
        let checked = gate.verifier.explain(key.clone(), presented).await.unwrap();
        assert_eq!(checked.verdict, Verdict::Valid);
        assert_eq!(
            gate.ask(&plain, 1, Counting::Looks).await.verdict,
            Verdict::Valid
        );
    }
    assert!(gate.verifier.activity(&key.id).last_used_at.is_none());
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    assert_eq!(
        gate.ask(&plain, 1, Counting::Looks).await.verdict,
        Verdict::RateLimited
    );
}

async fn a_key_string_of_two_families_is_the_named_project_s_or_nobody_s(world: World) {
    let gate = Gate::new(world).await;
    let foreign = gate.world.account("foreign").await;
    let theirs = gate.world.project(&foreign, "theirs").await;
    let (first, plain) = gate
        .world
        .custom_api_key(&gate.project, "custom-key-of-both");
    let (second, _) = gate.world.custom_api_key(&theirs, "custom-key-of-both");
    gate.create(&first, &plain).await;
    let both = Reach {
        accounts: vec![gate.account.reference(), foreign.reference()],
        ..Reach::default()
    };
    let check = async |reach: &Reach, project: Option<&str>| {
        let question = Question {
            presented: Presented {
                project,
                ..Presented::default()
            },
            cost: 1,
            counting: Counting::Looks,
        };
        let checked = gate
            .verifier
            .check(None, reach, plain.expose(), &question)
            .await;
        let checked = checked.unwrap();
        (
            checked.verdict,
            checked.known.map(|known| known.id().clone()),
        )
    };
    let not_found = (Verdict::NotFound, None);
    for reach in [everything(), both.clone()] {
        let wrong = check(&reach, Some(theirs.id.as_str())).await;
        assert_eq!(wrong, (Verdict::WrongProject, Some(first.id.clone())));
    }
    gate.create(&second, &plain).await;
    for reach in [everything(), both] {
        assert_eq!(check(&reach, None).await, not_found);
        assert_eq!(check(&reach, Some("prj_of_nobody")).await, not_found);
        for (project, key) in [(&gate.project, &first), (&theirs, &second)] {
            let found = check(&reach, Some(project.id.as_str())).await;
            assert_eq!(found, (Verdict::Valid, Some(key.id.clone())));
        }
    }
}

async fn what_can_never_be_paid_is_told_before_anything_is_counted(world: World) {
    let gate = Gate::new(world).await;
    let quota = |limit| {
        let period = Period::Day;
        Some(Quota { limit, period })
    };
    let (free, free_plain) = gate.key(|_| {}).await;
    let (limited, limited_plain) = gate
        .key(|key| {
            key.rate_limit = RateLimit::new(5, 60);
            key.quota = quota(9);
        })
        .await;
    let (_, counted_plain) = gate.key(|key| key.quota = quota(3)).await;
    let (_, unknown) = gate.world.draw_api_key(&gate.project, "never made");
    let can_pay = async |plain: &PlainKey, cost| {
        let question = Question {
            presented: Presented::default(),
            cost,
            counting: Counting::Counts,
        };
        let found = gate
            .verifier
            .look_up(None, &gate.reach(), plain.expose(), &question)
            .await
            .unwrap();
        gate.verifier.affordable(&found, &question)
    };
    for (plain, most) in [(&limited_plain, 5), (&counted_plain, 3)] {
        assert!(can_pay(plain, most).await && !can_pay(plain, most + 1).await);
    }
    assert!(can_pay(&free_plain, u64::MAX).await && can_pay(&unknown, u64::MAX).await);
    gate.verifier.flush().await.unwrap();
    for key in [&free, &limited] {
        let totals = usage::totals(&gate.world.db, &key.id).await.unwrap();
        assert_eq!(totals, UsageCounts::default());
    }
    let looked = gate.ask(&limited_plain, 1, Counting::Looks).await;
    assert_eq!(looked.rate_limit.unwrap().used, 1);
}
