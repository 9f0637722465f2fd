//! Bugs of throttle, tokens and bounds: how often, how long, how much.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "a_window_takes_one_request_more_than_the_budget",
        &[6],
        &[edit("src/throttle.rs", "if «used < count» { return Admission::Now; }", "used <= count")],
        &[BUDGET, "lib::throttle::tests::a_full_window_says_when_it_has_room_again"],
    ),
    variant(
        "a_restart_counts_a_request_from_its_intent",
        &[6],
        &[edit("src/throttle.rs", "(*at + lateness).min(now)", "(*at).min(now)")],
        &[BUDGET],
    ),
    variant(
        "a_restart_forgets_the_requests_of_the_window",
        &[6],
        &[edit(
            "src/throttle.rs",
            "if limit.is_some() { remembered(&ledger.requests) } else { Window::default() }",
            "Window::default()",
        )],
        &[BUDGET, "crash::a_crash_loop_gets_no_fresh_request_budget"],
    ),
    variant(
        "token_requests_are_not_counted_in_the_window",
        &[6],
        &[
            edit("src/throttle.rs", "pub fn begin_token(&mut self) { «self.requests.begin();»", ""),
            edit("src/throttle.rs", "pub fn end_token(&mut self, now: Timestamp) { «self.end(now);»", ""),
        ],
        &[BUDGET],
    ),
    variant(
        "a_request_that_failed_gives_its_place_back",
        &[6],
        &[edit(
            "src/throttle.rs",
            "pub fn end_put(&mut self, account: AccountId, begun: Timestamp, ended: Ended, now: Timestamp) -> bool { «self.end(now);»",
            "if ended == Ended::Well { self.end(now); } else { self.requests.cancel(); }",
        )],
        &[BUDGET],
    ),
    variant(
        "a_freeze_counts_only_from_the_next_start",
        &[6],
        &[edit(
            "src/controller/machine.rs",
            "Event::Suspension(freeze) => «self.suspend(freeze, now)»,",
            "drop(freeze)",
        )],
        &[FREEZE, "cli::suspend::a_daemon_that_is_suspended_reads_on_outlasts_a_kill_and_sends_when_it_is_resumed"],
    ),
    variant(
        "a_freeze_stops_what_is_new_and_not_what_is_a_token",
        &[6],
        &[
            edit(
                "src/controller/machine/dispatch.rs",
                "|blocked| «blocked.stops_planning()»",
                "blocked.stops_planning() && !matches!(blocked, super::Blocked::Suspended(_))",
            ),
            edit(
                "src/controller/machine/dispatch.rs",
                "|blocked| «blocked.recalls_token_request()»",
                "blocked.recalls_token_request() && !matches!(blocked, super::Blocked::Suspended(_))",
            ),
        ],
        &[FREEZE],
    ),
    variant(
        "a_pause_is_not_written_down",
        &[6],
        &[edit(
            "src/controller/machine/on_token.rs",
            "self.throttle.impose(until, reason, now) { self.log(RequestLog::Paused(pause)); «self.record(Record::Pause { pause: Some(pause) }, now);»",
            "",
        )],
        &["remembering::a_restart_does_not_jump_a_pause_that_was_imposed_before"],
    ),
    variant(
        "a_restart_forgets_the_pause",
        &[6],
        &[edit("src/throttle/remembered.rs", "ledger.pause.filter(|pause| pause.until > now)", "None")],
        &[PAUSE, "lib::throttle::tests::a_pause_outlives_a_restart"],
    ),
    variant(
        "a_shorter_pause_ends_a_longer_one",
        &[6],
        &[edit("src/throttle.rs", "self.pause.is_some_and(|pause| pause.until >= until)", "false")],
        &["lib::throttle::tests::an_imposed_pause_is_never_jumped_or_shortened_and_ends_with_one_probe"],
    ),
    variant(
        "a_pause_is_as_long_as_usual_whatever_the_service_says",
        &[6],
        &[edit(
            "src/controller/machine/on_token.rs",
            "let asked = «asked.unwrap_or(usual)»;",
            "{ let _ = asked; usual }",
        )],
        &[PAUSE],
    ),
    variant(
        "the_page_of_a_proxy_pauses_everybody_for_as_long_as_it_says",
        &[6, 12],
        &[edit("src/zoho/wait.rs", "if «self.in_envelope» { self.wait }", "true")],
        &[
            "pausing::the_page_of_a_proxy_stops_everybody_for_no_longer_than_the_options_say",
            "lib::controller::machine::tests::pausing::only_the_words_of_the_service_itself_pause_everybody_for_longer_than_the_options_say",
        ],
    ),
    variant(
        "any_json_is_the_envelope_of_the_service",
        &[6, 12],
        &[edit("src/zoho/envelope.rs", "is_documented: «code.is_some() || own_error.is_some()»,", "true")],
        &[
            "lib::zoho::response::tests::only_the_words_of_the_service_itself_stop_everybody_for_longer_than_the_options_say",
        ],
    ),
    variant(
        "the_date_of_a_retry_is_read_by_our_own_clock",
        &[6],
        &[edit("src/zoho/wait.rs", "until.since(«own_date(response).unwrap_or(now)»)", "now")],
        &["pausing::a_date_is_read_against_the_date_of_the_answer_and_not_by_our_clock"],
    ),
    variant(
        "a_pause_that_was_written_down_years_ahead_holds_for_years",
        &[6, 12],
        &[edit("src/throttle/remembered.rs", "until: «pause.until.min(now + PAUSE_MAX)»,", "pause.until")],
        &["lib::throttle::tests::a_pause_that_a_clock_wrote_down_years_ahead_holds_for_a_day_at_most"],
    ),
    variant(
        "a_pause_that_was_written_down_years_ahead_begins_anew_with_each_restart",
        &[6, 12],
        &[edit("src/controller/machine.rs", "machine.correct_remembered_pause(now);", "")],
        &["pausing::a_pause_that_a_clock_wrote_down_years_ahead_holds_for_a_day_and_does_not_begin_anew"],
    ),
    variant(
        "a_restart_after_an_answer_that_was_not_written_down_asks_with_everybody",
        &[12],
        &[edit(
            "src/throttle/remembered.rs",
            "failed(row, field) || «in_doubt(row.field(field))»",
            "false & in_doubt(row.field(field))",
        )],
        &["lib::throttle::tests::a_restart_that_finds_a_put_in_doubt_probes_alone_until_one_is_answered"],
    ),
    variant(
        "a_pass_waits_for_as_long_as_a_pause_takes",
        &[12],
        &[edit("src/controller/machine.rs", "self.lose_patience(now);", "")],
        &[
            "lib::controller::machine::tests::pausing::a_pass_ends_with_what_is_left_when_the_next_request_cannot_start_in_time_and_a_daemon_waits",
        ],
    ),
    variant(
        "a_pass_does_not_wait_for_what_is_under_way",
        &[10],
        &[edit(
            "src/controller/machine/patience.rs",
            "let only_backoffs = !is_reading && «self.inflight.len() == 0 && self.queue.delayed() == self.queue.depth()»;",
            "true",
        )],
        &[
            "lib::controller::machine::tests::pausing::a_pass_gives_up_on_a_request_budget_and_on_backoffs_that_take_too_long",
        ],
    ),
    variant(
        "a_pause_that_is_lifted_is_lifted_for_this_process_alone",
        &[6],
        &[edit(
            "src/controller/machine/on_token.rs",
            "self.record(Record::PauseLifted { at: now, pause, by }, now);",
            "drop(by);",
        )],
        &[
            "lib::controller::machine::tests::pausing::a_pause_that_is_lifted_ends_at_once_with_one_probe_and_a_record_of_who_lifted_it",
        ],
    ),
    variant(
        "an_order_lifts_whatever_pause_is_in_force",
        &[6],
        &[edit(
            "src/controller/machine/on_token.rs",
            "self.throttle.pause(now).filter(|pause| «pause.until == until») else { return };",
            "{ let _ = (pause, until); true }",
        )],
        &["lib::controller::machine::tests::pausing::an_order_that_comes_late_or_names_another_pause_lifts_nothing"],
    ),
    variant(
        "a_restart_after_a_lifted_pause_asks_with_everybody",
        &[12],
        &[edit(
            "src/ledger.rs",
            "Record::PauseLifted { pause, .. } => self.pause = «Some(pause.lifted())»",
            "{ let _ = pause; None }",
        )],
        &[
            "lib::controller::machine::tests::pausing::a_lifted_pause_lets_the_next_token_be_requested_and_makes_a_restart_probe_alone",
        ],
    ),
    variant(
        "a_lifted_pause_is_not_in_the_history",
        &[14],
        &[edit(
            "src/ledger/audit/entry.rs",
            "Some(Self { seq, at, what: Audited::PauseLifted(LiftedPause { pause_lifted: pause, by }) })",
            "{ let _ = (at, pause, by); None }",
        )],
        &["pausing::lifting::a_running_daemon_lifts_the_pause_and_says_who_asked"],
    ),
    variant(
        "an_intent_that_is_durable_leaves_in_spite_of_a_pause",
        &[6],
        &[
            edit(
                "src/controller/machine/send.rs",
                "stays |= «blocked.recalls_intents()»;",
                "matches!(blocked, Blocked::Stopping)",
            ),
            edit("src/controller/machine/send.rs", "INTENT_AGE_MAX && «self.throttle.may_leave(began, now)»", "true"),
        ],
        &[
            "lib::controller::machine::tests::an_intent_that_is_durable_during_a_pause_is_taken_back_and_leaves_when_the_pause_is_over",
        ],
    ),
    variant(
        "tokens_are_asked_for_without_a_limit",
        &[6, 12],
        &[edit(
            "src/throttle.rs",
            "self.tokens.admit(TOKEN_REQUESTS, TOKEN_WINDOW, now, Wait::TokenLimit)",
            "self.tokens.admit(usize::MAX, TOKEN_WINDOW, now, Wait::TokenLimit)",
        )],
        &["crash::a_crash_loop_asks_for_ten_tokens_in_ten_minutes_at_most"],
    ),
    variant(
        "a_token_that_is_refused_is_replaced_for_ever",
        &[12],
        &[edit(
            "src/controller/machine/token.rs",
            "if «self.doubted && (by_several || others == Others::None)» {",
            "false & by_several",
        )],
        &["remembering::a_second_refusal_of_a_fresh_token_stops_everybody"],
    ),
    variant(
        "a_backoff_grows_without_end",
        &[12],
        &[edit(
            "src/queue.rs",
            "self.min.saturating_mul(1 << doublings).min(self.max)",
            "self.min.saturating_mul(1 << doublings)",
        )],
        &["lib::queue::tests::the_backoff_doubles_up_to_its_bound_and_is_spread_over_all_of_it"],
    ),
    variant(
        "a_service_in_trouble_is_asked_by_everybody",
        &[12],
        &[edit(
            "src/throttle/breaker.rs",
            "if «accounts.len() < if ended == Ended::Failed { BREAKER_ACCOUNTS } else { REFUSED_ALIKE }» {",
            "true",
        )],
        &["lib::throttle::tests::the_breaker_opens_after_failures_of_several_accounts_and_probes_with_one_request"],
    ),
    variant(
        "one_account_that_always_fails_stops_all_others",
        &[12],
        &[edit("src/throttle/breaker.rs", "if «!accounts.contains(&account)» {", "true")],
        &["lib::throttle::tests::one_account_that_always_fails_opens_no_breaker_and_makes_no_probe_wait_longer"],
    ),
    variant(
        "probes_try_nothing_but_grants",
        &[12],
        &[edit(
            "src/throttle/breaker.rs",
            "State::Open { trouble, .. } if «trouble.probes % 2 == 1»",
            "trouble.probes > 0",
        )],
        &["lib::throttle::tests::probes_try_grants_and_removals_in_turn"],
    ),
    variant(
        "retries_wait_until_nothing_fresh_is_left",
        &[12],
        &[edit("src/queue.rs", "let is_due = fresh.is_none() || «self.is_retry_due()»;", "false")],
        &["lib::queue::tests::while_fresh_edits_wait_one_in_twenty_is_a_retry"],
    ),
    variant(
        "a_bulk_keeps_a_single_edit_waiting",
        &[12],
        &[edit(
            "src/queue.rs",
            "Self::Fresh(urgency, «now + SLOT.saturating_mul(u32::try_from(edited).unwrap_or(u32::MAX))»)",
            "{ let _ = edited; now }",
        )],
        &["lib::queue::tests::a_small_edit_overtakes_a_bulk_until_the_bulk_has_waited_as_long_as_it_takes"],
    ),
    variant(
        "requests_are_remembered_without_end",
        &[12],
        &[edit("src/ledger/requests.rs", "if «stamps.len() == REQUEST_MEMORY_MAX» {", "false")],
        &["lib::ledger::moments::tests::everything_remembered_is_bounded_in_number_and_in_time"],
    ),
    variant(
        "hints_are_kept_without_end",
        &[12],
        &[edit("src/source/events.rs", "taken.everything |= «taken.paths.len() > MAX_HINTS»;", "false")],
        &["lib::source::events::tests::the_number_of_hints_is_bounded"],
    ),
    variant(
        "every_problem_of_a_batch_is_logged",
        &[12],
        &[edit("src/controller/machine/on_files.rs", "problems.into_iter().take(«most»)", "most.max(1)")],
        &["cli::logs::however_many_manifests_are_broken_the_log_stays_short"],
    ),
    variant(
        "each_held_account_is_a_line_in_the_log",
        &[12],
        &[edit(
            "src/controller/machine/reconcile.rs",
            "if !reads_first && «!std::mem::replace(logged, true)» { self.log(StateLog::Held",
            "true",
        )],
        &["remembering::a_mass_change_that_is_held_is_one_line_in_the_log"],
    ),
];
