//! A notice in words: the JSON that a webhook is sent.
//!
//! In: a [`Notice`], and the accounts it is about. Out: [`Notification`], whose `text` Slack, Mattermost and the like show
//! as it is, and whose other fields are for programs.
//! Invariants: bounded; whatever strangers wrote stands in a code span of `text`, where it can be no mention, no link, no
//! formatting and no second line. Deliberately absent: secrets, which the report does not have.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::{Cause, Notice, Phase};
use crate::account::printable::{self, Notation};
use crate::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::manifest::API_VERSION;
use crate::status::{Item, MailAccountList};
use crate::timestamp::Timestamp;

/// The most accounts that are named: a screen of a phone.
pub const NAMES_MAX: usize = 10;

/// The longest name, in characters: the longest a manifest may have.
const NAME_MAX: usize = 253;

/// The longest name in `text`, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// The longest reason in somebody's own words, in characters: two lines.
const WHY_MAX: usize = 300;

/// `kind` of the document.
pub const KIND: &str = "Notification";

/// What a webhook is sent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// For people, in Slack's mrkdwn: what a chat shows.
    pub text: String,
    /// Version of this document.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// What this document is.
    #[schemars(extend("const" = KIND))]
    pub kind: &'static str,
    /// What is wrong, or `AllWell`.
    pub event: Event,
    /// Whether it is news.
    pub phase: Phase,
    /// The reason that most of the accounts have, or the cause: a key of the runbook. None if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason in words, of which the service may have said some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whom it is about, if it is about accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Accounts>,
    /// Since when it is so; of `AllWell`, since when it was not.
    pub since: Timestamp,
    /// What to do about it: a URL, or the command that prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Whose accounts: the organization's id, `user` or `sandbox`.
    pub instance: String,
    /// The program's version.
    pub version: String,
    /// When this was written.
    pub time: Timestamp,
}

/// [`Cause`], or that there is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Event {
    /// Something is wrong.
    Trouble(Cause),
    /// Nothing is wrong any more.
    Well(AllWell),
}

/// The one word of [`Event::Well`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum AllWell {
    /// Nothing is wrong any more.
    AllWell,
}

/// Some accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Accounts {
    /// How many.
    pub count: usize,
    /// The first [`NAMES_MAX`], by name.
    pub names: Vec<String>,
}

/// Who is in trouble, of those a notice counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    names: Vec<Arc<str>>,
    reason: Option<Reason>,
    message: Option<Box<str>>,
}

fn is_stalled(condition: &Condition) -> bool {
    condition.kind == ConditionType::Stalled && condition.status == ConditionStatus::True
}

impl Who {
    /// Whether a notice can be about this account: all others need not be remembered.
    pub fn may_be_meant(item: &Item) -> bool {
        item.status.conditions.iter().any(is_stalled)
    }

    /// The accounts of `list` that `cause` is about, and the reason most of them have.
    pub fn of(cause: Cause, list: &MailAccountList) -> Self {
        let is_meant = |told: &&Condition| {
            let held = told.reason == Reason::DisruptionBudgetExceeded;
            let rejected = [Reason::AccountNotFound, Reason::Forbidden, Reason::Rejected].contains(&told.reason);
            is_stalled(told) && if cause == Cause::DisruptionsHeld { held } else { rejected }
        };
        let meant = list
            .items
            .iter()
            .filter_map(|item| Some((&item.metadata.name, item.status.conditions.iter().find(is_meant)?)));
        let (mut who, mut reasons) = (Self::default(), BTreeMap::<Reason, (usize, &str)>::new());
        for (name, condition) in meant {
            if who.names.len() < NAMES_MAX {
                who.names.push(Arc::clone(name));
            }
            reasons.entry(condition.reason).or_insert((0, &condition.message)).0 += 1;
        }
        let most = reasons.into_iter().max_by_key(|(_, (count, _))| *count);
        if let Some((reason, (_, message))) = most {
            (who.reason, who.message) = (Some(reason), Some(message.into()));
        }
        who
    }
}

/// What every notification of this process says alike.
pub struct About {
    /// Whose accounts.
    pub instance: String,
    /// The program's version.
    pub version: &'static str,
    /// Where the runbook's entry of a key is: a URL, or a command.
    pub runbook: Box<dyn Fn(&str) -> String + Send + Sync>,
}

/// `notice`, told at `now`.
pub fn notification(notice: &Notice, who: &Who, about: &About, now: Timestamp) -> Notification {
    let Notice { cause, phase, accounts, why, since } = notice;
    let key = cause.map(|cause| match (cause, who.reason) {
        (Cause::AccountsStalled, Some(reason)) => reason.as_str(),
        (cause, _) => runbook_key(cause),
    });
    let words = who.message.as_deref().filter(|_| why.is_empty()).unwrap_or(why);
    let runbook = key.map(|key| (about.runbook)(key));
    let names = || who.names.iter().map(|name| short(name, NAME_MAX)).collect();
    let mut notification = Notification {
        text: String::new(),
        api_version: API_VERSION,
        kind: KIND,
        event: cause.map_or(Event::Well(AllWell::AllWell), Event::Trouble),
        phase: *phase,
        reason: key.map(str::to_owned),
        message: Some(short(words, WHY_MAX)).filter(|words| !words.is_empty()),
        accounts: cause.filter(|cause| cause.has_accounts()).map(|_| Accounts { count: *accounts, names: names() }),
        since: *since,
        runbook,
        instance: about.instance.clone(),
        version: about.version.to_owned(),
        time: now,
    };
    notification.text = text(*cause, &notification);
    notification
}

