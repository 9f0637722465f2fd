//! Bugs of the conductor and its queue: order, doubt, what a stop and a restart may forget.

use super::*;

/// A release build has no such assertions, and goes on.
const ONE_ALONE: Edit = edit(
    "src/controller/machine/inflight.rs",
    "«debug_assert!(before.is_none(), \"one request per account\");»",
    "let _ = before;",
);
const DURABLE_BEFORE_IT_IS_SENT: Edit = edit(
    "src/controller/machine/inflight.rs",
    "«debug_assert_eq!(request.stage, Stage::Durable, \"an intent is durable before its PUT leaves\");»",
    "",
);

pub const BUGS: &[Variant] = &[
    variant(
        "an_edit_starts_a_second_request_while_one_is_in_flight",
        &[1],
        &[
            edit("src/queue.rs", "=> «*again = Some(class)»,", "return self.make_ready(account, class, now)"),
            ONE_ALONE,
            DURABLE_BEFORE_IT_IS_SENT,
        ],
        &[ONE_IN_FLIGHT, "lib::queue::tests::an_account_in_flight_is_never_popped_and_comes_again_after_an_edit"],
    )
    .rare(),
    variant(
        "a_popped_account_is_not_marked_as_in_flight",
        &[1],
        &[
            edit(
                "src/queue.rs",
                "«self.items.insert(account, Item { state: State::InFlight { again: None }, ..item })»; Some(Popped",
                "{ self.make_delayed(account, item.class, now + Duration::from_secs(5)); None::<Item> }",
            ),
            ONE_ALONE,
            DURABLE_BEFORE_IT_IS_SENT,
        ],
        &[ONE_IN_FLIGHT],
    ),
    variant(
        "a_put_does_not_wait_for_the_disk",
        &[2],
        &[edit(
            "src/controller/machine/dispatch.rs",
            "self.unwritten.put(account); self.inflight.begin(Request::new(change, before, now));",
            "self.inflight.begin(Request::new(change, before, now));
             self.inflight.committed(vec![account]);
             self.send_durable(now);",
        )],
        &[INTENT_FIRST],
    ),
    variant(
        "a_token_request_does_not_wait_for_its_record",
        &[2, 6],
        &[edit(
            "src/controller/machine/dispatch.rs",
            "self.unwritten.token_request(now);",
            "self.fetch_token(now, now);",
        )],
        &[INTENT_FIRST],
    ),
    variant(
        "what_may_have_happened_is_taken_back",
        &[2, 5],
        &[edit(
            "src/controller/machine/on_response.rs",
            "Outcome::InDoubt(failure) => { let until = «answer.retry_after»",
            "{ self.not_applied(&request, now); answer.retry_after }",
        )],
        &[TRUTH],
    ),
    variant(
        "a_stop_takes_back_what_was_sent",
        &[2, 5],
        &[edit(
            "src/controller/machine/inflight.rs",
            "self.requests.iter().filter(|(_, request)| «request.token().is_none()»)",
            "true",
        )],
        &["remembering::what_a_stop_did_not_wait_for_stays_in_doubt"],
    ),
    variant(
        "an_intent_that_is_taken_back_stays_pending",
        &[10],
        &[edit(
            "src/controller/machine/send.rs",
            "self.step(account, now);",
            "self.queue.put_back(account, crate::queue::Urgency::Grant, false, now);",
        )],
        &["remembering::an_edit_that_is_reverted_before_its_intent_is_durable_leaves_nothing_pending"],
    ),
    variant(
        "the_second_field_waits_for_the_next_edit",
        &[3],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "self.queue.put_back(account, urgency(due(&open)), due(&open).all(|open| open.failed), now)",
            "self.queue.done(account, now)",
        )],
        &["cli::apply::a_pass_applies_everything_and_the_next_one_sends_nothing"],
    ),
    variant(
        "a_token_is_asked_for_though_nothing_is_to_be_done",
        &[3],
        &[edit(
            "src/controller/machine/dispatch.rs",
            "self.look_at_held(now);",
            "self.look_at_held(now);
             if self.queue.depth() == 0 && matches!(self.may_start(Kind::Put, now), Start::Credentials) { return Then::ReadCredentials; }",
        )],
        &[IDLE_RESTART],
    ),
    variant(
        "a_restart_asks_again_for_what_was_rejected",
        &[3],
        &[edit("src/controller/machine.rs", "Mode::Run => «Timestamp::default()»", "now")],
        &["remembering::a_restart_does_not_ask_again_for_what_was_rejected"],
    ),
    variant(
        "an_edit_while_an_attempt_fails_waits_out_the_backoff",
        &[12],
        &[edit(
            "src/queue.rs",
            "match «self.land(account)» { Some(class) => self.make_ready(account, class, now), None => self.make_delayed",
            "{ self.land(account); None::<Class> }",
        )],
        &["lib::queue::tests::an_edit_during_a_failing_attempt_is_tried_at_once"],
    ),
    variant(
        "an_operator_asks_in_vain_for_what_was_rejected_to_be_tried_again",
        &[3],
        &[edit(
            "src/controller/machine/attempts.rs",
            "if «!self.replan(account, now).is_empty()» { self.queue.add_retry(account, now);",
            "{ let _ = account; false }",
        )],
        &["remembering::a_restart_does_not_ask_again_for_what_was_rejected"],
    ),
    variant(
        "a_suspension_that_ends_wakes_nobody",
        &[3],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "[«suspended», boundary].into_iter().flatten()",
            "suspended.filter(|_| false)",
        )],
        &[CONVERGES],
    ),
    variant(
        "the_loop_spins_while_the_disk_is_full",
        &[12],
        &[edit(
            "src/controller/machine/dispatch.rs",
            "let next = «self.queue.peek_probe(probe, met, now)»;",
            "if self.stop_by.is_some() || self.unwritable.is_some() { None } else { self.queue.peek(now) }",
        )],
        &[ALIVE],
    )
    .rare(),
    variant(
        "each_turn_of_a_stop_begins_the_grace_anew",
        &[12],
        &[edit(
            "src/controller/machine/orders.rs",
            "let late = «now >= deadline»;",
            "false && now >= deadline",
        )],
        &[ALIVE, "lib::controller::machine::tests::a_stop_waits_for_what_is_in_flight_until_its_grace_is_over"],
    )
    .rare(),
    variant(
        "what_is_held_counts_as_applied",
        &[10],
        &[edit("src/controller/machine/summary.rs", "_ if held => «summary.held.push(unapplied)»", "summary.applied += 1")],
        &["cli::apply::held_disruptions_are_an_exit_code_of_their_own_and_everything_else_goes_on"],
    ),
    variant(
        "what_is_in_doubt_is_in_no_sum",
        &[10],
        &[edit("src/controller/machine/summary.rs", "Known::InDoubt => «summary.in_doubt.push(unapplied)»", "drop(unapplied)")],
        &[SUM, "cli::apply::every_failure_says_what_happened_to_whom_from_which_line_and_what_to_do"],
    ),
    variant(
        "what_was_never_attempted_is_in_no_sum",
        &[10],
        &[edit(
            "src/controller/machine/summary.rs",
            "Known::Absent | Known::Applied(_) => «summary.failed.push(unapplied)»",
            "if known != Known::Absent { summary.failed.push(unapplied) }",
        )],
        &[SUM],
    ),
    variant(
        "a_refused_connection_uses_up_a_token_request",
        &[12],
        &[edit("src/controller/machine/on_token.rs", "if «answer.was_not_sent()» {", "false")],
        &[
            "lib::controller::machine::tests::without_token::connections_that_are_refused_use_up_no_token_request_neither_here_nor_in_the_ledger",
        ],
    ),
    variant(
        "the_ledger_remembers_a_token_request_that_was_not_sent",
        &[12],
        &[edit("src/ledger.rs", "let begun = «self.token_requests.pop_back()»;", "None::<Timestamp>")],
        &["lib::ledger::tests::a_token_request_that_was_not_sent_is_remembered_no_longer"],
    ),
    variant(
        "each_edit_tries_refused_credentials_again",
        &[12],
        &[edit("src/controller/machine/token.rs", "is_refused && «!self.hastened» && !self.suspects", "true")],
        &["lib::controller::machine::token::tests::an_edit_that_finds_credentials_refused_again_has_to_wait_for_the_next_trial"],
    ),
    variant(
        "one_probe_that_fails_speaks_for_the_service",
        &[15],
        &[edit("src/throttle/breaker.rs", "«trouble.several || trouble.probes >= FAILED_PROBES»;", "trouble.probes > 0")],
        &[
            "lib::controller::machine::tests::in_trouble::a_single_probe_that_fails_after_a_restart_says_nothing_of_the_service_and_three_do",
        ],
    ),
    variant(
        "each_edit_plans_every_account",
        &[8],
        &[edit(
            "src/controller/machine/on_files.rs",
            "for account in &touched { self.tokens.may_tell(*account); self.touch(*account, touched.len(), now); }",
            "let all: Vec<crate::account::AccountId> = self.desired.iter().map(|(account, _)| account).collect();
             for account in &all { self.touch(*account, all.len(), now); }",
        )],
        &["cost::an_edit_costs_the_same_with_a_hundred_times_the_accounts"],
    ),
    variant(
        "each_report_counts_every_account_anew",
        &[8],
        &[edit(
            "src/controller/machine/report.rs",
            "report.managed = «self.desired.managed()»;",
            "self.desired.iter().filter(|(_, account)| account.spec.account_id.get() > 0).count()",
        )],
        &["cost::an_edit_costs_the_same_with_a_hundred_times_the_accounts"],
    ),
    variant(
        "a_restart_forgets_that_all_accounts_were_refused_alike",
        &[12],
        &[edit(
            "src/throttle/remembered.rs",
            "return Some(Opened::Alike(refused.reason, Code::Http(code)));",
            "let _ = (refused, Code::Http(code));",
        )],
        &[
            "lib::controller::machine::tests::in_trouble::after_a_restart_what_was_refused_alike_is_probed_by_one_request_at_a_time",
        ],
    ),
    variant(
        "one_that_is_accepted_has_all_that_were_refused_alike_tried_at_once",
        &[12],
        &[
            edit(
                "src/controller/machine/attempts.rs",
                "let until = «if index < TRIED_WITH_EACH { now } else { now + span / number * index }»;",
                "now",
            ),
            edit("src/controller/machine/attempts.rs", "if «index < TRIED_WITH_EACH || next > now + span» {", "true"),
        ],
        &[
            "lib::controller::machine::tests::in_trouble::what_is_accepted_after_a_refusal_has_two_more_tried_and_the_rest_one_after_the_other",
        ],
    ),
    variant(
        "the_switch_is_looked_at_when_nothing_comes_in_for_a_second",
        &[6],
        &[edit(
            "src/controller.rs",
            "if let Some(Ok(freeze)) = «self.switch.as_deref()».map(switch::read)",
            "self.switch.as_deref().filter(|_| self.report.borrow().turned_at + HEARTBEAT <= self.clock.now())",
        )],
        &["cli::suspend::nothing_that_is_edited_after_suspend_has_returned_is_sent"],
    ),
];
