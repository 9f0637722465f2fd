//! Bugs of reading: a value that is guessed, a policy that is lost, an account that is another one's.

use super::*;

pub const BUGS: &[Variant] = &[
    variant(
        "a_tag_says_nothing",
        &[17],
        &[edit(
            "src/manifest/reader.rs",
            "self.tags.push((place, format!(\"{prefix}{}\", tag.suffix)));",
            "let _ = (prefix, place);",
        )],
        &["lib::manifest::reader::tests::keys_values_and_tags_are_placed_in_lines_of_the_file", FIXTURES],
    ),
    variant(
        "a_tab_is_an_indentation_like_any_other",
        &[17],
        &[edit("src/manifest/reader.rs", "if «self.tabs.binary_search(&place).is_ok()» {", "false")],
        &["lib::manifest::reader::tests::what_the_parser_refuses_is_no_value"],
    ),
    variant(
        "a_directive_is_a_problem_of_its_own",
        &[17],
        &[edit("src/manifest/chunk.rs", "directed |= line.starts_with('%');", "directed |= line.starts_with(\"%%\");")],
        &["cli::validate::a_document_behind_a_directive_is_a_problem_and_is_not_applied"],
    ),
    variant(
        "a_budget_that_is_broken_is_gone",
        &[4, 17],
        &[edit("src/desired/policies.rs", "if «new.is_empty() && !claims.is_empty()» {", "false")],
        &[
            "lib::desired::tests::policies::a_budget_that_is_broken_keeps_its_last_good_state_and_without_one_nothing_may_be_taken_away",
        ],
    ),
    variant(
        "a_restart_knows_no_budget_but_what_it_can_read",
        &[17],
        &[edit("src/controller/machine/on_files.rs", "self.desired.recall(&self.ledger.budgets);", "")],
        &["cli::policies::a_restarted_daemon_holds_what_the_one_before_held_and_lets_it_go_when_the_file_is_deleted"],
    ),
    variant(
        "a_budget_that_becomes_ignored_is_gone",
        &[17],
        &[edit("src/cli/policies.rs", "Look::Gone if «self.files.contains_key(path)» => {", "path.is_empty()")],
        &["cli::policies::a_running_daemon_goes_on_holding_what_a_budget_holds_that_becomes_ignored"],
    ),
    variant(
        "a_link_brings_policies_into_their_folder",
        &[17],
        &[edit("src/source/lookup.rs", "«found != root.join(path)» && !is_published()", "false")],
        &["cli::policies::what_a_link_brings_into_the_policy_folder_does_not_count_and_is_a_problem"],
    ),
    variant(
        "two_accounts_may_have_one_address",
        &[18],
        &[edit(
            "src/desired/declared.rs",
            "document.spec.email.as_ref().map(|email| Self::Email(xxh3_64(email.to_lowercase().as_bytes())))",
            "document.spec.email.as_ref().filter(|email| email.is_empty()).map(|email| Self::Email(xxh3_64(email.as_bytes())))",
        )],
        &[
            "lib::desired::tests::two_documents_with_one_address_are_both_held_whatever_its_case_and_both_are_touched_when_that_ends",
        ],
    ),
    variant(
        "an_account_may_have_the_number_of_its_user",
        &[18],
        &[edit(
            "src/manifest/decode/account.rs",
            "&& «Some(id.get()) == account_id.map(AccountId::get)»",
            "account_id.is_some() && id.get() == 0",
        )],
        &[FIXTURES],
    ),
];

const FIXTURES: &str = "manifest::every_invalid_fixture_names_its_problems_with_place_and_hint";
