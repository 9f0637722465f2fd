//! Options: names, defaults, variables, and what is said of a bad value.

use super::Place;

const SERVICE: &str = "run apply refresh export doctor";
const DAEMON: &str = "run doctor";

/// The promised table: option, default, commands, a bad value.
const OPTIONS: [(&str, &str, &str, &str); 57] = [
    ("--desired-state", "desired-state", "run apply refresh plan diff doctor status forget validate", ""),
    ("--git-dir", "", "run apply refresh plan diff doctor status forget validate", "desired-state"),
    ("--git-in-progress", "wait", "run apply refresh plan diff doctor status forget validate", "hold"),
    ("--ledger", "ledger.json", "run apply refresh export plan diff doctor status history suspend resume forget", ""),
    ("--auth", "admin", "run apply refresh export plan diff doctor status validate forget", "root"),
    ("--zoid", "", "run apply refresh export plan diff doctor", "12x"),
    ("--sandbox", "", "run apply refresh export plan diff doctor status history suspend resume forget", "perhaps"),
    ("--data-center", "us", SERVICE, "mars"),
    ("--api-url", "", SERVICE, "http://mail.example.com"),
    ("--accounts-url", "", SERVICE, "mail.example.com"),
    ("--rate-limit", "", SERVICE, "25"),
    ("--max-concurrency", "4", SERVICE, "0"),
    ("--request-timeout", "30s", SERVICE, "30"),
    ("--retry-min", "1s", SERVICE, "0s"),
    ("--retry-max", "5m", SERVICE, "-1s"),
    ("--throttle-pause", "15m", SERVICE, "2days"),
    ("--max-wait", "20m", "apply refresh export", "2days"),
    ("--refresh", "", "apply", ""),
    ("--expect-digest", "", "apply", "sha256:abc"),
    ("--disruption-budget", "10,10%", "run apply refresh plan diff doctor status", "ten"),
    ("--grant-budget", "off", "run apply refresh plan diff doctor status", "ten"),
    ("--disruption-window", "1h", "run apply refresh plan diff doctor status", "1y"),
    ("--protect", "", "run apply refresh plan diff doctor status validate", "CEO"),
    ("--policy-dir", "", "run apply refresh plan diff doctor status validate", "/etc"),
    ("--debounce", "200ms", DAEMON, "6s"),
    ("--resync-interval", "10m", DAEMON, "often"),
    ("--poll-interval", "10s", DAEMON, "0s"),
    ("--refresh-at-start", "", DAEMON, ""),
    ("--drift-interval", "off", DAEMON, "often"),
    ("--drift-policy", "report", DAEMON, "mend"),
    ("--listen", "127.0.0.1:8686", DAEMON, "8686"),
    ("--external-url", "", DAEMON, "mail.example.com"),
    ("--shutdown-grace", "25s", DAEMON, "25"),
    ("--notify-url", "", DAEMON, ""),
    ("--notify-url-file", "", DAEMON, ""),
    ("--notify-after", "30s", DAEMON, "soon"),
    (
        "--log-format",
        "",
        "run apply refresh export plan diff doctor validate status history suspend resume forget explain sandbox schema completions version man",
        "xml",
    ),
    (
        "--log-level",
        "info",
        "run apply refresh export plan diff doctor validate status history suspend resume forget explain sandbox schema completions version man",
        "inof",
    ),
    ("--output", "text", "plan validate history doctor", "xml"),
    ("--output", "table", "status", "xml"),
    ("--detailed-exitcode", "", "plan", ""),
    ("--base", "", "plan", ""),
    ("--base-ref", "", "plan", ""),
    ("--fail-on-unexplained", "", "plan", ""),
    ("--approval", "", "plan", ""),
    ("--reason", "", "plan", ""),
    ("--expires", "24h", "plan", "0s"),
    ("--since", "", "history", ""),
    ("--limit", "", "history", ""),
    ("--verify", "", "history", ""),
    ("--pause", "", "resume", ""),
    ("--selector", "", "status", "=sales"),
    ("--condition", "", "status", "Readi"),
    ("--reason", "", "status", "Nope"),
    ("--watch", "", "status", ""),
    ("--no-headers", "", "status", ""),
    ("--sort-by", "name", "status", "size"),
];

