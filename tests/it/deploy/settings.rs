//! Options, variables and values in `deploy/` are the command line's own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use clap::Command;
use serde_yaml::Value;
use zoho_mail_reconciler::cli::{self, Exit};

use super::{recipes, text, words, yaml};

/// Options of other programs that the recipes call.
const FOREIGN: &[&str] = &[
    "--arg",
    "--build",
    "--build-arg",
    "--config",
    "--credential",
    "--daemon",
    "--detach",
    "--dry-run",
    "--from",
    "--from-file",
    "--locked",
    "--mount",
    "--now",
    "--profile",
    "--read-only",
    "--release",
    "--retry",
    "--rm",
    "--bin",
    "--path",
    "--name",
    "--data",
    "--server-side",
    "--ssh-key-file",
    "--target",
];

/// What the build is told, not the program.
const COMMIT: &str = "ZOHO_MAIL_RECONCILER_COMMIT";

/// The command line, built, so that global options are in each command.
pub(super) fn built() -> Command {
    let mut command = cli::command();
    command.build();
    command
}

/// All of `--help`, of every command.
fn help() -> String {
    let mut command = built();
    let mut help = command.render_long_help().to_string();
    for subcommand in command.get_subcommands_mut() {
        help.push_str(&subcommand.render_long_help().to_string());
    }
    help
}

/// The first option of `run` whose variable is `variable`.
fn option(variable: &str) -> Option<String> {
    let command = built();
    let run = command.find_subcommand("run").unwrap();
    let mut options = run.get_arguments();
    let option = options.find(|option| option.get_env().is_some_and(|env| env == variable))?;
    Some(format!("--{}", option.get_long().unwrap()))
}

/// Parses as the program itself would.
fn parse(arguments: &[&str]) -> Result<(), String> {
    let arguments = ["zoho-mail-reconciler"].iter().chain(arguments).map(OsString::from);
    cli::command().try_get_matches_from(arguments).map(drop).map_err(|error| error.to_string())
}

/// The daemon's container in the pod at `path`.
fn container(path: &str) -> Value {
    let containers = yaml(path)["spec"]["template"]["spec"]["containers"].clone();
    containers.as_sequence().unwrap().iter().find(|it| it["name"] == "reconciler").unwrap().clone()
}

/// Values of a unit's directive, in order.
pub(super) fn directive<'a>(unit: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    unit.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn every_variable_that_deploy_names_is_in_the_help() {
    let help = help();
    let known: BTreeSet<&str> = words(&help, "ZOHO_MAIL_", &['_']).collect();
    let mut found = 0;
    for recipe in recipes() {
        for variable in words(&recipe.text, "ZOHO_MAIL_", &['_']).filter(|variable| *variable != COMMIT) {
            let plain = variable.strip_suffix("_FILE").unwrap_or(variable);
            // Unless an option says so itself, only credentials can be files, and they are no option's.
            let exists = known.contains(variable) || known.contains(plain) && option(plain).is_none();
            assert!(exists, "{}: {variable}", recipe.path.display());
            found += 1;
        }
    }
    assert!(found > 30, "only {found} variables");
}

#[test]
fn every_option_that_deploy_names_is_in_the_help() {
    let help = help();
    let known: BTreeSet<&str> = words(&help, "--", &['-']).chain(FOREIGN.iter().copied()).collect();
    // A script is full of other programs' options.
    for recipe in recipes().into_iter().filter(|recipe| !recipe.text.starts_with("#!")) {
        for option in words(&recipe.text, "--", &['-']).filter(|option| !option.starts_with("---")) {
            assert!(known.contains(option), "{}: {option}", recipe.path.display());
        }
    }
}

#[test]
fn every_value_that_deploy_gives_a_variable_is_accepted_by_its_option() {
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut add = |line: &str| {
        if let Some((variable, value)) = line.split_once('=').filter(|(name, _)| name.starts_with("ZOHO_MAIL_")) {
            settings.push((variable.to_owned(), value.trim_end_matches([' ', '\\']).to_owned()));
        }
    };
    directive(&text("systemd/zoho-mail-reconciler.service"), "Environment").for_each(&mut add);
    for file in ["systemd/zoho-mail-reconciler.env", "kubernetes/overlays/one/settings.env"] {
        text(file).lines().map(|line| line.trim_start_matches('#')).for_each(&mut add);
    }
    text("container/Containerfile").lines().map(|line| line.trim_start_matches("ENV ").trim()).for_each(&mut add);
    for pod in [
        "kubernetes/base/statefulset.yaml",
        "kubernetes/components/git-sync/sidecar.yaml",
        "kubernetes/components/configmap/volume.yaml",
    ] {
        for variable in container(pod)["env"].as_sequence().unwrap() {
            add(&format!("{}={}", variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap()));
        }
    }
    for file in ["container/compose.yaml", "container/compose.folder.yaml"] {
        for (variable, value) in yaml(file)["services"]["reconciler"]["environment"].as_mapping().unwrap() {
            // `${VARIABLE:-default}` stands for its default, `${VARIABLE:?why}` for what only the user knows.
            let value = value.as_str().unwrap();
            let given = value.strip_prefix("${").map_or(value, |it| it.split_once(":-").map_or("", |(_, it)| it));
            add(&format!("{}={}", variable.as_str().unwrap(), given.trim_end_matches('}')));
        }
    }
    let mut parsed = 0;
    for (variable, value) in settings.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(option) = option(variable) else {
            assert!(variable.ends_with("_FILE"), "{variable} is no option's");
            continue;
        };
        // A flag has no value of its own; its variable says yes or no.
        let is_flag = ["--sandbox", "--refresh-at-start"].contains(&option.as_str());
        let flag = is_flag && ["true", "false"].contains(&value.as_str());
        let arguments = ["run", &option, value];
        parse(&arguments[..if flag { 2 } else { 3 }]).unwrap_or_else(|error| panic!("{variable}={value}: {error}"));
        parsed += 1;
    }
    assert!(parsed > 10, "only {parsed} values");
}

