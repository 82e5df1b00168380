//! The text format of Prometheus, version 0.0.4: a family's name, kind and help, then its numbers.

use std::fmt::{Display, Write};

use claviger_verify::Histogram;

/// Labels of a number, with their values.
type Labels<'a> = [(&'a str, &'a str)];

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    /// The family that is being written.
    name: &'static str,
}

impl Text {
    /// Begins a family of numbers that only grow.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, "counter", help);
    }

    /// Begins a family of numbers that go up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// Begins a family of durations.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) {
        self.family(name, "histogram", help);
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Writes a number of the family.
    pub(super) fn sample(&mut self, labels: &Labels<'_>, value: impl Display) {
        self.suffixed("", labels, None, value);
    }

    /// Writes durations of the family, in seconds.
    pub(super) fn durations(&mut self, labels: &Labels<'_>, durations: &Histogram) {
        let mut count = 0;
        let bounds = Histogram::BOUNDS_US.map(seconds);
        let bounds = bounds.into_iter().chain(["+Inf".to_owned()]);
        for (bound, more) in bounds.zip(durations.buckets()) {
            count += more;
            self.suffixed("_bucket", labels, Some(&bound), count);
        }
        self.suffixed("_sum", labels, None, seconds(durations.sum_us()));
        self.suffixed("_count", labels, None, count);
    }

    fn suffixed(
        &mut self,
        suffix: &str,
        labels: &Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        let labels = labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<_> = labels
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let name = self.name;
        if labels.is_empty() {
            self.line(format_args!("{name}{suffix} {value}"));
        } else {
            let labels = labels.join(",");
            self.line(format_args!("{name}{suffix}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.out, "{line}").expect("a string takes all that is written to it");
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

/// Microseconds as seconds, exactly.
pub(super) fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let durations = Histogram::default();
        for micros in [90, 2_000_000, 70_000_000] {
            durations.add(micros);
        }
        let mut out = Text::default();
        out.counter("asked_total", "How often.");
        out.sample(&[("route", "/a/{id}"), ("odd", "a\"b\\c\nd")], 3);
        out.gauge("here", "How many.");
        out.sample(&[], 0);
        out.histogram("took_seconds", "How long.");
        out.durations(&[("of", "a")], &durations);
        insta::assert_snapshot!(out.finish(), @r#"
        # HELP asked_total How often.
        # TYPE asked_total counter
        asked_total{route="/a/{id}",odd="a\"b\\c\nd"} 3
        # HELP here How many.
        # TYPE here gauge
        here 0
        # HELP took_seconds How long.
        # TYPE took_seconds histogram
        took_seconds_bucket{of="a",le="0.0001"} 1
        took_seconds_bucket{of="a",le="0.00025"} 1
        took_seconds_bucket{of="a",le="0.0005"} 1
        took_seconds_bucket{of="a",le="0.001"} 1
        took_seconds_bucket{of="a",le="0.0025"} 1
        took_seconds_bucket{of="a",le="0.005"} 1
        took_seconds_bucket{of="a",le="0.01"} 1
        took_seconds_bucket{of="a",le="0.025"} 1
        took_seconds_bucket{of="a",le="0.1"} 1
        took_seconds_bucket{of="a",le="0.25"} 1
        took_seconds_bucket{of="a",le="1"} 1
        took_seconds_bucket{of="a",le="10"} 2
        took_seconds_bucket{of="a",le="+Inf"} 3
        took_seconds_sum{of="a"} 72.00009
        took_seconds_count{of="a"} 3
        "#);
    }
}
