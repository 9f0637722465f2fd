//! The steps of the GitHub workflows, run as a runner runs them: on a real clone, against a server that keeps comments.
//!
//! In: the scripts in the workflow itself. Out: what a reviewer sees.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::extract::{Path as Parts, Query, State};
use axum::routing::{get, patch};
use axum::{Router, body::Bytes};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::text;
use crate::gitops::Repository;
use crate::process::temporary_folder;

/// The script of one step of the workflow.
fn script(job: &str, step: &str) -> String {
    let file = if job == "apply" { "apply" } else { "pull-request" };
    let workflow: serde_yaml::Value = serde_yaml::from_str(&text(&format!("ci/github/{file}.yaml"))).unwrap();
    let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap();
    let found = steps.iter().find(|found| found["name"] == step).unwrap_or_else(|| panic!("no step {step}"));
    found["run"].as_str().unwrap().to_owned()
}

/// Runs a step as `shell: bash` does.
fn run(job: &str, step: &str, folder: &Path, environment: &[(&str, String)]) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script(job, step)]).current_dir(folder);
    bash.env_clear().env("PATH", path).env("GITHUB_STEP_SUMMARY", folder.join("summary.md"));
    bash.envs(environment.iter().map(|(name, value)| (name, value)));
    bash.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A base branch that moved on since the pull request began, and the runner's clone of the merge of both.
struct Merged {
    _origin: Repository,
    clone: TempDir,
}

impl Merged {
    fn of(change: impl FnOnce(&Repository)) -> Self {
        let origin = Repository::new();
        (1..=12).for_each(|n| origin.account(n, "enabled: true"));
        origin.commit("everybody");
        origin.git(&["checkout", "-q", "-b", "change"]);
        change(&origin);
        origin.commit("the pull request");
        origin.git(&["checkout", "-q", "main"]);
        origin.account(20, "enabled: true");
        origin.commit("somebody else's, merged meanwhile");
        origin.git(&["checkout", "-q", "-b", "merged"]);
        origin.git(&["merge", "-q", "--no-ff", "-m", "the merge GitHub makes", "change"]);
        let clone = temporary_folder();
        let from = format!("file://{}", origin.path().display());
        origin.git(&["clone", "-q", "--depth", "2", "--branch", "merged", &from, clone.path().to_str().unwrap()]);
        Self { _origin: origin, clone }
    }

    fn step(&self, step: &str) -> Output {
        run("plan", step, self.clone.path(), &[])
    }

    fn comment(&self) -> String {
        fs::read_to_string(self.clone.path().join("plan/comment.md")).unwrap()
    }
}

#[test]
fn the_comment_shows_what_the_pull_request_changes_and_not_what_others_merged() {
    let merged = Merged::of(|origin| origin.account(7, "enabled: false"));
    let validated = merged.step("Validate");
    assert!(validated.status.success(), "{}", said(&validated));
    let planned = merged.step("Plan");
    assert!(planned.status.success(), "{}", said(&planned));
    let comment = merged.comment();
    assert!(comment.starts_with("<!-- zoho-mail-reconciler plan -->"), "{comment}");
    assert!(comment.contains("user-7") && !comment.contains("user-20"), "{comment}");
    assert_eq!(fs::read_to_string(merged.clone.path().join("summary.md")).unwrap(), comment);
}

#[test]
fn a_pull_request_that_would_be_held_is_shown_and_may_be_merged() {
    let merged = Merged::of(|origin| (1..=12).for_each(|n| origin.account(n, "enabled: false")));
    let planned = merged.step("Plan");
    assert!(planned.status.success(), "{}", said(&planned));
    assert!(said(&planned).contains("::warning title=Held::"), "{}", said(&planned));
    assert!(merged.comment().contains("12"), "{}", merged.comment());
}

#[test]
fn a_broken_manifest_is_annotated_on_its_line_and_fails_the_check() {
    let merged = Merged::of(|origin| origin.account(7, "enabled: perhaps"));
    let validated = merged.step("Validate");
    assert_eq!(validated.status.code(), Some(1));
    assert!(said(&validated).contains("::error file=desired-state/user-7.yaml,line="), "{}", said(&validated));
    assert_eq!(merged.step("Plan").status.code(), Some(1), "the check fails, the rest is shown");
    assert!(merged.comment().contains("desired-state/user-7.yaml") || merged.comment().contains("user-7.yaml"));
}

