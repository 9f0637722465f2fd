//! What `--help` and the manual page say beyond the options.
//!
//! In: nothing. Out: texts, each used by the help of one command and by `man`.
//! Invariant: every command in an example is one that can be typed.

/// One line.
pub(super) const ABOUT: &str = "Reconciles the mailboxes of a Zoho Mail organization with a folder of YAML manifests";

/// The idea.
pub(super) const LONG_ABOUT: &str = "\
Reconciles the mailboxes of a Zoho Mail organization with a folder of YAML manifests.

Each manifest declares whether a user's mailbox is enabled and whether its ActiveSync flag is set. \
What the service acknowledged is remembered in a local ledger; the difference between the two is \
the plan, and exactly those PUTs are sent.";

/// Below the short help.
pub(super) const AFTER_HELP: &str = "\
Try it without an organization:  zoho-mail-reconciler run --sandbox
All options of a command:        zoho-mail-reconciler run --help";

/// Titles and texts that the help of the whole program and the manual page share.
pub(super) const SECTIONS: [(&str, &str); 5] = [
    (
        "Examples",
        "  Without an organization, against an embedded sandbox:
    zoho-mail-reconciler run --sandbox

  Against an organization:
    export ZOHO_MAIL_ZOID=... ZOHO_MAIL_CLIENT_ID=...
    export ZOHO_MAIL_CLIENT_SECRET=... ZOHO_MAIL_REFRESH_TOKEN=...
    zoho-mail-reconciler plan      # what would be sent; sends nothing
    zoho-mail-reconciler apply     # one pass
    zoho-mail-reconciler run       # the daemon",
    ),
    (
        "Environment",
        "  Every option is an environment variable as well: --desired-state is
  ZOHO_MAIL_DESIRED_STATE. The option wins; an empty variable is an unset one.

  Credentials have no options, for options are seen by everybody on the machine:
    ZOHO_MAIL_CLIENT_ID, ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_REFRESH_TOKEN
    ZOHO_MAIL_ACCESS_TOKEN   instead of the three; lives an hour at most
  Each may end in _FILE and name a file with the secret in it. Files are read
  again when a token is refused.",
    ),
    (
        "Files",
        "  desired-state/           manifests, *.yaml and *.yml, at any depth
  desired-state/.reconcilerignore
                           which of them are none, written like a .gitignore
  ledger.json              what was applied; .journal and .lock lie beside it
  ledger.json.audit        each applied change and who decided it, for `history`
  ledger.json.notified     what notifications said of trouble, with --notify-url
  ledger.json.suspended    suspends everything while it is there; see `suspend`
  ledger.json.resumed      the suspension before, and who ended it
  ledger.json.order        for a second, from `resume --pause` or `forget`
  ledger.sandbox.json      the same of --sandbox",
    ),
    (
        "Exit codes",
        "  0   done
  1   failed, or some account or manifest did; diff: there are differences
  2   plan --detailed-exitcode: there are changes; diff: it failed
  3   a budget holds changes, or everything is suspended
  4   the ledger is in use by another process
  5   the ledger is damaged, newer than this program, or somebody else's
  64  the options are wrong",
    ),
    (
        "Signals",
        "  SIGTERM, SIGINT  finish what is in flight, then exit 0; a second exits at once
  SIGHUP           read the folder again now, and try rejected accounts again",
    ),
];

/// Below the long help of the whole program.
pub(super) fn after_long_help() -> String {
    let sections = SECTIONS.map(|(title, text)| format!("{title}:\n{text}"));
    sections.join("\n\n")
}

pub(super) const RUN: &str = "\
Examples:
  zoho-mail-reconciler run --sandbox
  zoho-mail-reconciler run --zoid 12345678 --data-center eu --ledger /var/lib/zoho/ledger.json
  ZOHO_MAIL_CLIENT_SECRET_FILE=/run/secrets/client-secret zoho-mail-reconciler run ...

A manifest that goes away takes nothing away; only an explicit false does.
Credentials come from the environment; see `zoho-mail-reconciler --help`.

SIGHUP reads everything again. SIGTERM finishes what is in flight and exits 0.
Exit codes: 1 failed, 4 the ledger is in use, 5 the ledger is refused, 64
usage.";

