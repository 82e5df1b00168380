//! How many tests passed, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// What became of the tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Totals {
    /// Reads the line that ends a Rust test binary:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
    pub(super) fn of_rust_line(line: &str) -> Option<Self> {
        let counts = line.trim_start().strip_prefix("test result: ")?;
        let count = |word: &str| {
            let before = counts
                .split(';')
                .find_map(|part| part.trim_end().strip_suffix(word))?;
            before.split_whitespace().next_back()?.parse().ok()
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("ignored")?,
        })
    }

    /// Reads the lines that end a report of Node's test runner in the TAP format: `# pass 3`.
    pub(super) fn of_tap(report: &str) -> Self {
        // A test's own output is in comments too, so the last line of a name counts.
        let count = |name: &str| {
            let mut lines = report
                .lines()
                .rev()
                .filter_map(|line| line.strip_prefix("# "));
            let number = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Self {
            passed: count("pass"),
            failed: count("fail") + count("cancelled"),
            skipped: count("skipped") + count("todo"),
        }
    }

    /// Reads the first suite of a report that pytest writes with `--junit-xml`: all of its tests.
    pub(super) fn of_junit(report: &str) -> Self {
        let suite = report
            .split_once("<testsuite ")
            .map_or("", |(_, rest)| rest);
        let suite = suite.split('>').next().unwrap_or_default();
        let count = |name: &str| {
            let found = suite.split_once(&format!("{name}=\""));
            let number = found.and_then(|(_, rest)| rest.split('"').next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let (failed, skipped): (usize, usize) =
            (count("errors") + count("failures"), count("skipped"));
        Self {
            passed: count("tests").saturating_sub(failed + skipped),
            failed,
            skipped,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_test_binary_is_counted_by_its_last_line() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered \
                    out; finished in 0.98s";
        let totals = Totals {
            passed: 12,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(Totals::of_rust_line(line), Some(totals));
    }

    #[test]
    fn other_lines_of_a_rust_test_count_nothing() {
        for line in [
            "test result_is_ok ... ok",
            "running 3 tests",
            "",
            "test result: strange",
        ] {
            assert_eq!(Totals::of_rust_line(line), None, "{line}");
        }
    }

    #[test]
    fn a_junit_report_is_counted_by_its_suite() {
        let report = "<?xml version=\"1.0\"?><testsuites name=\"pytest tests\"><testsuite \
                      name=\"pytest\" errors=\"1\" failures=\"2\" skipped=\"3\" tests=\"14\" \
                      time=\"1.4\"><testcase name=\"tests\" time=\"0.1\" /></testsuite></testsuites>";
        let totals = Totals {
            passed: 8,
            failed: 3,
            skipped: 3,
        };
        assert_eq!(Totals::of_junit(report), totals);
        assert_eq!(Totals::of_junit(""), Totals::default());
    }

    #[test]
    fn a_tap_report_is_counted_by_its_last_lines() {
        let report = "TAP version 13\n# pass 99\nok 1 - creates a key\n1..1\n# tests 9\n# suites \
                      1\n# pass 5\n# fail 1\n# cancelled 2\n# skipped 1\n# todo 0\n# duration_ms 7\n";
        assert_eq!(
            Totals::of_tap(report),
            Totals {
                passed: 5,
                failed: 3,
                skipped: 1
            }
        );
    }

    #[test]
    fn skipped_tests_are_told_only_where_there_are_any() {
        let totals = Totals {
            passed: 2,
            failed: 0,
            skipped: 0,
        };
        assert_eq!(totals.to_string(), "2 passed, 0 failed");
        assert_eq!(
            Totals {
                skipped: 1,
                ..totals
            }
            .to_string(),
            "2 passed, 0 failed, 1 skipped"
        );
    }
}
