//! The whole ledger as one JSON document, one account a line: text to [`Ledger`] and back.
//!
//! In: the bytes of `ledger.json`, or a [`Ledger`]. Out: the other one.
//! Invariants: reading what was written gives the same value; what is not exactly a ledger is a
//! [`Fault`], never an empty ledger; ids are strings. The last key, `crc32`, covers every byte
//! before it, because one flipped digit still is JSON (and in `serial` would hide records). A
//! document without that key is accepted: that is how an operator edits it on purpose.
//! Absent by design: files, and the records that came since (see [`super::journal`]).

pub(super) mod lines;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::audit::Mark;
use super::fault::{API_VERSION, Fault, judge_header};
use super::{
    DeclaredBudget, FieldState, ImposedPause, Lapsed, Ledger, Outage, Owner, REQUEST_MEMORY_MAX, Row, Strays, Unready,
};
use crate::account::{AccountId, printable};
use crate::timestamp::Timestamp;

/// The document's `kind`.
const KIND: &str = "Ledger";

/// The largest serial that is believed: 2^53, up to which `jq` and browsers keep all digits of a
/// JSON number. At a million records a second it lasts for 285 years.
const SERIAL_MAX: u64 = 1 << 53;

/// What stands before the checksum's digits, on the last line.
const SUM_KEY: &[u8] = b" \"crc32\":\"";

/// What stands behind them.
const SUM_END: &[u8] = b"\"}\n";

/// Digits of a CRC-32 in hexadecimal.
const SUM_DIGITS: usize = 8;

/// The document as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object of kind Ledger")]
struct Document<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    zoid: Owner,
    serial: u64,
    accounts: Accounts,
    #[serde(default)]
    requests: VecDeque<Timestamp>,
    #[serde(default)]
    token_requests: VecDeque<Timestamp>,
    #[serde(default)]
    disruptions: BTreeMap<AccountId, Timestamp>,
    #[serde(default)]
    returns: BTreeMap<AccountId, Timestamp>,
    #[serde(default)]
    strays: Strays,
    #[serde(default)]
    unready: BTreeMap<AccountId, Unready>,
    #[serde(default)]
    pause: Option<ImposedPause>,
    #[serde(default)]
    outage: Option<Outage>,
    #[serde(default)]
    lapsed: Lapsed,
    #[serde(default)]
    budgets: Vec<DeclaredBudget>,
    #[serde(default)]
    clock_set_at: Option<Timestamp>,
    #[serde(default)]
    audit: Option<Mark>,
    #[serde(default, borrow)]
    crc32: Option<Cow<'a, str>>,
}

/// Reads a whole document.
///
/// # Errors
///
/// If the bytes are not exactly a ledger that this program may use.
pub fn parse(bytes: &[u8]) -> Result<Ledger, Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Damaged("it is empty, which this program never leaves behind".to_owned()));
    }
    let mut document: Document<'_> = serde_json::from_slice(bytes).map_err(|error| explain(bytes, &error))?;
    if let Some(sum) = &document.crc32 {
        check_sum(bytes, sum)?;
    }
    let accounts = std::mem::take(&mut document.accounts.0);
    document.into_ledger(accounts)
}

impl Document<'_> {
    fn into_ledger(self, accounts: BTreeMap<AccountId, Row>) -> Result<Ledger, Fault> {
        judge_header(&self.api_version, &self.kind, KIND)?;
        if self.serial > SERIAL_MAX {
            return Err(Fault::Damaged(format!("its serial {} is more than {SERIAL_MAX}", self.serial)));
        }
        Ok(Ledger {
            owner: self.zoid,
            serial: self.serial,
            accounts,
            requests: newest(self.requests),
            token_requests: newest(self.token_requests),
            disruptions: self.disruptions,
            returns: self.returns,
            strays: self.strays,
            unready: self.unready,
            pause: self.pause,
            outage: self.outage,
            lapsed: self.lapsed,
            budgets: self.budgets,
            clock_set_at: self.clock_set_at,
            audit: self.audit,
        })
    }
}

