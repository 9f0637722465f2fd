//! Files that declare policies, and what becomes of them: broken, hidden, linked, deleted; across commands and restarts.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Place, Running, Service, until};
use crate::builders::Manifest;
use crate::commits::{commit, git};

const LIMITS: &str = "desired-state/policy/limits.yaml";

/// Three people with a mailbox, and a budget of nothing; all of it applied once.
fn three() -> Place {
    let place = Place::new();
    people(&place, "true");
    place.write(LIMITS, &nothing());
    place.ok("apply --sandbox");
    place
}

fn people(place: &Place, enabled: &str) {
    (1..=3).for_each(|n| place.account(&format!("p{n}"), n, &format!("enabled: {enabled}")));
}

fn nothing() -> String {
    Manifest::budget("limits").set("maxDisruptions", "0").to_string()
}

/// In what ways a file that declared a budget can be broken.
fn broken() -> [String; 6] {
    let nothing = nothing();
    [
        nothing.replace("DisruptionBudget", "MailAccount"),
        nothing.replace("DisruptionBudget", "Budget"),
        "a: [".into(),
        nothing.replace(": \"0\"", ": many").replace(": 0", ": many"),
        nothing.replace("DisruptionBudget", "DisruptionApproval"),
        "kind: [DisruptionBudget".into(),
    ]
}

/// That all three removals are held, by every command that knows of them.
fn holds(place: &Place, why: &str) {
    let plan = place.run("plan --sandbox");
    assert!(plan.out.contains("3 changes held"), "{why}: {}", plan.all());
    let status = place.run("status --sandbox --reason DisruptionBudgetExceeded -o name");
    assert_eq!(status.out.lines().count(), 3, "{why}: {}", status.all());
    let doctor = place.run("doctor --sandbox --offline");
    assert!(doctor.out.contains("3 PUTs would be held"), "{why}: {}", doctor.all());
    let applied = place.run("apply --sandbox");
    assert!(applied.out.contains("0 applied + 3 held"), "{why}: {}", applied.all());
}

#[test]
fn a_file_that_declared_a_budget_keeps_it_for_the_next_process_in_whatever_way_it_is_broken() {
    let place = three();
    people(&place, "false");
    for text in broken() {
        place.write(LIMITS, &text);
        holds(&place, &text);
    }
    // Behind a link to nothing it is not known what there is.
    let policy = place.path().join("desired-state/policy");
    fs::rename(&policy, place.path().join("aside")).unwrap();
    symlink("nowhere", &policy).unwrap();
    holds(&place, "a link to nothing");
    fs::remove_file(&policy).unwrap();
    fs::rename(place.path().join("aside"), &policy).unwrap();
    // Another name for the file changes nothing.
    let renamed = "desired-state/policy/budget.yaml";
    fs::remove_file(place.path().join(LIMITS)).unwrap();
    place.write(renamed, &nothing());
    let plan = place.run("plan --sandbox");
    let moved = "note: the DisruptionBudget of policy/limits.yaml:1 is in policy/budget.yaml:1 now, and says the same";
    assert!(plan.err.contains(moved) && plan.out.contains("Held by"), "{}", plan.all());
    // What can be read, and declares none any more, ends it; and a file that is deleted, which the plan says.
    fs::remove_file(place.path().join(renamed)).unwrap();
    let plan = place.run("plan --sandbox");
    assert_eq!(plan.code, 0, "{}", plan.all());
    assert!(
        plan.err.contains("note: the DisruptionBudget of policy/limits.yaml:1 is not there any more"),
        "{}",
        plan.all()
    );
    let applied = place.ok("apply --sandbox");
    assert!(applied.contains("3 planned = 3 applied"), "{applied}");
    assert!(place.ok("plan --sandbox").starts_with("No changes"));
}

/// The daemon with a service in this process, and what it holds at the end of its first look.
struct Daemon<'p> {
    running: Running,
    place: &'p Place,
}

impl<'p> Daemon<'p> {
    fn start(place: &'p Place) -> Self {
        let _ = fs::remove_file(place.path().join("stderr"));
        Self { running: place.start("run --listen off --log-level info --log-format text"), place }
    }

    fn says(&self, what: &str) {
        until(what, || self.place.read("stderr").contains(what));
    }

    fn end(mut self) {
        self.running.signal(rustix::process::Signal::TERM);
        assert_eq!(self.running.ended(), 0, "{}", self.place.read("stderr"));
    }
}

