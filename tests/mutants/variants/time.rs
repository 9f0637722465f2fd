//! Bugs of the clock: spans and deadlines when the wall clock is set.

use super::*;

const WALL: &str = "simulation::no_step_of_the_clock_shortens_a_pause_or_empties_a_window_or_revives_an_approval";
const MACHINE: &str = "src/controller/machine/on_clock.rs";

pub const BUGS: &[Variant] = &[
    variant(
        "a_step_empties_the_window_of_requests",
        &[6, 16],
        &[edit("src/throttle.rs", "self.requests.carry(step);", "")],
        &[
            WALL,
            "properties::throttle::no_window_holds_too_many_requests_and_no_pause_is_jumped_whatever_happens",
            "lib::controller::machine::tests::clock::a_full_window_of_requests_stays_full_for_its_length_whatever_the_clock_does",
            "lib::throttle::tests::windows_the_pause_and_the_next_probe_are_as_far_away_after_a_step_as_before",
        ],
    )
    .rare(),
    variant(
        "a_step_leaves_the_pause_where_it_was",
        &[6, 16],
        &[edit("src/throttle.rs", "pause.until = step.carry(pause.until);", "let _ = pause;")],
        &[
            "properties::throttle::no_window_holds_too_many_requests_and_no_pause_is_jumped_whatever_happens",
            "lib::controller::machine::tests::clock::a_pause_keeps_its_length_whatever_the_clock_does",
        ],
    ),
    variant(
        "a_step_is_not_written_down",
        &[6, 16],
        &[edit(MACHINE, "self.record(Record::ClockStepped { from, to }, to);", "")],
        &[
            "lib::controller::machine::tests::clock::a_restart_finds_the_window_full_after_a_clock_that_ran_behind_was_set_right_and_if_it_runs_behind_now",
            "clocks::no_request_leaves_a_full_window_whatever_the_clock_does_in_a_run_or_before_the_next_one",
        ],
    ),
    variant(
        "a_step_leaves_the_disruptions_where_they_were",
        &[13, 16],
        &[edit("src/ledger/moments.rs", "self.disruptions.values_mut().for_each(|at| *at = lands_by(*at));", "")],
        &[
            WALL,
            "lib::controller::machine::tests::clock::a_window_of_disruptions_keeps_its_length_whatever_the_clock_does",
            "lib::ledger::moments::tests::a_step_either_way_changes_no_span_and_back_again_nothing_at_all",
        ],
    ),
    variant(
        "a_step_back_revives_an_approval",
        &[13, 16],
        &[edit(MACHINE, "if self.folder.is_loaded() { self.lapse_approvals(to); }", "")],
        &[
            "lib::controller::machine::tests::clock::an_approval_that_was_over_once_stays_over_whatever_the_clock_says_until_another_is_written",
            "clocks::an_approval_that_expired_an_hour_ago_lets_nothing_out_once_a_clock_that_ran_behind_is_set_right",
        ],
    ),
    variant(
        "a_restart_revives_an_approval",
        &[13, 16],
        &[edit(
            "src/ledger.rs",
            "self.lapsed = «Lapsed { approvals, by: None }»",
            "Lapsed { approvals: approvals.into_iter().take(0).collect(), by: None }",
        )],
        &[
            "lib::controller::machine::tests::clock::approvals_that_were_over_before_the_clock_went_back_stay_over_for_the_next_process_until_it_says_so_itself",
            "clocks::no_restart_revives_an_approval_that_was_over_before_the_clock_went_back_in_a_run_or_between_two",
        ],
    ),
    variant(
        "a_suspension_that_was_over_by_a_wrong_clock_stays_over",
        &[16],
        &[edit(MACHINE, "self.await_again(step);", "")],
        &[
            "lib::controller::machine::tests::clock::a_suspension_of_one_account_that_a_wrong_clock_ended_is_in_force_again_and_ends_by_itself",
        ],
    ),
    variant(
        "a_date_wakes_nobody",
        &[4],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "[suspended, «boundary»].into_iter().flatten()",
            "boundary.filter(|_| false)",
        )],
        &[
            "lib::controller::machine::tests::dates::an_account_begins_and_ends_by_itself_at_its_dates",
            "clocks::an_account_ends_at_its_date_by_itself",
        ],
    ),
    variant(
        "a_clock_that_goes_back_revives_what_ended",
        &[16],
        &[edit("src/validity.rs", "if since <= now || «ended == Some(since)» => {", "false")],
        &[
            "lib::controller::machine::tests::dates::what_ended_stays_ended_by_a_clock_that_goes_back_until_the_manifest_has_another_end",
            "lib::validity::tests::what_ended_stays_ended_by_a_clock_that_went_back_until_there_is_another_end",
        ],
    ),
    variant(
        "the_ledger_does_not_remember_by_which_date_access_ended",
        &[16],
        &[edit("src/ledger.rs", "row.valid_until = «if to { None } else { ended.or(row.valid_until) }»;", "None")],
        &[
            "lib::controller::machine::tests::dates::what_ended_stays_ended_by_a_clock_that_goes_back_until_the_manifest_has_another_end",
            "clocks::access_that_ended_does_not_come_back_with_a_clock_that_goes_back_in_a_run_or_between_two",
        ],
    ),
    variant(
        "a_date_is_a_retry_of_what_was_refused_before_it",
        &[15],
        &[edit("src/ledger/row.rs", "change.wanted_since.is_none_or(|since| failed.at >= since)", "true")],
        &["lib::controller::machine::tests::dates::what_was_refused_before_a_date_is_tried_at_it_and_behind_nothing"],
    ),
    variant(
        "the_wall_clock_is_read_at_the_start_and_never_again",
        &[13, 16],
        &[edit("src/controller.rs", "self.look_at_clock();", "")],
        &[
            "clocks::an_approval_that_expired_an_hour_ago_lets_nothing_out_once_a_clock_that_ran_behind_is_set_right",
            "clocks::the_log_and_the_history_have_the_time_of_a_clock_that_was_set_right",
        ],
    ),
    variant(
        "what_is_remembered_as_still_to_come_stays_so",
        &[16],
        &[edit(MACHINE, "if let Some(remembered) = «self.ledger.ahead_of(now)» {", "None")],
        &[
            "lib::controller::machine::tests::clock::a_disruption_that_is_remembered_as_still_to_come_leaves_the_window_when_one_that_is_begun_now_would",
            "lib::controller::machine::tests::clock::approvals_that_were_over_when_the_ledger_was_written_stay_over_for_a_process_that_starts_with_a_clock_behind",
        ],
    ),
    variant(
        "a_journal_with_a_step_is_folded_by_copy",
        &[16],
        &[edit("src/ledger/journal.rs", "if «record.is_about_all()» { return None; }", "false")],
        &["ledger_on_disk::a_fold_after_the_clock_was_set_carries_what_is_in_doubt_of_accounts_that_no_record_names"],
    ),
];