pub(super) const DOCTOR: &str = "\
Examples:
  zoho-mail-reconciler doctor              # with the options and variables of `run`
  zoho-mail-reconciler doctor --offline    # this machine only
  zoho-mail-reconciler doctor -o json | jq '.checks[] | select(.level == \"fail\")'

Each line is ok, warn, fail or skip, with the remedy below. Nothing is written, no
lock is taken, nothing is changed; at most one token is asked for, which is one of
the ten that Zoho grants in ten minutes. During a pause that the service imposed,
and with --offline, nothing is sent. Ask as the user that the daemon runs as.

Exit codes: 0 nothing fails, 1 something does, 64 usage.";

pub(super) const APPLY: &str = "\
Examples:
  zoho-mail-reconciler plan && zoho-mail-reconciler apply
  zoho-mail-reconciler apply --disruption-budget 50     # this once, after a look at the plan
  zoho-mail-reconciler apply --expect-digest sha256:... # exactly what that plan said, or nothing

Ends with: planned = applied + held + failed + in doubt. What is in doubt was
sent, and its end is not known; the next apply sends what is desired then.
It does not wait for a pause that is longer than --max-wait: what is left fails,
and it says when to apply again.

Broken manifests do not keep the others from being applied. Exit codes: 0 all
done, 1 something failed or a manifest is broken, 3 a budget holds the rest
or everything is suspended, 4 the ledger is in use, 5 the ledger is
refused, 64 usage.";

pub(super) const REFRESH: &str = "\
Examples:
  zoho-mail-reconciler refresh              # before the first run: nothing is PUT that is there already
  zoho-mail-reconciler refresh alice bob    # these accounts alone

Reads the organization's accounts with GETs, within the request budget, and records
in the ledger what the service shows of each account that a manifest declares, for
the fields that it manages. Then shows the plan: what is left to be done.
What was acknowledged and is shown alike stays as it is. What a PUT of the last
minutes may still change is not read, for reads lag behind writes.

An account that is not listed keeps what the ledger knows of it, and is named. So is
one of which the service knows another zuid: nothing of that is recorded.
The token needs the scope ZohoMail.organization.accounts.READ; with --auth user
ZohoMail.accounts.READ. A daemon that runs holds the ledger (exit code 4): it reads
the service itself, with run --refresh-at-start.

Exit codes: 0 read, 1 not all of it was read (what was stays recorded) or a manifest
is broken, 3 everything is suspended, 4 the ledger is in use, 5 the ledger is
refused, 64 usage.";

pub(super) const EXPORT: &str = "\
Examples:
  zoho-mail-reconciler export desired-state              # a file an account
  zoho-mail-reconciler export desired-state --layout domain --match '*@example.com' --label team=sales

Reads the organization's accounts with GETs, as refresh does, and writes one file
an account: ids, address, and the two fields as they are. The ledger knows them then,
so that the first plan is empty. Nothing is overwritten: what is declared in the
folder already stays, and counts as declared.

The name is what stands before the @, with the domain where two have that in common.
Accounts of administrators are protected by an annotation, and a field of theirs that
is off is left out. What the service does not show clearly is left out as well.
If not all accounts can be read, no file is written.

The token needs the scope ZohoMail.organization.accounts.READ; with --auth user
ZohoMail.accounts.READ.

Exit codes: 0 written, 1 not all accounts could be read, a file could not be
written, or a manifest in the folder is broken, 3 everything is suspended, 4 the
ledger is in use, 5 the ledger is refused, 64 usage.";

pub(super) const PLAN: &str = "\
Examples:
  zoho-mail-reconciler plan
  zoho-mail-reconciler plan -o json | jq '.held[].name'
  zoho-mail-reconciler plan --detailed-exitcode     # 0 nothing to do, 2 changes, 3 held ones
  zoho-mail-reconciler plan --base-ref origin/main -o markdown > comment.md
  zoho-mail-reconciler plan --base ../main/desired-state --ledger ledger.json --fail-on-unexplained

Needs no credentials and no network. + grants, - takes away, ! is held by a
budget. (unknown) was never set by this program; (in doubt) was
sent, and its end is not known.

Accounts that lose something come first, and below what is held stands who decided
it. A folder may be named in the place of --desired-state: plan ../main/mail.