/// Options that choose what is printed, what it is compared with, or what is lifted, have no variable.
const WITHOUT_VARIABLE: [&str; 19] = [
    "--refresh",
    "--expect-digest",
    "--output",
    "--detailed-exitcode",
    "--base",
    "--base-ref",
    "--fail-on-unexplained",
    "--approval",
    "--reason",
    "--expires",
    "--since",
    "--limit",
    "--verify",
    "--pause",
    "--selector",
    "--condition",
    "--watch",
    "--no-headers",
    "--sort-by",
];

fn variable(option: &str) -> String {
    format!("ZOHO_MAIL_{}", option.trim_start_matches("--").replace('-', "_").to_uppercase())
}

#[test]
fn every_option_has_its_default_its_variable_and_its_commands() {
    let mut command = zoho_mail_reconciler::cli::command();
    command.build();
    for (option, default, commands, _) in OPTIONS {
        for name in commands.split(' ') {
            let subcommand = command.find_subcommand(name).unwrap();
            let arguments: Vec<_> = subcommand.get_arguments().collect();
            let named = |argument: &&&clap::Arg| argument.get_long() == Some(option.trim_start_matches("--"));
            let argument = arguments.iter().find(named).unwrap_or_else(|| panic!("{name} has no {option}"));
            let is_flag = !argument.get_action().takes_values();
            let found = argument.get_default_values().first().filter(|_| !is_flag);
            assert_eq!(found.map_or("", |value| value.to_str().unwrap()), default, "{name} {option}");
            let expected = (!WITHOUT_VARIABLE.contains(&option)).then(|| variable(option));
            assert_eq!(argument.get_env().map(|name| name.to_str().unwrap().to_owned()), expected, "{name} {option}");
            assert!(argument.get_help().is_some(), "{name} {option} has no help");
        }
    }
}

#[test]
fn no_command_has_a_shared_option_beyond_the_promised_table() {
    let mut command = zoho_mail_reconciler::cli::command();
    command.build();
    let own = [
        "--accounts",
        "--request-limit",
        "--lock",
        "--faults",
        "--kind",
        "--match",
        "--layout",
        "--label",
        "--reason",
        "--for",
        "--until",
        "--replace",
        "--force",
        "--offline",
        "--help",
        "--version",
    ];
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = subcommand.get_name();
        for argument in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
            let option = format!("--{argument}");
            let promised =
                OPTIONS.iter().any(|(known, _, of, _)| *known == option && of.split(' ').any(|of| of == name));
            let sandbox = name == "sandbox" && ["--listen", "--zoid"].contains(&&*option);
            assert!(promised || sandbox || own.contains(&&*option), "{name} {option}");
        }
    }
}

