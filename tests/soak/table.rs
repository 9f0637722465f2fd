//! Flat or not: the samples against their limits, as a table.
//!
//! In: samples, in their order. Out: Markdown. The first quarter is the warm-up; what is judged is the last quarter,
//! by itself or beside the second.

use std::fmt;

use super::samples::Sample;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// What a resource may do.
enum Limit {
    /// The median of the last quarter is at most that of the second, times and plus this.
    Level { times: f64, plus: f64 },
    /// No value after the warm-up is above this.
    Most(f64),
    /// It is only shown.
    Shown,
}

/// What is watched, how, and why its limit is what it is.
struct Resource {
    name: &'static str,
    /// What of two moments, a tenth of the time apart, makes a number.
    measure: fn(&Sample, &Sample) -> f64,
    limit: Limit,
    why: &'static str,
    /// In what it is printed.
    unit: (f64, &'static str),
}

/// A measure of what is there at the later moment.
macro_rules! level {
    ($field:ident) => {
        |_, now| now.$field as f64
    };
}

/// A measure of what came to be between the two, for each request and each other cause of work.
macro_rules! rate {
    ($field:ident) => {
        |before, now| {
            let causes = now.causes + now.requests - before.causes - before.requests;
            (now.$field - before.$field) as f64 / causes.max(1) as f64
        }
    };
}

const COUNT: (f64, &str) = (1.0, "");

const RESOURCES: [Resource; 9] = [
    Resource {
        name: "anonymous memory",
        measure: level!(memory),
        limit: Limit::Level { times: 1.05, plus: 6.0 * MIB },
        why: "an allocator's holes, and what a fold reads",
        unit: (MIB, " MiB"),
    },
    Resource {
        name: "threads",
        measure: level!(threads),
        limit: Limit::Level { times: 1.0, plus: 4.0 },
        why: "idle ones live for 10 s",
        unit: COUNT,
    },
    Resource {
        name: "descriptors",
        measure: level!(descriptors),
        limit: Limit::Level { times: 1.0, plus: 4.0 },
        why: "a connection for each request in flight, of which there are four",
        unit: COUNT,
    },
    Resource {
        name: "inotify watches",
        measure: level!(watches),
        limit: Limit::Level { times: 1.0, plus: 0.0 },
        why: "one a folder, also after it was lost",
        unit: COUNT,
    },
    Resource {
        name: "ledger",
        measure: level!(ledger),
        limit: Limit::Most(MIB),
        why: "500 rows of some 500 bytes, 10,000 requests of 26",
        unit: (KIB, " KiB"),
    },
    Resource {
        name: "journal",
        measure: level!(journal),
        limit: Limit::Most(2.0 * MIB),
        why: "folded at 1 MiB; the group that fills it has at most as much",
        unit: (KIB, " KiB"),
    },
    Resource {
        name: "log lines a cause",
        measure: rate!(lines),
        limit: Limit::Most(1.5),
        why: "an edit is read, a request ends, and some make everybody wait",
        unit: COUNT,
    },
    Resource {
        name: "log bytes a cause",
        measure: rate!(bytes),
        limit: Limit::Most(KIB),
        why: "lines of a few hundred bytes",
        unit: COUNT,
    },
    Resource { name: "CPU ms a cause", measure: rate!(cpu), limit: Limit::Shown, why: "", unit: COUNT },
];

/// A line of the table.
struct Row {
    resource: Resource,
    /// Medians of the first, the second and the last quarter, and the most after the first.
    quarters: [f64; 3],
    most: f64,
}

impl Row {
    fn of(resource: Resource, samples: &[Sample]) -> Self {
        let quarter = samples.len() / 4;
        let step = (samples.len() / 10).max(1);
        let pairs = samples.iter().zip(samples.iter().skip(step));
        // The pair that ends with the sample numbered `n` is the one numbered `n - step`.
        let values: Vec<f64> = pairs.map(|(before, now)| (resource.measure)(before, now)).collect();
        let of = |from: usize, to: usize| {
            median(values.get(from.saturating_sub(step)..to.saturating_sub(step)).unwrap_or_default())
        };
        let quarters = [of(0, quarter), of(quarter, 2 * quarter), of(samples.len() - quarter, samples.len())];
        let most = values.iter().skip(quarter.saturating_sub(step)).copied().fold(0.0, f64::max);
        Self { resource, quarters, most }
    }

    fn allowed(&self) -> f64 {
        match self.resource.limit {
            Limit::Level { times, plus } => self.quarters[1] * times + plus,
            Limit::Most(most) => most,
            Limit::Shown => f64::INFINITY,
        }
    }

    fn holds(&self) -> bool {
        let is = if matches!(self.resource.limit, Limit::Most(_)) { self.most } else { self.quarters[2] };
        is <= self.allowed()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { name, ref limit, why, unit: (scale, unit), .. } = self.resource;
        let show = |value: f64| format!("{:.*}{unit}", if scale > 1.0 || value < 10.0 { 2 } else { 0 }, value / scale);
        let [start, middle, end] = self.quarters.map(show);
        let limit = if matches!(limit, Limit::Shown) { "-".to_owned() } else { show(self.allowed()) };
        let flat = if self.holds() { "yes" } else { "**no**" };
        write!(f, "| {name} | {start} | {middle} | {end} | {} | {limit} | {flat} | {why} |", show(self.most))
    }
}

/// The whole table.
pub struct Table(Vec<Row>);

impl Table {
    /// Judges `samples`.
    pub fn of(samples: &[Sample]) -> Self {
        Self(RESOURCES.into_iter().map(|resource| Row::of(resource, samples)).collect())
    }

    /// Whether every limit held.
    pub fn holds(&self) -> bool {
        self.0.iter().all(Row::holds)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| resource | start | middle | end | most | limit | flat | why |\n|---|---|---|---|---|---|---|---|"
        )?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
