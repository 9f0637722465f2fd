//! `history`: every change that was applied, and who decided it; each pause that an operator lifted. Sends nothing, writes
//! nothing, needs no lock.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Exit, complain, count, json, note, print};
use crate::account::printable::{self, Notation, path as shown};
use crate::change::Known;
use crate::clock::Clock;
use crate::config::LedgerPlace;
use crate::ledger::audit::{AppliedPut, Audited, Entry, ForgottenAccount, LiftedPause};
use crate::ledger::file::{self, History as Record};
use crate::status::API_VERSION;
use crate::timestamp::Timestamp;

/// `history`.
#[derive(Clone, Debug, Args)]
pub(super) struct History {
    /// Accounts to show, by the name they had or by accountId; all of them if none is given
    #[arg(value_name = "NAME|ACCOUNT-ID")]
    accounts: Vec<String>,

    #[command(flatten)]
    place: LedgerPlace,

    /// Only what is not older: a duration like 30days, a day like 2026-03-01, or a moment in RFC 3339
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<Since>,

    /// Only the newest N
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,

    /// Check that nobody edited the record, instead of printing it
    #[arg(long, conflicts_with_all = ["accounts", "since", "limit"])]
    verify: bool,

    /// How the changes are printed, the newest last
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
}

#[derive(Clone, Copy, Debug)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

/// A duration, a day (UTC), or a moment.
fn since(text: &str) -> Result<Since, String> {
    let moment = |text: &str| Timestamp::of_any_offset(text).map(Since::At);
    let ago = || humantime::parse_duration(text).ok().map(Since::Ago);
    let found = moment(text).or_else(|| moment(&format!("{text}T00:00:00Z"))).or_else(ago);
    found.ok_or_else(|| {
        "expected a duration (30days), a day (2026-03-01) or a moment (2026-03-01T12:00:00+02:00)".into()
    })
}

/// What was applied, as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: &'a [Entry],
}

/// What `--verify` found, as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'a> {
    api_version: &'static str,
    kind: &'static str,
    verified: bool,
    records: usize,
    unfolded: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<&'a crate::ledger::audit::Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
}

impl History {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let ledger = self.place.file();
        if self.verify {
            return self.verify(&ledger);
        }
        let now = Clock::start().now();
        let from = self.since.map(|since| match since {
            Since::Ago(ago) => now.before(ago),
            Since::At(at) => at,
        });
        let named: BTreeSet<&str> = self.accounts.iter().map(String::as_str).collect();
        let wanted = |entry: &Entry| {
            let is_named = || named.iter().any(|name| is_of(entry, name));
            from.is_none_or(|from| entry.at >= from) && (named.is_empty() || is_named())
        };
        let Record { mut entries, fault, .. } = file::history(&ledger, &wanted)?;
        entries.drain(..entries.len().saturating_sub(self.limit.unwrap_or(usize::MAX)));
        print(&match self.output {
            Output::Text => text(&entries),
            Output::Json => json(&Document { api_version: API_VERSION, kind: "History", items: &entries })?,
            Output::Jsonl => lines(&entries)?,
        })?;
        if let Some((line, why)) = &fault {
            let log = shown(&log_of(&ledger));
            complain(&format!("{log}:{line}: {why}; what is shown may not be all, see `history --verify`"));
            return Ok(Exit::Failed);
        }
        let missing = self.accounts.iter().filter(|name| !entries.iter().any(|entry| is_of(entry, name)));
        missing.for_each(|name| note(&format!("nothing was applied to {:?}", printable::cut(name, 253))));
        Ok(Exit::Done)
    }

    fn verify(&self, ledger: &std::path::Path) -> anyhow::Result<Exit> {
        let record = file::history(ledger, &|_| false)?;
        let Record { head: _, logged, unfolded, last, fault, .. } = &record;
        let log = shown(&log_of(ledger));
        match self.output {
            Output::Text => print(&verdict(&record, &log))?,
            Output::Json | Output::Jsonl => print(&json(&Verdict {
                api_version: API_VERSION,
                kind: "HistoryVerification",
                verified: fault.is_none(),
                records: logged + unfolded,
                unfolded: *unfolded,
                last: last.as_ref(),
                line: fault.as_ref().map(|(line, _)| *line),
                fault: fault.as_ref().map(|(_, why)| &**why),
            })?)?,
        }
        Ok(match fault {
            None => Exit::Done,
            Some((line, why)) => {
                complain(&format!("{log}:{line}: {why}"));
                Exit::Failed
            }
        })
    }
}

