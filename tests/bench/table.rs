//! The table that is printed, in Markdown.
//!
//! In: rows, as they were measured. Out: text for a README. Invariant: an aim is reached only if it is at every size.

use std::fmt;
use std::time::Duration;

/// What was hoped for, and at which sizes it came true.
pub struct Aim {
    pub text: String,
    pub reached: Vec<bool>,
}

struct Row {
    label: String,
    cells: Vec<String>,
    aim: Option<Aim>,
}

/// One column a size.
pub struct Table {
    sizes: Vec<u64>,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(sizes: &[u64]) -> Self {
        Self { sizes: sizes.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, label: &str, cells: Vec<String>, aim: Option<Aim>) {
        self.rows.push(Row { label: label.to_owned(), cells, aim });
    }

    fn verdict(&self, aim: &Aim) -> String {
        let missed = self.sizes.iter().zip(&aim.reached).filter(|(_, reached)| !**reached);
        let missed: Vec<String> = missed.map(|(size, _)| thousands(*size)).collect();
        match missed.len() {
            0 => format!("{}: reached", aim.text),
            all if all == self.sizes.len() => format!("{}: **not reached**", aim.text),
            _ => format!("{}: **not reached** at {}", aim.text, missed.join(" and ")),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| |")?;
        for size in &self.sizes {
            write!(f, " {} accounts |", thousands(*size))?;
        }
        writeln!(f, " aim |")?;
        write!(f, "|---|")?;
        for _ in &self.sizes {
            write!(f, "---:|")?;
        }
        writeln!(f, "---|")?;
        for row in &self.rows {
            let aim = row.aim.as_ref().map(|aim| self.verdict(aim)).unwrap_or_default();
            writeln!(f, "| {} | {} | {aim} |", row.label, row.cells.join(" | "))?;
        }
        Ok(())
    }
}

/// `1,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `12.3 ms`; no fraction where it says nothing.
pub fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    if millis < 100.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// The middle one.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}
