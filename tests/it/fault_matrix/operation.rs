//! The operations: enable, disable, ActiveSync on and off, each as an administrator and as a person.

use zoho_mail_reconciler::account::{AuthMode, Field};
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::zoho;

/// The account whose PUT meets the row.
pub const TARGET: &str = "2560636000000008001";

/// Another one, which comes after the target wherever both may go.
pub const BYSTANDER: &str = "2560636000000008002";

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub auth: AuthMode,
    pub field: Field,
    pub to: bool,
}

/// All of them.
pub fn operations() -> impl Iterator<Item = Operation> {
    let of = |auth| Field::ALL.into_iter().flat_map(move |field| [true, false].map(|to| Operation { auth, field, to }));
    [AuthMode::Admin, AuthMode::User].into_iter().flat_map(of)
}

impl Operation {
    /// As the table of failures shows it.
    pub fn label(self) -> String {
        format!("{} {} as {:?}", self.field, self.to, self.auth)
    }

    /// The account's other field. Where both change, both get the same value.
    pub const fn other(self) -> Field {
        match self.field {
            Field::Enabled => Field::ActiveSyncEnabled,
            Field::ActiveSyncEnabled => Field::Enabled,
        }
    }

    /// Whether it goes before the change of the other field: a mailbox that comes is enabled first, one that goes
    /// is disabled last.
    pub fn goes_first(self) -> bool {
        (self.field == Field::Enabled) == self.to
    }

    /// The name that the client gives it.
    pub const fn name_in_metrics(self) -> &'static str {
        zoho::Operation::of(self.field, self.to).as_str()
    }

    /// The name that the simulated service gives it.
    pub const fn name_in_sandbox(self) -> sandbox::Operation {
        match (self.field, self.to) {
            (Field::Enabled, true) => sandbox::Operation::EnableMailAccount,
            (Field::Enabled, false) => sandbox::Operation::DisableMailAccount,
            (Field::ActiveSyncEnabled, _) => sandbox::Operation::UpdateMobileSyncStatus,
        }
    }
}
