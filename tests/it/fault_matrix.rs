//! Every line of the tables of answers, in every form, for every operation, whenever it comes: over real HTTP, with the
//! real client, the real conductor and the real ledger on the disk.
//!
//! In: [`table`]. Out: nothing, or every cell that came to something else than it was to, as a table.
//! A cell is lived through in a thread of its own; nothing waits for a pause, for the next life begins when it is over.

mod expected;
mod operation;
mod scene;
mod table;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::condition::{ConditionStatus, ConditionType};
use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::sandbox::Script;
use zoho_mail_reconciler::timestamp::Timestamp;

use expected::{Cell, Phase, Picture, Whose};
use operation::{BYSTANDER, TARGET, operations};
use scene::{Course, Life, Scene};
use table::{Does, Ends, Form, Line, PUTS, TOKENS};
use wire::{Gate, Meeting, Of, Wire};

/// Cells that are lived through at the same time. Most of the time of some is spent waiting for an answer.
const CELLS_AT_A_TIME: usize = 32;

/// How far a pause may be off: dates count whole seconds, and answers take their time.
const SLACK: Duration = Duration::from_secs(30);

fn cells(lines: &'static [Line], whose: Whose, phases: &[Phase]) -> Vec<Cell> {
    let rows = lines.iter().flat_map(|line| line.forms.iter().map(|form| (line.ends, *form)));
    let cells = rows.flat_map(|(ends, form)| {
        operations().flat_map(move |operation| {
            phases.iter().map(move |phase| Cell { whose, ends, form, operation, phase: *phase })
        })
    });
    let mut cells: Vec<_> = cells.collect();
    // Those that wait go first, all at once.
    cells.sort_by_key(|cell| !matches!(cell.form.does, Does::Silence));
    cells
}

/// Lives through every cell, and tells of all that came to something else.
fn hold(cells: &[Cell]) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let got = runtime.block_on(live_through(cell));
            let expected = cell.expected();
            if got.as_ref() != Ok(&expected) {
                let got = got.map_or_else(|error| error, |picture| picture.to_string());
                let Cell { ends, form, operation, phase, .. } = cell;
                let row = format!("{ends:?}, {}, {}, {phase:?}", form.name, operation.label());
                failures.lock().unwrap().push(format!("{row}:\n  expected {expected}\n  got      {got}"));
            }
        }
    };
    std::thread::scope(|scope| (0..CELLS_AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cells:\n{}", failures.len(), cells.len(), failures.join("\n"));
}

/// Which requests meet the row.
fn meeting(cell: &Cell) -> Meeting {
    let everybody = matches!(cell.ends, Ends::Throttled | Ends::Token | Ends::Credentials);
    let of = match (cell.whose, cell.phase) {
        (Whose::Token, _) => Of::Tokens,
        (Whose::Put, Phase::First) if everybody => Of::Puts,
        (Whose::Put, _) => Of::Target,
    };
    let (nth, times) = match cell.phase {
        Phase::First => (1, None),
        Phase::Retry => (2, Some(1)),
        Phase::OneOfTwo | Phase::Shutdown => (1, Some(1)),
    };
    Meeting { of, nth, times }
}

/// The misfortunes of the service: the row, and what makes a second attempt.
fn script(cell: &Cell, url: &str) -> Script {
    let target = json!({"operation": cell.operation.name_in_sandbox(), "account": TARGET});
    let fault = |of: Of, nth: u64, times: Option<u64>, does: Value| {
        let mut fault = match of {
            Of::Tokens => json!({"operation": "token"}),
            Of::Puts => json!({"operation": "put"}),
            Of::Target => target.clone(),
        };
        fault["nth"] = nth.into();
        fault["times"] = times.into();
        let fields = does.as_object().into_iter().flatten();
        fields.for_each(|(key, value)| fault[key] = value.clone());
        fault
    };
    let before = match cell.whose {
        Whose::Put => json!({"do": "badGateway"}),
        Whose::Token => json!({"do": {"answer": {"status": 401}}}),
    };
    let before = (cell.phase == Phase::Retry).then(|| fault(Of::Target, 1, Some(1), before));
    let Meeting { of, nth, times } = meeting(cell);
    let row = does(cell, url).map(|does| fault(of, nth, times, does));
    let faults: Vec<_> = before.into_iter().chain(row).collect();
    Script::parse(json!({"faults": faults}).to_string().as_bytes()).unwrap()
}

/// A form of an answer, as a script writes it; nothing where the service does as it promises, or is not asked.
fn does(cell: &Cell, url: &str) -> Option<Value> {
    let Form { does, acted, .. } = cell.form;
    Some(match does {
        Does::Well | Does::Refuse => return None,
        Does::Fault(name) => json!({"do": name}),
        Does::Silence if acted => json!({"latency": "10m"}),
        Does::Silence => json!({"latency": "10m", "do": "dropBeforeActing"}),
        Does::Cut(status, body) => {
            json!({"do": {"answer": {"status": status, "body": body, "acts": acted, "cutAfter": body.len() / 2}}})
        }
        Does::Say(status, header, body) => {
            let in_half_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1800));
            let fill = |text: &str| {
                text.replace("{url}", url)
                    .replace("{in 30 minutes}", &in_half_an_hour)
                    .replace("{oversized}", &format!("{}{}", table::SUCCESS, " ".repeat(70_000)))
            };
            let headers: Value = header.iter().map(|(name, value)| ((*name).to_owned(), fill(value))).collect();
            json!({"do": {"answer": {"status": status, "headers": headers, "body": fill(body), "acts": acted}}})
        }
    })
}

