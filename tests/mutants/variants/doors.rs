//! Bugs at the doors of the program: what an answer proves, what is told of secrets, what a command may do.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "a_timeout_proves_that_nothing_happened",
        &[2, 5],
        &[edit(
            "src/zoho/response.rs",
            "TransportError::Timeout(_) | TransportError::Lost(_) => «Outcome::InDoubt(failure(Reason::InDoubt))»",
            "Outcome::Retry(failure(Reason::ServiceUnavailable))",
        )],
        &[
            "zoho_client::silence_and_a_trickle_end_with_the_timeout_and_leave_doubt",
            "zoho_client::an_answer_that_is_lost_leaves_doubt_and_is_not_asked_for_twice",
        ],
    ),
    variant(
        "a_200_with_an_error_in_it_is_an_acknowledgement",
        &[2],
        &[edit("src/zoho/response.rs", "if «envelope.is_success() && accepted» =>", "accepted")],
        &["lib::zoho::response::tests::an_error_inside_an_http_success_counts_as_that_error"],
    ),
    variant(
        "a_200_with_a_login_page_is_an_acknowledgement",
        &[2],
        &[edit("src/zoho/response.rs", "None if accepted => «return Self::Doubtful»", "return Self::Applied")],
        &[TRUTH, "lib::zoho::response::tests::a_success_without_a_readable_acknowledgement_is_in_doubt"],
    ),
    variant(
        "a_502_proves_that_nothing_happened",
        &[2, 5],
        &[edit(
            "src/zoho/response.rs",
            "Self::Redirected | Self::Unavailable => «Outcome::InDoubt(failure(Reason::ServiceUnavailable))»",
            "Outcome::Retry(failure(Reason::ServiceUnavailable))",
        )],
        &[
            "lib::zoho::response::tests::trouble_of_the_service_leaves_the_account_in_doubt",
            "cli::apply::every_failure_says_what_happened_to_whom_from_which_line_and_what_to_do",
        ],
    ),
    variant(
        "a_body_that_was_cut_counts_as_whole",
        &[2, 12],
        &[edit("src/zoho/transport.rs", "answer.truncated = true;", "")],
        &["zoho_client::a_body_without_end_is_cut_and_never_a_success"],
    ),
    variant(
        "redirects_are_followed",
        &[2, 11],
        &[edit("src/zoho/transport.rs", ".redirect(«Policy::none()»)", "Policy::limited(3)")],
        &["zoho_client::a_redirect_is_not_followed_and_the_other_host_sees_nothing"],
    ),
    variant(
        "plan_connects_ahead_of_the_apply",
        &[9],
        &[edit(
            "src/cli/plan.rs",
            "let owner = «target.owner()?»;",
            "{ let _ = std::net::TcpStream::connect(\"127.0.0.1:1\"); target.owner()? }",
        )],
        &["invariants::commands_that_only_read_open_no_socket"],
    ),
    variant(
        "status_takes_the_lock_of_the_ledger",
        &[9],
        &[edit(
            "src/cli/status.rs",
            "Ok(«ledger::file::read(&self.target.place.file(), None)?».unwrap_or_else(|| Ledger::new(Owner::User)))",
            "{
                let file = self.target.place.file();
                let owner = ledger::file::read(&file, None)?.map_or(Owner::User, |ledger| ledger.owner);
                Some(ledger::file::LedgerFile::open(&file, owner, tokio::sync::mpsc::unbounded_channel().0)?.1)
            }",
        )],
        &["cli::ledgers::a_ledger_in_use_is_told_with_the_pid_and_can_still_be_read"],
    ),
    variant(
        "answers_are_logged_with_their_bodies",
        &[11],
        &[edit(
            "src/zoho/client.rs",
            "«(answer, begun.elapsed())»",
            "{
                if let Ok(answer) = &answer { tracing::debug!(body = %String::from_utf8_lossy(&answer.body), \"answer\"); }
                (answer, begun.elapsed())
            }",
        )],
        &["invariants::secrets_are_in_no_log_error_ledger_metric_or_page"],
    ),
    variant(
        "the_words_of_the_service_are_told_as_they_are",
        &[11],
        &[edit(
            "src/zoho/response.rs",
            "let words = «secrets.clean(&envelope.texts.join(\": \"), TEXT_MAX)»;",
            "envelope.texts.join(\": \")",
        )],
        &[
            "invariants::secrets_are_in_no_log_error_ledger_metric_or_page",
            "zoho_client::a_token_that_the_service_echoes_is_in_nothing_that_is_told",
        ],
    ),
    variant(
        "a_file_of_credentials_is_logged_as_it_is_read",
        &[11],
        &[edit(
            "src/zoho/auth.rs",
            "let text = «self.read(path)?»;",
            "{ let text = self.read(path)?; tracing::trace!(text = text.expose_secret(), \"credentials read\"); text }",
        )],
        &["invariants::secrets_are_in_no_log_error_ledger_metric_or_page"],
    ),
    variant(
        "a_body_is_in_the_debug_output_of_an_answer",
        &[11],
        &[edit(
            "src/zoho/response.rs",
            "write!(f, \"HttpResponse({status}, {retry_after:?}, {} bytes, truncated: {truncated})\", body.len())",
            "write!(f, \"HttpResponse({status}, {retry_after:?}, {}, {truncated})\", String::from_utf8_lossy(body))",
        )],
        &["lib::zoho::response::tests::an_answer_shows_no_body_in_its_debug_output"],
    ),
    variant(
        "the_doctor_asks_for_a_token_during_a_pause",
        &[6, 9],
        &[edit("src/doctor/service.rs", "let reason = match «plan::pause(subject)» {", "None")],
        &["doctor::service::during_a_pause_and_offline_not_one_request_leaves"],
    ),
    variant(
        "a_notification_is_forgotten_by_a_restart",
        &[12],
        &[edit("src/notifier/memory.rs", "new.persist(path)?;", "new.close()?;")],
        &["notifying::a_restart_repeats_nothing_and_a_damaged_memory_is_forgotten_and_said_once"],
    ),
    variant(
        "whoever_looks_at_the_page_asks_the_loop_anew",
        &[8],
        &[edit("src/admin/accounts.rs", "if «news && now >= kept.again» {", "true")],
        &["page::questions::whoever_looks_shares_one_answer_until_something_happens"],
    ),
    variant(
        "another_plan_than_the_one_that_was_reviewed_is_sent",
        &[13],
        &[edit("src/cli/apply.rs", "if «found != expected» {", "false")],
        &["cli::apply::only_the_plan_that_was_reviewed_is_applied"],
    ),
    variant(
        "a_second_suspension_takes_the_place_of_the_first_unasked",
        &[6],
        &[edit("src/cli/suspend.rs", "first.as_ref().filter(|_| «!replace»)", "!replace && first.is_none()")],
        &["cli::suspend::a_second_suspension_shows_the_first_and_takes_its_place_only_when_that_is_asked_for"],
    ),
    variant(
        "the_log_waits_for_its_reader",
        &[12],
        &[edit("src/cli.rs", "if «has_log» {", "false")],
        &[
            "unhindered::a_reader_that_stops_reading_the_log_holds_up_neither_puts_nor_pages_nor_signals",
            "unhindered::a_pass_whose_log_is_not_read_sends_everything_and_ends",
            "deploy::service::a_log_that_is_not_read_stops_neither_the_loop_nor_its_signs_of_life",
        ],
    ),
    variant(
        "lines_that_were_dropped_are_counted_and_not_reported",
        &[12],
        &[edit("src/telemetry/queue.rs", "report_gap(missing);", "std::hint::black_box(missing);")],
        &["unhindered::a_log_that_is_read_again_says_where_lines_are_missing_and_how_many"],
    ),
    variant(
        "a_request_that_panics_is_never_answered",
        &[5],
        &[edit(
            "src/controller/requests.rs",
            "let polled = «catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))»;",
            "Ok::<_, Box<dyn std::any::Any + Send>>(future.as_mut().poll(context))",
        )],
        &[
            "unhindered::panics::a_put_that_panics_leaves_its_account_in_doubt_and_is_sent_again",
            "unhindered::panics::a_token_request_that_panics_is_made_again",
        ],
    ),
];