With a base the plan is what the branch changes: from all that the base wants to
all that the branch wants. Neither a ledger nor --zoid is needed, and what others
have merged since does not show. An account whose manifest goes away is named,
and nothing is PUT for it. If the ledger is given as well, the plan is that of
apply, and changes that the branch does not explain are listed apart.
The digest is the same exactly if the PUTs are: `apply --expect-digest` sends no
others.

Exit codes: 0 planned, 1 a manifest is broken (the plan of the others is
printed), something is unexplained with --fail-on-unexplained, or it failed,
2 and 3 only with --detailed-exitcode, 5 the ledger is
refused, 64 usage.";

pub(super) const SUSPEND: &str = "\
Examples:
  zoho-mail-reconciler suspend --reason 'mail migration, ticket 815' --for 4h
  zoho-mail-reconciler suspend --replace --until 2027-01-31T08:00:00Z
  kubectl exec sts/zoho-mail-reconciler -- zoho-mail-reconciler suspend

Makes the file ledger.json.suspended beside the ledger, and that is all: an empty
file made by hand does the same. It says who asked, and on which machine. It
outlasts restarts. A daemon looks for it before anything leaves, so once this
command has ended no request begins; what is under way ends. What is asked of the
service meanwhile is planned, and sent when the suspension ends. `apply` ends with 3 while there is something that it
does not send. One account alone is suspended by its manifest.

Where there is neither a ledger nor a daemon it is refused, for it would suspend
nothing: --ledger says which is meant, --force is for before the first run. One
that is in force is shown, and left as it is without --replace.

Exit codes: 0 suspended, 1 refused or failed, 64 usage.";

pub(super) const EXPLAIN: &str = "\
Examples:
  zoho-mail-reconciler explain                      # all keys, a line each
  zoho-mail-reconciler explain AccountNotFound

The daemon serves the same at /runbook.";

pub(super) const RESUME: &str = "\
Examples:
  zoho-mail-reconciler resume && zoho-mail-reconciler plan
  zoho-mail-reconciler resume --pause      # the service no longer wants the pause
  kubectl exec sts/zoho-mail-reconciler -- zoho-mail-reconciler resume --pause

Removes the file ledger.json.suspended beside the ledger. A daemon that runs
notices within a second, and goes on with what is wanted then. Who ended which
suspension, and on which machine, stays in ledger.json.resumed: a second `resume`
shows it.

With --pause it lifts the pause that the service imposed, and no suspension. A
daemon that runs does so within seconds, by the order ledger.json.order beside
the ledger; where none runs, the command writes it down itself. It ends when that
is durable. One request then goes alone: if the service asks for a pause again,
there is one again. `history` shows who lifted which pause, and when.

Exit codes: 0 lifted (or nothing was to be lifted), 1 there is no ledger, or it
failed, 5 the ledger is refused, 64 usage.";

pub(super) const FORGET: &str = "\
Examples:
  zoho-mail-reconciler status --reason Orphaned -o name
  zoho-mail-reconciler forget carol
  kubectl exec sts/zoho-mail-reconciler -- zoho-mail-reconciler forget carol

An account whose manifest is gone stays in the ledger, and status shows it as
Orphaned. This drops it: from then on no account of that id is known, and if a
manifest declares it again, all that it wants is sent. Nothing changes at the
service. A daemon that runs does it within seconds, by the file
ledger.json.order beside the ledger; where none runs, the command writes it down
itself. `history` keeps what was applied, and shows who had the account forgotten.

Exit codes: 0 forgotten, 1 no such account, or a manifest declares it, 5 the
ledger is refused, 64 usage.";

pub(super) const DIFF: &str = "\
Example:
  zoho-mail-reconciler diff || echo 'not reconciled'

Needs no credentials and no network. Exit codes as of kubectl diff: 0 no
differences, 1 differences, more than 1 an error, broken manifests among them.";

pub(super) const VALIDATE: &str = "\
Examples:
  zoho-mail-reconciler validate
  zoho-mail-reconciler validate sales/ former/bob.yaml
  git show origin/main:desired-state/bob.yaml | zoho-mail-reconciler validate -
  zoho-mail-reconciler validate -o name       # file:line:column: problem, as compilers write it
  zoho-mail-reconciler validate -o github     # in a workflow: annotations of the pull request
  zoho-mail-reconciler validate -o gitlab > gl-code-quality-report.json
  zoho-mail-reconciler validate -o sarif > validate.sarif

