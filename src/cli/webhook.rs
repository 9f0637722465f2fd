//! Wires the notifier to the network, for `run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock::Clock;
use crate::config::{Notifications, UsageError, Webhook};
use crate::metrics::Metrics;
use crate::notice::message::About;
use crate::notifier::{self, Notifier, Post};
use crate::report::Report;
use crate::runbook::{self, ExternalUrl};
use crate::status::{MailAccountList, Part};
use crate::version::VERSION;
use crate::zoho::{ANSWER_MAX, HeaderText, HttpRequest, HttpTransport, Method, Transport as _};

/// How long one request may take: a webhook takes a second, and nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("user-agent", concat!("zoho-mail-reconciler/", env!("CARGO_PKG_VERSION")))];

/// What the notifier watches, and whom it asks.
pub(super) struct Watched {
    pub(super) reports: watch::Receiver<Report>,
    pub(super) queries: mpsc::Sender<(Part, oneshot::Sender<MailAccountList>)>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) ledger: PathBuf,
    /// Whose accounts.
    pub(super) instance: String,
    /// Where people reach the pages.
    pub(super) external: Option<ExternalUrl>,
}

/// What is wrong with the options, before anything is begun.
pub(super) fn check(notify: &Notifications) -> Result<Option<Webhook>, UsageError> {
    Ok(notify.webhook()?)
}

/// Starts the notifier.
pub(super) fn start(notify: Notifications, webhook: &Webhook, watched: Watched, cancel: CancellationToken) {
    let Watched { reports, queries, metrics, clock, ledger, instance, external } = watched;
    let runbook = Box::new(move |key: &str| runbook::link(external.as_ref(), key));
    info!(host = webhook.host, "trouble is told to a webhook");
    let notifier = Notifier {
        reports,
        queries,
        clock,
        ledger,
        settle: notify.notify_after,
        about: About { instance, version: VERSION, runbook },
        post: post(notify),
        count: Box::new(move |result| metrics.notified(result)),
    };
    notifier::start(notifier, cancel);
}

/// One POST to the webhook as it is named then: of its answer only the status counts.
fn post(notify: Notifications) -> Post {
    // A client of its own: what hangs here takes no connection from the service's.
    let (transport, notify) = (Arc::new(HttpTransport::new(TIMEOUT)), Arc::new(notify));
    Arc::new(move |body| {
        let (transport, notify) = (Arc::clone(&transport), Arc::clone(&notify));
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || check(&notify)).await;
            let webhook = read.map_err(|_| "its URL could not be read")?.map_err(|error| error.to_string())?;
            let Webhook { host, .. } = webhook.as_ref().ok_or("its URL is gone")?;
            let request = HttpRequest {
                operation: "notify",
                method: Method::Post,
                url: webhook.as_ref().map(|webhook| webhook.expose().to_owned()).unwrap_or_default(),
                headers: HEADERS.map(|(name, value)| (name, HeaderText::Plain(value))).into(),
                body: body.into(),
                answer_max: ANSWER_MAX,
            };
            match transport.send(request).await {
                Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
                Ok(answer) => Err(format!("{host} answered with HTTP {}", answer.status)),
                Err(error) => Err(format!("{host}: {error}")),
            }
        })
    })
}
