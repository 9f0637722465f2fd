//! Bugs of the ledger: what is durable, what is believed, what is folded away.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "the_history_is_not_synced_before_the_journal_goes",
        &[14],
        &[edit(
            "src/ledger/file/audit.rs",
            "file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;",
            "",
        )],
        &[
            "ledger_on_disk::power_cuts::whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_acknowledged_is_forgotten",
        ],
    ),
    variant(
        "a_line_of_the_history_may_follow_any_other",
        &[14],
        &[edit("src/ledger/audit.rs", "«*prev != *self.hash» || entry.seq <= self.seq", "{ let _ = prev; false }")],
        &["ledger_on_disk::audit::a_record_that_was_edited_deleted_added_moved_or_cut_off_is_named_by_its_line"],
    ),
    variant(
        "durable_is_said_before_the_sync",
        &[2],
        &[edit(
            "src/ledger/file/writer.rs",
            "file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;",
            "",
        )],
        &[
            "ledger_on_disk::power_cuts::whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_acknowledged_is_forgotten",
            "ledger_on_disk::power_cuts::what_a_failed_sync_left_in_doubt_is_written_anew_before_it_is_relied_on",
        ],
    ),
    variant(
        "a_new_snapshot_is_renamed_before_it_is_synced",
        &[2],
        &[edit(
            "src/ledger/file/place.rs",
            "file.sync_all().map_err(|source| match failed(source) {
                LedgerError::Io { path, source, .. } => LedgerError::NotDurable { path, source },
                error => error,
            })?;",
            "",
        )],
        &[
            "ledger_on_disk::power_cuts::whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_acknowledged_is_forgotten",
        ],
    ),
    variant(
        "the_journal_is_emptied_before_the_rename_is_durable",
        &[2],
        &[edit("src/ledger/file/place.rs", "«self.sync_folder(&folder)?;» Ok(len)", "")],
        &[
            "ledger_on_disk::power_cuts::whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_acknowledged_is_forgotten",
        ],
    ),
    variant(
        "a_failed_sync_is_tried_again",
        &[2],
        &[edit(
            "src/ledger/file/writer.rs",
            "file.sync_data().map_err(|source| LedgerError::not_durable(path, source))?;",
            "file.sync_data().or_else(|_| file.sync_data()).map_err(|source| LedgerError::not_durable(path, source))?;",
        )],
        &["ledger_on_disk::power_cuts::what_a_failed_sync_left_in_doubt_is_written_anew_before_it_is_relied_on"],
    ),
    variant(
        "a_write_that_found_no_room_is_not_cut_back",
        &[2],
        &[edit("src/ledger/file/writer.rs", "let cut = «file.set_len(*len)»;", "Ok::<(), io::Error>(())")],
        &["ledger_on_disk::no_room::a_full_disk_stops_the_writer_until_there_is_room_and_nothing_is_lost"],
    ),
    variant(
        "an_intent_leaves_no_doubt_in_the_ledger",
        &[2, 5],
        &[edit("src/ledger.rs", "row.field_mut(field).replace(state)", "{ let _ = (&row, state); None }")],
        &[INTENT_FIRST, "lib::ledger::tests::a_field_is_in_doubt_from_its_intent_until_its_end_is_known"],
    ),
    variant(
        "a_restart_forgets_what_is_in_doubt",
        &[5],
        &[edit(
            "src/ledger/file.rs",
            "let ledger = «found.ledger.unwrap_or_else(|| Ledger::new(owner))»;",
            "{
                let mut ledger = found.ledger.unwrap_or_else(|| Ledger::new(owner));
                for row in ledger.accounts.values_mut() {
                    if let Some(super::FieldState::InDoubt { .. }) = row.enabled {
                        row.enabled = None;
                    }
                }
                ledger
            }",
        )],
        &["crash::whatever_was_in_doubt_is_settled_by_a_put_of_what_is_desired_now"],
    ),
    variant(
        "what_did_not_happen_stays_in_doubt",
        &[3],
        &[edit("src/ledger.rs", "«*row.field_mut(field) = before;»", "let _ = before;")],
        &["lib::ledger::tests::what_provably_did_not_happen_leaves_the_field_as_it_was"],
    ),
    variant(
        "what_did_not_happen_is_taken_for_never_set",
        &[3],
        &[edit("src/controller/machine/on_response.rs", "«request.before().clone()»", "Before::default()")],
        &["remembering::what_was_rejected_leaves_the_ledger_as_it_was_and_a_revert_asks_for_nothing"],
    ),
    variant(
        "a_new_version_of_a_manifest_forgets_what_was_applied",
        &[3],
        &[edit(
            "src/ledger.rs",
            "row.observed_generation = row.observed_generation.saturating_add(1);",
            "row.observed_generation = row.observed_generation.saturating_add(1); row.enabled = None;",
        )],
        &[IDLE_RESTART],
    )
    .rare(),
    variant(
        "checksums_of_the_journal_are_not_compared",
        &[2],
        &[edit(
            "src/ledger/journal.rs",
            "digits == format!(\"{expected:08x}\").as_bytes()",
            "digits.len() == 8 || expected == 0",
        )],
        &[
            "lib::ledger::journal::tests::a_changed_byte_is_refused_unless_it_is_in_the_last_line",
            "ledger_on_disk::refusals::what_is_damaged_of_another_version_or_foreign_is_refused_and_left_as_it_is",
        ],
    ),
    variant(
        "checksums_of_the_snapshot_are_not_compared",
        &[2],
        &[
            edit("src/ledger/snapshot.rs", "line == sum_line(crc32fast::hash(body))", "line.len() > body.len().min(1)"),
            edit("src/ledger/snapshot/lines.rs", "line == sum_line(sum.finalize())", "line.len() > 1"),
        ],
        &["lib::ledger::snapshot::tests::no_changed_byte_and_no_missing_end_goes_unnoticed"],
    ),
    variant(
        "a_torn_tail_is_taken_for_damage",
        &[2],
        &[edit("src/ledger/journal/tail.rs", "if «after.is_empty()» { return Ok(()); }", "false")],
        &[
            "ledger_on_disk::a_torn_tail_is_copied_cut_and_gone_on_from_and_few_copies_are_kept",
            "lib::ledger::journal::tests::every_beginning_of_a_journal_gives_the_records_it_holds_whole",
        ],
    ),
    variant(
        "a_damaged_line_in_the_middle_is_cut_with_all_that_follows",
        &[2],
        &[edit(
            "src/ledger/journal/tail.rs",
            "damaged(&format!(\"yet lines follow it, {} of them whole\", whole.len()))",
            "Ok(())",
        )],
        &[
            "ledger_on_disk::refusals::what_is_damaged_of_another_version_or_foreign_is_refused_and_left_as_it_is",
            "lib::ledger::journal::tests::a_changed_byte_is_refused_unless_it_is_in_the_last_line",
        ],
    ),
    variant(
        "records_that_were_folded_are_lived_through_twice",
        &[2],
        &[edit("src/ledger/journal.rs", "if «entry.seq > ledger.serial» {", "true")],
        &["lib::ledger::journal::tests::records_the_snapshot_has_already_are_skipped"],
    ),
    variant(
        "a_fold_drops_accounts_that_are_new_at_the_end",
        &[3],
        &[edit(
            "src/ledger/snapshot/lines.rs",
            "for (account, row) in rows { out.row(*account, row)?; }",
            "drop(rows);",
        )],
        &["cli::apply::a_pass_applies_everything_and_the_next_one_sends_nothing"],
    ),
    variant(
        "a_stop_removes_the_journal_without_a_fold",
        &[3],
        &[edit("src/ledger/file/writer.rs", "«self.fold()?;» match self.journal.take()", "")],
        &[
            "ledger_on_disk::what_was_durable_is_there_after_a_clean_stop_in_one_whole_file",
            "cli::apply::a_pass_applies_everything_and_the_next_one_sends_nothing",
        ],
    ),
    variant(
        "a_second_process_is_let_in",
        &[2],
        &[edit("src/ledger/file/lock.rs", "match «file.try_lock()» {", "Ok::<(), TryLockError>(())")],
        &[
            "crash::a_second_process_on_the_same_ledger_is_kept_out",
            "ledger_on_disk::refusals::a_second_process_is_kept_out_and_told_who_is_in",
        ],
    ),
    variant(
        "the_journal_is_never_folded",
        &[12],
        &[edit("src/ledger/file/writer.rs", "let due = «self.journal_len() >= self.fold_at»;", "false")],
        &["ledger_on_disk::a_journal_is_folded_by_itself_and_the_ledger_goes_on"],
    ),
    variant(
        "the_whole_ledger_is_rewritten_with_each_commit",
        &[8],
        &[edit("src/ledger/file/writer.rs", "let due = «self.journal_len() >= self.fold_at»;", "true")],
        &["cost::a_put_leaves_all_but_its_own_lines_of_the_ledger_alone"],
    ),
];
