//! `--help`, `schema`, `completions`, `man`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::Place;

#[test]
fn the_short_help_fits_on_a_screen() {
    let place = Place::new();
    insta::assert_snapshot!(place.ok("-h"), @"
    Reconciles the mailboxes of a Zoho Mail organization with a folder of YAML manifests

    Usage: zoho-mail-reconciler [OPTIONS] <COMMAND>

    Commands:
      run          Run the daemon: watch the folder and reconcile until told to stop
      apply        Reconcile once, then exit
      plan         Show what apply would do; sends nothing
      diff         Show what apply would change, as unified text; sends nothing
      validate     Check manifests, and show every problem under the line it is on
      refresh      Read the service, and record what is there; sends no PUT
      export       Write the organization's accounts as manifests; sends no PUT, overwrites nothing
      status       Show each account's conditions, from the ledger
      doctor       Check everything before the first run; writes nothing
      history      Show every change that was applied, and who decided it
      suspend      Suspend everything: nothing is sent until resume, or until a moment
      resume       Lift a suspension, or a pause: what is pending is sent
      forget       Drop what the ledger knows of accounts whose manifest is gone; sends nothing
      explain      Explain a reason, cause or alert, and what to do
      sandbox      Serve a simulated Zoho Mail API on this machine
      schema       Print the JSON Schema of the manifests, for editors and pipelines
      completions  Print a completion script for a shell
      version      Print the version, and the commit that it was built from
      man          Print the manual page: `zoho-mail-reconciler man | man -l -`
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Logging:
          --log-format <LOG_FORMAT>  How logs are written to standard error [default: text on a
                                     terminal, else json] [possible values: text, json]
          --log-level <FILTER>       What is logged: off, error, warn, info, debug, trace, or a filter
                                     by module [default: info]

    Try it without an organization:  zoho-mail-reconciler run --sandbox
    All options of a command:        zoho-mail-reconciler run --help
    ");
    insta::assert_snapshot!(place.ok("status -h"), @"
    Show each account's conditions, from the ledger

    Usage: zoho-mail-reconciler status [OPTIONS] [NAME]...

    Arguments:
      [NAME]...  Accounts to show, by name, accountId or e-mail address; all of them if none is given

    Options:
      -h, --help  Print help (see more with '--help')

    Filter:
      -l, --selector <SELECTOR>        Only accounts with these labels, as kubectl selects:
                                       team=sales,region!=eu
          --condition <TYPE[=STATUS]>  Only accounts of this condition: Ready=False, or Stalled for
                                       Stalled=True; all, if several
          --reason <REASON>            Only accounts with this reason, such as DisruptionBudgetExceeded;
                                       any, if several

    Desired state:
          --desired-state <DIR>     Folder of YAML manifests: the desired state [default: desired-state]
          --git-dir <DIR>           Git directory of the folder's work tree, where that is no .git in
                                    the folder or above it
          --git-in-progress <WHAT>  What to do while git has begun something there and not finished it:
                                    a rebase, merge, bisect or the like [default: wait] [possible
                                    values: wait, read]

    Target:
          --ledger <FILE>  File that remembers what was applied; journal, history, switch lie beside it
                           [default: ledger.json]
          --sandbox        The ledger is the embedded sandbox's: ledger.sandbox.json beside ledger.json
          --auth <AUTH>    As whom the service is addressed; decides whether a manifest needs a zuid
                           [default: admin] [possible values: admin, user]

    Safety:
          --disruption-budget <N|P%|N,P%>  How many accounts may lose something within the window: N, P%
                                           of the managed ones, or the larger of both [default: 10,10%]
          --grant-budget <N|P%|off>        How many accounts whose mailbox was disabled may come back
                                           within the window: N, P%, or off [default: off]
          --disruption-window <DURATION>   The window of both budgets [default: 1h]
          --protect <NAME|ACCOUNT-ID>      Accounts from which nothing is ever taken away, whatever the
                                           manifests say: by id, or by the manifest's name
          --policy-dir <DIR>               The only folder, within that of the manifests, in which
                                           budgets and approvals count: its owners alone decide

    Output:
      -o, --output <OUTPUT>  How the accounts are printed [default: table] [possible values: table,
                             wide, json, yaml, name]
          --no-headers       Leave the headers of the columns out
          --sort-by <ORDER>  In which order they are printed [default: name] [possible values: name,
                             age, status]
      -w, --watch            Go on with a line for each account whose row changes, until Ctrl-C

    Logging:
          --log-format <LOG_FORMAT>  How logs are written to standard error [default: text on a
                                     terminal, else json] [possible values: text, json]
          --log-level <FILTER>       What is logged: off, error, warn, info, debug, trace, or a filter
                                     by module [default: info]
    ");
}

#[test]
fn help_shows_no_value_of_a_variable() {
    let mut place = Place::new();
    place.set("ZOHO_MAIL_ZOID", "4711").set("ZOHO_MAIL_CLIENT_SECRET", "hunter2");
    for command in ["--help", "run --help", "run -h", "help run", "man"] {
        let shown = place.ok(command);
        assert!(!shown.contains("4711") && !shown.contains("hunter2"), "{command}");
    }
    assert!(place.ok("run --help").contains("[env: ZOHO_MAIL_ZOID]"));
}

fn commands() -> impl Iterator<Item = String> {
    let command = zoho_mail_reconciler::cli::command();
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert!(names.len() > 10, "{names:?}");
    names.into_iter()
}

#[test]
fn every_command_has_a_long_help_with_exit_codes_or_examples() {
    let place = Place::new();
    for command in commands().filter(|name| name != "man") {
        let help = place.ok(&format!("{command} --help"));
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command}: {help}");
    }
}

#[test]
fn no_command_or_a_misspelt_one_is_a_usage_error() {
    let place = Place::new();
    for command in ["", "aply", "plan --sanbox", "apply extra", "completions tcsh"] {
        let ran = place.run(command);
        assert_eq!((ran.code, &*ran.out), (64, ""), "{command}");
        assert!(ran.err.contains("--help"), "{command}: {}", ran.err);
    }
    assert!(place.ok("--version").starts_with("zoho-mail-reconciler "));
}

fn checked_by(tool: &str, arguments: &[&str], text: &str) -> String {
    let mut command = Command::new(tool);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{tool}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_manual_page_is_sound_and_tells_of_every_command_and_option() {
    let page = Place::new().ok("man");
    for name in commands() {
        assert!(page.contains(&format!(".SH \"COMMAND {}\"", name.to_uppercase())), "{name}");
    }
    assert!(page.contains(".SH \"EXIT CODES\"") && page.contains(".SH \"SIGNALS\""));
    for line in page.lines().filter(|line| line.starts_with('.')) {
        let request = line.split(' ').next().unwrap();
        let known =
            [".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".nf", ".fi", ".br", ".RS", ".RE", ".IP", ".ie", ".el", ".ft"];
        assert!(known.contains(&request), "{line}");
    }
}

#[test]
fn bash_accepts_its_completions() {
    let script = Place::new().ok("completions bash");
    checked_by("bash", &["-n"], &script);
    let ask = "\ncomplete -p zoho-mail-reconciler\nCOMP_WORDS=(zoho-mail-reconciler st) COMP_CWORD=1\n\
               _zoho__mail__reconciler zoho-mail-reconciler st zoho-mail-reconciler\necho \"${COMPREPLY[@]}\"\n";
    let answer = checked_by("bash", &[], &(script + ask));
    assert!(answer.contains("zoho-mail-reconciler") && answer.ends_with("status\n"), "{answer}");
    for shell in ["zsh", "fish"] {
        assert!(Place::new().ok(&format!("completions {shell}")).contains("desired-state"), "{shell}");
    }
}

#[test]
fn the_schema_is_json_and_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&Place::new().ok("schema")).unwrap();
    let text = schema.to_string();
    let keys = "accountId zuid email enabled activeSyncEnabled suspend suspendReason suspendUntil validFrom validUntil";
    for key in keys.split(' ') {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn bash_completes_commands_their_options_and_their_values() {
    let place = Place::new();
    place.keep("completions", &place.ok("completions bash"));
    let offered = |words: &str| {
        let script = format!(
            ". ./completions; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             function=$(complete -p zoho-mail-reconciler | grep -o ' -F [^ ]*'); \
             ${{function# -F }} zoho-mail-reconciler \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo ${{COMPREPLY[@]}}"
        );
        let output = Command::new("bash").args(["-c", &script]).current_dir(place.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(offered("zoho-mail-reconciler comp"), "completions");
    assert_eq!(offered("zoho-mail-reconciler run --desi"), "--desired-state");
    assert_eq!(offered("zoho-mail-reconciler status --output wi"), "wide");
}

#[test]
fn the_sections_of_the_help_keep_their_indent_on_a_screen_of_eighty_columns() {
    let place = Place::new();
    let help = place.ok("--help");
    let (_, sections) = help.split_once("\nExamples:\n").unwrap();
    let titles = ["Environment:", "Files:", "Exit codes:", "Signals:"];
    for line in sections.lines().filter(|line| !line.is_empty() && !titles.contains(line)) {
        assert!(line.starts_with("  ") && line.chars().count() <= 80, "{line:?}");
    }
    assert!(help.contains("\nFiles:\n  desired-state/ ") && help.contains("\nExit codes:\n  0   done\n"), "{help}");
    let page = place.ok("man");
    assert!(page.contains("\n  0   done\n") || page.contains("\n  0   done"), "{page}");
}

#[test]
fn the_version_is_a_command_and_a_dry_run_has_a_tip() {
    let place = Place::with_alice();
    assert_eq!(place.ok("version"), place.ok("--version"));
    let ran = place.run("apply --sandbox --dry-run=server");
    assert_eq!(ran.code, 64);
    assert!(ran.err.ends_with("tip: 'plan' shows what 'apply' would do, and sends nothing\n"), "{}", ran.err);
}
