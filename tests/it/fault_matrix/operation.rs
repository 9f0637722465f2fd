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

/// The three documented operations under both authentications. ActiveSync is one operation with two values: as an
/// administrator the first one is `first`, as a person the other.
pub fn operations(first: bool) -> impl Iterator<Item = Operation> {
    [(AuthMode::Admin, first), (AuthMode::User, !first)].into_iter().flat_map(|(auth, value)| {
        [(Field::Enabled, true), (Field::Enabled, false), (Field::ActiveSyncEnabled, value)]
            .map(|(field, to)| Operation { auth, field, to })
    })
}

impl Operation {
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
