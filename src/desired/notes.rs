//! What is worth a second look, and wrong only perhaps: names that no manifest bears, documents that
//! are none of ours.
//!
//! In: the desired state of all files. Out: lines for people, already printable.
//! Invariant: none of it is a problem, for each can come true by an innocent edit elsewhere: the manifest of somebody who
//! left is removed, and the approval that let them go still names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DesiredAccount, DesiredState};
use crate::account::{AccountId, SourceRef};
use crate::manifest::{Approved, Foreign, Kind};
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// How many documents of other programs are named; as many as fit on a line or two.
const FOREIGN_NAMED: usize = 5;

/// How many accounts that are no longer valid are named; likewise.
const ENDED_NAMED: usize = 5;

/// How many accounts of one user a note names.
const USER_SOURCES: usize = 4;

impl DesiredState {
    /// What is worth a second look at `now`.
    pub fn notes(&self, now: Timestamp) -> Vec<String> {
        let declares = |name: &str, id: Option<AccountId>| {
            let is_declared = || id.is_some_and(|id| self.declarations.view(id).is_some());
            self.named(name).next().is_some() || is_declared() || self.may_be_broken(name, id)
        };
        let protected = self.protection.strangers(declares);
        let protected = protected.map(|text| {
            format!("--protect {text}: no readable manifest has this name, nor an account this id; an id protects all the same")
        });
        let approvals = self.approvals().filter(|(.., approval)| now < approval.expires);
        let approved = approvals.flat_map(|(name, source, approval)| {
            let strangers = approval.accounts.iter().filter(|approved| !self.knows(approved));
            strangers.map(move |Approved { name: account, account: id, .. }| {
                let id = id.map_or_else(String::new, |id| format!(" with the id {id}"));
                format!(
                    "{source}: the approval {name} names {account}{id}, but no readable manifest declares that account"
                )
            })
        });
        protected
            .chain(approved)
            .chain(self.one_user())
            .chain(self.no_longer_valid(now))
            .chain(self.foreign_documents())
            .collect()
    }

    /// Accounts that say they are of one user, as may be, or as happens to a copy.
    fn one_user(&self) -> Vec<String> {
        let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, account) in self.iter() {
            if let Some(zuid) = account.spec.zuid {
                users.entry(zuid).or_default().push(account.source);
            }
        }
        let several = users.into_iter().filter(|(_, sources)| sources.len() > 1);
        let note = |(zuid, sources): (_, Vec<&SourceRef>)| {
            let sources: Vec<_> = sources.iter().take(USER_SOURCES).map(ToString::to_string).collect();
            format!(
                "one user, zuid {zuid}, owns the accounts of {}; if that is not so, one is a copy",
                sources.join(" and ")
            )
        };
        several.map(note).collect()
    }

    /// Accounts of which nothing is wanted any more, as may be, or as a slip in the year does. Of those that are to end by
    /// themselves each comes to that, so all of them are one line.
    fn no_longer_valid(&self, now: Timestamp) -> Option<String> {
        let over = |account: &DesiredAccount<'_>| account.validity(None, now).and_then(Validity::ended).is_some();
        let over: Vec<_> = self.iter().filter(|(_, account)| over(account)).collect();
        let named: Vec<_> = over.iter().take(ENDED_NAMED).map(|(_, account)| account.source.to_string()).collect();
        let more = over.len().checked_sub(ENDED_NAMED).filter(|more| *more > 0);
        let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
        let accounts = if over.len() == 1 { "1 account is".to_owned() } else { format!("{} accounts are", over.len()) };
        let text = format!(
            "{accounts} no longer valid, so that every managed field is wanted false: {}{more}",
            named.join(", ")
        );
        (!over.is_empty()).then_some(text)
    }

    /// How many documents are another program's, and which: the first few by place.
    fn foreign_documents(&self) -> Option<String> {
        let all = || self.foreign.iter().flat_map(|(path, foreign)| foreign.iter().map(move |one| (path, one)));
        let count = all().count();
        let named = all().take(FOREIGN_NAMED).map(|(path, Foreign { line, what })| {
            let place = SourceRef { path: Arc::clone(path), line: *line };
            format!("{place} ({what})")
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let more = count.checked_sub(FOREIGN_NAMED).filter(|more| *more > 0);
        let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
        let documents = if count == 1 {
            "1 document of another API group is".to_owned()
        } else {
            format!("{count} documents of other API groups are")
        };
        (count > 0).then(|| format!("{documents} skipped: {named}{more}"))
    }

    fn knows(&self, approved: &Approved) -> bool {
        self.named(&approved.name).any(|id| approved.account.is_none_or(|insists| insists == id))
            || self.may_be_broken(&approved.name, approved.account)
    }

    /// Whether a document with problems may be the manifest of this name or id. Then its problem says why it is not there.
    fn may_be_broken(&self, name: &str, id: Option<AccountId>) -> bool {
        let accounts =
            self.claims.values().flatten().filter(|claim| claim.kind.is_none_or(|kind| kind == Kind::MailAccount));
        accounts.into_iter().any(|claim| {
            claim.name.as_deref().is_none_or(|known| known == name)
                || id.is_some_and(|id| claim.account.is_none_or(|known| known == id))
        })
    }
}
