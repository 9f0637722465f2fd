//! What is taken away: within a budget, by an approval, and never from who is protected.
//!
//! In: intents and outcomes as the process hands them over and as they become durable; what policies say. Out: an objection
//! to every removal that neither a budget nor an approval allows.
//! Invariants: moments are those of the world, which run evenly; an approval that was over by a clock that was set back since
//! allows nothing, for as long as it is written so.

use std::collections::{BTreeMap, BTreeSet};

use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::guard::Allowance;
use zoho_mail_reconciler::ledger::{FieldState, Record};
use zoho_mail_reconciler::manifest::Approval;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::folder::{self, Policies};
use super::proofs::Rule;
use super::returns::Returns;
use super::wall::shifted;

/// A removal that uses up the budget: when it was begun, and what it removes.
type Charge = (Timestamp, AccountId, Field);

/// See the module.
pub struct Removals {
    /// How many accounts may lose something within the window, as the options have it.
    pub options: Allowance,
    /// What comes back, and how much may.
    pub returns: Returns,
    /// What manifests said before the newest batch, and after it.
    policies: [Policies; 2],
    /// Approvals that were over by a clock that was set back since.
    lapsed: Vec<Approval>,
    /// Those whose end the process does not know: when they were begun.
    begun: BTreeMap<AccountId, Timestamp>,
    /// Those that use up the budget, since their first durable intent.
    charges: Vec<Charge>,
    /// Those of them that came to nothing, as a record says that is not durable yet.
    released: Vec<Charge>,
    /// Those whose end is not durable: they were charged, or approved, when they were begun first.
    doubtful: BTreeSet<(AccountId, Field)>,
}

impl Removals {
    pub fn new(options: Allowance) -> Self {
        let grants = options.max_grants.0.map(|grants| grants.limit(usize::from(u8::MAX)));
        Self {
            options,
            returns: Returns::within(grants),
            policies: Default::default(),
            lapsed: Vec::new(),
            begun: BTreeMap::new(),
            charges: Vec::new(),
            released: Vec::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// A process begins: what the one before it did not write down it does not know.
    pub fn begins(&mut self) {
        self.returns.begins();
        self.lapsed.clear();
        self.begun.clear();
        self.charges.append(&mut self.released);
    }

    /// What is over by this moment stays over: the clock of the process was set.
    pub fn lapse(&mut self, now: Timestamp) {
        let [before, known] = &mut self.policies;
        known.lapse(now, &mut self.lapsed);
        // What the process does not read any more may come back as what it was: its manifest had another end meanwhile.
        before.lapse(now, &mut Vec::new());
    }

    /// The process is shown what policies say now.
    pub fn shows(&mut self, policies: &Policies) {
        let [_, known] = std::mem::take(&mut self.policies);
        self.policies = [known, policies.clone().without(&mut self.lapsed)];
    }

    /// A removal is intended by a process whose clock is ahead by so many milliseconds: it was begun before, an approval
    /// that stands must cover it, or the budget must allow it, in which all counts that was begun lately without one.
    /// Returns what speaks against it.
    pub fn intended(
        &mut self,
        account: AccountId,
        field: Field,
        approved: bool,
        now: Timestamp,
        ahead: i64,
    ) -> Vec<(Rule, String)> {
        let mut objections = Vec::new();
        let annotated = self.policies.iter().all(|policies| policies.protect(account));
        if account == folder::account(folder::PROTECTED) || annotated {
            objections.push((Rule::Protected, format!("{account} {field} is taken away, and it is protected")));
        }
        if self.doubtful.contains(&(account, field)) {
            return objections;
        }
        let charged = || self.charges.iter().map(|(at, account, _)| (*at, *account));
        let begun = || self.begun.iter().map(|(account, at)| (*at, *account));
        let lost = |window| {
            let lately = charged().chain(begun()).filter(move |(at, _)| *at > now.before(window));
            lately.map(|(_, account)| account).chain([account]).collect::<BTreeSet<_>>()
        };
        let allow = |policies: &Policies| {
            let (max, window) = policies.allowance(self.options);
            if approved { policies.approve(account, field, shifted(now, ahead)) } else { lost(window).len() <= max }
        };
        if !self.policies.iter().any(allow) {
            let what = format!("{account} {field} is taken away, and neither a budget nor an approval allows it");
            objections.push((Rule::Disruptions, what));
        }
        if !approved {
            self.begun.insert(account, now);
        }
        objections
    }

    /// The process knows how one ended. What came to nothing uses up nothing: whatever follows is durable after that.
    /// Returns what speaks against the record, if it gives something back.
    pub fn appended(&mut self, record: &Record, now: Timestamp) -> Option<String> {
        let window = self.policies.iter().map(|policies| policies.allowance(self.options).1).min();
        match record {
            Record::Applied { account, .. } => drop(self.begun.remove(account)),
            Record::NotApplied { account, field, restore, .. } => {
                self.begun.remove(account);
                if is_in_doubt(restore.as_ref()) {
                    // What was begun before is open again.
                    self.doubtful.insert((*account, *field));
                } else if self.doubtful.contains(&(*account, *field)) {
                    self.released.extend(take_last(&mut self.charges, *account, *field));
                }
            }
            _ => {}
        }
        self.returns.appended(record, window.unwrap_or_default(), now)
    }

    /// A record reached the disk, of a process whose clock is ahead by so many milliseconds.
    pub fn durable(&mut self, record: &Record, ahead: i64) {
        self.returns.durable(record, ahead);
        match record {
            Record::Intent { account, field, to: true, .. } => drop(self.doubtful.remove(&(*account, *field))),
            Record::Intent { at, account, field, cause, .. } => {
                let approved = cause.as_ref().is_some_and(|cause| cause.approval.is_some());
                if self.doubtful.insert((*account, *field)) && !approved {
                    let begun = self.begun.get(account).copied().unwrap_or(shifted(*at, -ahead));
                    self.charges.push((begun, *account, *field));
                }
            }
            Record::Applied { account, field, .. } => drop(self.doubtful.remove(&(*account, *field))),
            Record::NotApplied { account, field, restore, .. }
                if !is_in_doubt(restore.as_ref()) && self.doubtful.remove(&(*account, *field)) =>
            {
                let released = take_last(&mut self.released, *account, *field);
                let _ = released.or_else(|| take_last(&mut self.charges, *account, *field));
            }
            _ => {}
        }
    }
}

/// Whether nobody knows, after a PUT that came to nothing, how the one before it ended.
const fn is_in_doubt(restore: Option<&FieldState>) -> bool {
    matches!(restore, Some(FieldState::InDoubt { to: Some(false), .. }))
}

/// Takes the last charge of the field out of `charges`.
fn take_last(charges: &mut Vec<Charge>, account: AccountId, field: Field) -> Option<Charge> {
    let last = charges.iter().rposition(|(_, other, its)| (*other, *its) == (account, field))?;
    Some(charges.remove(last))
}