#[test]
fn a_restarted_daemon_holds_what_the_one_before_held_and_lets_it_go_when_the_file_is_deleted() {
    let service = Service::start();
    let mut place = Place::new();
    service.serve(&mut place);
    people(&place, "true");
    place.write(LIMITS, &nothing());
    place.ok("apply");
    place.write(LIMITS, "a: [");
    people(&place, "false");
    let before = service.requests();
    let daemon = Daemon::start(&place);
    daemon.says("held");
    daemon.end();
    assert_eq!(service.requests(), before);
    fs::remove_file(place.path().join(LIMITS)).unwrap();
    let daemon = Daemon::start(&place);
    until("they are applied", || service.requests() >= before + 3);
    daemon.end();
}

#[test]
fn a_budget_that_is_ignored_all_at_once_is_a_problem_and_stays_in_force() {
    let place = three();
    people(&place, "false");
    for (number, patterns) in ["policy/", "/policy", "limits.yaml", "a\n\npolicy/*\n", "*\n!p?.yaml"].iter().enumerate()
    {
        place.write("desired-state/.reconcilerignore", patterns);
        holds(&place, patterns);
        let plan = place.run("plan --sandbox");
        let line = if number == 3 { 3 } else { 1 };
        let said = format!(
            "desired-state/.reconcilerignore:{line}:1: expected no file that declares a budget, found policy/limits.yaml"
        );
        assert!(plan.code == 1 && plan.err.contains(&said), "{patterns}: {}", plan.all());
    }
    // Not ignored any more, and not there any more.
    fs::remove_file(place.path().join(LIMITS)).unwrap();
    assert_eq!(place.run("plan --sandbox").code, 0);
}

#[test]
fn a_running_daemon_goes_on_holding_what_a_budget_holds_that_becomes_ignored() {
    let service = Service::start();
    let mut place = Place::new();
    service.serve(&mut place);
    people(&place, "true");
    place.write(LIMITS, &nothing());
    place.ok("apply");
    people(&place, "false");
    let before = service.requests();
    let daemon = Daemon::start(&place);
    daemon.says("held");
    place.write("desired-state/.reconcilerignore", "policy/\n");
    daemon.says(".reconcilerignore:1:1: expected no file that declares a budget");
    // Nothing hides it, and it says something else.
    place.write("desired-state/.reconcilerignore", "\n");
    place.write(LIMITS, &nothing().replace('0', "1"));
    daemon.says("disruption budget in force max=1");
    assert_eq!(service.requests(), before);
    // Ignored, and then deleted, which the next look at the whole folder finds.
    place.write("desired-state/.reconcilerignore", "policy/\n");
    until("it is a problem again", || {
        place.read("stderr").matches("expected no file that declares a budget").count() == 2
    });
    fs::remove_dir_all(place.path().join("desired-state/policy")).unwrap();
    daemon.running.signal(rustix::process::Signal::HUP);
    until("they are applied", || service.requests() >= before + 3);
    daemon.end();
}

/// The place's folder as a repository with one commit.
fn committed(place: &Place) -> std::path::PathBuf {
    let top = place.path().join("desired-state");
    git(&top, "init -q -b main");
    commit(&top);
    top
}

#[test]
fn a_sparse_checkout_that_leaves_a_budget_out_leaves_it_in_force() {
    let place = three();
    let top = committed(&place);
    people(&place, "false");
    commit(&top);
    git(&top, "sparse-checkout set --cone nothing-else");
    assert!(!place.path().join(LIMITS).exists());
    holds(&place, "sparse");
    let plan = place.run("plan --sandbox");
    let said =
        "policy/limits.yaml:1:1: expected a file that was read before, found a sparse checkout that leaves it out";
    assert!(plan.code == 1 && plan.err.contains(said), "{}", plan.all());
}

