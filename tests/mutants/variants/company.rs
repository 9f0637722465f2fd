//! Bugs by which one account's trouble becomes that of others.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "one_account_whose_token_is_refused_stops_all_others",
        &[15],
        &[edit(
            "src/controller/machine/token.rs",
            "if others != Others::None && «self.alone.contains(&account)» {",
            "false",
        )],
        &["lib::controller::machine::token::tests::a_token_that_works_for_others_is_not_replaced_for_one_account"],
    ),
    variant(
        "one_account_that_is_throttled_stops_all_others",
        &[15],
        &[edit("src/controller/machine/throttling.rs", "(1, None) => «true»,", "false")],
        &[
            "lib::controller::machine::throttling::tests::only_an_account_that_is_throttled_again_while_others_are_accepted_is_throttled_alone",
        ],
    ),
    variant(
        "what_was_refused_long_ago_tells_of_the_service",
        &[15],
        &[edit(
            "src/throttle/breaker.rs",
            "(State::Closed { .. }, Ended::RefusedAgain(..)) => «return false»,",
            "Ended::Refused(Reason::AccountNotFound, Code::Http(404))",
        )],
        &["lib::throttle::breaker::tests::what_is_refused_again_tells_of_the_service_only_where_it_probes"],
    ),
    variant(
        "credentials_that_worked_once_are_believed_whoever_is_refused",
        &[15],
        &[edit(
            "src/controller/machine/token.rs",
            "suspects if self.proven => suspects >= SUSPECTS_PROVEN || «are_enough(self.accepted_before)»,",
            "false",
        )],
        &[
            "lib::controller::machine::token::tests::a_few_accounts_that_were_accepted_before_and_are_refused_now_tell_that_the_credentials_are_dead",
        ],
    ),
    variant(
        "a_few_tell_of_credentials_that_worked",
        &[15],
        &[edit(
            "src/controller/machine/token.rs",
            "suspects if «self.proven» => suspects >= SUSPECTS_PROVEN || are_enough(self.accepted_before),",
            "false",
        )],
        &["isolation::up_to_half_of_the_accounts_whose_requests_always_fail_keep_no_other_from_being_applied"],
    ),
    variant(
        "what_is_refused_for_good_holds_other_removals",
        &[15],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "map(|open| &open.change).filter(|change| «!change.refused»)",
            "!change.refused || true",
        )],
        &["isolation::mailboxes_that_are_gone_hold_no_leaver_neither_at_first_nor_when_they_are_asked_for_again"],
    ),
    variant(
        "a_field_that_fails_holds_the_other_back",
        &[15],
        &[edit("src/ledger/row.rs", "|failed: &&FailedAttempt| «failed.reason.is_about_the_account()» &&", "true")],
        &["isolation::one_field_that_always_fails_keeps_the_other_of_the_same_account_from_nothing"],
    ),
    variant(
        "each_attempt_at_a_removal_uses_up_the_budget_anew",
        &[15],
        &[edit("src/ledger/charges.rs", "let removes = !to && «!self.has_begun_removal(field)»;", "true")],
        &["properties::guard::no_window_ever_exceeds_the_disruption_budget_and_nothing_that_fits_is_held"],
    ),
    variant(
        "each_failure_of_a_row_is_a_line_in_the_log",
        &[12],
        &[edit(
            "src/controller/machine/on_response.rs",
            "if «self.note_failure(change, attempt, now)» { self.log(RequestLog::Retrying",
            "self.note_failure(change, attempt, now) | true",
        )],
        &["cli::logs::a_failure_that_repeats_itself_is_told_once"],
    ),
];
