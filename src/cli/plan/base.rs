//! `plan --base` and `--base-ref`: what a branch changes, without the ledger or with it.
//!
//! In: two folders, or a folder and a revision of it; perhaps the ledger. Out: a comparison that knows the [`Branch`].
//! Invariants: without a ledger that was asked for, none is read and no organization is needed; what is wrong with the
//! base is told apart and fails nothing. Deliberately absent: how anything is compared, see [`crate::compare`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Comparison, Why};
use crate::account::{AuthMode, printable};
use crate::attribution::Baseline;
use crate::cli::{count, load, note, policies};
use crate::clock::Clock;
use crate::compare::{self, Remark, Safety, Split};
use crate::config::{Disruptions, Folder, Target, UsageError};
use crate::desired::DesiredState;
use crate::manifest::{self, Problem, Protection, Rules};
use crate::plan::plan;
use crate::source::{self, CommitError, Git, IGNORE_FILE, Ignored, ReadProblem, SourceError};

/// What the plan is compared with.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Base")]
pub(super) struct Against {
    /// Plan from what this folder wants, offline: what the branch changes. The ledger is read only if it is given
    ///
    /// Another checkout's folder. An empty one stands for "nothing was managed". Only changes between the two are
    /// planned; with --ledger (or ZOHO_MAIL_LEDGER) the plan is apply's, and changes that the branch does not explain
    /// are listed apart.
    #[arg(long, value_name = "DIR", conflicts_with = "base_ref")]
    base: Option<PathBuf>,

    /// The same with the folder as a Git revision has it, read without a checkout: where this branch left REV
    ///
    /// What `git rev-parse` takes: origin/main, a commit, HEAD~3. Compared is with the merge base of REV and HEAD, as
    /// `git diff REV...HEAD` does, so that what others merged into REV since does not look reverted. Needs that
    /// history: with actions/checkout, fetch-depth: 0. A folder that is not there stands for "nothing was managed".
    #[arg(long, value_name = "REV")]
    base_ref: Option<String>,

    /// Exit with 1 if the ledger's plan has changes that the branch does not explain; needs a base and --ledger
    #[arg(long)]
    fail_on_unexplained: bool,

    #[command(flatten)]
    ledger: LedgerGiven,
}

/// Whether `--ledger` was given, or its variable, and not only its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LedgerGiven {
    No,
    /// By the variable, which may be set for other commands on other machines.
    ByVariable,
    ByOption,
}