fn is_of(entry: &Entry, name: &str) -> bool {
    match &entry.what {
        Audited::Applied(put) => put.name.as_deref() == Some(name) || put.account.to_string() == name,
        Audited::Forgotten(account) => *account.name == *name || account.forgotten.to_string() == name,
        Audited::PauseLifted(_) => false,
    }
}

fn log_of(ledger: &std::path::Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".audit");
    name.into()
}

/// What was checked, for people.
fn verdict(record: &Record, log: &str) -> String {
    let Record { head, logged, unfolded, remembered, last, fault, .. } = record;
    let mut text = String::new();
    let mut say = |line: String| text.extend([&line, "\n"]);
    match head {
        None if *unfolded == 0 => say("No audit log, and nothing was ever applied.".into()),
        None => say(format!("No audit log yet: {} in the ledger's journal alone.", count(*unfolded, "record"))),
        Some(head) => {
            let begin = match (&head.prev, head.after) {
                (Some(prev), after) => format!("after record {after}, where a log before it ended with {prev}"),
                (None, 0) => "with the ledger's first record".into(),
                (None, after) => format!("after record {after}: what came before was applied by a version without one"),
            };
            say(format!("{log} begins {begin}."));
        }
    }
    if fault.is_some() {
        return text;
    }
    if head.is_some() {
        say(format!("{} in it, each chained to the one before.", count(*logged, "record")));
        say(format!("{} in the ledger's journal follow it.", count(*unfolded, "record")));
        match remembered {
            Some(mark) => say(format!("The ledger remembers record {}, and it is there as it was.", mark.seq)),
            None => say("The ledger's snapshot is older than the log, and remembers nothing of it.".into()),
        }
    }
    if let Some(mark) = last.as_ref().and_then(|mark| mark.hash().map(|_| mark)) {
        say(format!("The last record is {} with the hash {}.", mark.seq, mark.hash));
    }
    text
}

/// A block a change: readable on 80 columns, and each can be found with `grep -A`.
fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    if entries.is_empty() {
        text.push_str("Nothing was applied.\n");
    }
    for Entry { seq: _, at, what } in entries {
        match what {
            Audited::Applied(put) => applied(&mut text, *at, put),
            Audited::PauseLifted(LiftedPause { pause_lifted: pause, by }) => {
                let _ = writeln!(text, "{at}  pause lifted");
                line(&mut text, "until", &format!("{} ({})", pause.until, pause.reason));
                line(&mut text, "by", by.as_deref().unwrap_or("unknown"));
            }
            Audited::Forgotten(ForgottenAccount { forgotten, name, by }) => {
                let _ = writeln!(text, "{at}  {} ({forgotten}) forgotten", printable::escape(name));
                line(&mut text, "by", by.as_deref().unwrap_or("unknown"));
            }
        }
    }
    text
}

fn applied(text: &mut String, at: Timestamp, put: &AppliedPut) {
    let AppliedPut { account, name, field, from, to, source, revision, approval, validity, drift, answer } = put;
    let name = name.as_ref().map_or_else(|| "(unnamed)".into(), |name| printable::escape(name));
    let from = from.unwrap_or(Known::Absent);
    let _ = writeln!(text, "{at}  {name} ({account})\n  {field}: {from} -> {to}\n  by        {source}");
    match revision {
        None => line(text, "revision", "unknown"),
        Some(revision) => {
            line(text, "revision", &revision.id);
            revision.author.iter().for_each(|author| line(text, "author", author));
            revision.subject.iter().for_each(|subject| line(text, "subject", subject));
        }
    }
    validity.iter().for_each(|validity| line(text, "because", &format!("{validity}, as that manifest says")));
    let drift = drift.map(|since| format!("drift: the service showed {} since {since}", !to));
    drift.iter().for_each(|drift| line(text, "because", drift));
    approval.iter().for_each(|approval| line(text, "approved", approval));
    answer.iter().for_each(|answer| line(text, "answer", answer));
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "  {key:<9} {}", printable::escape(value));
}

fn lines(entries: &[Entry]) -> anyhow::Result<String> {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&printable::document(&serde_json::to_string(entry)?, Notation::Json));
        text.push('\n');
    }
    Ok(text)
}
