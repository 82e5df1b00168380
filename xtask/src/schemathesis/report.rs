//! What a run told, in a few lines.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

/// The outcome of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    operations: u64,
    requests: u64,
    /// What failed, with how many failures and where.
    failures: Vec<(String, u64, String)>,
    /// What could not be tried, such as when a seed could not be made.
    errors: u64,
    /// Operations none of whose answers was a success.
    pub(super) unanswered: Vec<String>,
}

impl Report {
    /// Reads the report of schemathesis, and how many answers of each status an operation gave.
    pub(super) fn read(report: &Value, answers: &Value) -> Result<Self> {
        let count = |value: &Value| value.as_u64().context("the report has another shape");
        let failures = report["failures"].as_array().into_iter().flatten();
        let failures = failures.map(|failure| {
            let operations = failure["operations"].as_array().into_iter().flatten();
            let operations: Vec<_> = operations.filter_map(Value::as_str).collect();
            let title = failure["title"].as_str().unwrap_or_default().to_owned();
            Ok((title, count(&failure["count"])?, operations.join(", ")))
        });
        let errors = report["errors"].as_array().into_iter().flatten();
        let answers: BTreeMap<String, BTreeMap<String, u64>> =
            serde_json::from_value(answers.clone()).context("the answers have another shape")?;
        let mut unanswered = Vec::new();
        for (operation, statuses) in answers {
            if !statuses.keys().any(|status| status.starts_with('2')) {
                unanswered.push(operation);
            }
        }
        Ok(Self {
            operations: count(&report["operations"]["tested"])?,
            requests: count(&report["test_cases"]["generated"])?,
            failures: failures.collect::<Result<_>>()?,
            errors: errors
                .map(|error| count(&error["count"]))
                .sum::<Result<_>>()?,
            unanswered,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, requests) = (self.operations, self.requests);
        write!(f, "{operations} operations, {requests} requests")?;
        for (title, count, operations) in &self.failures {
            write!(f, "\n{title}: {count} of {operations}")?;
        }
        if self.failures.is_empty() {
            f.write_str(", each answered as the document says")?;
        }
        if self.errors > 0 {
            write!(f, "\n{} errors kept requests from being made", self.errors)?;
        }
        if !self.unanswered.is_empty() {
            write!(f, "\nnever a success: {}", self.unanswered.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Report;

    #[test]
    fn a_run_without_failures_is_told_in_a_line() {
        let told = json!({
            "operations": {"tested": 2}, "test_cases": {"generated": 410}, "failures": [], "errors": [],
        });
        let answers = json!({"listProjects": {"200": 3, "401": 1}, "deleteProject": {"204": 1}});
        let report = Report::read(&told, &answers).unwrap();
        assert_eq!(
            report.to_string(),
            "2 operations, 410 requests, each answered as the document says"
        );
        assert!(report.unanswered.is_empty());
    }

    #[test]
    fn what_failed_and_what_never_succeeded_is_named() {
        let failure = json!({
            "title": "Undocumented status code", "count": 2, "operations": ["GET /a", "GET /b"],
        });
        let told = json!({
            "operations": {"tested": 2}, "test_cases": {"generated": 9}, "failures": [failure],
            "errors": [{"title": "Hook Error", "count": 3}],
        });
        let report = Report::read(&told, &json!({"showB": {"404": 3}})).unwrap();
        assert_eq!(
            report.to_string(),
            "2 operations, 9 requests\n\
             Undocumented status code: 2 of GET /a, GET /b\n\
             3 errors kept requests from being made\n\
             never a success: showB"
        );
    }

    #[test]
    fn a_report_of_another_shape_is_no_success() {
        assert!(Report::read(&serde_json::json!({}), &json!({})).is_err());
    }
}
