//! Dates as callers write them.
#![no_main]

use claviger_domain::date;
use claviger_domain::limit::Period;
use claviger_domain::time::Timestamp;
use libfuzzer_sys::fuzz_target;

const DAY_MICROS: i64 = 86_400_000_000;

fuzz_target!(|text: &str| {
    let Some(at) = date::parse(text) else { return };
    // What is shown is what was read, to the millisecond, however often it is sent back.
    let shown = at.to_string();
    let again = date::parse(&shown).expect("what is shown can be sent back");
    assert_eq!(again, Timestamp::from_micros(at.as_millis() * 1_000), "{shown}");
    assert_eq!(again.to_string(), shown);
    assert!(shown.ends_with('Z') && shown.is_ascii());
    assert_eq!(date::parse(&format!("  {text}\n")), Some(at));

    // Clocks tell no other years; periods end within a day and 31 days of any instant in them.
    let year = 1_970 + at.as_seconds() / 31_556_952;
    if (1_971..9_998).contains(&year) {
        let (day, month) = date::next_day_and_month(at);
        assert_eq!(day.as_micros() % DAY_MICROS, 0);
        assert_eq!(month.as_micros() % DAY_MICROS, 0);
        assert!((1..=DAY_MICROS).contains(&day.micros_since(at)));
        assert!((1..=31 * DAY_MICROS).contains(&month.micros_since(at)));
        assert!(day <= month);
        assert_eq!(Period::Day.end(at), day);
        assert_eq!(Period::Month.end(at), month);
    }
});
