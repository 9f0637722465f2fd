//! What `validate` is given: standard input, several paths, a part of a folder, none at all; and what it passes over.

use std::os::unix::fs::symlink;

use assert_cmd::Command;

use super::*;
use crate::builders::Manifest;
use crate::repository;

const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [sales]\n";

fn piped(place: &Place, arguments: &str, text: &[u8]) -> crate::cli::Ran {
    let mut command = Command::from_std(place.command(arguments));
    command.write_stdin(text);
    place.ran(command)
}

#[test]
fn standard_input_is_a_file_of_its_own_beside_others() {
    let place = Place::with_alice();
    let alice = place.read("desired-state/sales/alice.yaml");
    insta::assert_snapshot!(piped(&place, "validate -", alice.as_bytes()).all(), @"
    1 of 1 file read, 0 skipped; 1 account, no problems
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(piped(&place, "validate -o name - desired-state -", alice.as_bytes()).all(), @r#"
    desired-state/sales/alice.yaml:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at stdin:4:3 (nothing is sent for their accounts until one of them is renamed)
    desired-state/sales/alice.yaml:6:3: spec.accountId: expected one document for each account, found 2560636000000008002, also declared at stdin:6:3 (nothing is sent for the account until one of them is removed)
    stdin:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at desired-state/sales/alice.yaml:4:3 (nothing is sent for their accounts until one of them is renamed)
    stdin:6:3: spec.accountId: expected one document for each account, found 2560636000000008002, also declared at desired-state/sales/alice.yaml:6:3 (nothing is sent for the account until one of them is removed)
    --- stderr
    2 of 2 files read, 0 skipped; 1 account, 4 problems
    --- exit 1
    "#);
    let broken = piped(&place, "validate -", b"spec: {enabled: yes\n");
    assert_eq!((broken.code, broken.out.contains("--> stdin:")), (1, true), "{}", broken.all());
    let large = piped(&place, "validate -o name -", &vec![b'#'; (4 << 20) + 1]);
    assert!(large.code == 1 && large.out.contains("at most 4 MiB"), "{}", large.all());
}

#[test]
fn a_file_that_is_given_in_several_ways_counts_once() {
    let place = Place::with_alice();
    let absolute = place.path().canonicalize().unwrap();
    let absolute = absolute.join("desired-state/sales").display().to_string();
    for given in [
        "desired-state ./desired-state desired-state/../desired-state",
        &format!("desired-state/sales/alice.yaml {absolute}"),
        &format!("{absolute}/alice.yaml desired-state/./sales/alice.yaml desired-state"),
    ] {
        assert_eq!(
            place.ok(&format!("validate {given}")),
            "1 of 1 file read, 0 skipped; 1 account, no problems\n",
            "{given}"
        );
    }
    // Two links to one file are two manifests, for the daemon as well.
    symlink("alice.yaml", place.path().join("desired-state/sales/again.yaml")).unwrap();
    assert_eq!(place.run("validate desired-state").code, 1);
}

#[test]
fn without_a_path_it_is_the_folder_that_the_daemon_would_read() {
    let mut place = Place::with_alice();
    std::fs::rename(place.path().join("desired-state"), place.path().join("mail")).unwrap();
    assert_eq!(place.run("validate").code, 1);
    assert_eq!(place.ok("validate --desired-state mail"), "1 of 1 file read, 0 skipped; 1 account, no problems\n");
    place.write("mail/bob.yaml", "enabled: yes");
    let ran = place.set("ZOHO_MAIL_DESIRED_STATE", "mail").run("validate -o name");
    assert!(ran.code == 1 && ran.out.contains("mail/bob.yaml:1:1:"), "{}", ran.all());
    assert_eq!(place.run("validate mail/sales").code, 0, "a path wins");
}

#[test]
fn documents_of_other_api_groups_are_counted_and_named_and_nothing_else_is() {
    let mut place = Place::with_alice();
    let service = crate::cli::Service::start();
    service.serve(&mut place);
    place.write("desired-state/kustomization.yaml", KUSTOMIZATION);
    let ran = place.run("validate");
    insta::assert_snapshot!(ran.all(), @"
    2 of 2 files read, 0 skipped; 1 account, no problems
    --- stderr
    note: 1 document of another API group is skipped: desired-state/kustomization.yaml:1 (kustomize.config.k8s.io/v1beta1 Kustomization)
    --- exit 0
    ");
    let plan = place.run("plan");
    assert!(plan.code == 0 && plan.err.contains("1 document of another API group is skipped"), "{}", plan.all());
    let alice = place.read("desired-state/sales/alice.yaml");
    place.write("desired-state/sales/alice.yaml", &format!("{KUSTOMIZATION}---\n{alice}---\n{KUSTOMIZATION}"));
    let ran = place.run("validate");
    assert!(ran.out.contains("1 account, no problems") && ran.err.contains("3 documents of other"), "{}", ran.all());
    assert_eq!(place.run("apply").code, 0);
    let of_kubernetes = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n---\napiVersion: policy/v1\nkind: \
                         PodDisruptionBudget\nmetadata: {name: b}\nspec: {maxUnavailable: 0}\n";
    place.write("desired-state/kustomization.yaml", of_kubernetes);
    let ran = place.run("validate");
    assert!(ran.code == 0 && ran.err.contains("v1 ConfigMap"), "{}", ran.all());
    assert!(ran.err.contains("policy/v1 PodDisruptionBudget"), "{}", ran.all());
    // What was ours, or may have been meant to be, is no other program's.
    for text in [
        alice.replace("zoho-mail-reconciler/v1", "v1"),
        alice.replace("zoho-mail-reconciler/v1", "example.com/v1"),
        alice.replace("zoho-mail-reconciler/v1", "zoho-mail-reconcilr/v1"),
        KUSTOMIZATION.replace("kustomize.config.k8s.io", "zoho-mail-reconciler.example.com"),
        KUSTOMIZATION.replace("kustomize.config.k8s.io/v1beta1", "v2"),
        KUSTOMIZATION.replace("kustomize.config.k8s.io/v1beta1", "v1").replace("Kustomization", "List"),
        KUSTOMIZATION.replace("kind: Kustomization", "kind: DisruptionBudgets"),
        KUSTOMIZATION.replace("kind: Kustomization\n", ""),
        KUSTOMIZATION.replace("apiVersion: kustomize.config.k8s.io/v1beta1\n", ""),
    ] {
        place.write("desired-state/kustomization.yaml", &text);
        assert_eq!(place.run("validate desired-state/kustomization.yaml").code, 1, "{text}");
    }
}

#[test]
fn what_is_ignored_is_ignored_by_every_command_and_for_each_part_of_the_folder() {
    let mut place = Place::with_alice();
    place.set("ZOHO_MAIL_ZOID", "12345678");
    place.account("old/bob", 3, "enabled: yes");
    place.write("desired-state/old/carol.yaml.bak", "");
    place.write("desired-state/.reconcilerignore", "/old/\n*.tpl.yaml\n");
    place.write("desired-state/sales/all.tpl.yaml", "{{ range }}");
    assert_eq!(place.ok("validate"), "1 of 1 file read, 0 skipped; 1 account, no problems\n");
    assert_eq!(place.ok("validate desired-state/sales"), "1 of 1 file read, 0 skipped; 1 account, no problems\n");
    for given in ["desired-state/old", "desired-state/old/bob.yaml", "desired-state/sales/all.tpl.yaml"] {
        let ran = place.run(&format!("validate {given}"));
        let said = format!("note: {given} is not read: desired-state/.reconcilerignore says so\n");
        assert_eq!((ran.code, &*ran.err), (0, &*said), "{}", ran.all());
    }
    assert!(!place.ok("plan").contains("bob"));
    // The base of a pull request has its own.
    repository::git(place.path(), &["init", "-q", "-b", "main"]);
    let commit = |what: &str| {
        repository::git(place.path(), &["add", "-A"]);
        repository::git(place.path(), &["commit", "-q", "-m", what]);
    };
    commit("one");
    place.account("old/bob", 3, "enabled: false");
    place.write("desired-state/.reconcilerignore", "*.tpl.yaml\n/sales/\n");
    let plan = place.ok("plan --base-ref HEAD");
    assert!(
        plan.contains("# bob") && plan.contains("alice") && plan.contains("No longer managed, nothing is PUT: alice"),
        "{plan}"
    );
    commit("two");
    assert!(place.ok("plan --base-ref HEAD").starts_with("No changes"));
    place.write("desired-state/.reconcilerignore", "*.tpl.yaml\n[a\n");
    insta::assert_snapshot!(place.run("validate").all(), @"
    error[unreadable]: expected patterns as in a .gitignore, found unclosed character class; missing ']' (line 2)
    --> desired-state/.reconcilerignore:1:1
     = help: mend it: until then it is not known which files are manifests, and all of them are held

    0 of 0 files read, 0 skipped; 0 accounts, 1 problem
    --- stderr
    --- exit 1
    ");
    for command in ["plan", "plan --base-ref HEAD", "apply --sandbox", "validate desired-state/sales"] {
        let ran = place.run(command);
        assert!(ran.code == 1 && ran.all().contains("patterns as in a .gitignore"), "{command}: {}", ran.all());
    }
    commit("three");
    place.write("desired-state/.reconcilerignore", "");
    let base = place.run("plan --base-ref HEAD");
    assert!(base.err.contains("in the base: .reconcilerignore: expected patterns"), "{}", base.all());
}

#[test]
fn a_single_file_is_no_desired_state() {
    let mut place = Place::with_alice();
    let service = crate::cli::Service::start();
    service.serve(&mut place);
    for command in ["apply", "plan", "diff", "status"] {
        let ran = place.run(&format!("{command} --desired-state desired-state/sales/alice.yaml"));
        assert_ne!(ran.code, 0, "{command}: {}", ran.all());
        assert!(ran.err.contains("name the folder that holds the manifests"), "{command}: {}", ran.all());
    }
    assert_eq!(service.requests(), 0);
}

#[test]
fn nothing_is_said_of_a_revision_that_nobody_asked_for() {
    let mut place = Place::with_alice();
    place.set("ZOHO_MAIL_LOG_LEVEL", "debug").set("ZOHO_MAIL_LOG_FORMAT", "text");
    // No commit yet; and one that cannot be read.
    repository::git(place.path(), &["init", "-q"]);
    assert_eq!(place.run("validate").err, "");
    assert_eq!(place.run("validate desired-state/sales/alice.yaml").err, "");
    std::fs::write(place.path().join(".git/HEAD"), "\u{1b}").unwrap();
    assert_eq!(place.run("validate").err, "");
    assert!(place.run("plan --sandbox").err.contains("the revision of manifests is unknown"));
}

#[test]
fn nothing_on_standard_input_is_a_problem() {
    let place = Place::new();
    for text in ["", "\n", "# only a comment\n---\n"] {
        let ran = piped(&place, "validate -", text.as_bytes());
        assert!(ran.code == 1 && ran.out.contains("expected at least one document, found none"), "{}", ran.all());
    }
}

#[test]
fn the_policy_folder_is_where_it_is_whatever_part_or_whole_is_given() {
    let mut place = Place::with_alice();
    let budget = Manifest::budget("limits").set("maxDisruptions", "1").to_string();
    place.write("desired-state/policy/team/limits.yaml", &budget);
    place.set("ZOHO_MAIL_POLICY_DIR", "policy");
    let within = |folder: &str, arguments: &str, code: i32| {
        let mut command = place.command(&format!("validate {arguments}"));
        command.current_dir(place.path().join(folder));
        let ran = place.ran(Command::from_std(command));
        assert_eq!(ran.code, code, "{folder}: {arguments}: {}", ran.all());
        ran
    };
    for given in
        ["", "desired-state", ".", "desired-state/policy", "desired-state/policy/team/limits.yaml", ". desired-state"]
    {
        within(".", given, 0);
    }
    for (folder, given) in [
        ("desired-state", "."),
        ("desired-state", "policy"),
        ("desired-state/policy", "."),
        ("desired-state/policy", "team"),
        ("desired-state/policy/team", "limits.yaml"),
    ] {
        within(folder, given, 0);
    }
    // Around the folder it does not count; nor is the folder's own ignore file forgotten there.
    place.write("other/limits.yaml", &budget.replace("limits", "other"));
    let said = within(".", ".", 1);
    assert!(said.out.contains("other/limits.yaml:2:7") && said.out.contains("1 problem"), "{}", said.all());
    place.write("desired-state/.reconcilerignore", "draft.yaml\n");
    place.write("desired-state/draft.yaml", "a: [");
    std::fs::remove_dir_all(place.path().join("other")).unwrap();
    assert!(within(".", ".", 0).out.contains("2 of 2 files read"));
    // Nothing in the policy folder can count.
    place.write("desired-state/.reconcilerignore", "a\npolicy/\n");
    for given in ["", "."] {
        let said = within(".", given, 1);
        assert!(said.out.contains("desired-state/.reconcilerignore:2:1"), "{}", said.all());
    }
}

#[test]
fn an_ignore_file_that_ignores_nothing_is_noted() {
    let place = Place::with_alice();
    place.write("desired-state/sales/.reconcilerignore", "*\n");
    let said = place.run("validate");
    let note = "note: desired-state/sales/.reconcilerignore ignores nothing: only a file of this name at the top of the folder does";
    assert!(said.code == 0 && said.err.contains(note), "{}", said.all());
    std::fs::create_dir(place.path().join("desired-state/.reconcilerignore")).unwrap();
    let said = place.run("validate");
    assert_eq!((said.code, said.err.matches("ignores nothing").count()), (0, 2), "{}", said.all());
}

#[test]
fn what_a_shell_passes_on_is_read_as_it_comes() {
    let place = Place::with_alice();
    let alice = place.read("desired-state/sales/alice.yaml");
    for given in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let ran = piped(&place, &format!("validate {given}"), alice.as_bytes());
        assert!(ran.code == 0 && ran.out.contains("1 of 1 file read, 0 skipped; 1 account"), "{given}: {}", ran.all());
        let ran = piped(&place, &format!("validate {given}"), b"kind: Nothing");
        assert!(ran.code == 1 && ran.out.contains(&format!("{given}:1:")), "{given}: {}", ran.all());
        assert_eq!(piped(&place, &format!("validate {given}"), b"").code, 1);
    }
}

#[test]
fn a_file_that_is_no_manifest_and_says_nothing_is_a_problem() {
    let place = Place::new();
    for text in ["", "# only notes\n"] {
        place.write("notes.txt", text);
        let ran = place.run("validate notes.txt");
        let what = "expected a file of manifests, in .yaml or .yml, found one without any";
        assert!(ran.code == 1 && ran.out.contains(what), "{text}: {}", ran.all());
        // By its name it is one, and may be about to be filled.
        place.write("new.yaml", text);
        place.ok("validate new.yaml");
    }
}

#[test]
fn a_link_that_shows_a_folder_or_a_file_twice_is_named() {
    let place = Place::with_alice();
    place.account("sales/bob", 3, "enabled: true");
    let link = |to: &str, name: &str| symlink(to, place.path().join("desired-state").join(name)).unwrap();
    link("sales", "alias");
    link("sales/bob.yaml", "bob.yaml");
    // What lies above the folder does not matter.
    symlink("desired-state", place.path().join("current")).unwrap();
    for (command, folder) in
        [("validate", "desired-state"), ("validate current", "current"), ("plan --sandbox", "desired-state")]
    {
        let said = place.run(command);
        assert_eq!(
            (said.code, said.err.matches("is a link to what is read elsewhere as well").count()),
            (1, 2),
            "{}",
            said.all()
        );
        for name in ["alias", "bob.yaml"] {
            assert!(said.err.contains(&format!("note: {folder}/{name} is a link")), "{}", said.all());
        }
    }
    for name in ["alias", "bob.yaml"] {
        std::fs::remove_file(place.path().join("desired-state").join(name)).unwrap();
    }
    assert_eq!(place.run("validate").err, "");
}
