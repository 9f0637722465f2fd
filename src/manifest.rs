//! Bytes of one file become the accounts and policies it declares, and all its problems at once.
//!
//! In: a path for the messages, and bytes that anybody may have written. Out: [`Parsed`]:
//! [`Document`]s, [`Policy`]s, [`Problem`]s with line and column, and what broken documents still declare.
//! Invariants: nothing is guessed; a document with a problem declares nothing that is acted on;
//! hostile bytes cost milliseconds and little memory. Each document stands on its own: what is
//! wrong with one does not touch its neighbours in the file.
//!
//! The way of a file: size, UTF-8, byte-order mark; `chunk` cuts it into documents and refuses
//! what no parser may see; `reader` makes a tree of each, in which every value has its place (`plain` makes the same of
//! the plainest, in half the time); `decode` judges it, once.
//! This is the only room that knows `serde_yaml` and `saphyr_parser`. Absent by design: files, and other documents
//! (two that declare one account are found by [`crate::desired`]).

mod chunk;
mod decode;
mod explain;
pub mod export;
mod fingerprint;
mod judge;
mod labels;
mod look_alike;
mod node;
mod plain;
mod policy;
mod problem;
mod protection;
mod reader;
mod schema;
mod syntax;
mod value;
mod yaml;

use std::sync::Arc;

use crate::account::{AccountId, AuthMode, MailAccountSpec, SourceRef};
use chunk::{Chunk, Refusal, chunks};
use decode::{Content, Verdict, decode};
use node::Node;
use reader::{Tree, Unread};

pub use explain::{end_column, explain};
pub use labels::{Labels, labels};
pub use policy::{Approval, Approved, Budget, Kind, Policy, PolicySpec};
pub use problem::{Place, Problem, ProblemCode};
pub use protection::{InvalidPolicyDir, InvalidProtected, Lock, PROTECT, PolicyDir, Protected, Protection};
pub use schema::{SCHEMA_KINDS, json_schema, json_schema_of};
pub use value::is_reason;
pub(crate) use value::{is_label, is_qualified_name};
pub use yaml::{NotYaml, to_yaml};

/// The largest file that is read, in bytes (the interface promises 4 MiB): some 16,000 accounts.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// `apiVersion` of every manifest.
pub const API_VERSION: &str = "zoho-mail-reconciler/v1";

/// `kind` of a manifest that declares an account.
pub const KIND: &str = Kind::MailAccount.as_str();

/// The most documents in a file: what [`MAX_FILE`] holds at 256 bytes a document, a usual size.
const MAX_DOCUMENTS: usize = 16_384;

/// The most problems that are listed of one file: nobody reads more, and each costs memory.
const MAX_PROBLEMS: usize = 100;

/// What the rules depend on besides the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// With [`AuthMode::Admin`] every account needs its `spec.zuid`.
    pub auth: AuthMode,
    /// From whom no manifest may take anything away, and where it may say what may be taken away.
    pub protection: &'a Protection,
}

/// An administrator, and nobody protected.
impl Default for Rules<'_> {
    fn default() -> Self {
        Self { auth: AuthMode::default(), protection: &protection::NO_PROTECTION }
    }
}

/// One account, declared without a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// The validated `spec`.
    pub spec: MailAccountSpec,
    /// The file, and the line on which the document's content begins.
    pub source: SourceRef,
    /// Fingerprint of `spec`: xxh3 of an encoding that is the same in every version of this
    /// program, for the ledger compares it with what an earlier one wrote. Name, labels,
    /// annotations and place are not in it.
    pub spec_hash: u64,
    /// Where the key `spec.accountId` stands.
    pub account_id_at: Place,
    /// Where the key `metadata.name` stands.
    pub name_at: Place,
    /// Where the key `spec.email` stands, or the document if there is none.
    pub email_at: Place,
    /// Whether its annotation [`PROTECT`] says that nothing may be taken away.
    pub protected: bool,
}

/// The key of a budget that limits what may come back.
const MAX_GRANTS: &str = "maxGrants";