impl FromArgMatches for LedgerGiven {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(match matches.value_source("ledger") {
            None | Some(ValueSource::DefaultValue) => Self::No,
            Some(ValueSource::EnvVariable) => Self::ByVariable,
            Some(_) => Self::ByOption,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// No argument of its own: it only looks at another one.
impl Args for LedgerGiven {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// What the plan is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", untagged)]
pub(super) enum Origin {
    /// A folder.
    Folder {
        /// As given.
        folder: String,
    },
    /// A commit.
    #[serde(rename_all = "camelCase")]
    Commit {
        /// The revision as given.
        revision: String,
        /// The commit it names: 40 digits.
        tip: String,
        /// The commit that was compared with: the merge base of `tip` and HEAD.
        commit: String,
        /// HEAD's commit. The manifests are the work tree's, edited or not.
        head: String,
    },
}

/// What is known of a branch besides its plan.
pub(super) struct Branch {
    pub(super) origin: Origin,
    pub(super) remarks: Vec<Remark>,
    pub(super) safety: Vec<Safety>,
    pub(super) base_problems: Vec<Problem>,
    pub(super) split: Split,
    /// Whether the plan is from the ledger, and not from the base.
    pub(super) with_ledger: bool,
}

/// A base, read.
struct Base {
    origin: Origin,
    desired: DesiredState,
    problems: Vec<Problem>,
}

impl Against {
    /// Whether there is a base at all.
    ///
    /// # Errors
    /// If options are missing that others need.
    pub(super) fn has_base(&self) -> Result<bool, UsageError> {
        let has_base = self.base.is_some() || self.base_ref.is_some();
        if self.fail_on_unexplained && !(has_base && self.ledger != LedgerGiven::No) {
            let text = "--fail-on-unexplained needs a base and the ledger: add --base DIR or --base-ref REV, and --ledger FILE";
            return Err(UsageError(text.into()));
        }
        Ok(has_base)
    }

    /// Whether that many unexplained changes are a failure.
    pub(super) const fn refuses(&self, unexplained: usize) -> bool {
        self.fail_on_unexplained && unexplained > 0
    }

    /// Reads both folders, and the ledger if it was given, and plans.
    pub(super) fn compare(
        &self,
        folder: &Folder,
        target: &Target,
        disruptions: &Disruptions,
    ) -> anyhow::Result<Comparison> {
        let ledger = if self.reads_ledger(target)? { Some(super::read_ledger(target)?) } else { None };
        let (auth, protection) = (target.auth.into(), disruptions.protect.protection_to_act(&folder.desired_state)?);
        let Base { origin, desired: mut base, problems } = self.read(folder, auth, Arc::clone(&protection))?;
        let now = Clock::start().now();
        base.recall(ledger.as_ref().map_or(&[], |ledger| &ledger.budgets));
        let applied = compare::as_applied(&base, now);
        let acknowledged = Baseline::of(ledger.as_ref().unwrap_or(&applied));
        let mut head = load::desired(&folder.desired_state, &folder.git(), auth, protection, Some(&acknowledged))?;
        load::note_oddities(&head, &folder.desired_state);
        policies::recall(&mut head, &applied, folder);
        let remarks = compare::remarks(&base, &head, now);
        let branch = plan(&head, &applied, now).changes;
        let safety = compare::safety(&base, &head, disruptions.options(), &branch, now);
        let with_ledger = ledger.is_some();
        let mut comparison = Comparison::new(head, ledger.unwrap_or(applied), folder, disruptions, now);
        if with_ledger {
            comparison.suspended = super::suspended(target, now)?;
        } else {
            // These are the accounts that the branch no longer manages, each of which a remark names.
            comparison.left_alone.retain(|one| one.reason != Why::Orphaned);
        }
        let all = comparison.reviewed.allowed.iter().chain(&comparison.reviewed.held);
        let split = compare::split(all, branch);
        comparison.branch = Some(Branch { origin, remarks, safety, base_problems: problems, split, with_ledger });
        Ok(comparison)
    }

    /// Whether the plan is the ledger's. One that only a variable names may be missing: the comparison is offline then, as it
    /// is without the variable.
    fn reads_ledger(&self, target: &Target) -> anyhow::Result<bool> {
        let file = target.ledger_file();
        if self.ledger != LedgerGiven::ByVariable || file.try_exists()? {
            return Ok(self.ledger != LedgerGiven::No);
        }
        let shown = printable::path(&file);
        if self.fail_on_unexplained {
            anyhow::bail!("--fail-on-unexplained needs the ledger, and there is no {shown}");
        }
        note(&format!(
            "there is no ledger {shown}, which ZOHO_MAIL_LEDGER names: this is what the branch changes, no more"
        ));
        Ok(false)
    }

    fn read(&self, folder: &Folder, auth: AuthMode, protection: Arc<Protection>) -> anyhow::Result<Base> {
        match &self.base_ref {
            Some(revision) => read_revision(folder, revision, auth, protection),
            None => read_folder(self.base.as_deref().unwrap_or(&folder.desired_state), folder, auth, protection),
        }
    }
}

fn read_folder(folder: &Path, head: &Folder, auth: AuthMode, protection: Arc<Protection>) -> anyhow::Result<Base> {
    let desired = match load::desired(folder, &Git::default(), auth, Arc::clone(&protection), None) {
        Ok(desired) => desired,
        Err(error) if matches!(error.downcast_ref(), Some(SourceError::Empty { .. })) => {
            note("the base holds no manifests: everything is new");
            DesiredState::new()
        }
        Err(error) => match error.downcast_ref() {
            Some(SourceError::Ignore { problem, .. }) => {
                let (ignored, rules) =
                    (ignored_here(&head.desired_state, problem)?, Rules { auth, protection: &protection });
                let parse = |path: &Arc<str>, bytes: &[u8]| manifest::parse(path, bytes, rules);
                load::declared(source::load_part(folder, &ignored, parse)?, protection.clone())
            }
            _ => return Err(error.context("the base")),
        },
    };
    let problems = load::problems(&desired, folder);
    Ok(Base { origin: Origin::Folder { folder: folder.to_string_lossy().into_owned() }, desired, problems })
}

/// What this branch ignores, in the place of a base's file that cannot be used: the branch may be about to mend it.
fn ignored_here(folder: &Path, problem: &ReadProblem) -> anyhow::Result<Ignored> {
    note(&format!("in the base: {IGNORE_FILE}: {problem}; the base is read with what this branch ignores"));
    Ok(source::ignored(folder)?)
}

/// How many digits of a commit are shown before a path.
const SHORT: usize = 12;

fn read_revision(folder: &Folder, revision: &str, auth: AuthMode, protection: Arc<Protection>) -> anyhow::Result<Base> {
    let (git, folder) = (folder.git(), &*folder.desired_state);
    let rules = Rules { auth, protection: &protection };
    let parse = |path: &Arc<str>, bytes: &[u8]| manifest::parse(path, bytes, rules);
    let source::Committed { batch, present, left_out, commit, tip, head } =
        match source::load_committed(folder, &git, revision, parse) {
            Err(CommitError::Ignore { problem }) => {
                let ignored = ignored_here(folder, &problem)?;
                source::load_committed_ignoring(folder, &git, revision, Some(&ignored), parse)?
            }
            read => read?,
        };
    let short = commit.get(..SHORT).unwrap_or(&commit);
    if !present {
        note(&format!("{short} has no {}: everything is new", printable::path(folder)));
    }
    if left_out > 0 {
        note(&format!("{} left out of this sparse checkout: not compared", count(left_out, "manifest")));
    }
    let desired = load::declared(batch, protection);
    let within = |problem: Problem| Problem { path: format!("{short}:{}", problem.path).into(), ..problem };
    let problems = load::problems(&desired, folder).into_iter().map(within).collect();
    Ok(Base { origin: Origin::Commit { revision: revision.to_owned(), tip, commit, head }, desired, problems })
}