async fn live_through(cell: &Cell) -> Result<Picture, String> {
    let mut scene = Scene::new(cell.operation, cell.phase == Phase::OneOfTwo).await;
    scene.world().set_faults(script(cell, &scene.url));
    let single_pass = matches!(cell.phase, Phase::First | Phase::OneOfTwo);
    let mode = if single_pass { Mode::Apply } else { Mode::Run };
    let mut wire = Wire::new(cell.operation, Some((meeting(cell), cell.form.does)));
    let course = if cell.phase == Phase::Shutdown { Course::StopUnderWay } else { Course::Quiet };
    wire.gate = (course == Course::StopUnderWay).then(Gate::new);
    let begun = scene.now;
    let life = scene.live(mode, wire, course).await?;
    scene.world().set_faults(Script::default());
    let status = serde_json::to_value(&life.target.status).unwrap();
    let known = |field: Field| {
        let known = &status["lastApplied"][field.to_string()];
        match (known["value"].as_bool(), known["inDoubt"].as_bool()) {
            (Some(value), None) => Known::Applied(value),
            (None, Some(true)) => Known::InDoubt,
            _ => Known::Absent,
        }
    };
    let bystander: AccountId = BYSTANDER.parse().unwrap();
    let pause = scene.ledger().pause;
    let expected_pause = cell.expected().pause;
    let summary = &life.summary;
    let Life { sent, outcomes, target, .. } = &life;
    let condition = target.status.conditions.last().unwrap();
    let told = cell.expected().condition.2;
    let carries = |message: &str, told: &str| {
        if message.contains(told) { told.to_owned() } else { message.to_owned() }
    };
    let mut picture = Picture {
        sent: vec![sent.clone()],
        outcomes: outcomes.clone(),
        summary: single_pass.then_some([summary.planned, summary.applied, summary.failed.len(), summary.in_doubt.len()]),
        known: [
            known(cell.operation.field),
            known(cell.operation.other()),
            scene.ledger().known(bystander, cell.operation.field),
        ],
        world: scene.has(TARGET, cell.operation.field),
        condition: (condition.kind, condition.reason, carries(&condition.message, &told)),
        gave_up: summary.gave_up.as_ref().map(|why| carries(why, cell.form.told)),
        pause: pause.map(|pause| {
            let expected = expected_pause.map_or(0, |(_, seconds)| seconds);
            (pause.reason, seconds(pause.until, begun, scene.now, expected))
        }),
        converged: false,
    };
    if let Some(pause) = pause.filter(|pause| pause.until > scene.now) {
        scene.now = pause.until.before(Duration::from_secs(1));
        picture.sent.push(scene.live(mode, Wire::new(cell.operation, None), Course::Quiet).await?.sent);
        scene.now = pause.until + Duration::from_secs(1);
    }
    while let Some(last) = Some(scene.live(mode, Wire::new(cell.operation, None), Course::Quiet).await?.sent) {
        picture.sent.push(last.clone());
        if last.is_empty() || picture.sent.len() > 5 {
            break;
        }
    }
    picture.converged = converged(&scene, cell);
    Ok(picture)
}

/// How many seconds the pause lasts that began in between: `expected`, if that can be.
fn seconds(until: Timestamp, begun: Timestamp, ended: Timestamp, expected: u64) -> u64 {
    let pause = Duration::from_secs(expected);
    let earliest = (begun + pause).before(SLACK);
    if earliest <= until && until <= ended + pause { expected } else { until.since(begun).as_secs() }
}

/// Whether all is applied: in the ledger, in the world and in the status.
fn converged(scene: &Scene, cell: &Cell) -> bool {
    let ledger = scene.ledger();
    let other = (cell.phase == Phase::OneOfTwo).then_some((TARGET, cell.operation.other()));
    let fields = [Some((TARGET, cell.operation.field)), other, Some((BYSTANDER, cell.operation.field))];
    let applied = fields.into_iter().flatten().all(|(account, field)| {
        scene.has(account, field)
            && ledger.known(account.parse().unwrap(), field) == Known::Applied(cell.operation.to)
    });
    let ready = scene.told().items.iter().all(|item| {
        let [ready] = &item.status.conditions[..] else { return false };
        (ready.kind, ready.status) == (ConditionType::Ready, ConditionStatus::True)
    });
    applied && ready
}

const PHASES: [Phase; 4] = [Phase::First, Phase::Retry, Phase::OneOfTwo, Phase::Shutdown];

#[test]
fn every_answer_to_a_put_comes_to_what_the_table_says_whenever_it_comes() {
    hold(&cells(PUTS, Whose::Put, &PHASES));
}

#[test]
fn every_answer_to_a_token_request_comes_to_what_the_table_says_whenever_it_comes() {
    hold(&cells(TOKENS, Whose::Token, &[Phase::First, Phase::Retry, Phase::Shutdown]));
}
