//! The rules of a `DisruptionBudget` and of a `DisruptionApproval`.
//!
//! In: the `spec` of a document. Out: a [`Budget`] or an [`Approval`], or problems.
//! Invariant: what an option says of a budget, a manifest says with the same text.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::super::judge::{Field, Judge, Spot, near_miss};
use super::super::node::Node;
use super::super::problem::{Place, ProblemCode};
use super::super::{Approval, Approved, Budget};
use super::METADATA_KEYS;
use crate::account::{self, AccountId};
use crate::guard::{DisruptionBudget, GrantBudget, window};

pub(super) const BUDGET_KEYS: [&str; 3] = ["maxDisruptions", "maxGrants", "window"];
pub(super) const APPROVAL_KEYS: [&str; 4] = ["reason", "expires", "accounts", "grants"];
const APPROVED_KEYS: [&str; 3] = ["name", "accountId", "fields"];
const FIELDS: [&str; 2] = [account::Field::ALL[0].as_str(), account::Field::ALL[1].as_str()];

impl Judge<'_> {
    pub(super) fn budget(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<Budget> {
        let elsewhere = |key: &str| METADATA_KEYS.contains(&key).then_some("metadata");
        let [max_at, grants_at, window_at] = self.object(spot, field, &BUDGET_KEYS, elsewhere)?;
        if max_at.is_none() && grants_at.is_none() && window_at.is_none() {
            let (expected, hint) = ("maxDisruptions, maxGrants, window", "without any of them it says nothing");
            let found = "none of them".to_owned();
            self.report((spot.place, field), ProblemCode::MissingKey, expected, found, Some(hint.into()));
            return None;
        }
        let expected = "a number of accounts, or a text like 5% or 10,10% (0% to 100%)";
        let max = max_at.map(|spot| self.most::<DisruptionBudget>(spot, &field.key("maxDisruptions"), expected));
        let expected = "off, a number of accounts, or a text like 5% or 10,10% (0% to 100%)";
        let max_grants = grants_at.map(|spot| self.most::<GrantBudget>(spot, &field.key("maxGrants"), expected));
        let window = window_at.map(|spot| self.window(spot, &field.key("window")));
        // What is there and wrong has been reported.
        let good = max != Some(None) && max_grants != Some(None) && window != Some(None);
        good.then(|| Budget { max: max.flatten(), max_grants: max_grants.flatten(), window: window.flatten() })
    }

    fn most<B: FromStr>(&mut self, spot: Spot<'_>, field: &Field<'_>, expected: &str) -> Option<B> {
        let parsed = match spot.node {
            Node::Int(number) => number.to_string().parse().ok(),
            Node::Text(text) => text.parse().ok(),
            _ => {
                self.wrong_type(spot, field, expected, None);
                return None;
            }
        };
        if parsed.is_none() {
            self.invalid(spot, field, expected, None);
        }
        parsed
    }

    fn window(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<std::time::Duration> {
        let expected = "a duration like 15m, 1h or 7days, at most 30days";
        let text = self.text(spot, field, expected)?;
        let parsed = window(text).ok();
        if parsed.is_none() {
            self.invalid(spot, field, expected, None);
        }
        parsed
    }

    pub(super) fn approval(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<Approval> {
        let elsewhere = |key: &str| METADATA_KEYS.contains(&key).then_some("metadata");
        let [reason, expires, accounts, grants] = self.object(spot, field, &APPROVAL_KEYS, elsewhere)?;
        let required = [
            (reason, "reason", "why it is right, in one line"),
            (expires, "expires", "the moment from which it lets nothing through any more"),
            (accounts, "accounts", "whom it is about"),
        ];
        for (_, key, expected) in required.iter().filter(|(found, ..)| found.is_none()) {
            self.missing(spot, &field.key(key), expected, None);
        }
        let reason = reason.and_then(|spot| self.reason(spot, &field.key("reason")));
        let expires = expires.and_then(|spot| self.moment(spot, &field.key("expires")));
        let accounts = accounts.and_then(|spot| self.accounts(spot, &field.key("accounts")));
        // What is there and wrong is a problem, and approves nothing.
        let grants = grants.map_or(Some(false), |spot| self.flag(spot, &field.key("grants")));
        Some(Approval { reason: reason?.into(), expires: expires?, grants: grants?, accounts: accounts? })
    }

    /// The items of a list that holds something.
    fn list<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>, expected: &str) -> Vec<Spot<'n>> {
        let items: Vec<_> = spot.items().collect();
        match spot.node {
            Node::List(_) if items.is_empty() => {
                self.report((spot.place, field), ProblemCode::InvalidValue, expected, "an empty list".into(), None);
            }
            Node::List(_) => {}
            _ => self.wrong_type(spot, field, expected, Some("begin each item with a dash: - ")),
        }
        items
    }

    fn accounts(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<Box<[Approved]>> {
        let items = self.list(spot, field, "a list of accounts, each with the keys name and fields");
        let mut names: BTreeMap<std::sync::Arc<str>, Place> = BTreeMap::new();
        let mut accounts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let index = format!("[{index}]");
            let field = field.key(&index);
            let Some(approved) = self.approved(*item, &field) else { continue };
            if let Some(first) = names.insert(approved.name.clone(), item.place) {
                let found = format!("{} again, after line {}", approved.name, first.line);
                let hint = Some("put all its fields in one item".to_owned());
                self.report((item.place, &field), ProblemCode::DuplicateName, "each account once", found, hint);
            }
            accounts.push(approved);
        }
        // One that was left out has been told.
        (!accounts.is_empty()).then(|| accounts.into())
    }

    fn approved(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<Approved> {
        let [name, account_id, fields] = self.object(spot, field, &APPROVED_KEYS, |_| None)?;
        if name.is_none() {
            self.missing(spot, &field.key("name"), "the name of the account's manifest", None);
        }
        if fields.is_none() {
            self.missing(spot, &field.key("fields"), "what it may lose", None);
        }
        let name = name.and_then(|spot| self.name(spot, &field.key("name")));
        let account = account_id.map(|spot| self.id(spot, &field.key("accountId"), AccountId::new));
        let fields = fields.and_then(|spot| self.fields(spot, &field.key("fields")));
        Some(Approved { name: name?.into(), account: account.map_or(Some(None), |id| id.map(Some))?, fields: fields? })
    }

    fn fields(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<[bool; 2]> {
        let expected = "a list of enabled, activeSyncEnabled, or both";
        let items = self.list(spot, field, expected);
        let (mut fields, mut good) = ([false; 2], !items.is_empty());
        for (index, item) in items.into_iter().enumerate() {
            let index = format!("[{index}]");
            let field = field.key(&index);
            let found = match item.node {
                Node::Text(text) => FIELDS.iter().position(|known| *known == &**text),
                _ => None,
            };
            good &= found.is_some_and(|found| !fields[found]);
            match found {
                Some(found) if fields[found] => {
                    let found = format!("{} again", FIELDS[found]);
                    self.report((item.place, &field), ProblemCode::DuplicateKey, "each field once", found, None);
                }
                Some(found) => fields[found] = true,
                None => {
                    let word = if let Node::Text(text) = item.node { text } else { "" };
                    let hint = near_miss(word, &FIELDS).map(|near| format!("did you mean {near}?"));
                    self.invalid(item, &field, "enabled or activeSyncEnabled", hint.as_deref());
                }
            }
        }
        good.then_some(fields)
    }
}
