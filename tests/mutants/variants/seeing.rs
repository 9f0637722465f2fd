//! Bugs by which a read of the service does harm, or sees what is not there.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "a_read_that_lags_behind_a_put_is_believed",
        &[2],
        &[edit(
            "src/ledger/reading.rs",
            "let is_recent = «*applied_at > lag_ago && *applied_at < at + READ_LAG»;",
            "false",
        )],
        &["lib::ledger::reading::tests::what_was_acknowledged_is_corrected_but_not_by_a_read_that_may_lag_behind_it"],
    ),
    variant(
        "a_read_settles_what_may_still_land",
        &[2, 5],
        &[edit(
            "src/ledger/reading.rs",
            "FieldState::InDoubt { lands_by: until, .. } | FieldState::Unsettled { until, .. } => «*until <= lag_ago»,",
            "true",
        )],
        &[
            "lib::ledger::reading::tests::what_is_in_doubt_is_settled_by_a_read_that_began_when_the_put_could_land_no_more",
        ],
    ),
    variant(
        "the_clock_was_set_and_a_read_is_believed_all_the_same",
        &[16],
        &[edit(
            "src/ledger/reading.rs",
            "let is_unsure = «self.clock_set_at.is_some_and(|set| set > lag_ago && set < at + READ_LAG)»;",
            "false",
        )],
        &[
            "lib::ledger::reading::tests::for_as_long_as_reads_lag_after_the_clock_was_set_nothing_that_is_known_is_corrected",
        ],
    ),
    variant(
        "a_page_leaves_before_its_record_is_durable",
        &[2, 6],
        &[edit(
            "src/controller/machine/on_page.rs",
            "self.unwritten.read(now);\n                «self.reading.iter_mut().for_each(|reading| reading.begin(now));»",
            "self.reading.iter_mut().for_each(|reading| reading.begin(now));\n                self.send_read(now, now);",
        )],
        &["lib::controller::machine::tests::refreshing::what_is_there_already_takes_no_put_and_what_differs_takes_one"],
    ),
    variant(
        "puts_do_not_wait_for_the_reading",
        &[3],
        &[edit(
            "src/controller/machine/blocked.rs",
            "self.reads_first().then_some(«Blocked::Reading»),",
            "Blocked::InTrouble",
        )],
        &["lib::controller::machine::tests::refreshing::what_is_there_already_takes_no_put_and_what_differs_takes_one"],
    ),
    variant(
        "an_account_of_another_user_is_believed",
        &[18],
        &[edit("src/plan/shown.rs", "&& «ours != theirs»", "false")],
        &[
            "lib::controller::machine::tests::refreshing::an_account_whose_user_is_another_one_is_not_believed_and_one_without_a_clear_state_stays_as_known",
        ],
    ),
    variant(
        "what_only_reads_lets_a_put_out",
        &[9],
        &[edit("src/zoho/transport.rs", "if «request.method == Method::Put» {", "false")],
        &["zoho_client::a_client_that_only_reads_lets_no_put_out"],
    ),
    variant(
        "a_file_is_overwritten",
        &[4],
        &[edit("src/cli/export.rs", "match «new.persist_noclobber(file)» {", "new.persist(file)")],
        &["exporting::nothing_is_overwritten_and_what_is_declared_already_counts_as_declared"],
    ),
    variant(
        "drift_is_set_right_though_it_is_only_to_be_shown",
        &[3],
        &[edit(
            "src/controller/machine/on_page.rs",
            "let corrects = «self.settings.drift_policy == DriftPolicy::Correct»;",
            "true",
        )],
        &[
            "lib::controller::machine::tests::drifting::what_is_reported_is_shown_and_no_put_leaves_and_it_is_over_when_it_is_set_back",
        ],
    ),
    variant(
        "what_comes_back_is_set_right_without_an_end",
        &[12],
        &[edit("src/ledger/drift.rs", "«self.corrections(now) >= CORRECTIONS_MAX»", "false")],
        &["lib::controller::machine::tests::drifting::what_comes_back_again_and_again_is_left_alone_for_a_day"],
    ),
    variant(
        "a_page_goes_before_what_can_be_sent",
        &[8],
        &[edit("src/controller/machine/on_page.rs", "if !goes_first && «self.has_better_to_do(now)» {", "false")],
        &[
            "lib::controller::machine::tests::drifting::a_page_waits_for_what_can_be_sent_and_leaves_half_of_the_request_budget",
        ],
    ),
];
