//! Accounts as columns, as `kubectl get` shows them.

use std::time::Duration;

use anstyle::AnsiColor;
use clap::ValueEnum;
use comfy_table::{ColumnConstraint, Table, Width, presets};

use crate::account::printable;
use crate::condition::ConditionStatus;
use crate::ledger::FieldState;
use crate::revision::short;
use crate::status::Item;
use crate::timestamp::Timestamp;

const NARROW: [&str; 4] = ["NAME", "READY", "STATUS", "AGE"];
const WIDE: [&str; 5] = ["ACCOUNT", "ENABLED", "ACTIVESYNC", "REVISION", "MESSAGE"];

/// The one column whose content changes by itself.
const AGE: usize = 3;

/// Blanks between two columns.
const GAP: u16 = 3;

/// In which order accounts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortBy {
    /// By name
    Name,
    /// The longest unchanged first, so that news stands at the end
    Age,
    /// What is not ready first, then by reason
    Status,
}

impl SortBy {
    /// Puts `items`, which are in the order of their names, in this order.
    pub(super) fn sort(self, items: &mut [Item]) {
        match self {
            Self::Name => {}
            Self::Age => {
                items.sort_by_key(|item| item.status.conditions.first().map(|ready| ready.last_transition_time))
            }
            Self::Status => items.sort_by_key(|item| {
                let ready = item.status.conditions.first();
                ready.map(|ready| (ready.status == ConditionStatus::True, ready.reason.as_str()))
            }),
        }
    }
}

/// The columns of a table that may grow at its end: rows that come later stand below the first ones.
pub(super) struct Columns {
    wide: bool,
    header: bool,
    /// Widths of the columns so far.
    widths: Vec<u16>,
}

impl Columns {
    pub(super) const fn new(wide: bool, header: bool) -> Self {
        Self { wide, header, widths: Vec::new() }
    }

    /// Rows, below the header if they are the first.
    pub(super) fn render(&mut self, rows: Vec<Vec<String>>) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if std::mem::take(&mut self.header) {
            table.set_header(NARROW.iter().chain(if self.wide { &WIDE[..] } else { &[] }));
        }
        table.add_rows(rows);
        let widths = table.column_max_content_widths();
        self.widths.resize(widths.len(), 0);
        for (column, (known, width)) in table.column_iter_mut().zip(self.widths.iter_mut().zip(widths)) {
            *known = width.max(*known);
            column.set_padding((0, GAP));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*known + GAP)));
        }
        let (from, to) = (usize::from(self.widths[0] + GAP), usize::from(self.widths[1]));
        let lines: Vec<_> = table.lines().map(|line| coloured(line.trim_end(), from, to)).collect();
        format!("{}\n", lines.join("\n"))
    }

    /// The cells of an account. One without conditions is gone.
    pub(super) fn row(&self, item: &Item, now: Timestamp) -> Vec<String> {
        let ready = item.status.conditions.first();
        let is_ready = ready.map_or("-", |ready| if ready.status == ConditionStatus::True { "True" } else { "False" });
        let status = ready.map_or_else(|| "Gone".to_owned(), |ready| ready.reason.to_string());
        let age = ready.map_or_else(|| "-".to_owned(), |ready| age(now.since(ready.last_transition_time)));
        let mut cells = vec![printable::escape(&item.metadata.name), is_ready.into(), status, age];
        if self.wide {
            let applied = &item.status.last_applied;
            let message = ready.map_or_else(String::new, |ready| printable::escape(&ready.message));
            let account = item.spec.account_id.to_string();
            cells.extend([
                account,
                field(&applied.enabled),
                field(&applied.active_sync_enabled),
                revision(item),
                message,
            ]);
        }
        cells
    }

    /// The cells of an account that only change when something happened.
    pub(super) fn lasting(&self, item: &Item, now: Timestamp) -> Vec<String> {
        let mut cells = self.row(item, now);
        cells.remove(AGE);
        cells
    }
}

/// A row whose cell READY, `width` columns from `start` on, has the colour of what it says. Where the terminal does not want
/// it, printing leaves it out.
fn coloured(line: &str, start: usize, width: usize) -> String {
    let at = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (start, end) = (at(start), at(start + width));
    let cell = &line[start..end];
    let style = match cell.trim() {
        "True" => AnsiColor::Green.on_default(),
        "False" => AnsiColor::Red.on_default(),
        _ => return line.to_owned(),
    };
    format!("{}{style}{cell}{style:#}{}", &line[..start], &line[end..])
}

fn field(state: &Option<FieldState>) -> String {
    match state {
        None => "-".to_owned(),
        Some(FieldState::Applied { value, .. } | FieldState::Read { value, .. }) => value.to_string(),
        Some(FieldState::InDoubt { .. } | FieldState::Unsettled { .. }) => "in doubt".into(),
    }
}

/// The revision of what waits, else of what was acknowledged last: the later of the two fields.
fn revision(item: &Item) -> String {
    if let Some(pending) = &item.status.work.pending {
        return pending.short();
    }
    let applied = &item.status.last_applied;
    let states = [&applied.enabled, &applied.active_sync_enabled].into_iter().flatten();
    let dated = states.filter_map(|state| match state {
        FieldState::Applied { applied_at, .. } | FieldState::Unsettled { applied_at, .. } => Some((applied_at, state)),
        FieldState::InDoubt { .. } | FieldState::Read { .. } => None,
    });
    let Some((_, last)) = dated.max_by_key(|(at, _)| **at) else { return "-".to_owned() };
    last.revision().map_or_else(|| "unknown".to_owned(), |revision| printable::escape(&short(revision)))
}

/// As kubectl writes ages: two units at most.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
