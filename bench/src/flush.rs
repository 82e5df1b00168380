//! How long it takes to write what was counted.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_verify::{Counting, KEY_CACHE_BYTES, Question, Settings, Verifier};
use serde_json::json;

use crate::clock::MockClock;
use crate::figures::{Bar, Figure, Judged, judgement, write_json};
use crate::instance::{Instance, Key, draw};
use crate::machine::{Machine, now};
use crate::options::FlushOptions;
use crate::random::SeededRandom;
use crate::scratch::Scratch;

pub(crate) fn run(options: &FlushOptions) -> Result<()> {
    let machine = Machine::look()?;
    let scratch = Scratch::make()?;
    let instance = Instance::make(&scratch.path().join("data"))?;
    let keys = draw(options.keys);
    let millis = tokio::runtime::Runtime::new()
        .context("cannot start a runtime")?
        .block_on(measure(&instance, &keys, options.rounds))?;
    let judged = [Judged::new(
        "a flush of what was counted",
        "ms",
        Figure::of(millis),
        Bar::AtMost(50.0, None),
    )];
    println!(
        "\n{machine}\n{} keys, {} rounds; median (least to greatest)\n",
        options.keys, options.rounds
    );
    println!("{}", judgement(&judged));
    write_json(
        options.json.as_deref(),
        &json!({"machine": machine, "keys": options.keys, "bars": judged}),
    )
}

/// Milliseconds of each flush: every key was checked once, in a minute of its own.
async fn measure(instance: &Instance, keys: &[Key], rounds: u32) -> Result<Vec<f64>> {
    instance.fill(keys, |_| {}).await?;
    let (db, opened) = instance.open().await?;
    let clock = Arc::new(MockClock::default());
    let verifier = Verifier::start(Settings {
        db: db.clone(),
        pepper: opened.pepper,
        sealing: Arc::new(opened.sealing),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(3)),
        key_cache_bytes: KEY_CACHE_BYTES,
    })
    .await?;
    let reach = reach(instance);
    let question = Question {
        presented: Presented {
            project: None,
            origin: None,
            ip: None,
            scopes: &[],
        },
        cost: 1,
        counting: Counting::Counts,
    };
    let mut millis = Vec::new();
    for _ in 0..rounds {
        clock.advance(60);
        for key in keys {
            let checked = verifier
                .check(None, &reach, key.plain.expose(), &question)
                .await?;
            ensure!(checked.verdict == Verdict::Valid, "a key was refused");
        }
        let start = now();
        verifier.flush().await?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
    }
    db.close().await;
    Ok(millis)
}

/// The account that the keys are in.
fn reach(instance: &Instance) -> Reach {
    Reach {
        accounts: vec![AccountRef::root(instance.account.clone())],
        ..Reach::default()
    }
}
