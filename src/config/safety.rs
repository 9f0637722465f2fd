//! Options about what may be taken away, and from whom never.
//!
//! In: command-line options, each also an environment variable. Out: the budget in force, the guard of a single look,
//! everybody who is protected.
//! Invariant: a budget among the manifests overrides these options; nothing overrides `--protect`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{UsageError, unread};
use crate::desired::DesiredState;
use crate::guard::{self, Allowance, DisruptionBudget, GrantBudget, Guards, InForce};
use crate::ledger::Ledger;
use crate::manifest::{PolicyDir, Protected, Protection};

/// What may be taken away.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Safety")]
pub struct Disruptions {
    /// How many accounts may lose something within the window: N, P% of the managed ones, or the larger of both
    ///
    /// To lose something is to have enabled or activeSyncEnabled set to false. If those pending and those of the window
    /// together exceed the budget, every pending one is held, and everything else goes on.
    #[arg(long, value_name = "N|P%|N,P%", env = "ZOHO_MAIL_DISRUPTION_BUDGET", default_value = "10,10%")]
    pub disruption_budget: DisruptionBudget,

    /// How many accounts whose mailbox was disabled may come back within the window: N, P%, or off
    ///
    /// Counted are accounts whose mailbox this program disabled, as the ledger knows, and enables again: what a revert of
    /// many removals does. Held, and approved, as disruptions are. Off: any number may.
    #[arg(long, value_name = "N|P%|off", env = "ZOHO_MAIL_GRANT_BUDGET", default_value = "off")]
    pub grant_budget: GrantBudget,

    /// The window of both budgets
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_DISRUPTION_WINDOW", default_value = "1h", value_parser = guard::window)]
    pub disruption_window: Duration,

    /// From whom nothing is ever taken away.
    #[command(flatten)]
    pub protect: Protect,
}

impl Disruptions {
    /// The budget in force: a `DisruptionBudget` among the manifests overrides the options.
    pub fn budget(&self, desired: &DesiredState) -> InForce {
        desired.budget(self.options())
    }

    /// What the options allow.
    pub const fn options(&self) -> Allowance {
        Allowance { max: self.disruption_budget, max_grants: self.grant_budget, window: self.disruption_window }
    }

    /// Guards with the budgets in force, that remember what the ledger does.
    pub fn guards(&self, desired: &DesiredState, ledger: &Ledger) -> Guards {
        Guards::new(self.budget(desired).allowance, ledger)
    }
}

/// From whom nothing is ever taken away, and where manifests may say what may be taken away from others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Safety")]
pub struct Protect {
    /// Accounts from which nothing is ever taken away, whatever the manifests say: by id, or by the manifest's name
    ///
    /// A manifest that says false for one of them is a problem. An id protects whoever renames the manifest; a name, and
    /// the annotation zoho-mail-reconciler/protect: "true", can be changed by a pull request.
    #[arg(long, value_name = "NAME|ACCOUNT-ID", env = "ZOHO_MAIL_PROTECT", value_delimiter = ',')]
    pub protect: Vec<Protected>,

    /// The only folder, within that of the manifests, in which budgets and approvals count: its owners alone decide
    ///
    /// Elsewhere, and where a link leads elsewhere, they are a problem and count for nothing. Without this option they count
    /// everywhere. Where there is no such folder, nothing is read and nothing is sent.
    #[arg(long, value_name = "DIR", env = "ZOHO_MAIL_POLICY_DIR")]
    pub policy_dir: Option<PolicyDir>,
}

impl Protect {
    /// The folder without which that of the manifests is only a part of what is meant.
    pub fn needs(&self) -> Option<String> {
        self.policy_dir.as_ref().map(ToString::to_string)
    }

    /// What these options say of the manifests in `folder`.
    ///
    /// # Errors
    ///
    /// If the folder is there and the policy folder is not in it, as it is in a part of the folder that is meant, or cannot be
    /// read, or leads out of it: what the budgets in it hold would be sent.
    pub fn protection(&self, folder: &Path) -> Result<Arc<Protection>, UsageError> {
        if let Some(dir) = self.policy_dir.as_ref().filter(|_| folder.is_dir())
            && let Err(why) = unread::look(folder, &dir.to_string())
        {
            return Err(UsageError(format!("--policy-dir {dir}: {why}")));
        }
        Ok(self.unchecked())
    }

    /// The same, for what plans or sends.
    ///
    /// # Errors
    ///
    /// As [`Self::protection`], and if anything in the policy folder is ignored.
    pub fn protection_to_act(&self, folder: &Path) -> Result<Arc<Protection>, UsageError> {
        let protection = self.protection(folder)?;
        if let Some(dir) = self.policy_dir.as_ref().filter(|_| folder.is_dir()) {
            unread::refuse_hidden(folder, &dir.to_string())
                .map_err(|why| UsageError(format!("--policy-dir {dir}: {why}")))?;
        }
        Ok(protection)
    }

    fn unchecked(&self) -> Arc<Protection> {
        let protection: Protection = self.protect.iter().cloned().collect();
        Arc::new(protection.with_policy_dir(self.policy_dir.clone()))
    }
}