#[test]
fn a_pull_request_that_is_refused_says_so_in_the_log_and_in_its_comment() {
    let policy = |text: &str| [("ZOHO_MAIL_POLICY_DIR", text.to_owned())];
    let merged = Merged::of(|origin| origin.account(7, "enabled: false"));
    for step in ["Validate", "Plan"] {
        let output = run("plan", step, merged.clone.path(), &policy("policy"));
        assert_eq!(output.status.code(), Some(64), "{step}");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains("policy"), "{step}: {log}");
    }
    let comment = merged.comment();
    assert!(comment.starts_with("<!-- zoho-mail-reconciler plan -->\n**No plan**"), "{comment}");
    // GitLab's has no page to show, and fails.
    let environment = [("ZOHO_MAIL_POLICY_DIR", "policy"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD^1")];
    let refused = shell(&gitlab("plan-manifests"), merged.clone.path(), &environment);
    assert_eq!(refused.status.code(), Some(64), "{}", said(&refused));
    assert!(!merged.clone.path().join("plan.md").exists());
}

#[test]
fn gitlabs_plan_of_a_merged_result_is_from_its_first_parent() {
    let merged = Merged::of(|origin| origin.account(7, "enabled: false"));
    for kind in ["merged_result", "merge_train"] {
        // Where the branch began, which a clone of the merge alone does not have.
        let environment = [("CI_MERGE_REQUEST_EVENT_TYPE", kind), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "no-such-commit")];
        let planned = shell(&gitlab("plan-manifests"), merged.clone.path(), &environment);
        assert!(planned.status.success(), "{}", said(&planned));
        let page = fs::read_to_string(merged.clone.path().join("plan.md")).unwrap();
        assert!(page.contains("user-7") && !page.contains("user-20"), "{page}");
    }
    let environment = [("CI_MERGE_REQUEST_EVENT_TYPE", "detached"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD^1")];
    assert!(shell(&gitlab("plan-manifests"), merged.clone.path(), &environment).status.success());
}

type Comments = Arc<Mutex<BTreeMap<u64, Value>>>;

/// As much of GitHub's API as the workflow uses.
fn serve(comments: Comments) -> (Runtime, String) {
    let list = |State(comments): State<Comments>, Query(query): Query<BTreeMap<String, usize>>| async move {
        let (page, size) = (query["page"], query["per_page"]);
        let all = comments.lock().unwrap();
        let some: Vec<_> = all.values().skip((page - 1) * size).take(size).cloned().collect();
        serde_json::to_string(&some).unwrap()
    };
    let write = |comments: &Comments, id: u64, body: &Bytes| {
        let body: Value = serde_json::from_slice(body).unwrap();
        let comment = json!({"id": id, "user": {"type": "Bot"}, "body": body["body"]});
        comments.lock().unwrap().insert(id, comment.clone());
        comment.to_string()
    };
    let make = move |State(comments): State<Comments>, body: Bytes| async move {
        let id = comments.lock().unwrap().len() as u64 + 1;
        write(&comments, id, &body)
    };
    let change = move |State(comments): State<Comments>, Parts(id): Parts<u64>, body: Bytes| async move {
        write(&comments, id, &body)
    };
    let router = Router::new()
        .route("/repos/example/mail/issues/42/comments", get(list).post(make))
        .route("/repos/example/mail/issues/comments/{id}", patch(change))
        .with_state(comments);
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    (runtime, url)
}

fn has_tools() -> bool {
    let has = |tool: &&str| Command::new(tool).arg("--version").output().is_ok();
    let all = ["bash", "curl", "jq"].iter().all(has);
    if !all {
        eprintln!("the comment of the workflow: SKIPPED, for bash, curl or jq is missing");
    }
    all
}

#[test]
fn there_is_one_comment_and_the_next_push_changes_it() {
    if !has_tools() {
        return;
    }
    let marker = "<!-- zoho-mail-reconciler plan -->";
    // More than a page of other people's, one of whom repeats the marker.
    let others = (1..=150).map(|id| (id, json!({"id": id, "user": {"type": "User"}, "body": marker})));
    let comments: Comments = Arc::new(Mutex::new(others.collect()));
    let (_runtime, url) = serve(Arc::clone(&comments));
    let folder = temporary_folder();
    fs::create_dir(folder.path().join("plan")).unwrap();
    let file: PathBuf = folder.path().join("plan/comment.md");
    let environment = [
        ("GITHUB_API_URL", url),
        ("GITHUB_REPOSITORY", "example/mail".to_owned()),
        ("TOKEN", "token".to_owned()),
        ("NUMBER", "42".to_owned()),
    ];
    for plan in ["3 PUTs: \"quoted\", `code`\n| a | b |\n", "no changes\n"] {
        let text = format!("{marker}\n{plan}");
        fs::write(&file, &text).unwrap();
        let output = run("comment", "Comment", folder.path(), &environment);
        assert!(output.status.success(), "{}", said(&output));
        let comments = comments.lock().unwrap();
        assert_eq!(comments.len(), 151, "one comment of ours");
        assert_eq!(comments[&151]["body"], text);
    }
}

/// The steps of GitLab's job, as one script of a shell.
fn gitlab(job: &str) -> String {
    let pipeline: serde_yaml::Value = serde_yaml::from_str(&text("ci/gitlab/gitlab-ci.yaml")).unwrap();
    let lines = pipeline[job]["script"].as_sequence().unwrap().iter().map(|line| line.as_str().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// A step that sends, of either recipe, in the sandbox.
fn shell(script: &str, folder: &Path, environment: &[(&str, &str)]) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(folder).env_clear();
    bash.env("PATH", path).env("ZOHO_MAIL_SANDBOX", "1").env("ZOHO_MAIL_LEDGER", folder.join("../ledger.json"));
    bash.env("GITHUB_STEP_SUMMARY", folder.join("../summary.md")).env("GITHUB_OUTPUT", folder.join("../output"));
    bash.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn what_a_job_sends_is_the_plan_before_it_and_only_from_the_tip() {
    let origin = Repository::new();
    origin.account(1, "enabled: true");
    origin.commit("one");
    let place = temporary_folder();
    let clone = place.path().join("clone");
    origin.git(&["clone", "-q", origin.path().to_str().unwrap(), clone.to_str().unwrap()]);
    let workflow: serde_yaml::Value = serde_yaml::from_str(&text("ci/github/apply.yaml")).unwrap();
    let plan = workflow["jobs"]["plan"]["steps"][1]["run"].as_str().unwrap().to_owned();
    let output = || fs::read_to_string(place.path().join("output")).unwrap();
    assert!(shell(&plan, &clone, &[]).status.success());
    let digest = output().trim().strip_prefix("digest=").unwrap().to_owned();
    assert!(fs::read_to_string(place.path().join("summary.md")).unwrap().contains("user-1"));
    // GitLab's plan says the same.
    assert!(shell(&gitlab("plan-of-main"), &clone, &[]).status.success());
    assert_eq!(fs::read_to_string(clone.join("digest.env")).unwrap(), format!("DIGEST={digest}\n"));
    let head = |folder: &Path| {
        let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let tip = head(&clone);
    // Without a plan nothing is sent, nor if it is another one.
    let apply = script("apply", "Apply");
    assert_eq!(shell(&apply, &clone, &[("DIGEST", "")]).status.code(), Some(64));
    let another = format!("sha256:{}", "0".repeat(64));
    assert_eq!(shell(&apply, &clone, &[("DIGEST", &another)]).status.code(), Some(1));
    let on_main = |sha: &str, digest: &str| {
        let environment = [("CI_COMMIT_BRANCH", "main"), ("CI_COMMIT_SHA", sha), ("DIGEST", digest)];
        shell(&gitlab("apply-manifests"), &clone, &environment)
    };
    let applied = on_main(&tip, &digest);
    assert!(applied.status.success() && said(&applied).contains("1 planned = 1 applied"), "{}", said(&applied));
    // Main moves on, and the job is repeated.
    origin.account(1, "enabled: false");
    origin.commit("two");
    let repeated = on_main(&tip, &digest);
    assert!(!repeated.status.success() && said(&repeated).contains("nothing is sent for"), "{}", said(&repeated));
}

#[test]
fn a_workflow_that_is_repeated_sends_nothing_once_its_commit_is_no_tip() {
    if !has_tools() {
        return;
    }
    let at = Arc::new(Mutex::new("1".repeat(40)));
    let answer = Arc::clone(&at);
    let router = Router::new().route(
        "/repos/example/mail/commits/heads/main",
        get(move || {
            let tip = answer.lock().unwrap().clone();
            async move { tip }
        }),
    );
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    let only_the_tip = || {
        let environment = [
            ("GITHUB_API_URL", &*url),
            ("GITHUB_REPOSITORY", "example/mail"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_SHA", "1111111111111111111111111111111111111111"),
        ];
        shell(&script("apply", "Only the tip"), &std::env::temp_dir(), &environment)
    };
    assert!(only_the_tip().status.success());
    *at.lock().unwrap() = "2".repeat(40);
    let repeated = only_the_tip();
    assert!(
        !repeated.status.success() && said(&repeated).contains("::error title=Not the tip::"),
        "{}",
        said(&repeated)
    );
}

#[test]
fn every_recipe_has_the_options_that_decide_what_is_held() {
    let deciding =
        ["ZOHO_MAIL_DISRUPTION_BUDGET: 10,10%\n", "ZOHO_MAIL_PROTECT: \"\"\n", "ZOHO_MAIL_POLICY_DIR: policy\n"];
    for file in ["github/pull-request.yaml", "github/apply.yaml", "gitlab/gitlab-ci.yaml"] {
        let recipe = text(&format!("ci/{file}"));
        deciding.iter().for_each(|option| assert!(recipe.contains(option), "{file}: {option}"));
        assert_eq!(recipe.contains("ZOHO_MAIL_ZOID: "), recipe.contains(" apply "), "{file}: what applies needs it");
    }
    let hook = text("ci/pre-commit-config.yaml");
    assert!(hook.contains("validate --policy-dir policy desired-state\n"));
    let files = hook.lines().find_map(|line| line.trim().strip_prefix("files: ")).unwrap();
    let matches = |path: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-c", "[[ desired-state/$1 =~ $2 ]]", "matches", path, files]).status().unwrap().success()
    };
    for path in [
        "a.yaml",
        "sales/a.yml",
        "policy/limits.yaml",
        "policy/.gitkeep",
        ".reconcilerignore",
        "sales/.reconcilerignore",
    ] {
        assert!(matches(path), "{path}");
    }
    assert!(!matches("README.md"));
}
