//! What each cell of the matrix comes to: its row and its phase decide, and nothing else.
//!
//! In: a [`Cell`]. Out: a [`Picture`]. Pure: the contract of the conductor, written as tables.

use std::fmt;

use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::condition::ConditionType::{self, Ready, Reconciling, Stalled};
use zoho_mail_reconciler::condition::Reason;

use super::cell::{Cell, Phase, Whose};
use super::table::Ends;

/// What a cell comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The requests of the life that meets the row, and of each one after it; see [`super::wire::Sent`].
    pub sent: Vec<String>,
    /// How the PUTs of the first life ended.
    pub outcomes: String,
    /// Of a single pass: planned, applied, failed, in doubt.
    pub summary: Option<[usize; 4]>,
    /// What is known of the operation's field, of the target's other field, and of the bystander's, when the first
    /// life comes to rest.
    pub known: [Known; 3],
    /// Whether the world has what is wanted of the first of them, when the first life has ended.
    pub world: bool,
    /// Whether the target then counts as one that lost something, or may have.
    pub disrupted: bool,
    /// The target's condition: type, reason, and what the message has to say.
    pub condition: (ConditionType, Reason, String),
    /// What the pass that gave up has to say.
    pub gave_up: Option<String>,
    /// Why everybody pauses, and for how many seconds.
    pub pause: Option<(Reason, u64)>,
    /// Whether all is applied in the end: in the ledger, in the world and in the status.
    pub converged: bool,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, outcomes, summary, known, world, disrupted, condition, gave_up, pause, converged } = self;
        let known = known.map(|known| known.to_string()).join(" ");
        write!(f, "sent {sent:?}, outcomes {outcomes:?}, summary {summary:?}, known {known}, world {world}, ")?;
        write!(f, "disrupted {disrupted}, ")?;
        write!(f, "condition {condition:?}, gave up {gave_up:?}, pause {pause:?}, converged {converged}")
    }
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// As wanted.
    Done,
    /// As it was before.
    Old,
    /// In doubt.
    Doubt,
}

/// The first life: its requests, how often the row was met by a PUT, and what becomes of the operation's field, of the
/// target's other field and of the bystander's; then the requests of the lives after it. Before the last two, which find
/// something to do and nothing, there is one within the pause, if there is a pause.
type Course = (&'static str, usize, [Is; 3], &'static str);

fn first(cell: &Cell) -> Course {
    use Is::{Done, Doubt, Old};
    match cell.ends {
        Ends::Applied => ("kTB", 2, [Done, Old, Done], ""),
        Ends::Retry(_) => ("kTBTTT", 4, [Old, Old, Done], "kT"),
        Ends::Doubt(_) if cell.form.pause.is_none() => ("kTBTTT", 4, [Doubt, Old, Done], "kT"),
        Ends::Doubt(_) => ("kT", 1, [Doubt, Old, Old], "kBT"),
        Ends::Stalled(_) => ("kTB", 1, [Old, Old, Done], "kT"),
        Ends::Throttled | Ends::Credentials => ("kT", 1, [Old; 3], "kBT"),
        // The bystander goes first with the fresh token; only when another account has it refused as well all stop.
        Ends::Token => ("kTkBT", 3, [Old; 3], "kBT"),
    }
}

fn retry(cell: &Cell) -> Course {
    use Is::{Done, Doubt, Old};
    match cell.ends {
        Ends::Applied => ("kTBT", 2, [Done, Old, Done], ""),
        Ends::Retry(_) => ("kTBTT", 1, [Done, Old, Done], ""),
        Ends::Doubt(_) if cell.form.pause.is_none() => ("kTBTT", 1, [Done, Old, Done], ""),
        Ends::Doubt(_) | Ends::Throttled => ("kTBT", 1, [Doubt, Old, Done], "kT"),
        // What failed before left doubt, and so it stays until the resync.
        Ends::Stalled(_) => ("kTBT|T", 1, [Doubt, Old, Done], ""),
        Ends::Credentials => ("kTBT|kT", 1, [Doubt, Old, Done], ""),
        Ends::Token => ("kTBTkT", 1, [Done, Old, Done], ""),
    }
}

