//! Policies that are not where they were: a part of the desired state is not taken for all of it, nor a file that was
//! emptied for one that was deleted.

use std::fs;

use rustix::process::Signal;

use super::{Place, Running, Service, until};
use crate::builders::Manifest;

/// One person of a team, and a budget of nothing in the policy folder; all of it applied once.
fn team(service: &Service) -> Place {
    let mut place = Place::new();
    service.serve(&mut place);
    place.account("team/p1", 1, "enabled: true");
    place.account("other/p2", 2, "enabled: true");
    place.write("desired-state/policy/limits.yaml", &Manifest::budget("limits").set("maxDisruptions", "0").to_string());
    place.set("ZOHO_MAIL_POLICY_DIR", "policy");
    place.ok("apply");
    place
}

/// The daemon holds what is to be taken away, and ends in order.
fn holds(mut daemon: Running, place: &Place) {
    let what = "disruptions are held";
    until(what, || place.read("stderr").contains(what));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), 0, "{}", place.read("stderr"));
}

#[test]
fn a_part_of_the_folder_is_refused_by_every_command_and_nothing_is_sent() {
    let service = Service::start();
    let place = team(&service);
    place.account("team/p1", 1, "enabled: false");
    let before = service.requests();
    assert_eq!(place.run("apply").code, 3);
    for command in ["plan", "plan --base desired-state", "diff", "apply", "run --listen off", "validate", "status"] {
        let said = place.run(&format!("{command} --desired-state desired-state/team"));
        let why = "--policy-dir policy: there is no such folder in desired-state/team, so that no budget and no approval \
                   would count: name all of the desired state with --desired-state, or create the folder";
        assert!(said.code == 64 && said.err.contains(why), "{command}: {}", said.all());
    }
    let doctor = place.run("doctor --offline --desired-state desired-state/team");
    assert!(
        doctor.code == 1 && doctor.out.contains("there is no such folder in desired-state/team"),
        "{}",
        doctor.all()
    );
    assert_eq!(service.requests(), before);
    // Parts are still checked beside the whole, which has the folder.
    place.ok("validate desired-state/team");
    // A file of that name is no folder.
    fs::remove_dir_all(place.path().join("desired-state/policy")).unwrap();
    place.write("desired-state/policy", "");
    assert_eq!(place.run("plan").code, 64);
    // Without a folder at all the cause is that one, as ever.
    assert_eq!(place.run("plan --desired-state nowhere").code, 1);
}

#[test]
fn a_policy_folder_that_vanishes_while_the_daemon_runs_leaves_its_budget_in_force() {
    let service = Service::start();
    let place = team(&service);
    let before = service.requests();
    let daemon = place.start("run --listen off --log-level info --log-format text");
    let says = |what: &str| until(what, || place.read("stderr").contains(what));
    says("disruption budget in force max=0");
    let aside = place.path().join("aside");
    fs::rename(place.path().join("desired-state/policy"), &aside).unwrap();
    place.account("team/p1", 1, "enabled: false");
    says("expected the folder policy in");
    fs::rename(&aside, place.path().join("desired-state/policy")).unwrap();
    holds(daemon, &place);
    assert_eq!(service.requests(), before);
}

#[test]
fn a_file_that_is_emptied_keeps_its_budget_until_it_is_deleted() {
    let service = Service::start();
    let place = team(&service);
    place.account("team/p1", 1, "enabled: false");
    let before = service.requests();
    let limits = place.path().join("desired-state/policy/limits.yaml");
    for text in ["", "\n \n"] {
        fs::write(&limits, text).unwrap();
        // At rest for long: else it is about to be filled.
        let hour = std::time::Duration::from_secs(3600);
        fs::File::options()
            .write(true)
            .open(&limits)
            .unwrap()
            .set_modified(std::time::SystemTime::now() - hour)
            .unwrap();
        let plan = place.run("plan");
        let why = "policy/limits.yaml:1:1: expected a DisruptionBudget, as before, found an empty file";
        assert!(plan.code == 1 && plan.out.contains("1 change held") && plan.err.contains(why), "{}", plan.all());
        let applied = place.run("apply");
        assert!(applied.out.contains("0 applied + 1 held"), "{}", applied.all());
    }
    assert_eq!(service.requests(), before);
    // With nothing but a comment it says that there is none, and so it does when it is deleted.
    fs::write(&limits, "# none any more\n").unwrap();
    assert!(place.ok("plan").contains("1 PUT,"));
    fs::write(place.path().join("desired-state/policy/.gitkeep"), "").unwrap();
    fs::remove_file(&limits).unwrap();
    assert!(place.ok("apply").contains("1 planned = 1 applied"));
}

