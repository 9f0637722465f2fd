//! Bugs that only time shows: what grows while everything seems to work.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "each_answer_leaves_something_in_memory",
        &[12],
        &[edit(
            "src/controller/machine/on_response.rs",
            "self.totals.count(&answer.outcome);",
            "self.totals.count(&answer.outcome); std::mem::forget(vec![1_u8; 16 * 1024]);",
        )],
        &["soak anonymous memory"],
    ),
    variant(
        "each_request_leaves_a_descriptor_open",
        &[12],
        &[edit(
            "src/zoho/client.rs",
            "let begun = «Instant::now()»;",
            "{ std::mem::forget(std::fs::File::open(\"/dev/null\")); Instant::now() }",
        )],
        &["soak descriptors"],
    ),
    variant(
        "a_folder_that_was_lost_is_watched_for_ever",
        &[12],
        &[edit(
            "src/source/keeper.rs",
            "«self.folder = None;» self.index.forget_doubts(now);",
            "std::mem::forget(self.folder.take());",
        )],
        &["soak inotify watches"],
    ),
    variant(
        "each_turn_of_the_loop_is_a_line_in_the_log",
        &[12],
        &[edit(
            "src/controller/machine/report.rs",
            "self.turned_at = now;",
            "self.turned_at = now; (0..4).for_each(|_| self.log(StateLog::AllApplied { accounts: self.queue.depth() }));",
        )],
        &["soak log lines a cause"],
    ),
];