#[test]
fn what_systemd_kubernetes_and_the_image_start_is_a_command_line() {
    let unit = text("systemd/zoho-mail-reconciler.service");
    let started: Vec<_> = directive(&unit, "ExecStart").collect();
    let [started] = started[..] else { panic!("ExecStart: {started:?}") };
    let arguments: Vec<_> = started.split_whitespace().skip(1).collect();
    parse(&arguments).unwrap();

    let args = container("kubernetes/base/statefulset.yaml")["args"].clone();
    let args: Vec<_> = args.as_sequence().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    parse(&args).unwrap();
    assert_eq!(args[0], "run");

    let image = text("container/Containerfile");
    let command = image.lines().filter_map(|line| line.strip_prefix("CMD ")).next_back().unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    parse(&command.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();

    // The check can fail.
    assert!(parse(&["run", "--desired-stat", "x"]).is_err());
}

#[test]
fn every_manager_waits_longer_than_a_stop_may_take() {
    let command = built();
    let run = command.find_subcommand("run").unwrap();
    let grace = run.get_arguments().find(|option| option.get_long() == Some("shutdown-grace")).unwrap();
    let grace = humantime::parse_duration(grace.get_default_values()[0].to_str().unwrap()).unwrap();
    let unit = text("systemd/zoho-mail-reconciler.service");
    let pod = yaml("kubernetes/base/statefulset.yaml")["spec"]["template"]["spec"].clone();
    let compose = yaml("container/compose.yaml")["services"]["reconciler"].clone();
    let waits = [
        directive(&unit, "TimeoutStopSec").next().unwrap().to_owned(),
        format!("{}s", pod["terminationGracePeriodSeconds"].as_u64().unwrap()),
        compose["stop_grace_period"].as_str().unwrap().to_owned(),
    ];
    for wait in waits {
        // Ten seconds for what follows the grace: the fold of the journal, and the runtime's end.
        let enough = humantime::parse_duration(&wait).unwrap() >= grace + Duration::from_secs(10);
        assert!(enough, "{wait} is not enough for a grace of {}", humantime::format_duration(grace));
    }
}

#[test]
fn systemd_restarts_after_a_failure_except_where_only_a_person_can_help() {
    let unit = text("systemd/zoho-mail-reconciler.service");
    let prevented = directive(&unit, "RestartPreventExitStatus").next().unwrap();
    let prevented: Vec<u8> = prevented.split(' ').map(|code| code.parse().unwrap()).collect();
    assert_eq!(prevented, [Exit::LedgerRefused as u8, Exit::Usage as u8]);
    assert_eq!(directive(&unit, "Restart").next(), Some("on-failure"));
}

#[test]
fn the_pod_listens_where_its_probes_and_scrapers_look() {
    let container = container("kubernetes/base/statefulset.yaml");
    let port = container["ports"][0].clone();
    let args = container["args"].as_sequence().unwrap();
    let listen = args.iter().skip_while(|arg| *arg != "--listen").nth(1).unwrap().as_str().unwrap();
    assert_eq!(listen, format!("0.0.0.0:{}", port["containerPort"].as_u64().unwrap()));
    for (probe, path) in [("livenessProbe", "/healthz"), ("startupProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], port["name"]);
    }
    let policy = yaml("kubernetes/base/network-policy.yaml");
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], port["name"]);
    let monitor = yaml("monitoring/pod-monitor.yaml");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], port["name"]);
    let service = yaml("kubernetes/base/service.yaml");
    assert_eq!(service["spec"]["ports"][0]["port"], port["containerPort"]);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
    let target = &yaml("monitoring/prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target.as_str().unwrap().rsplit(':').next(), listen.rsplit(':').next());
}

#[test]
fn the_versions_in_deploy_are_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let image = container("kubernetes/base/statefulset.yaml")["image"].clone();
    assert_eq!(image.as_str().unwrap().rsplit(':').next(), Some(version));
    assert!(text("ci/gitlab/gitlab-ci.yaml").contains(&format!("zoho-mail-reconciler-ci:{version}\n")));
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let image = text("container/Containerfile");
    assert!(image.contains(&format!("library/rust:{rust}-")));
    assert!(image.contains(&format!("image.version=\"{version}\"")));
    assert!(image.contains(COMMIT) && include_str!("../../../src/build.rs").contains(COMMIT));
}
