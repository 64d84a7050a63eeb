//! What a benchmark leaves: a table for people and `target/bench/report.json` for programs.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// What a figure's ratio is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

/// One measured figure beside what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Median of the rounds.
    pub value: f64,
    /// Of `value`, `reference_value`, `low` and `high`.
    pub unit: String,
    /// What it is compared with.
    pub reference: String,
    /// The reference's median, measured in the same rounds.
    pub reference_value: f64,
    /// Median of the rounds' own ratios, value / reference.
    pub ratio: f64,
    /// The smallest value of a round.
    pub low: f64,
    /// The greatest value of a round.
    pub high: f64,
    /// How many rounds.
    pub rounds: usize,
    /// What is wanted of `ratio`.
    pub goal: Option<Goal>,
    /// Whether it is so.
    pub met: Option<bool>,
}

impl Figure {
    /// Compares two measurements round by round. Both have one value per round and at least one round.
    pub fn compare(name: &str, unit: &str, values: &[f64], reference: &str, references: &[f64]) -> Self {
        let ratios: Vec<f64> = values.iter().zip(references).map(|(value, reference)| value / reference).collect();
        Self {
            name: name.to_owned(),
            value: median(values),
            unit: unit.to_owned(),
            reference: reference.to_owned(),
            reference_value: median(references),
            ratio: median(&ratios),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            rounds: values.len(),
            goal: None,
            met: None,
        }
    }

    /// With a goal.
    pub fn wanted(self, goal: Goal) -> Self {
        let met = match goal {
            Goal::AtLeast(least) => self.ratio >= least,
            Goal::AtMost(most) => self.ratio <= most,
        };
        Self { goal: Some(goal), met: Some(met), ..self }
    }
}

/// The middle of the sorted values; the mean of the two in the middle of an even number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The figures as an aligned table.
pub fn table(figures: &[Figure]) -> String {
    let widest = |text: fn(&Figure) -> &str| figures.iter().map(|figure| text(figure).len()).max().unwrap_or(0);
    let (name_width, other_width) = (widest(|figure| &figure.name), widest(|figure| &figure.reference) + 2);
    let mut text = format!(
        "{:<name_width$}{:>10}  {:<4}{:>other_width$}{:>12}{:>8}{:>24}  goal\n",
        "", "median", "", "beside", "its median", "ratio", "low – high"
    );
    for Figure { name, value, unit, reference, reference_value, ratio, low, high, goal, met, .. } in figures {
        let range = format!("{low:.2} – {high:.2}");
        let goal = match goal {
            None => String::new(),
            Some(Goal::AtLeast(least)) => format!("  {least} × or more: "),
            Some(Goal::AtMost(most)) => format!("  {most} × or less: "),
        };
        let met = met.map_or("", |met| if met { "met" } else { "missed" });
        let _ = writeln!(
            text,
            "{name:<name_width$}{value:>10.2}  {unit:<4}{reference:>other_width$}{reference_value:>12.2}{ratio:>8.2}{range:>24}{goal}{met}"
        );
    }
    text
}

/// Writes the figures as a JSON list.
pub fn write(figures: &[Figure], file: &Path) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(file, serde_json::to_string_pretty(figures)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios_are_taken_round_by_round() {
        let figure = Figure::compare("x", "a second", &[10.0, 30.0, 20.0], "y", &[5.0, 10.0, 20.0]);
        assert_eq!((figure.value, figure.reference_value, figure.ratio), (20.0, 10.0, 2.0));
        assert_eq!((figure.low, figure.high, figure.rounds), (10.0, 30.0, 3));
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), 2.5);
    }

    #[test]
    fn a_goal_is_met_or_missed_by_the_ratio() {
        let figure = Figure::compare("x", "ms", &[3.0, 1.0, 4.0], "y", &[2.0, 2.0, 2.0]);
        assert_eq!((figure.ratio, figure.met), (1.5, None));
        for (goal, met) in [
            (Goal::AtMost(1.5), true),
            (Goal::AtMost(1.4), false),
            (Goal::AtLeast(1.5), true),
            (Goal::AtLeast(1.6), false),
        ] {
            assert_eq!(figure.clone().wanted(goal).met, Some(met), "{goal:?}");
        }
        let text =
            table(&[figure.clone(), figure.clone().wanted(Goal::AtMost(2.0)), figure.wanted(Goal::AtLeast(2.0))]);
        let ends: Vec<_> = text.lines().map(|line| line.split_once("4.00").map_or("", |(_, end)| end)).collect();
        assert_eq!(ends, ["", "", "  2 × or less: met", "  2 × or more: missed"], "{text}");
    }
}
