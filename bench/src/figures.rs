//! Figures over rounds: medians, how far apart the rounds are, and the bars that they are held to.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

/// One figure in each round, at least one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    median: f64,
    least: f64,
    greatest: f64,
    rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds: Vec<f64> = rounds.into_iter().collect();
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        Self {
            median: if sorted.len() % 2 == 1 {
                at(middle)
            } else {
                f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
            },
            least: at(0),
            greatest: at(sorted.len().wrapping_sub(1)),
            rounds,
        }
    }

    /// The one in the middle.
    pub(crate) const fn median(&self) -> f64 {
        self.median
    }
}

/// The median, with the least and the greatest.
impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = short(self.median);
        if self.rounds.len() == 1 {
            return out.write_str(&median);
        }
        write!(
            out,
            "{median} ({} to {})",
            short(self.least),
            short(self.greatest)
        )
    }
}

/// A number with three digits that say something.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0..100.0 => format!("{number:.1}"),
        1.0..10.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// What a figure should come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Bar {
    /// No more than this; the second is what would be better still.
    AtMost(f64, Option<f64>),
    /// No less than this; the second is what would be better still.
    AtLeast(f64, Option<f64>),
}

/// A figure and its bar.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    what: &'static str,
    unit: &'static str,
    figure: Figure,
    bar: Bar,
    is_met: bool,
}

impl Judged {
    pub(crate) fn new(what: &'static str, unit: &'static str, figure: Figure, bar: Bar) -> Self {
        let is_met = match bar {
            Bar::AtMost(bar, _) => figure.median <= bar,
            Bar::AtLeast(bar, _) => figure.median >= bar,
        };
        Self {
            what,
            unit,
            figure,
            bar,
            is_met,
        }
    }
}

/// A table in Markdown, its columns aligned for people.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let lengths = all().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut text = line(&head);
    text.push_str(&line(&rule));
    text.extend(rows.iter().map(line));
    text
}

/// The table of figures and bars.
pub(crate) fn judgement(all: &[Judged]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let (words, bar, stretch) = match one.bar {
                Bar::AtMost(bar, stretch) => ("at most", bar, stretch),
                Bar::AtLeast(bar, stretch) => ("at least", bar, stretch),
            };
            let stretch = stretch.map_or_else(String::new, |stretch| format!(", better {stretch}"));
            vec![
                one.what.to_owned(),
                format!("{} {}", one.figure, one.unit),
                format!("{words} {bar}{stretch}"),
                if one.is_met { "met" } else { "missed" }.to_owned(),
            ]
        })
        .collect();
    table(&["bar", "measured", "wanted", ""], &rows)
}

/// Writes the figures for programs, where that is asked for.
pub(crate) fn write_json(path: Option<&std::path::Path>, figures: &impl Serialize) -> Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    std::fs::write(
        path,
        format!("{}\n", serde_json::to_string_pretty(figures)?),
    )?;
    println!("\nAll figures: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_is_between_the_middle_two() {
        let figure = Figure::of([4.0, 1.0, 3.0, 2.0]);
        assert!((figure.median - 2.5).abs() < 1e-9);
        assert_eq!(figure.to_string(), "2.50 (1.00 to 4.00)");
    }

    #[test]
    fn a_bar_is_judged_by_the_median() {
        let figure = || Figure::of([1.0, 1.5, 9.0]);
        assert!(Judged::new("", "", figure(), Bar::AtMost(1.6, None)).is_met);
        assert!(!Judged::new("", "", figure(), Bar::AtLeast(1.6, None)).is_met);
    }
}
