//! A cell of the matrix: an answer, an operation and a phase; and how it is lived through.
//!
//! In: a [`Cell`]. Out: the [`Picture`] of what it came to, to be held against the one that was expected.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::condition::{ConditionStatus, ConditionType};
use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::sandbox::Script;

use super::expected::Picture;
use super::life::{Course, Life};
use super::operation::{BYSTANDER, Operation, TARGET};
use super::scene::Scene;
use super::table::{Does, Ends, Form, SUCCESS};
use super::wire::{Gate, Meeting, Of, Wire};

/// How far a pause may be off: dates count whole seconds, and answers take their time.
const SLACK: Duration = Duration::from_secs(30);

/// When the row is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A single pass meets it at every attempt.
    First,
    /// A daemon meets it once, after another answer that asked for a second attempt.
    Retry,
    /// A single pass that changes both fields of the account meets it once.
    OneOfTwo,
    /// A daemon is told to stop while this answer is under way.
    Shutdown,
    /// Single passes meet it at every attempt at the target, and the account beside has to be applied.
    Beside,
}

/// Whose answer the row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Put,
    Token,
}

/// A cell of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub whose: Whose,
    pub ends: Ends,
    pub form: Form,
    pub operation: Operation,
    pub phase: Phase,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whose, ends, form, operation, phase } = self;
        write!(
            f,
            "{whose:?} {ends:?}, {}, {} {} as {:?}, {phase:?}",
            form.name, operation.field, operation.to, operation.auth
        )
    }
}

impl Cell {
    pub fn is_single_pass(&self) -> bool {
        matches!(self.phase, Phase::First | Phase::OneOfTwo | Phase::Beside)
    }

    /// Which requests meet the row.
    pub fn meeting(&self) -> Meeting {
        let everybody = matches!(self.ends, Ends::Throttled | Ends::Token | Ends::Credentials);
        let of = match (self.whose, self.phase) {
            (Whose::Token, _) => Of::Tokens,
            (Whose::Put, Phase::First) if everybody => Of::Puts,
            (Whose::Put, _) => Of::Target,
        };
        let (nth, times) = match self.phase {
            Phase::First | Phase::Beside => (1, None),
            Phase::Retry => (2, Some(1)),
            Phase::OneOfTwo | Phase::Shutdown => (1, Some(1)),
        };
        Meeting { of, nth, times }
    }

    /// The misfortunes of the service: the row, and before it what makes a second attempt.
    pub fn script(&self, url: &str) -> Script {
        let first = Meeting { of: Of::Target, nth: 1, times: Some(1) };
        let before = match self.whose {
            Whose::Put => json!({"do": "badGateway"}),
            Whose::Token => json!({"do": {"answer": {"status": 401}}}),
        };
        let before = (self.phase == Phase::Retry).then(|| self.fault(first, before));
        let row = does(self.form, url).map(|does| self.fault(self.meeting(), does));
        let faults: Vec<_> = before.into_iter().chain(row).collect();
        Script::parse(json!({"faults": faults}).to_string().as_bytes()).unwrap()
    }

    fn fault(&self, Meeting { of, nth, times }: Meeting, mut fault: Value) -> Value {
        fault["operation"] = match of {
            Of::Tokens => "token".into(),
            Of::Puts => "put".into(),
            Of::Target => json!(self.operation.name_in_sandbox()),
        };
        fault["account"] = if of == Of::Target { TARGET.into() } else { Value::Null };
        fault["nth"] = nth.into();
        fault["times"] = times.into();
        fault
    }

    /// What was seen when the first life had ended; the lives after it are still to come.
    fn picture(&self, scene: &Scene, life: &Life) -> Picture {
        let (expected, ledger) = (self.expected(), scene.ledger());
        let Life { sent, summary, told, process } = life;
        let told = told.clone().unwrap_or_else(|| scene.told());
        let target =
            told.items.iter().find(|item| item.spec.account_id.to_string() == TARGET).expect("it has a status");
        let status = serde_json::to_value(&target.status).unwrap();
        let known = |field: Field| {
            let known = &status["lastApplied"][field.to_string()];
            match (known["value"].as_bool(), known["inDoubt"].as_bool()) {
                (Some(value), None) => Known::Applied(value),
                (None, Some(true)) => Known::InDoubt,
                _ => Known::Absent,
            }
        };
        let bystander = ledger.known(BYSTANDER.parse().unwrap(), self.operation.field);
        let told = target.status.conditions.last().unwrap();
        let or_all = |said: &str, part: &str| if said.contains(part) { part.to_owned() } else { said.to_owned() };
        let close = |seconds: u64| {
            let (pause, until) = (Duration::from_secs(seconds), ledger.pause.map(|pause| pause.until));
            let earliest = (scene.begun + pause).before(SLACK);
            until.is_some_and(|until| (earliest..=scene.now + pause).contains(&until))
        };
        Picture {
            sent: vec![sent.clone()],
            outcomes: process.outcomes(),
            summary: self.is_single_pass().then_some([
                summary.planned,
                summary.applied,
                summary.failed.len(),
                summary.in_doubt.len(),
            ]),
            known: [known(self.operation.field), known(self.operation.other()), bystander],
            world: scene.has(TARGET, self.operation.field),
            disrupted: ledger.disruptions.contains_key(&TARGET.parse().unwrap()),
            condition: (told.kind, told.reason, or_all(&told.message, &expected.condition.2)),
            gave_up: summary.gave_up.as_ref().map(|why| or_all(why, self.form.told)),
            pause: ledger.pause.map(|pause| {
                let seconds = expected.pause.map(|(_, seconds)| seconds).filter(|seconds| close(*seconds));
                (pause.reason, seconds.unwrap_or_else(|| pause.until.since(scene.begun).as_secs()))
            }),
            converged: false,
        }
    }

