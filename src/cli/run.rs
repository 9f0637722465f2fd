//! `run`: the daemon.

mod banner;

use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tracing::info;

use self::banner::Banner;
use super::Exit;
use super::engine::{self, Engine};
use super::load;
use super::policies::{self, PolicyFiles};
use super::webhook::{self, Watched};
use crate::account::AuthMode;
use crate::attribution::Baseline;
use crate::config::{
    Daemon, Disruptions, DriftInterval, Folder, Listen, Notifications, RateLimitOption, Service, Target, UsageError,
};
use crate::controller::{DriftPolicy, Mode, Settings};
use crate::manifest::{Parsed, Protection, Rules};
use crate::queue::Backoff;
use crate::report::Report;
use crate::source::{Batch, Watch};
use crate::{admin, page, service, shutdown, source, telemetry};

/// `run`.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
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
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.serve())
    }

    fn settings(&self) -> Result<Settings, UsageError> {
        let Self { target, service, disruptions, daemon, .. } = self;
        let (allowance, external) = (disruptions.options(), daemon.external_url.clone());
        let settings = service.settings(Mode::Run, target.sandbox, allowance, daemon.shutdown_grace, external)?;
        let refresh = daemon.refresh_at_start.then(|| target.principal()).transpose()?;
        let drift_interval = match daemon.drift_interval {
            DriftInterval::Off => None,
            DriftInterval::Every(interval) => Some((interval, target.principal()?)),
        };
        let drift_policy = daemon.drift_policy.into();
        if drift_policy == DriftPolicy::Correct && drift_interval.is_none() {
            let text = "--drift-policy correct needs --drift-interval: say how often the service is read, such as 1h";
            return Err(UsageError(text.into()));
        }
        let min = daemon.resync_interval.min(settings.rejected.max);
        Ok(Settings {
            refresh,
            drift_interval,
            drift_policy,
            rejected: Backoff { min, ..settings.rejected },
            ..settings
        })
    }

    async fn serve(self) -> anyhow::Result<Exit> {
        let settings = self.settings()?;
        let Self { folder, target, service, disruptions, daemon, notify } = self;
        let watch = Watch { git: folder.git(), needs: disruptions.protect.needs(), ..daemon.watch() };
        let external = daemon.external_url;
        let protection = disruptions.protect.protection_to_act(&folder.desired_state)?;
        let webhook = webhook::check(&notify)?;
        let Engine { controller, reports, metrics, clock, inputs, outside, acknowledged, known, cancel } =
            engine::build(&target, &service, settings, Arc::clone(&protection), |network| network).await?;
        // After the ledger: a second daemon learns of the first, and not of its port.
        let listener = bind(daemon.listen).await?;
        let resync = Arc::new(Notify::new());
        let (read_again, watched) = (Arc::clone(&resync), reports.clone());
        shutdown::listen(
            outside.stops,
            move || {
                tokio::spawn(service::reload(watched.clone()));
                read_again.notify_one();
            },
            telemetry::flush,
        )?;
        if let Some(webhook) = webhook {
            let (reports, queries, metrics) = (reports.clone(), outside.queries.clone(), Arc::clone(&metrics));
            let (ledger, instance) = (target.ledger_file(), target.owner()?.to_string());
            let clock = clock.clone();
            let watched = Watched { reports, queries, metrics, clock, ledger, instance, external };
            webhook::start(notify, &webhook, watched, cancel.clone());
        }
        if let Some(listener) = listener {
            let metrics = Arc::new(move |open, report: &Report, now| {
                metrics.log_lines_dropped(telemetry::lines_dropped());
                if open { metrics.open_metrics(report, now) } else { metrics.text(report, now) }
            });
            let (target, queries, clock) = (page::target(target.owner()?).into(), outside.queries, clock.clone());
            let pages = admin::Pages { reports: reports.clone(), target, queries, metrics, clock };
            admin::serve(listener, pages, cancel.clone());
        }
        service::tell_manager(reports.clone(), clock, cancel.clone());
        let auth = target.auth.into();
        let banner = Banner {
            target: target.owner()?.to_string(),
            service: service.host(target.sandbox),
            folder: folder.desired_state.clone(),
            ledger: target.ledger_file(),
            limit: service.limit(target.sandbox).map_or(RateLimitOption::Unlimited, RateLimitOption::Limited),
            resync: daemon.resync_interval,
        };
        banner.started();
        tokio::spawn(banner.ready(reports.clone()));
        let (looks_out, looks) = mpsc::channel(1);
        let protected = Arc::clone(&protection);
        let (root, git) = (folder.desired_state.clone(), folder.git());
        let parse = move |path: &Arc<str>, bytes: &[u8]| {
            policies::parse(&root, &git, path, bytes, Rules { auth, protection: &protected })
        };
        let policies = PolicyFiles::new(folder.desired_state.clone(), folder.git(), known);
        let watcher = source::watch(folder.desired_state, watch, Arc::new(parse), looks_out, resync, cancel.clone());
        tokio::spawn(attribute(looks, outside.looks, (auth, protection), acknowledged, policies));
        let ended = controller.run(inputs).await;
        cancel.cancel();
        engine::close(ended)?;
        drop(watcher);
        info!("stopped");
        Ok(Exit::Done)
    }
}

/// The socket of the pages, if there are to be any.
async fn bind(listen: Listen) -> anyhow::Result<Option<TcpListener>> {
    Ok(match listen {
        Listen::On(address) => Some(admin::bind(address).await?),
        Listen::Off => None,
    })
}

/// Passes each look on once it is known whose work it is. Of the first one, what was acknowledged before is nobody's
/// question; whatever changes later is news.
async fn attribute(
    mut looks: mpsc::Receiver<Batch<Parsed>>,
    out: mpsc::Sender<Batch<Parsed>>,
    (auth, protection): (AuthMode, Arc<Protection>),
    mut acknowledged: Baseline,
    mut policies: PolicyFiles,
) {
    while let Some(mut batch) = looks.recv().await {
        let is_first_full = batch.full && !batch.files.is_empty();
        let protection = Arc::clone(&protection);
        let attributed = tokio::task::spawn_blocking(move || {
            policies.look_after(&mut batch);
            load::attribute(&mut batch, Rules { auth, protection: &protection }, &acknowledged);
            (batch, acknowledged, policies)
        });
        let Ok((batch, known, files)) = attributed.await else { return };
        policies = files;
        acknowledged = if is_first_full { Baseline::default() } else { known };
        if out.send(batch).await.is_err() {
            return;
        }
    }
}
