//! Bugs of plan, guard and desired state: what is wanted, of whom, and what may be taken away.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "a_protected_account_is_planned_like_any_other",
        &[13],
        &[
            edit("src/plan.rs", "if «!to && desired.protected» {", "false"),
            edit(
                "src/manifest/protection.rs",
                "let by_id = «id.filter(|id| self.ids.contains(id)).map(Lock::Id)»;",
                "{ let _ = id; None }",
            ),
        ],
        &[PROTECTED],
    ),
    variant(
        "a_last_good_state_is_from_before_it_was_protected",
        &[13],
        &[edit("src/plan.rs", "if «!to && desired.protected» {", "false")],
        &["properties::plan::nothing_is_ever_planned_that_takes_something_away_from_a_protected_account"],
    ),
    variant(
        "the_option_protects_nobody",
        &[13],
        &[edit(
            "src/manifest/protection.rs",
            "by_id.or_else(|| name.filter(|name| self.names.contains(*name)).map(|_| Lock::Name))",
            "{ let _ = (by_id, name); None }",
        )],
        &[PROTECTED],
    ),
    variant(
        "an_approval_never_expires",
        &[13],
        &[edit("src/desired/policies.rs", "«now < self.expires» && self.approved.covers(account, field)", "{ let _ = now; true }")],
        &[DISRUPTIONS, "approving::an_account_is_looked_at_again_when_its_approval_expires"],
    )
    .rare(),
    variant(
        "an_approval_of_one_field_is_one_of_both",
        &[13],
        &[edit(
            "src/manifest/policy.rs",
            "«self.fields[field as usize]» && self.account.is_none_or(|insists| insists == account)",
            "{ let _ = field; true }",
        )],
        &[DISRUPTIONS],
    ),
    variant(
        "an_orphan_is_disabled",
        &[4],
        &[edit(
            "src/plan.rs",
            "return AccountPlan { blocked: row.map(|_| Reason::Orphaned), ..AccountPlan::default() };",
            "let Some(row) = row else { return AccountPlan::default() };
             let source = crate::account::SourceRef { path: \"\".into(), line: 1 };
             let (field, from) = (Field::Enabled, row.known(Field::Enabled));
             let change = Change { account, name: Arc::clone(&row.name), zuid: row.zuid, field, from, to: false, source, revision: Arc::default(), approval: None, not_before: None, begun: false, refused: false, validity: None, wanted_since: None, gives_back: false, drift: None };
             let changes = if from == Known::Applied(false) { Vec::new() } else { vec![change] };
             return AccountPlan { changes, ..AccountPlan::default() };",
        )],
        &[WANTED],
    ),
    variant(
        "of_two_manifests_for_an_account_the_first_wins",
        &[4],
        &[edit(
            "src/plan.rs",
            "Standing::Duplicate { .. } => «return AccountPlan::blocked(Reason::DuplicateAccount)»",
            "()",
        )],
        &[WANTED],
    ),
    variant(
        "a_suspended_account_is_reconciled",
        &[4],
        &[edit("src/plan.rs", "desired.spec.is_suspended(now)", "false")],
        &[WANTED],
    ),
    variant(
        "a_mailbox_that_goes_is_disabled_first",
        &[3],
        &[edit("src/plan.rs", "desired.wanted(Field::Enabled, row, now) == Some(false)", "false")],
        &["lib::plan::tests::a_mailbox_is_enabled_first_and_disabled_last"],
    ),
    variant(
        "the_budget_counts_what_is_pending_as_one",
        &[4],
        &[edit(
            "src/guard.rs",
            "pending: «self.pending.len() - self.both»",
            "(self.pending.len() - self.both).min(1)",
        )],
        &["lib::guard::tests::one_disruption_too_many_holds_all_of_them"],
    ),
    variant(
        "a_restart_forgets_what_was_taken_away",
        &[4],
        &[edit(
            "src/controller/machine.rs",
            "guards: «Guards::new(allowance, &ledger)»",
            "Guards::new(allowance, &Ledger::new(ledger.owner))",
        )],
        &[DISRUPTIONS],
    ),
    variant(
        "what_was_taken_away_is_forgotten_after_half_the_window",
        &[4],
        &[edit("src/guard.rs", "if «at + self.window > now» {", "at + self.window / 2 > now")],
        &[DISRUPTIONS],
    ),
    variant(
        "only_what_was_acknowledged_counts_as_taken_away",
        &[4],
        &[edit(
            "src/ledger.rs",
            "«charged».into_iter().for_each(|direction| self.charge(",
            "charged.filter(|direction| *direction != crate::change::Direction::TakesAway)",
        )],
        &["remembering::what_may_have_been_taken_away_counts_though_it_was_reverted_before_the_answer"],
    ),
    variant(
        "what_comes_back_is_never_counted",
        &[13],
        &[edit("src/ledger/charges.rs", "let returns = «to && field == Field::Enabled && self.is_disabled()»;", "false")],
        &["lib::controller::machine::tests::returning::what_came_back_counts_for_the_window_also_after_a_restart_and_what_was_refused_does_not"],
    ),
    variant(
        "a_removal_in_doubt_escapes_the_grant_budget",
        &[13],
        &[edit(
            "src/plan.rs",
            "gives_back: to && «row.is_some_and(Row::is_disabled)» && desired",
            "row.is_some_and(|row| row.is_disabled() && from != Known::InDoubt)",
        )],
        &["cli::returning::a_mailbox_that_may_be_disabled_counts_as_one_that_comes_back"],
    ),
    variant(
        "a_joiner_comes_back",
        &[3],
        &[edit("src/ledger.rs", "row.begins_or_not(by.from, value, by.validity);", "let _ = (row, by);")],
        &["cli::returning::joiners_begin_within_no_grant_budget_and_those_whose_mailbox_was_taken_away_come_back"],
    ),
    variant(
        "an_end_is_the_work_of_who_wrote_the_beginning",
        &[14],
        &[edit("src/desired.rs", "Some(Validity::NoLongerValid { .. }) => «Bound::Until»,", "Bound::From")],
        &["history::what_a_date_wants_is_the_work_of_who_gave_that_date_whatever_others_say_of_the_other_one"],
    ),
    variant(
        "an_approval_of_removals_lets_back_whom_it_names",
        &[13],
        &[edit("src/desired/policies.rs", "«is_it» && !self.lapsed", "(is_it || true)")],
        &["lib::controller::machine::tests::returning::an_approval_lets_exactly_these_back_and_one_of_removals_lets_none"],
    ),
    variant(
        "what_is_held_is_never_let_go",
        &[3],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "if «held == 0» { *logged = false; continue; }",
            "held == 0 || verdicts.of(direction).is_some()",
        )],
        &[CONVERGES],
    ),
    variant(
        "what_a_budget_holds_when_its_turn_comes_is_never_let_go",
        &[10],
        &[edit(
            "src/controller/machine/dispatch.rs",
            "«self.replan(account, now);» self.rest(account, until);",
            "",
        )],
        &[
            "lib::controller::machine::tests::holding::a_share_of_fewer_accounts_holds_removals_that_wait_and_lets_them_go_when_the_others_are_back",
            "lib::controller::machine::tests::holding::one_edit_that_takes_removals_back_and_adds_others_loses_none_of_them",
        ],
    ),
    variant(
        "a_pass_sends_what_became_due_while_it_ran",
        &[10],
        &[edit("src/controller/machine/attempts.rs", "if «!self.pass.may_try(change)» {", "false")],
        &["passing::a_pass_sends_what_its_plan_said_and_nothing_that_a_date_or_the_window_brings_meanwhile"],
    ),
    variant(
        "a_field_left_out_is_taken_for_true",
        &[4],
        &[edit(
            "src/plan.rs",
            "let to = «desired.wanted(field, row, now)?»;",
            "desired.wanted(field, row, now).unwrap_or(true)",
        )],
        &[WANTED],
    ),
    variant(
        "an_unreadable_file_is_taken_for_a_removed_one",
        &[4],
        &[edit(
            "src/attribution.rs",
            "Look::Problem(problem) => «desired::Look::Unreadable(unreadable(path, &problem))»",
            "{ let _ = unreadable(path, &problem); desired::Look::Gone }",
        )],
        &["remembering::the_last_good_state_of_a_file_that_cannot_be_read_is_still_reconciled"],
    ),
    variant(
        "a_broken_file_orphans_what_it_declared",
        &[4],
        &[edit("src/desired.rs", "if «claims.is_empty()» { return Vec::new();", "true")],
        &["lib::desired::tests::a_broken_document_keeps_what_it_declared_and_leaves_its_neighbours_alone"],
    ),
    variant(
        "the_end_of_a_duplicate_is_not_told_to_the_other_one",
        &[7],
        &[edit(
            "src/desired.rs",
            "changed.chain(crowded.map(|(id, ..)| *id)).chain(approved).collect()",
            "{ let _ = crowded; changed.chain(approved).collect() }",
        )],
        &["lib::desired::tests::two_documents_with_one_name_are_both_held_and_both_are_touched_when_that_ends"],
    ),
    variant(
        "a_name_that_only_one_bears_again_stays_shared",
        &[7],
        &[edit(
            "src/desired/declared.rs",
            "handles.iter().map(|handle| «self.sharers_of(handle)»)",
            "Vec::new()",
        )],
        &["lib::desired::tests::incremental_reading_and_a_fresh_full_load_give_the_same_desired_state"],
    ),
    variant(
        "a_manifest_that_moved_leaves_its_old_place_behind",
        &[7],
        &[edit("src/desired.rs", "let old_ids = «self.files.remove(path)»;", "self.files.remove(path).filter(|_| !documents.is_empty())")],
        &["lib::desired::tests::incremental_reading_and_a_fresh_full_load_give_the_same_desired_state"],
    ),
];