/// What failed goes behind the other account, and behind the other field, which waits with it if it is said of both.
fn one_of_two(cell: &Cell) -> Course {
    use Is::{Done, Doubt, Old};
    // A change that is refused keeps the other field from nothing, unless there is no such account.
    let goes_on = cell.ends != Ends::Stalled(Reason::AccountNotFound);
    match (cell.ends, cell.operation.goes_first()) {
        (Ends::Applied, true) => ("kTBO", 3, [Done; 3], ""),
        (Ends::Applied, false) => ("kOBT", 3, [Done; 3], ""),
        (Ends::Doubt(_), true) if cell.form.pause.is_some() => ("kT", 1, [Doubt, Old, Old], "kBOT"),
        (Ends::Doubt(_), false) if cell.form.pause.is_some() => ("kOBT", 1, [Doubt, Done, Done], "kT"),
        (Ends::Retry(_) | Ends::Doubt(_), true) => ("kTBOT", 1, [Done; 3], ""),
        (Ends::Retry(_) | Ends::Doubt(_), false) => ("kOBTT", 1, [Done; 3], ""),
        (Ends::Stalled(_), true) if goes_on => ("kTBO", 1, [Old, Done, Done], "kT"),
        (Ends::Stalled(_), true) => ("kTB", 1, [Old, Old, Done], "kOT"),
        (Ends::Throttled | Ends::Credentials, true) => ("kT", 1, [Old; 3], "kBOT"),
        (Ends::Stalled(_) | Ends::Throttled | Ends::Credentials, false) => ("kOBT", 1, [Old, Done, Done], "kT"),
        (Ends::Token, true) => ("kTkBOT", 1, [Done; 3], ""),
        (Ends::Token, false) => ("kOBTkT", 1, [Done; 3], ""),
    }
}

fn shutdown(cell: &Cell) -> Course {
    use Is::{Done, Doubt, Old};
    match cell.ends {
        Ends::Applied => ("kT", 1, [Done, Old, Old], "kB"),
        // What failed goes behind the others.
        Ends::Doubt(_) => ("kT", 1, [Doubt, Old, Old], "kBT"),
        // A restart of the daemon does not ask again, an operator does.
        Ends::Stalled(_) => ("kT", 1, [Old; 3], "kB|T"),
        Ends::Retry(_) | Ends::Throttled | Ends::Credentials | Ends::Token => ("kT", 1, [Old; 3], "kBT"),
    }
}

/// The same where it is the token request that meets the row.
fn token(cell: &Cell) -> Course {
    use Is::{Done, Old};
    match (cell.phase, cell.ends) {
        (Phase::First, Ends::Applied) => ("kTB", 0, [Done, Old, Done], ""),
        (Phase::First, Ends::Retry(_)) => ("kkkk", 0, [Old; 3], "kTB"),
        // The first token was refused; after that the bystander goes first.
        (Phase::Retry, Ends::Applied) => ("kTkBT", 0, [Done, Old, Done], ""),
        (Phase::Retry, Ends::Retry(_)) => ("kTkkBT", 0, [Done, Old, Done], ""),
        (Phase::Retry, Ends::Throttled) => ("kTk", 0, [Old; 3], "kBT"),
        (Phase::Retry, _) => ("kTk|kBT", 0, [Old, Old, Done], ""),
        // A stop waits for no token.
        _ => ("k", 0, [Old; 3], "kTB"),
    }
}

impl Cell {
    fn course(&self) -> Course {
        match (self.whose, self.phase) {
            (Whose::Token, _) => token(self),
            (Whose::Put, Phase::First | Phase::Beside) => first(self),
            (Whose::Put, Phase::Retry) => retry(self),
            (Whose::Put, Phase::OneOfTwo) => one_of_two(self),
            (Whose::Put, Phase::Shutdown) => shutdown(self),
        }
    }

    /// For how long everybody is told to pause. A stop hears no answer to a token request.
    fn pause(&self) -> Option<(Reason, u64)> {
        let heard = self.phase != Phase::Shutdown || self.whose == Whose::Put;
        let reason = if self.ends == Ends::Throttled { Reason::Throttled } else { Reason::ServiceUnavailable };
        self.form.pause.filter(|_| heard).map(|seconds| (reason, seconds))
    }