/// Writes the whole document.
///
/// # Errors
///
/// Those of the writer.
pub fn write(ledger: &Ledger, to: &mut impl Write) -> io::Result<()> {
    let mut out = Out::new(to);
    out.head(ledger)?;
    for (account, row) in &ledger.accounts {
        out.row(*account, row)?;
    }
    out.tail(ledger)
}

/// Why `bytes` did not parse: damage, unless it says itself that it is of another version.
fn explain(bytes: &[u8], error: &serde_json::Error) -> Fault {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header<'a> {
        #[serde(borrow)]
        api_version: Cow<'a, str>,
        #[serde(borrow)]
        kind: Cow<'a, str>,
    }
    if let Ok(header) = serde_json::from_slice::<Header<'_>>(bytes)
        && let Err(fault) = judge_header(&header.api_version, &header.kind, KIND)
    {
        return fault;
    }
    Fault::Damaged(printable::json_fault(error))
}

fn check_sum(bytes: &[u8], sum: &str) -> Result<(), Fault> {
    let end = bytes.len().checked_sub(SUM_KEY.len() + SUM_DIGITS + SUM_END.len());
    if end.map(|end| bytes.split_at(end)).is_some_and(|(body, line)| line == sum_line(crc32fast::hash(body))) {
        return Ok(());
    }
    Err(Fault::Damaged(format!(
        "its bytes changed after they were written: they do not match its \"crc32\" {}; if it was edited on purpose, \
         delete that key as well",
        super::fault::quoted(sum)
    )))
}

/// At most as many as are ever remembered, the newest: only a hand-made file can hold more.
fn newest(mut stamps: VecDeque<Timestamp>) -> VecDeque<Timestamp> {
    stamps.drain(..stamps.len().saturating_sub(REQUEST_MEMORY_MAX));
    stamps
}

/// The rows, gathered before the tree is built: a tree grown in ascending order is half empty.
struct Accounts(BTreeMap<AccountId, Row>);

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AccountsVisitor).map(Self)
    }
}

struct AccountsVisitor;

impl<'de> Visitor<'de> for AccountsVisitor {
    type Value = BTreeMap<AccountId, Row>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of accounts by accountId")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rows: Vec<(AccountId, Row)> = Vec::new();
        let mut texts = Texts::default();
        while let Some((account, mut row)) = map.next_entry::<AccountId, Row>()? {
            texts.share(&mut row);
            rows.push((account, row));
        }
        rows.sort_by_key(|(account, _)| *account);
        if let Some(twice) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(format_args!("account {} stands there twice", twice[0].0)));
        }
        Ok(rows.into_iter().collect())
    }
}

/// Texts that many rows share are kept once.
#[derive(Default)]
struct Texts {
    /// Both fields of an account, and neighbours, mostly name one manifest.
    path: Arc<str>,
    /// One commit changes many accounts, and they need not be neighbours.
    revisions: BTreeSet<Arc<str>>,
}

impl Texts {
    fn share(&mut self, row: &mut Row) {
        for state in [&mut row.enabled, &mut row.active_sync_enabled] {
            let Some(FieldState::Applied { source, revision, .. } | FieldState::Unsettled { source, revision, .. }) =
                state
            else {
                continue;
            };
            if source.path == self.path {
                source.path = Arc::clone(&self.path);
            } else {
                self.path = Arc::clone(&source.path);
            }
            if let Some(revision) = revision {
                match self.revisions.get(&**revision) {
                    Some(known) => *revision = Arc::clone(known),
                    None => drop(self.revisions.insert(Arc::clone(revision))),
                }
            }
        }
    }
}

/// The last line of a document.
fn sum_line(sum: u32) -> Vec<u8> {
    [SUM_KEY, format!("{sum:08x}").as_bytes(), SUM_END].concat()
}