/// What a document with problems declares, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its `kind`; `None`: it may be any.
    pub kind: Option<Kind>,
    /// It is a `DisruptionBudget`, or cannot be read and speaks of one.
    pub budget: bool,
    /// It speaks of how much may come back (`maxGrants`), and may be a budget of that.
    pub grants: bool,
    /// Its annotation [`PROTECT`] says that nothing may be taken away.
    pub protected: bool,
    /// Its `spec.accountId`.
    pub account: Option<AccountId>,
    /// Its `metadata.name`.
    pub name: Option<Box<str>>,
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Every account it declares without a problem, in order.
    pub documents: Vec<Document>,
    /// Every budget and approval it declares without a problem, in order.
    pub policies: Vec<Policy>,
    /// Every problem, in order of place; at most 100, and one more that counts the rest.
    pub problems: Vec<Problem>,
    /// For each document with a problem what it declares even so; all unknown: it may be anything.
    pub claims: Vec<Claim>,
    /// Every document of another API group: it is another program's, and declares nothing here.
    pub foreign: Vec<Foreign>,
    /// Nothing but blanks is in it, as in one that was emptied.
    pub empty: bool,
}

/// A document of another API group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The line on which its content begins.
    pub line: u32,
    /// Its `apiVersion` and `kind`, for people.
    pub what: Box<str>,
}

impl Parsed {
    /// A file of which nothing can be told but `problem`: it may declare anything.
    pub fn broken(problem: Problem) -> Self {
        Self::unreadable(problem, false)
    }

    /// The same; `budget`: what it may declare are budgets.
    pub fn unreadable(problem: Problem, budget: bool) -> Self {
        let claim = Claim { budget, grants: budget, ..Claim::default() };
        Self { problems: vec![problem], claims: vec![claim], ..Self::default() }
    }
}

impl Parsed {
    /// Whether nothing is in it but blanks, comments and nulls.
    pub fn says_nothing(&self) -> bool {
        *self == Self { empty: self.empty, ..Self::default() }
    }

    /// Whether it declares a budget, or may.
    pub fn speaks_of_budget(&self) -> bool {
        let declares = self.policies.iter().any(|policy| matches!(policy.spec, PolicySpec::Budget(_)));
        declares || self.claims.iter().any(|claim| claim.budget)
    }

    /// The same with a problem in the place of each policy: a link brought it into `dir`, where policies count.
    #[must_use]
    pub fn without_policies(mut self, dir: &PolicyDir) -> Self {
        for Policy { name, spec, source, name_at: Place { line, column } } in std::mem::take(&mut self.policies) {
            let expected = format!("budgets and approvals in the folder {dir} itself, as --policy-dir says");
            let hint = Some("put the file there: what a link leads to counts for nothing, for others may own it");
            let found = "a link on the way to this file";
            let problem = Problem::of_file(&source.path, ProblemCode::UnsupportedKind, &expected, found, hint);
            self.problems.push(Problem { line, column, field: "metadata.name".into(), ..problem });
            let (kind, budget) = match spec {
                PolicySpec::Budget(_) => (Kind::DisruptionBudget, true),
                PolicySpec::Approval(_) => (Kind::DisruptionApproval, false),
            };
            self.claims.push(Claim { kind: Some(kind), budget, name: Some((*name).into()), ..Claim::default() });
        }
        self.problems.sort_by_key(Problem::place);
        self
    }
}

impl Claim {
    /// Of a text that nobody can read: it may be anything, but a budget only if it speaks of one.
    fn of_unread(text: &[u8]) -> Self {
        let speaks_of = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
        Self { budget: speaks_of(Kind::DisruptionBudget.as_str()), grants: speaks_of(MAX_GRANTS), ..Self::default() }
    }
}

/// Reads one file. Never fails: what is wrong is in [`Parsed::problems`].
///
/// Null documents (also: an empty file) declare nothing and are no problem.
pub fn parse(path: &Arc<str>, bytes: &[u8], rules: Rules<'_>) -> Parsed {
    let text = match text(path, bytes) {
        Ok(text) => text,
        Err(problem) => return unread(*problem, bytes),
    };
    if chunks(text).nth(MAX_DOCUMENTS).is_some() {
        let expected = format!("at most {MAX_DOCUMENTS} documents in a file");
        let hint = Some("split the file");
        return unread(Problem::of_file(path, ProblemCode::TooLarge, &expected, "more", hint), bytes);
    }
    let mut parsed = Parsed { empty: text.trim().is_empty(), ..Parsed::default() };
    let mut unlisted = 0;
    for chunk in chunks(text) {
        let room = MAX_PROBLEMS - parsed.problems.len();
        // One more than there is room for, so that the list is known to be cut.
        let (declared, mut problems, claim) = read(path, &chunk, rules, room + 1);
        match declared {
            Some(Declared::Account(document)) => {
                // Nearly every file has one, and a vector that grows by itself begins with room for four.
                if parsed.documents.is_empty() {
                    parsed.documents.reserve_exact(1);
                }
                parsed.documents.push(document);
            }
            Some(Declared::Policy(policy)) => parsed.policies.push(policy),
            Some(Declared::Foreign(foreign)) => parsed.foreign.push(foreign),
            None => {}
        }
        parsed.claims.extend(claim);
        unlisted += problems.len().saturating_sub(room);
        problems.truncate(room);
        parsed.problems.append(&mut problems);
    }
    if unlisted > 0 {
        let (expected, found) = (format!("at most {MAX_PROBLEMS} problems"), format!("at least {unlisted} more"));
        let hint = Some("mend those above first");
        parsed.problems.push(Problem::of_file(path, ProblemCode::TooManyProblems, &expected, &found, hint));
    }
    parsed
}