    /// What becomes of it.
    pub fn expected(&self) -> Picture {
        let (sent, met, fields, after) = self.course();
        let pause = self.pause();
        let within_pause = pause.map(|_| "");
        let both = self.phase == Phase::OneOfTwo;
        let changes = if both { &fields[..] } else { &[fields[0], fields[2]] };
        let count = |which| changes.iter().filter(|is| **is == which).count();
        let summary = [changes.len(), count(Is::Done), count(Is::Old), count(Is::Doubt)];
        let unheard = |field: Is| match field {
            Is::Done => Known::Applied(self.operation.to),
            Is::Old => Known::Applied(!self.operation.to),
            Is::Doubt => Known::InDoubt,
        };
        let [target, other, bystander] = fields.map(unheard);
        let acted = matches!(self.ends, Ends::Doubt(_)) && self.form.acted;
        let resynced = sent.contains('|');
        let lives = [Some(sent), within_pause, (!after.is_empty()).then_some(after), Some("")];
        Picture {
            sent: lives.into_iter().flatten().map(str::to_owned).collect(),
            outcomes: self.outcomes(sent, met),
            summary: self.is_single_pass().then_some(summary),
            known: [target, if both { other } else { Known::Absent }, bystander],
            world: fields[0] == Is::Done || acted || resynced,
            disrupted: !self.operation.to
                && (fields[..1 + usize::from(both)].iter().any(|is| *is != Is::Old) || resynced),
            condition: self.condition(fields),
            gave_up: self.gives_up().then(|| self.form.told.to_owned()),
            pause,
            converged: true,
        }
    }

    /// How the PUTs of the first life ended: those that met the row, those before it, and all others well.
    fn outcomes(&self, sent: &str, met: usize) -> String {
        let puts = sent.chars().filter(|letter| letter.is_ascii_uppercase()).count();
        let before = usize::from(self.phase == Phase::Retry);
        let label = self.ends.label(Whose::Put);
        let label_before = if self.whose == Whose::Token { "paused" } else { "in_doubt" };
        let labels = ["applied", "in_doubt", "paused", "rejected", "retry"].into_iter().map(|name| {
            let well = if name == "applied" { puts.saturating_sub(met + before) } else { 0 };
            let count = well + if name == label { met } else { 0 } + if name == label_before { before } else { 0 };
            (name, count)
        });
        let labels: Vec<_> =
            labels.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
        labels.join(", ")
    }

    fn condition(&self, [target, other, _]: [Is; 3]) -> (ConditionType, Reason, String) {
        let all_done = target == Is::Done && (self.phase != Phase::OneOfTwo || other == Is::Done);
        let daemon = self.phase == Phase::Retry;
        let (kind, reason, told) = match (self.ends, self.whose) {
            _ if all_done => (Ready, Reason::ReconciliationSucceeded, ""),
            (Ends::Retry(reason) | Ends::Doubt(reason), Whose::Put) => (Reconciling, reason, self.form.told),
            (Ends::Stalled(reason), _) => (Stalled, reason, self.form.told),
            // The daemon knows that nobody can go on; what a command reads from the ledger is what was said.
            (Ends::Credentials, _) if daemon => (Stalled, Reason::Unauthorized, self.form.told),
            (Ends::Credentials | Ends::Token, Whose::Put) => (Reconciling, Reason::Unauthorized, self.form.told),
            (Ends::Throttled, Whose::Put) => (Reconciling, Reason::Throttled, self.form.told),
            (Ends::Throttled, Whose::Token) if self.pause().is_some() => {
                (Reconciling, Reason::Throttled, "no request starts before")
            }
            _ => (Reconciling, Reason::Progressing, " -> "),
        };
        (kind, reason, told.to_owned())
    }

    /// Whether a single pass ends before its time.
    fn gives_up(&self) -> bool {
        match self.phase {
            Phase::First if self.whose == Whose::Token => matches!(self.ends, Ends::Credentials | Ends::Retry(_)),
            Phase::First => matches!(self.ends, Ends::Credentials | Ends::Token),
            Phase::OneOfTwo => self.ends == Ends::Credentials,
            Phase::Retry | Phase::Shutdown | Phase::Beside => false,
        }
    }
}