Ends with how complete it was: 412 of 412 files read, 0 skipped. Where a document
is printed, that line goes to standard error. A name or accountId that two of the
given files share is a problem of both; a path that is not there, or a folder
without manifests, is one as well. Without a path it is the folder that the daemon
reads. Documents of other API groups (kustomization.yaml) are counted in a note, and
what .reconcilerignore in that folder names is not read, whatever part is given.

Paths are relative to GITHUB_WORKSPACE or CI_PROJECT_DIR in the forms for GitHub,
GitLab and SARIF, if these are set. Needs no ledger, no credentials and no network.
Exit codes: 0 no problems, 1 problems, 64 usage.";

pub(super) const STATUS: &str = "\
Examples:
  zoho-mail-reconciler status
  zoho-mail-reconciler status -o wide alice bob@example.com
  zoho-mail-reconciler status -l team=sales,region!=eu --condition Ready=False
  zoho-mail-reconciler status --reason DisruptionBudgetExceeded -o name
  zoho-mail-reconciler status --watch
  zoho-mail-reconciler status -o json | jq '.items[] | select(.status.conditions[0].status != \"True\")'

READY is True when the service acknowledged all that the manifest wants.
STATUS is the reason. AGE is the time since that became so. ENABLED and
ACTIVESYNC show what was acknowledged, - where nothing ever was. A condition
that is not listed does not hold: Stalled=False is most accounts.

Reads the ledger and the manifests, also while the daemon runs. Exit codes: 0
shown (and if no account matches), 1 an account named here does not exist or it
failed, 5 the ledger is refused, 64 usage.";

pub(super) const HISTORY: &str = "\
Examples:
  zoho-mail-reconciler history bob --since 2026-03-01
  zoho-mail-reconciler history --since 90days -o jsonl | jq 'select(.to == false)'
  zoho-mail-reconciler history --since 2026-03-01T08:00:00+02:00
  zoho-mail-reconciler history --verify

Says of each change when it was applied, from what to what, which line of which
manifest wanted it, of which revision, by whom, the approval that let it
through, and the service's answer. Reads the audit log beside the ledger and
what the ledger's journal adds to it, also while the daemon runs.

--verify follows the chain of hashes from the first line to the last, and
compares it with what the ledger remembers. Keep its last line elsewhere: who
may write the ledger's folder could make all of it anew.

Exit codes: 0 shown, 1 somebody edited the log (told with the line) or it
failed, 5 the ledger is refused, 64 usage.";

pub(super) const SANDBOX: &str = "\
Examples:
  zoho-mail-reconciler sandbox --accounts desired-state
  zoho-mail-reconciler sandbox --request-limit unlimited --faults faults.json

Prints the variables to export in another shell, where `apply` or `run` then
rehearses. Everything lives in memory. A script of faults is JSON, 1 MiB at
most:
  {\"faults\": [
    {\"operation\": \"put\", \"nth\": 2, \"times\": 1, \"do\": \"dropAfterActing\"},
    {\"account\": \"2560636000000008002\", \"do\": {\"answer\": {\"status\": 403}}},
    {\"latency\": \"40ms\"}]}
What can happen: dropBeforeActing, dropAfterActing, resetBeforeActing,
resetAfterActing, expireToken, badGateway, redirect, answer.";

pub(super) const SCHEMA: &str = "\
Example:
  zoho-mail-reconciler schema > desired-state/.schema.json
and at the top of a manifest, for editors that speak to yaml-language-server:
  # yaml-language-server: $schema=.schema.json

A name that begins with a dot is not read as a manifest. Pipelines check one kind
at a time with --kind, or all of them:
  check-jsonschema --schemafile desired-state/.schema.json desired-state/alice.yaml
What depends on several files, or on options, is for `validate`.";

pub(super) const VERSION: &str = "\
Example:
  zoho-mail-reconciler version

The same as --version.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(zoho-mail-reconciler completions bash)
  zoho-mail-reconciler completions zsh > \"${fpath[1]}/_zoho-mail-reconciler\"
  zoho-mail-reconciler completions fish > ~/.config/fish/completions/zoho-mail-reconciler.fish";
