//! `claviger` on a clock that stands still until `POST /__clock {"advanceSeconds": 60}` moves it:
//! for tests with clients that cannot be given a clock of their own.

use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use claviger_domain::time::Clock;
use claviger_server::{Outside, SystemClock, SystemRandom, run};
use claviger_testkit::MockClock;
use http::StatusCode;
use serde_json::{Value, json};

fn main() -> ExitCode {
    // Begins now, so that clients which compare with their own clock agree at first.
    let clock = Arc::new(MockClock::at(SystemClock.now()));
    let outside = Outside {
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
        routes: Router::new()
            .route("/__clock", post(advance))
            .with_state(clock),
    };
    run(std::env::args_os(), outside)
}

async fn advance(
    State(clock): State<Arc<MockClock>>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let seconds = body["advanceSeconds"]
        .as_i64()
        .ok_or(StatusCode::BAD_REQUEST)?;
    clock.advance(seconds);
    Ok(Json(json!({"now": clock.now()})))
}