/// A file of `bytes` of which nothing can be told but `problem`.
fn unread(problem: Problem, bytes: &[u8]) -> Parsed {
    Parsed { claims: vec![Claim::of_unread(bytes)], ..Parsed::broken(problem) }
}

/// The bytes as text, without a byte-order mark.
fn text<'b>(path: &Arc<str>, bytes: &'b [u8]) -> Result<&'b str, Box<Problem>> {
    if bytes.len() as u64 > MAX_FILE {
        let found = format!("{} bytes", bytes.len());
        let (expected, hint) = ("a file of at most 4 MiB", Some("split the file"));
        return Err(Box::new(Problem::of_file(path, ProblemCode::TooLarge, expected, &found, hint)));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let line_start = good.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&good[line_start..]).chars().count() + 1;
        let found = format!("the byte 0x{:02x}", bad.first().copied().unwrap_or_default());
        let hint = Some("save the file as UTF-8");
        let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
        Box::new(Problem { line, column, ..Problem::of_file(path, ProblemCode::NotUtf8, "UTF-8 text", &found, hint) })
    })
}

/// What one document declares.
enum Declared {
    Account(Document),
    Policy(Policy),
    Foreign(Foreign),
}

/// Reads one document: what it declares, the first `most` things that are wrong with it, what it claims.
fn read(
    path: &Arc<str>,
    chunk: &Chunk<'_>,
    rules: Rules<'_>,
    most: usize,
) -> (Option<Declared>, Vec<Problem>, Option<Claim>) {
    let unread = |problem| (None, vec![problem], Some(Claim::of_unread(chunk.text.as_bytes())));
    if let Err(refusal) = chunk.check() {
        return unread(refused(path, refusal));
    }
    let tree = match read_tree(chunk) {
        Ok(tree) => tree,
        Err(error) => return unread(syntax::problem(path, chunk, &error)),
    };
    if matches!(tree.root.node, Node::Null(_)) && tree.tags.is_empty() {
        return (None, Vec::new(), None);
    }
    let Verdict { content, problems, claim } = decode(path, &tree, rules, most);
    let claim = claim.map(|claim| Claim { grants: chunk.text.contains(MAX_GRANTS), ..claim });
    let place_of = |key: &[&str]| tree.root.at(key).map_or(tree.root.place, |(key, _)| key.place);
    let (account_id_at, name_at) = (place_of(&["spec", "accountId"]), place_of(&["metadata", "name"]));
    let source = SourceRef { path: Arc::clone(path), line: chunk.content_line };
    let declared = content.map(|content| match content {
        Content::Account { name, spec, protected } => {
            let (name, spec_hash) = (name.into(), fingerprint::of(&spec));
            Declared::Account(Document {
                name,
                spec_hash,
                spec,
                source,
                account_id_at,
                name_at,
                email_at: place_of(&["spec", "email"]),
                protected,
            })
        }
        Content::Foreign(what) => Declared::Foreign(Foreign { line: source.line, what: what.into() }),
        Content::Policy(name, spec) => Declared::Policy(Policy { name: name.into(), spec, source, name_at }),
    });
    (declared, problems, claim)
}

/// Reads the document of `chunk`.
fn read_tree<'a>(chunk: &Chunk<'a>) -> Result<Tree<'a>, Unread> {
    plain::read(chunk.text, chunk.first_line).map_or_else(|| reader::read(chunk.text, chunk.first_line), Ok)
}

fn refused(path: &Arc<str>, refusal: Refusal) -> Problem {
    let Refusal { place: Place { line, column }, code, expected, found, hint } = refusal;
    Problem { line, column, ..Problem::of_file(path, code, expected, &found, hint) }
}