/// Writes a document: one key a line at the top and one account a line below it, for `grep`,
/// `diff` and people, and for [`lines`].
struct Out<'a, W> {
    to: &'a mut W,
    sum: crc32fast::Hasher,
    line: Vec<u8>,
    rows: usize,
}

impl<'a, W: Write> Out<'a, W> {
    fn new(to: &'a mut W) -> Self {
        Self { to, sum: crc32fast::Hasher::new(), line: Vec::new(), rows: 0 }
    }

    fn head(&mut self, ledger: &Ledger) -> io::Result<()> {
        self.line.push(b'{');
        self.key("apiVersion", &API_VERSION)?;
        self.line.push(b',');
        self.key("kind", &KIND)?;
        self.line.push(b',');
        self.key("zoid", &ledger.owner)?;
        self.line.push(b',');
        self.key("serial", &ledger.serial)?;
        self.line.extend_from_slice(b",\n \"accounts\":{");
        self.pass_on()
    }

    fn row(&mut self, account: AccountId, row: &Row) -> io::Result<()> {
        self.begin_row(account);
        serde_json::to_writer(&mut self.line, row)?;
        self.pass_on()
    }

    /// A row that was read from another document and stays as it is.
    fn raw_row(&mut self, account: AccountId, json: &[u8]) -> io::Result<()> {
        self.begin_row(account);
        self.line.extend_from_slice(json);
        self.pass_on()
    }

    fn tail(mut self, ledger: &Ledger) -> io::Result<()> {
        let Ledger { owner: _, serial: _, accounts: _, requests, token_requests, disruptions, strays, .. } = ledger;
        let Ledger { returns, unready, pause, outage, lapsed, budgets, clock_set_at, audit, .. } = ledger;
        self.line.extend_from_slice(b"},");
        if !requests.is_empty() {
            self.key("requests", requests)?;
            self.line.push(b',');
        }
        if !token_requests.is_empty() {
            self.key("tokenRequests", token_requests)?;
            self.line.push(b',');
        }
        if !disruptions.is_empty() {
            self.key("disruptions", disruptions)?;
            self.line.push(b',');
        }
        if !returns.is_empty() {
            self.key("returns", returns)?;
            self.line.push(b',');
        }
        if !strays.is_empty() {
            self.key("strays", strays)?;
            self.line.push(b',');
        }
        if !unready.is_empty() {
            self.key("unready", unready)?;
            self.line.push(b',');
        }
        if let Some(pause) = pause {
            self.key("pause", pause)?;
            self.line.push(b',');
        }
        if let Some(outage) = outage {
            self.key("outage", outage)?;
            self.line.push(b',');
        }
        if !lapsed.is_empty() {
            self.key("lapsed", lapsed)?;
            self.line.push(b',');
        }
        if !budgets.is_empty() {
            self.key("budgets", budgets)?;
            self.line.push(b',');
        }
        if let Some(at) = clock_set_at {
            self.key("clockSetAt", at)?;
            self.line.push(b',');
        }
        if let Some(audit) = audit {
            self.key("audit", audit)?;
            self.line.push(b',');
        }
        self.line.push(b'\n');
        self.pass_on()?;
        self.to.write_all(&sum_line(self.sum.finalize()))
    }

    fn key(&mut self, key: &str, value: &impl Serialize) -> io::Result<()> {
        self.line.extend_from_slice(b"\n \"");
        self.line.extend_from_slice(key.as_bytes());
        self.line.extend_from_slice(b"\":");
        Ok(serde_json::to_writer(&mut self.line, value)?)
    }

    fn begin_row(&mut self, account: AccountId) {
        self.line.extend_from_slice(if self.rows == 0 { b"\n  \"" } else { b",\n  \"" });
        self.line.extend_from_slice(account.to_string().as_bytes());
        self.line.extend_from_slice(b"\":");
        self.rows += 1;
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.sum.update(&self.line);
        self.to.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}
