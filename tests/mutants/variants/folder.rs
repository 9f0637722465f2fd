//! Bugs of the watcher: what is taken for gone, for settled, for unchanged.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "what_is_ignored_is_a_manifest_all_the_same",
        &[4],
        &[edit("src/source/list.rs", "if «walk.ignored.has(path, kind == FileType::Directory)» {", "false")],
        &["watching::ignoring::what_is_ignored_is_gone_and_what_is_no_longer_ignored_is_there"],
    ),
    variant(
        "where_it_cannot_be_told_what_is_ignored_nothing_is",
        &[4],
        &[edit(
            "src/source/ignore.rs",
            "Err(problem) => «Verdict::Broken(problem.clone())»",
            "{ let _ = Verdict::Broken(problem.clone()); Verdict::Known { changed: true } }",
        )],
        &["watching::ignoring::half_of_the_file_says_nothing_and_one_that_is_broken_holds_everything"],
    ),
    variant(
        "an_emptied_folder_means_that_everything_was_removed",
        &[4],
        &[
            edit("src/source/index/scan.rs", "if «scopes.is_none() && self.is_empty(&listing)» {", "false"),
            edit("src/source/index.rs", "if «self.has_lost_all()» {", "false"),
        ],
        &["watching::root::a_suddenly_empty_folder_takes_nothing_away"],
    ),
    variant(
        "a_folder_that_cannot_be_listed_holds_no_files",
        &[4],
        &[edit(
            "src/source/list.rs",
            "!self.unlisted.is_empty() && ancestors(path).any(|folder| self.unlisted.contains(folder))",
            "false",
        )],
        &["watching::troubles::a_closed_folder_leaves_its_siblings_watched_and_its_files_unknown"],
    ),
    variant(
        "a_file_is_gone_when_it_was_missing_once",
        &[4],
        &[edit("src/source/index.rs", "if «now >= since + need» {", "true")],
        &["lib::source::keeper::tests::a_missing_file_is_gone_only_after_a_second_look"],
    ),
    variant(
        "a_folder_made_anew_is_taken_for_the_old_one",
        &[4],
        &[edit(
            "src/source/beneath.rs",
            "if «held.st_nlink > 0 && Id::of(&held) == Id::of(&there)» => Presence::Same",
            "held.st_size >= 0 && there.st_size >= 0",
        )],
        &["lib::source::beneath::tests::a_root_made_again_at_the_same_path_is_another_one"],
    ),
    variant(
        "a_half_written_file_is_believed",
        &[4],
        &[edit(
            "src/source/settle.rs",
            "need.checked_sub(rest.max(seen)).filter(|left| !left.is_zero())",
            "None.or(need.checked_sub(rest.max(seen)).filter(|_| need.is_zero()))",
        )],
        &["watching::saves::a_file_is_not_believed_while_it_is_being_written"],
    ),
    variant(
        "a_checkout_is_read_while_git_is_at_work",
        &[7],
        &[edit("src/source/git.rs", "if «seen.is_none() || seen == self.outwaited» {", "true")],
        &["lib::source::keeper::tests::nothing_is_told_while_git_is_at_work_but_a_lock_left_behind_is_outwaited"],
    ),
    variant(
        "a_full_scan_misses_what_was_removed",
        &[7],
        &[edit(
            "src/source/index/scan.rs",
            "return known.chain(unsettled).cloned().collect();",
            "{ let _ = known.chain(unsettled).count(); return Vec::new(); }",
        )],
        &["lib::source::keeper::tests::lost_events_mean_a_look_at_everything"],
    ),
    variant(
        "an_edit_that_keeps_the_size_is_missed",
        &[7],
        &[edit("src/source/look.rs", "Stamp::of(&stat) == known.stamp", "Stamp::of(&stat).size == known.stamp.size")],
        &["lib::source::keeper::tests::lost_events_mean_a_look_at_everything"],
    ),
    variant(
        "an_overflow_of_events_is_overlooked",
        &[7],
        &[edit("src/source/events.rs", "if «event.need_rescan()» {", "false")],
        &["lib::source::events::tests::an_overflow_means_everything_though_it_names_no_path"],
    ),
    variant(
        "each_event_looks_at_everything",
        &[8],
        &[edit("src/source/keeper.rs", "if «all» { Scope::All } else { Scope::Some(hints.paths) }", "true")],
        &["lib::source::keeper::tests::an_edit_is_told_a_debounce_after_its_event_and_costs_one_look"],
    ),
    variant(
        "a_file_that_is_too_large_is_read_as_far_as_it_fits",
        &[4, 12],
        &[
            edit("src/source/look.rs", "if «stamp.size > MAX_FILE» {", "false"),
            edit("src/source/look.rs", "if «length as u64 > MAX_FILE» {", "false"),
        ],
        &["watching::troubles::what_is_no_file_is_a_problem_of_its_own"],
    ),
    variant(
        "a_writer_that_never_rests_holds_everybody_up",
        &[12],
        &[edit(
            "src/source/debounce.rs",
            "(burst.last + self.quiet).min(burst.first + self.cap)",
            "burst.last + self.quiet",
        )],
        &["lib::source::debounce::tests::each_event_of_a_burst_moves_the_look_until_the_cap"],
    ),
    variant(
        "unmerged_files_in_the_index_are_no_conflict",
        &[4],
        &[edit(
            "src/source/git/operation.rs",
            "found.or_else(|| «indexes.conflict(git)»)",
            "indexes.conflict(git).filter(|_| false)",
        )],
        &["torture::unfinished::a_conflict_that_the_index_alone_knows_of_is_a_half_as_well"],
    ),
];