#[test]
fn a_branch_that_breaks_hides_or_moves_the_budget_of_its_base_is_held_by_it() {
    let place = Place::new();
    people(&place, "true");
    place.write(LIMITS, &nothing());
    let top = committed(&place);
    git(&top, "checkout -q -b topic");
    people(&place, "false");
    let planned = |why: &str| {
        commit(&top);
        let plan = place.run("plan --base-ref main");
        assert!(plan.out.contains("3 changes held"), "{why}: {}", plan.all());
        plan
    };
    for text in broken().into_iter().chain([String::new()]) {
        place.write(LIMITS, &text);
        planned(&text);
    }
    place.write(LIMITS, &nothing());
    planned("as it was");
    // Whom to ask about what is held stands in the comment as in the text.
    let comment = place.ok("plan --base-ref main -o markdown");
    let held = comment.lines().filter(|line| line.starts_with("| ! held |")).collect::<Vec<_>>();
    assert!(
        held.len() == 3 && held.iter().all(|line| line.contains(", `by nobody <nobody@example.com> in topic@")),
        "{comment}"
    );
    place.write("desired-state/.reconcilerignore", "policy/\n");
    assert_eq!(planned("ignored").code, 1);
    // Deleted outright: it is gone, and the plan says what counts now.
    fs::remove_file(place.path().join(LIMITS)).unwrap();
    commit(&top);
    let plan = place.run("plan --base-ref main");
    assert!(plan.out.contains("3 PUTs") && plan.out.contains("10,10% in 1h, by the options"), "{}", plan.all());
}

#[test]
fn what_a_link_brings_into_the_policy_folder_does_not_count_and_is_a_problem() {
    let leaving = |place: &Place| {
        let loose = Manifest::budget("loose").set("maxDisruptions", "100%").to_string();
        place.write("desired-state/loose/limits.yaml", &loose);
        let approval =
            (1..=3).fold(Manifest::approval("all"), |approval, n| approval.approving(format!("p{n}"), "enabled"));
        place.write("desired-state/loose/all.yaml", &approval.to_string());
        people(place, "false");
    };
    let link: [&dyn Fn(&Place); 3] = [
        &|place| symlink("loose", place.path().join("desired-state/policy")).unwrap(),
        &|place| {
            fs::create_dir(place.path().join("desired-state/policy")).unwrap();
            symlink("../loose", place.path().join("desired-state/policy/team")).unwrap();
        },
        &|place| {
            fs::create_dir(place.path().join("desired-state/policy")).unwrap();
            symlink("../loose/limits.yaml", place.path().join("desired-state/policy/limits.yaml")).unwrap();
            symlink("../loose/all.yaml", place.path().join("desired-state/policy/all.yaml")).unwrap();
        },
    ];
    for (number, link) in link.iter().enumerate() {
        let mut place = Place::new();
        people(&place, "true");
        place.ok("apply --sandbox");
        place.set("ZOHO_MAIL_POLICY_DIR", "policy").set("ZOHO_MAIL_DISRUPTION_BUDGET", "0");
        leaving(&place);
        link(&place);
        holds(&place, &format!("link {number}"));
        for given in ["desired-state", "desired-state/policy"] {
            let said = place.run(&format!("validate {given}"));
            let what = "expected budgets and approvals in the folder policy itself, as --policy-dir says, found a link";
            // Where a part is given, a link may lead outside of it, or be the part.
            let is_part = given.ends_with("policy");
            assert!(said.code == 1 && (is_part || said.out.contains(what)), "{number} {given}: {}", said.all());
        }
    }
}

#[test]
fn a_volume_that_shows_all_its_files_through_one_link_may_have_a_policy_folder() {
    let mut place = Place::new();
    people(&place, "true");
    place.ok("apply --sandbox");
    place.set("ZOHO_MAIL_POLICY_DIR", "policy");
    let volume = place.path().join("desired-state/..2027");
    fs::create_dir_all(volume.join("policy")).unwrap();
    fs::write(volume.join("policy/limits.yaml"), nothing()).unwrap();
    symlink("..2027", place.path().join("desired-state/..data")).unwrap();
    symlink("..data/policy", place.path().join("desired-state/policy")).unwrap();
    people(&place, "false");
    place.ok("validate");
    holds(&place, "a volume");
    // In a repository the same is a link that was committed.
    git(&place.path().join("desired-state"), "init -q -b main");
    assert_eq!(place.run("validate").code, 1);
}

