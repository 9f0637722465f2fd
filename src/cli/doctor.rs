//! `doctor`: looks at everything before the first run, and changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, CommandFactory as _, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::{Cli, Exit, engine, json, load, policies, put};
use crate::account::printable;
use crate::config::{Daemon, Disruptions, Folder, Listen, Notifications, Service, Target};
use crate::doctor::{Diagnosis, Environment, Finding, Level, Line, Manifests, Seen, Subject, examine};
use crate::ledger::{self, Ledger, Owner};
use crate::zoho::{BaseUrl, CredentialSource};

/// The longest one request may take, whatever the options say: all of it has to end within half a minute.
const TIMEOUT_MAX: Duration = Duration::from_secs(8);

/// The prefix of every variable of ours.
const PREFIX: &str = "ZOHO_MAIL_";

/// The variables that have no option.
const CREDENTIALS: [&str; 4] = ["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "ACCESS_TOKEN"];

/// Below this likeness, a name is another one (Jaro-Winkler, of 1).
const NEAR: f64 = 0.9;

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    disruptions: Disruptions,
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    notify: Notifications,
    /// Send nothing: look at this machine only
    #[arg(long, help_heading = "Checks")]
    offline: bool,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON document
    Json,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let output = self.output;
        let diagnosis = engine::block_on(self.examine())?;
        let text = if output == Output::Json { json(&diagnosis)? } else { text(&diagnosis) };
        put(&text)?;
        Ok(if diagnosis.count(Level::Fail) > 0 { Exit::Failed } else { Exit::Done })
    }

    async fn examine(self) -> anyhow::Result<Diagnosis> {
        let Self { folder, target, service, disruptions, daemon, notify, offline, output: _ } = self;
        let cancel = CancellationToken::new();
        let ledger = target.ledger_file();
        let (api, accounts, credentials) = if target.sandbox {
            let known = ledger::file::read(&ledger, Some(Owner::Sandbox)).ok().flatten();
            let known = known.unwrap_or_else(|| Ledger::new(Owner::Sandbox));
            let url = engine::embed_sandbox(&target, &known, cancel.clone()).await?;
            (url.clone(), url, engine::sandbox_credentials(&target))
        } else {
            let (api, accounts) = service.urls();
            (api, accounts, CredentialSource::new(|name| std::env::var_os(name)))
        };
        let (auth, protection) = (target.auth.into(), disruptions.protect.protection(&folder.desired_state));
        let (root, git) = (folder.desired_state.clone(), folder.git());
        let (remembered, searched) = (ledger.clone(), folder.clone());
        let unfinished = git.in_progress(&root);
        let manifests = Box::new(move || -> Manifests {
            let protection = protection.as_ref().map_err(ToString::to_string)?;
            let desired = load::desired(&root, &git, auth, Arc::clone(protection), None);
            let mut desired = desired.map_err(|error| format!("{error:#}"))?;
            let known = ledger::file::read(&remembered, None).ok().flatten();
            known.iter().for_each(|ledger| policies::recall(&mut desired, ledger, &searched));
            let problems = load::problems(&desired, &root);
            Ok((desired, problems))
        });
        let webhook = notify.webhook().map(|webhook| webhook.map(|webhook| webhook.host));
        let subject = Subject {
            manifests,
            ledger,
            owner: target.owner().map_err(|error| error.to_string()),
            principal: target.principal().ok(),
            auth,
            limit: service.limit(target.sandbox),
            listen: if let Listen::On(address) = daemon.listen { Some(address) } else { None },
            webhook: webhook.map_err(|error| crate::config::UsageError::from(error).to_string()),
            credentials,
            environment: environment(&api),
            api,
            accounts,
            timeout: service.request_timeout.min(TIMEOUT_MAX),
            sandbox: target.sandbox,
            offline,
            seen: Seen::default(),
            folder: folder.desired_state,
            unfinished,
            disruptions,
        };
        let diagnosis = examine(subject).await;
        cancel.cancel();
        Ok(diagnosis)
    }
}

fn environment(api: &BaseUrl) -> Environment {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().filter(|_| api.is_https());
    let managers =
        [("INVOCATION_ID", "systemd"), ("KUBERNETES_SERVICE_HOST", "Kubernetes"), ("container", "a container manager")];
    Environment {
        unknown: unknown(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned())),
        proxies: proxies.filter(is_set).collect(),
        manager: managers.into_iter().find_map(|(name, manager)| is_set(&name).then_some(manager)),
    }
}

/// Variables of ours that no command knows, each with the name that is most like it.
fn unknown(set: impl Iterator<Item = String>) -> Vec<(String, Option<String>)> {
    let mut command = Cli::command();
    command.build();
    let arguments = command.get_arguments().chain(command.get_subcommands().flat_map(clap::Command::get_arguments));
    let mut known: BTreeSet<String> =
        arguments.filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())).collect();
    known.extend(CREDENTIALS.iter().flat_map(|name| [format!("{PREFIX}{name}"), format!("{PREFIX}{name}_FILE")]));
    let likeness = |name: &str, other: &str| strsim::jaro_winkler(&name[PREFIX.len()..], &other[PREFIX.len()..]);
    let nearest = |name: &str| {
        let near = known.iter().map(|other| (likeness(name, other), other)).filter(|(like, _)| *like >= NEAR);
        near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other.clone())
    };
    let mut unknown: Vec<_> = set
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| (nearest(&name), name))
        .map(|(near, name)| (name, near))
        .collect();
    unknown.sort();
    unknown
}

/// The findings by group, with colours that go where there is no terminal.
fn text(diagnosis: &Diagnosis) -> String {
    let width = diagnosis.checks.iter().map(|line| line.check.len()).max().unwrap_or(0);
    let (mut text, mut group) = (String::new(), "");
    for Line { group: of, check, finding: Finding { level, what, remedy } } in &diagnosis.checks {
        if *of != group {
            let blank = if group.is_empty() { "" } else { "\n" };
            text += &format!("{blank}{of}\n");
            group = of;
        }
        let (style, what) = (style(*level), printable::escape(what));
        text += &format!("  {style}{:<4}{style:#}  {check:<width$}  {what}\n", level.as_str());
        if let Some(remedy) = remedy {
            text += &format!("        {:<width$}  -> {}\n", "", printable::escape(remedy));
        }
    }
    let counts = Level::ALL.map(|level| format!("{} {}", diagnosis.count(level), level.as_str()));
    text + &format!("\n{}\n", counts.join(", "))
}

const fn style(level: Level) -> Style {
    let colour = match level {
        Level::Ok => AnsiColor::Green,
        Level::Warn => AnsiColor::Yellow,
        Level::Fail => AnsiColor::Red,
        Level::Skip => AnsiColor::BrightBlack,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_nobody_knows_is_named_with_the_one_that_was_meant() {
        let set =
            ["ZOHO_MAIL_ZIOD", "ZOHO_MAIL_ZOID", "ZOHO_MAIL_CLIENT_SECRET_FLIE", "ZOHO_MAIL_X", "ZOHO_MAIL_", "PATH"];
        let found = unknown(set.iter().map(ToString::to_string));
        let meant = |name: &str, near: Option<&str>| (name.to_owned(), near.map(str::to_owned));
        assert_eq!(
            found,
            [
                meant("ZOHO_MAIL_", None),
                meant("ZOHO_MAIL_CLIENT_SECRET_FLIE", Some("ZOHO_MAIL_CLIENT_SECRET_FILE")),
                meant("ZOHO_MAIL_X", None),
                meant("ZOHO_MAIL_ZIOD", Some("ZOHO_MAIL_ZOID")),
            ]
        );
    }
}
