//! Medians and ratios.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Every measurement: load, subject, metric, one value a round.
#[derive(Default)]
pub(crate) struct Results {
    cells: Vec<(String, Vec<(String, Samples)>)>,
}

type Samples = BTreeMap<&'static str, Vec<f64>>;

/// What is worth a line of servers that have nothing to do.
const IDLE: [&str; 4] = ["resident MiB", "proportional MiB", "wakeups/s", "threads"];

impl Results {
    /// Adds a round of `subject` under the load `cell`.
    pub(crate) fn add(&mut self, cell: &str, subject: &str, metrics: Vec<(&'static str, f64)>) {
        let subjects = entry(&mut self.cells, cell);
        let samples = entry(subjects, subject);
        for (metric, value) in metrics {
            samples.entry(metric).or_default().push(value);
        }
    }

    /// All of it.
    pub(crate) fn json(&self) -> Value {
        let cells = self.cells.iter().map(|(cell, subjects)| {
            let subjects = subjects
                .iter()
                .map(|(subject, samples)| (subject.clone(), json!(samples)));
            (cell.clone(), Value::Object(subjects.collect()))
        });
        Value::Object(cells.collect())
    }
}

/// Prints the metrics that each load is about, a line for each subject: its median, and its ratio to each of `bases`, which is the
/// median of the ratios within each round, and how far these lie apart. `shown` knows the metrics of a load by its name; what is
/// no load has no ratios.
pub(crate) fn print(
    results: &Results,
    bases: &[&str],
    shown: impl Fn(&str) -> Option<&'static [&'static str]>,
) {
    for (name, subjects) in &results.cells {
        println!("\n{name}");
        let load = shown(name);
        for metric in load.unwrap_or(&IDLE) {
            for (subject, samples) in subjects {
                let Some(values) = samples.get(metric) else {
                    continue;
                };
                let mut text = line(&format!("{metric:18}{subject}"), median(values));
                for base in bases.iter().copied().filter(|_| load.is_some()) {
                    let base_values = subjects.iter().find(|(name, _)| name == base);
                    let base_values = base_values.and_then(|(_, samples)| samples.get(metric));
                    if let Some(base_values) = base_values.filter(|_| base != subject) {
                        text += &ratio(values, base_values, base);
                    }
                }
                println!("{text}");
            }
        }
    }
}

/// A name and a number, with three digits at least.
pub(crate) fn line(name: &str, value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("  {name:40}{value:12.digits$}")
}

/// The middle one, or the upper of the two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ratio(values: &[f64], base_values: &[f64], base: &str) -> String {
    let rounds = values.iter().zip(base_values);
    let mut ratios: Vec<f64> = rounds.map(|(value, base)| value / base).collect();
    ratios.retain(|ratio| ratio.is_finite());
    ratios.sort_by(f64::total_cmp);
    match (&*ratios, median(&ratios)) {
        ([least, .., most], median) => {
            format!("   {median:.2} ({least:.2}..{most:.2}) of {base}")
        }
        ([one], _) => format!("   {one:.2} of {base}"),
        ([], _) => String::new(),
    }
}

/// The entry of this name, made if it is missing.
#[expect(
    clippy::indexing_slicing,
    reason = "the index is that of an entry just found or just made"
)]
fn entry<'a, T: Default>(entries: &'a mut Vec<(String, T)>, name: &str) -> &'a mut T {
    let index = entries.iter().position(|(known, _)| known == name);
    let index = index.unwrap_or_else(|| {
        entries.push((name.to_owned(), T::default()));
        entries.len() - 1
    });
    &mut entries[index].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let text = ratio(&[10.0, 300.0, 5.0], &[20.0, 200.0, 10.0], "x");
        assert_eq!(text, "   0.50 (0.50..1.50) of x");
        assert_eq!(ratio(&[1.0], &[0.0], "x"), "");
    }

    #[test]
    fn results_are_kept_by_round() {
        let mut results = Results::default();
        results.add("load", "ours", vec![("answers/s", 1.0)]);
        results.add("load", "ours", vec![("answers/s", 2.0)]);
        let expected = json!({"load": {"ours": {"answers/s": [1.0, 2.0]}}});
        assert_eq!(results.json(), expected);
    }
}
