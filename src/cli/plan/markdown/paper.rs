//! A comment of limited length: sections with rows, of which the last ones are left out first.
//!
//! In: sections, in the order of their importance. Out: one text.
//! Invariants: never longer than the limit; every section's head is there, and each row that is not is counted in its
//! place; a row is whole or not at all, and none follows one that is left out of its section.

/// The most rows of a list that stands above the table, which matters more.
pub(super) const LISTED_MAX: usize = 20;

/// A part of the comment.
pub(super) struct Section {
    before: String,
    rows: Vec<String>,
    after: &'static str,
    /// The most rows that are shown, whatever room there is.
    most: usize,
}

impl Section {
    /// Text that is always there.
    pub(super) const fn text(text: String) -> Self {
        Self { before: text, rows: Vec::new(), after: "", most: 0 }
    }

    /// A list under a line, of [`LISTED_MAX`] rows at most; nothing at all without rows.
    pub(super) fn list(head: &str, rows: Vec<String>) -> Self {
        Self { most: LISTED_MAX, ..Self::unless_empty(format!("{head}\n\n"), rows, "") }
    }

    /// A table; nothing at all without rows.
    pub(super) fn table(head: &str, rows: Vec<String>) -> Self {
        Self::unless_empty(head.to_owned(), rows, "")
    }

    /// A list that is shown when its summary is clicked; nothing at all without rows.
    pub(super) fn folded(summary: &str, rows: Vec<String>) -> Self {
        let head = format!("<details><summary>{summary}</summary>\n\n");
        Self::unless_empty(head, rows, "\n</details>\n")
    }

    fn unless_empty(before: String, rows: Vec<String>, after: &'static str) -> Self {
        if rows.is_empty() { Self::text(String::new()) } else { Self { before, rows, after, most: usize::MAX } }
    }
}

/// What stands where rows are left out.
fn more(number: usize) -> String {
    let rows = if number == 1 { "row" } else { "rows" };
    format!("\nand {number} more {rows}: run `zoho-mail-reconciler plan`\n")
}

/// The sections after `start`, with as many rows as `most` bytes hold.
pub(super) fn fill(start: &str, sections: Vec<Section>, most: usize) -> String {
    let sections: Vec<_> = sections.into_iter().filter(|section| !section.before.is_empty()).collect();
    // Whatever is left out, there is room to say so.
    let fixed = |section: &Section| section.before.len() + section.after.len() + more(section.rows.len()).len() + 1;
    let mut room = most.saturating_sub(start.len() + sections.iter().map(fixed).sum::<usize>());
    let mut text = start.to_owned();
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&section.before);
        let mut left_out = section.rows.len();
        for row in section.rows.iter().take(section.most) {
            // What is full stays full: a shorter row further down is not worth more than this one.
            room = room.saturating_sub(row.len());
            if room == 0 {
                break;
            }
            text.push_str(row);
            left_out -= 1;
        }
        if left_out > 0 {
            text.push_str(&more(left_out));
        }
        text.push_str(section.after);
    }
    text
}