#[test]
fn a_bad_value_is_a_usage_error_that_says_what_to_do_from_an_option_as_from_a_variable() {
    let mut said = String::new();
    for (option, _, commands, bad) in OPTIONS {
        if bad.is_empty() {
            continue;
        }
        let name = commands.split(' ').next().unwrap();
        let mut place = Place::with_alice();
        let as_option = place.run(&format!("{name} {option}={bad}"));
        if option != "--sandbox" {
            assert_eq!((as_option.code, &*as_option.out), (64, ""), "{name} {option}={bad}");
            said.push_str(&format!("{option} {bad}\n"));
            said.push_str(as_option.err.split("\n\nFor more").next().unwrap().trim_end());
            said.push('\n');
        }
        if !WITHOUT_VARIABLE.contains(&option) {
            let as_variable = place.set(&variable(option), bad).run(name);
            assert_eq!(as_variable.code, 64, "{}={bad} {name}", variable(option));
            assert!(as_variable.err.contains(option), "{}", as_variable.err);
        }
    }
    insta::assert_snapshot!(said, @r#"
    --git-dir desired-state
    error: invalid value 'desired-state' for '--git-dir <DIR>': expected a Git directory, with HEAD in it, such as desired.git or checkout/.git
    --git-in-progress hold
    error: invalid value 'hold' for '--git-in-progress <WHAT>'
      [possible values: wait, read]
    --auth root
    error: invalid value 'root' for '--auth <AUTH>'
      [possible values: admin, user]
    --zoid 12x
    error: invalid value '12x' for '--zoid <LONG>': expected digits only, 1 to 9223372036854775807
    --data-center mars
    error: invalid value 'mars' for '--data-center <DATA_CENTER>'
      [possible values: us, eu, in, au, jp, ca, cn, sa, uk, ae]
    --api-url http://mail.example.com
    error: invalid value 'http://mail.example.com' for '--api-url <URL>': plain http is only for this machine (127.0.0.0/8, [::1], localhost): use https
    --accounts-url mail.example.com
    error: invalid value 'mail.example.com' for '--accounts-url <URL>': expected https:// and a host, as in https://mail.zoho.com
    --rate-limit 25
    error: invalid value '25' for '--rate-limit <N/DURATION|unlimited>': expected N/DURATION such as 25/1m (N 1 to 10000, DURATION up to 24h), or unlimited
    --max-concurrency 0
    error: invalid value '0' for '--max-concurrency <N>': 0 is not in 1..=256
    --request-timeout 30
    error: invalid value '30' for '--request-timeout <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --retry-min 0s
    error: invalid value '0s' for '--retry-min <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --retry-max -1s
    error: invalid value '-1s' for '--retry-max <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --throttle-pause 2days
    error: invalid value '2days' for '--throttle-pause <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --max-wait 2days
    error: invalid value '2days' for '--max-wait <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --expect-digest sha256:abc
    error: invalid value 'sha256:abc' for '--expect-digest <DIGEST>': expected sha256: and 64 digits, as plan prints it
    --disruption-budget ten
    error: invalid value 'ten' for '--disruption-budget <N|P%|N,P%>': expected N, P% (0% to 100%) or N,P%, such as 10, 5% or 10,10%
    --grant-budget ten
    error: invalid value 'ten' for '--grant-budget <N|P%|off>': expected off, N or P% (0% to 100%), such as 10 or 5%
    --disruption-window 1y
    error: invalid value '1y' for '--disruption-window <DURATION>': expected a duration such as 15m, 1h or 7days, at most 30days
    --protect CEO
    error: invalid value 'CEO' for '--protect <NAME|ACCOUNT-ID>': expected the name of a manifest, or an account's id (digits)
    --policy-dir /etc
    error: invalid value '/etc' for '--policy-dir <DIR>': expected a folder within that of the manifests, such as policy: without a leading / and without .., and not hidden, for what is in a folder whose name begins with a dot is not read
    --debounce 6s
    error: invalid value '6s' for '--debounce <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 5s
    --resync-interval often
    error: invalid value 'often' for '--resync-interval <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --poll-interval 0s
    error: invalid value '0s' for '--poll-interval <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --drift-interval often
    error: invalid value 'often' for '--drift-interval <DURATION|off>': expected a duration such as 250ms, 30s or 15m, at least 1m and at most 24h, or off
    --drift-policy mend
    error: invalid value 'mend' for '--drift-policy <DRIFT_POLICY>'
      [possible values: report, correct]
    --listen 8686
    error: invalid value '8686' for '--listen <ADDR|off>': expected an address and a port such as 127.0.0.1:PORT, or off
    --external-url mail.example.com
    error: invalid value 'mail.example.com' for '--external-url <URL>': expected a URL such as https://mail-reconciler.example.com, without user name, query or fragment
    --shutdown-grace 25
    error: invalid value '25' for '--shutdown-grace <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --notify-after soon
    error: invalid value 'soon' for '--notify-after <DURATION>': expected a duration such as 250ms, 30s or 15m, at least 1ms and at most 24h
    --log-format xml
    error: invalid value 'xml' for '--log-format <LOG_FORMAT>'
      [possible values: text, json]
    --log-level inof
    error: invalid value "inof" for '--log-level <FILTER>': expected off, error, warn, info, debug or trace, or a filter by module such as info,zoho_mail_reconciler::source=debug
    --output xml
    error: invalid value 'xml' for '--output <OUTPUT>'
      [possible values: text, json, yaml, name, markdown]

      tip: a similar value exists: 'yaml'
    --output xml
    error: invalid value 'xml' for '--output <OUTPUT>'
      [possible values: table, wide, json, yaml, name]

      tip: a similar value exists: 'yaml'
    --expires 0s
    error: invalid value '0s' for '--expires <DURATION>': expected a duration such as 8h, 24h or 7days, at most 365days
    --selector =sales
    error: invalid value '=sales' for '--selector <SELECTOR>': found '=', expected: !, identifier, or 'end of string'
    --condition Readi
    error: invalid value 'Readi' for '--condition <TYPE[=STATUS]>': expected Ready, Reconciling, Stalled, Drifted or Blocked, alone or with =True or =False
    --reason Nope
    error: invalid value 'Nope' for '--reason <REASON>': expected one of `ReconciliationSucceeded`, `Progressing`, `ProgressingWithRetry`, `InDoubt`, `InvalidManifest`, `DuplicateAccount`, `AccountNotFound`, `Forbidden`, `Rejected`, `Unauthorized`, `TokenUnavailable`, `Throttled`, `ServiceUnavailable`, `DisruptionBudgetExceeded`, `Suspended`, `NotYetValid`, `NoLongerValid`, `Drifted`, `Flapping`, `Orphaned`, `LedgerUnavailable`
    --sort-by size
    error: invalid value 'size' for '--sort-by <ORDER>'
      [possible values: name, age, status]
    "#);
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let mut place = Place::with_alice();
    let before = place.run("plan --sandbox").all();
    for (option, ..) in OPTIONS {
        if !WITHOUT_VARIABLE.contains(&option) {
            place.set(&variable(option), "");
        }
    }
    assert_eq!(place.run("plan --sandbox").all(), before);
}

#[test]
fn an_option_wins_over_its_variable() {
    let mut place = Place::with_alice();
    place.set("ZOHO_MAIL_DESIRED_STATE", "elsewhere");
    assert_eq!(place.run("plan --sandbox").code, 1);
    assert_eq!(place.run("plan --sandbox --desired-state desired-state").code, 0);
}

#[test]
fn the_sandbox_variable_understands_what_people_write() {
    let mut place = Place::with_alice();
    for (value, code) in [("1", 0), ("true", 0), ("yes", 0), ("0", 64), ("false", 64), ("no", 64)] {
        // Without the sandbox the zoid is missing.
        assert_eq!(place.set("ZOHO_MAIL_SANDBOX", value).run("plan").code, code, "{value}");
    }
}

#[test]
fn options_that_contradict_or_lack_one_are_told_before_anything_is_made() {
    let place = Place::with_alice();
    let missing = place.run("run --listen off");
    insta::assert_snapshot!(missing.all(), @"
    --- stderr
    error: --zoid (or ZOHO_MAIL_ZOID) is required with --auth admin: the organization's id, which GET /api/accounts of the Mail API shows as policyId.zoid. To try things out without an organization, add --sandbox
    --- exit 64
    ");
    let contradiction = place.run("apply --sandbox --retry-min 10m");
    insta::assert_snapshot!(contradiction.all(), @"
    --- stderr
    error: --retry-min is longer than --retry-max: make it shorter, or the other longer
    --- exit 64
    ");
    let password = place.run("apply --api-url https://me:hunter2@mail.example.com");
    insta::assert_snapshot!(password.all(), @"
    --- stderr
    error: invalid value '(not shown)' for '--api-url <URL>': a user name or password does not belong into a URL: remove the part before @

    For more information, try '--help'.
    --- exit 64
    ");
    let files: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["desired-state"]);
}

#[test]
fn the_last_of_a_repeated_option_wins_and_lists_add_up() {
    let mut place = Place::with_alice();
    place.account("bob", 3, "enabled: false");
    place.ok("apply --sandbox --ledger one.json");
    assert_eq!(place.ok("plan --sandbox -o json --ledger one.json --ledger two.json -o name"), "alice\nbob\n");
    assert_eq!(place.ok("plan --sandbox --sandbox --ledger two.json --ledger one.json -o name"), "");
    place.set("ZOHO_MAIL_LEDGER", "one.json");
    assert_eq!(place.ok("plan --sandbox --ledger one.json --ledger two.json -o name"), "alice\nbob\n");
    let protected = place.run("validate --protect alice --protect bob");
    assert!(
        protected.code == 1 && protected.out.contains("sales/alice") && protected.out.contains("bob.yaml"),
        "{}",
        protected.all()
    );
}

#[test]
fn a_share_of_more_than_all_accounts_says_so() {
    let ran = Place::with_alice().run("plan --sandbox --disruption-budget 101%");
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("101% is more than all accounts: expected at most 100%, or a number"), "{}", ran.err);
    assert!(ran.err.contains("invalid value '101%' for '--disruption-budget"), "{}", ran.err);
}