impl Notification {
    /// The body of the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and moments alone: there is nothing that could fail.
        let json = serde_json::to_string(self).unwrap_or_default();
        printable::document(&json, Notation::Json).into_owned().into_bytes()
    }
}

/// The JSON Schema of [`Notification`].
pub fn schema() -> serde_json::Value {
    schema_for!(Notification).to_value()
}

/// The key of a cause in the runbook, where no account has a reason of its own.
const fn runbook_key(cause: Cause) -> &'static str {
    match cause {
        Cause::LedgerUnavailable => Reason::LedgerUnavailable.as_str(),
        Cause::CredentialsRefused => Reason::Unauthorized.as_str(),
        Cause::TokenUnavailable => Reason::TokenUnavailable.as_str(),
        Cause::RefusedAlike => "RefusedAlike",
        Cause::DesiredStateUnknown => "DesiredStateUnknown",
        Cause::AccountsStalled => Reason::Rejected.as_str(),
        Cause::DisruptionsHeld => Reason::DisruptionBudgetExceeded.as_str(),
    }
}

/// A title, and what follows from it.
const fn words(cause: Option<Cause>) -> (&'static str, &'static str) {
    match cause {
        None => ("All is well again", "Everything works and nothing is stalled or held."),
        Some(Cause::LedgerUnavailable) => (
            "The ledger cannot be written",
            "Nothing is sent until it can be; after that everything goes on by itself.",
        ),
        Some(Cause::CredentialsRefused) => ("The credentials do not work", "Nothing is sent until there are others."),
        Some(Cause::TokenUnavailable) => (
            "No access token can be had",
            "Nothing is sent without one. It is asked for again at growing intervals; after that everything goes on by itself.",
        ),
        Some(Cause::RefusedAlike) => (
            "The service refuses one account after the other alike",
            "It accepts none, so that is one cause. One request probes it from time to time.",
        ),
        Some(Cause::DesiredStateUnknown) => {
            ("The desired state is unknown", "No edit is seen until the folder can be read; nothing is taken away.")
        }
        Some(Cause::AccountsStalled) => (
            "Accounts stalled",
            "The service rejected a change. It is tried again at growing intervals, at most a day apart; an edit is tried at once.",
        ),
        Some(Cause::DisruptionsHeld) => (
            "Held by a budget",
            "More accounts would lose something, or come back, than a budget allows. None of it is sent until somebody approves.",
        ),
    }
}

fn text(cause: Option<Cause>, notification: &Notification) -> String {
    let (title, follows) = words(cause);
    let Notification { phase, message, accounts, since, runbook, instance, reason, .. } = notification;
    let again = match phase {
        Phase::Reminder => " (still)",
        Phase::More => " (more of them)",
        Phase::New | Phase::Resolved => "",
    };
    let mut text = format!("*{title}*{again}, instance {}", code(instance));
    if let Some(Accounts { count, names }) = accounts {
        text += &format!(": {count} account{}", if *count == 1 { "" } else { "s" });
        let shown: Vec<_> = names.iter().map(|name| code(&printable::cut(name, SHOWN_NAME_MAX))).collect();
        let others = count.saturating_sub(names.len());
        let more = if others > 0 && !names.is_empty() { format!(" and {others} more") } else { String::new() };
        if !shown.is_empty() {
            text += &format!("\n{}{more}", shown.join(", "));
        }
    }
    text += &format!("\n{follows}");
    if let Some(message) = message {
        text += &format!("\n{}", code(message));
    }
    let began = if cause.is_some() { "Since" } else { "It was not since" };
    text += &format!("\n{began} {since}.");
    if let (Some(runbook), Some(key)) = (runbook, reason) {
        text += &format!(" What to do: {}", link(runbook, key));
    }
    text
}

/// A place to click at, or a command to copy.
fn link(to: &str, label: &str) -> String {
    let is_url = to.starts_with("https://") || to.starts_with("http://");
    let plain = !to.contains(['|', '>', '<', ' ', '\n']);
    if is_url && plain { format!("<{}|{}>", escaped(to), escaped(label)) } else { code(to) }
}

/// Text of strangers: in a code span nothing is a mention, a link or formatting, and a backtick would end it.
fn code(text: &str) -> String {
    format!("`{}`", escaped(&printable::escape(text)).replace('`', "'"))
}

/// The three characters that mean something everywhere in mrkdwn (Slack's documentation, formatting).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn short(text: &str, most: usize) -> String {
    printable::cut(&printable::escape(&printable::cut(text, most)), most)
}
