//! Temporary shape, replaced at the merge.
#![allow(missing_docs)]
use crate::account::{AccountId, MailAccountSpec, SourceRef};
use std::collections::BTreeMap;
use std::sync::Arc;
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    LastGood,
    Duplicate { other: SourceRef },
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredAccount {
    pub name: Arc<str>,
    pub spec: MailAccountSpec,
    pub source: SourceRef,
    pub spec_hash: u64,
    pub standing: Standing,
}
#[derive(Default)]
pub struct DesiredState {
    pub accounts: BTreeMap<AccountId, DesiredAccount>,
}
impl DesiredState {
    pub fn get(&self, id: AccountId) -> Option<&DesiredAccount> {
        self.accounts.get(&id)
    }
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &DesiredAccount)> {
        self.accounts.iter().map(|(k, v)| (*k, v))
    }
    pub fn managed(&self) -> usize {
        self.accounts.len()
    }
}