#[test]
fn an_emptied_budget_goes_on_holding_in_a_running_daemon() {
    let service = Service::start();
    let place = team(&service);
    let before = service.requests();
    let daemon = place.start("run --listen off --log-level info --log-format text");
    let says = |what: &str| until(what, || place.read("stderr").contains(what));
    says("disruption budget in force max=0");
    fs::write(place.path().join("desired-state/policy/limits.yaml"), "").unwrap();
    says("found an empty file");
    place.account("team/p1", 1, "enabled: false");
    holds(daemon, &place);
    assert_eq!(service.requests(), before);
}

#[test]
fn a_policy_folder_that_is_not_read_is_refused_and_an_unreadable_file_in_it_holds() {
    let service = Service::start();
    let prepared = || {
        let mut place = Place::new();
        service.serve(&mut place);
        (1..=3).for_each(|n| place.account(&format!("p{n}"), n, "enabled: false"));
        let limits = Manifest::budget("limits").set("maxDisruptions", "1").to_string();
        place.write("desired-state/policy/limits.yaml", &limits);
        place.set("ZOHO_MAIL_POLICY_DIR", "policy");
        place
    };
    let before = service.requests();
    // What the folder is, and why it is not read.
    type Change = fn(&Place);
    let cases: [(&str, Change, &str); 4] = [
        (
            "policy",
            |place| place.write("desired-state/.reconcilerignore", "# ours\npolicy/\n"),
            "line 2 of .reconcilerignore hides policy",
        ),
        (
            "policy",
            |place| place.write("desired-state/.reconcilerignore", "limits.*\n"),
            "line 1 of .reconcilerignore hides policy/limits.yaml",
        ),
        (
            "policy",
            |place| {
                let policy = place.path().join("desired-state/policy");
                fs::rename(&policy, place.path().join("elsewhere")).unwrap();
                std::os::unix::fs::symlink("../elsewhere", policy).unwrap();
            },
            "it is a link that leads out of desired-state",
        ),
        (".policy", |_| (), "a folder whose name begins with a dot is not read"),
    ];
    for (dir, change, why) in cases {
        let mut place = prepared();
        place.set("ZOHO_MAIL_POLICY_DIR", dir);
        change(&place);
        for command in ["plan", "apply", "run --listen off"] {
            let said = place.run(command);
            assert!(said.code == 64 && said.err.contains(why), "{command}: {}", said.all());
        }
    }
    // Not for want of a permission: the tests may run as root.
    let place = prepared();
    let limits = place.path().join("desired-state/policy/limits.yaml");
    fs::remove_file(&limits).unwrap();
    std::os::unix::fs::symlink("nothing.yaml", limits).unwrap();
    let applied = place.run("apply");
    assert!(applied.out.contains("3 planned = 0 applied + 3 held"), "{}", applied.all());
    assert_eq!(service.requests(), before);
}

#[test]
fn a_part_of_the_folder_without_a_policy_folder_is_said_to_have_lost_its_budget() {
    let service = Service::start();
    let mut place = team(&service);
    place.set("ZOHO_MAIL_POLICY_DIR", "");
    let said = place.run("apply --log-level warn --desired-state desired-state/team").err;
    assert!(said.contains("a DisruptionBudget is not there any more, and counts no longer"), "{said}");
    assert!(said.contains("policy/limits.yaml:1"), "{said}");
}