    /// Whether all is applied: in the ledger, in the world and in the status.
    fn has_converged(&self, scene: &Scene) -> bool {
        let ledger = scene.ledger();
        let other = (self.phase == Phase::OneOfTwo).then_some((TARGET, self.operation.other()));
        let fields = [Some((TARGET, self.operation.field)), other, Some((BYSTANDER, self.operation.field))];
        let applied = fields.into_iter().flatten().all(|(account, field)| {
            let known = ledger.known(account.parse().unwrap(), field);
            scene.has(account, field) && known == Known::Applied(self.operation.to)
        });
        let ready = scene.told().items.iter().all(|item| {
            let [ready] = &item.status.conditions[..] else { return false };
            (ready.kind, ready.status) == (ConditionType::Ready, ConditionStatus::True)
        });
        applied && ready
    }
}

/// A form of an answer, as a script writes it; nothing where the service does as it promises, or is not asked.
fn does(Form { does, acted, .. }: Form, url: &str) -> Option<Value> {
    Some(match does {
        Does::Well | Does::Refuse => return None,
        Does::Fault(name) => json!({"do": name}),
        Does::Silence if acted => json!({"latency": "10m"}),
        Does::Silence => json!({"latency": "10m", "do": "dropBeforeActing"}),
        Does::Cut(status, body) => {
            json!({"do": {"answer": {"status": status, "body": body, "acts": acted, "cutAfter": body.len() / 2}}})
        }
        Does::Say(status, header, body) => {
            let in_half_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30 * 60));
            let header = header.map(|(name, value)| {
                (name.to_owned(), value.replace("{url}", url).replace("{in 30 minutes}", &in_half_an_hour))
            });
            let headers: Value = header.into_iter().collect();
            let body = body.replace("{oversized}", &format!("{SUCCESS}{}", " ".repeat(70_000)));
            json!({"do": {"answer": {"status": status, "headers": headers, "body": body, "acts": acted}}})
        }
    })
}

/// Lives through a cell: the life that meets the row, one within the pause if there is one, and then as many as it takes
/// until one finds nothing to do.
///
/// # Errors
/// What happened that no picture can show.
pub async fn live_through(cell: &Cell) -> Result<Picture, String> {
    const LIVES_MAX: usize = 5;
    let mut scene = Scene::new(cell.operation, cell.phase == Phase::OneOfTwo).await;
    scene.world().set_faults(cell.script(&scene.url));
    let mode = if cell.is_single_pass() { Mode::Apply } else { Mode::Run };
    let course = if cell.phase == Phase::Shutdown { Course::StopUnderWay } else { Course::Quiet };
    let mut wire = Wire::new(cell.operation, Some((cell.meeting(), cell.form.does)));
    wire.gate = (course == Course::StopUnderWay).then(Gate::new);
    let life = scene.live(mode, wire, course).await?;
    scene.world().set_faults(Script::default());
    let mut picture = cell.picture(&scene, &life);
    let next = || Wire::new(cell.operation, None);
    if let Some(pause) = scene.pause() {
        scene.now = pause.until.before(Duration::from_secs(1));
        picture.sent.push(scene.live(mode, next(), Course::Quiet).await?.sent);
        scene.now = pause.until + Duration::from_secs(1);
    }
    loop {
        let sent = scene.live(mode, next(), Course::Quiet).await?.sent;
        let last = sent.is_empty() || picture.sent.len() == LIVES_MAX;
        picture.sent.push(sent);
        if last {
            break;
        }
    }
    picture.converged = cell.has_converged(&scene);
    Ok(picture)
}