#[test]
fn the_approval_that_is_printed_says_where_it_counts_and_the_plan_says_when_one_is_over() {
    let mut place = three();
    people(&place, "false");
    let printed = place.ok("plan --sandbox --approval --reason=gone");
    assert!(printed.contains("# Commit it to the desired state and have it reviewed;"), "{printed}");
    place.set("ZOHO_MAIL_POLICY_DIR", "policy");
    let printed = place.ok("plan --sandbox --approval --reason=gone");
    assert!(
        printed.contains("# Commit it to the folder policy of the desired state, for it counts nowhere else,"),
        "{printed}"
    );
    let over = Manifest::approval("leavers").set("expires", "2020-01-01T00:00:00Z");
    let over = over.approving("p1", "enabled").approving("p2", "enabled").approving("other", "enabled");
    place.write("desired-state/policy/leavers.yaml", &over.to_string());
    let plan = place.run("plan --sandbox");
    let said = "policy/leavers.yaml:1: the approval leavers expired at TIME and approves none of the 2 held changes that it names";
    assert!(plan.out.contains("3 changes held") && plan.err.contains(said), "{}", plan.all());
    // A name that was probably meant to be read.
    place.write("desired-state/policy/more.YAML", &over.to_string());
    place.write("desired-state/more.YAML", &over.to_string());
    let plan = place.run("plan --sandbox");
    assert!(plan.err.contains("note: policy/more.YAML is not read"), "{}", plan.all());
    assert_eq!(plan.err.matches("is not read").count(), 1, "{}", plan.all());
    // Where a base is compared with, an approval that arrives and is over approves of nothing.
    let top = committed(&place);
    git(&top, "checkout -q -b topic");
    place.write("desired-state/policy/late.yaml", &over.to_string().replace("leavers", "late"));
    commit(&top);
    let plan = place.run("plan --base-ref main");
    assert!(plan.out.contains("late (policy/late.yaml:1) expired at TIME and approves of nothing"), "{}", plan.all());
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_neither_orphaned_nor_forgotten() {
    let place = three();
    place.account("sales/p4", 4, "enabled: true");
    place.account("sales/p5", 5, "enabled: true");
    place.ok("apply --sandbox");
    let top = committed(&place);
    git(&top, "sparse-checkout set --cone policy");
    let status = place.run("status --sandbox p4");
    assert!(status.out.contains("InvalidManifest") && !status.out.contains("Orphaned"), "{}", status.all());
    let forgotten = place.run("forget p4 --ledger ledger.sandbox.json");
    let said = "2 problems in manifests, so it is not known whose is gone";
    assert!(forgotten.code == 1 && forgotten.err.contains(said), "{}", forgotten.all());
    git(&top, "sparse-checkout disable");
    fs::remove_file(place.path().join("desired-state/sales/p4.yaml")).unwrap();
    assert!(place.ok("status --sandbox p4").contains("Orphaned"));
    place.ok("forget p4 --ledger ledger.sandbox.json");
}

#[test]
fn a_running_daemon_takes_what_becomes_sparse_for_neither_gone_nor_new() {
    let service = Service::start();
    let mut place = Place::new();
    service.serve(&mut place);
    people(&place, "true");
    place.account("sales/p4", 4, "enabled: true");
    let top = committed(&place);
    place.ok("apply");
    let before = service.requests();
    let daemon = Daemon::start(&place);
    daemon.says("pending=0");
    git(&top, "sparse-checkout set --cone policy");
    daemon.says("sales/p4.yaml:1:1: expected a file that was read before, found a sparse checkout that leaves it out");
    daemon.end();
    // The next process knows it from the ledger.
    let daemon = Daemon::start(&place);
    daemon.says("sales/p4.yaml:1:1: expected a file that was read before, found a sparse checkout that leaves it out");
    daemon.end();
    assert_eq!(service.requests(), before);
}

#[test]
fn a_branch_can_mend_an_ignore_file_that_its_base_has_broken() {
    let place = Place::new();
    people(&place, "true");
    place.write("desired-state/draft.yaml", "a: [");
    place.write("desired-state/.reconcilerignore", "[z\n");
    let top = committed(&place);
    fs::create_dir(place.path().join("base")).unwrap();
    for file in ["p1.yaml", "p2.yaml", "p3.yaml", "draft.yaml", ".reconcilerignore"] {
        fs::copy(top.join(file), place.path().join("base").join(file)).unwrap();
    }
    git(&top, "checkout -q -b topic");
    place.write("desired-state/.reconcilerignore", "draft.yaml\n");
    place.account("p1", 1, "enabled: false");
    commit(&top);
    for base in ["--base-ref main", "--base base"] {
        let plan = place.run(&format!("plan {base}"));
        assert_eq!(plan.code, 0, "{}", plan.all());
        assert!(plan.out.contains("Plan: 1 PUT, of which 0 grant and 1 take away"), "{}", plan.all());
        assert!(plan.err.contains("in the base: .reconcilerignore: expected patterns"), "{}", plan.all());
    }
    // The branch's own is broken: nothing can be planned.
    place.write("desired-state/.reconcilerignore", "[z\n");
    assert_eq!(place.run("plan --base-ref main").code, 1);
}
