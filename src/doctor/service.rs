//! The service: out of reach or not, and whether it would do what it is asked.
//!
//! In: where it is, and the credentials. Out: a line for each step, of which the later ones are skipped where an earlier
//! one failed, since they would only say the same again.
//! Invariants: as of the parent; what is not certain is a warning, for the pages that describe the service are not.

use std::time::Duration;

use super::surroundings::{proxy, skew};
use super::{Finding, Line, Subject, apart, count, listing, now, plan};
use crate::account::AuthMode;
use crate::throttle::{TOKEN_REQUESTS, TOKEN_WINDOW};
use crate::timestamp::Timestamp;
use crate::zoho::{AccessToken, BaseUrl, Credentials, Reader, TokenOutcome, Unreachable};

/// What depends on the calendar (a `Retry-After` with a date, an approval's end) is off by this much: worth a word.
pub(super) const SKEW_WARN: Duration = Duration::from_secs(5);

/// From here on a clock that is set right between two runs may forget a whole window of requests, whose default is a
/// minute.
pub(super) const SKEW_FAIL: Duration = Duration::from_secs(60);

const NETWORK: &str = "Network";
const SERVICE: &str = "Service";

pub(super) fn target(subject: &Subject) -> Finding {
    match &subject.owner {
        Ok(owner) => Finding::ok(format!("{owner}, at {}", subject.api.host())),
        Err(why) => {
            let (what, remedy) = apart(why, "zoho-mail-reconciler run --help");
            Finding::fail(what, remedy)
        }
    }
}

pub(super) fn credentials(subject: &Subject) -> Finding {
    match subject.credentials.load() {
        Ok(Credentials::Refresh(_)) => Finding::ok("client id, client secret and refresh token are there"),
        Ok(Credentials::Token(_)) => Finding::warn(
            "an access token alone: it lives an hour at most, and nothing follows it",
            "for a daemon give it ZOHO_MAIL_CLIENT_ID, ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_REFRESH_TOKEN",
        ),
        Err(error) => Finding::error(&error, "zoho-mail-reconciler explain Unauthorized"),
    }
}

/// All that needs the network. What has not come out within `patience` has failed.
pub(super) async fn look(subject: &Subject, patience: Duration) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    let reason = match plan::pause(subject) {
        _ if subject.offline => Some("--offline".to_owned()),
        Some(pause) => Some(format!("the service's pause lasts until {}", pause.until)),
        None => None,
    };
    if let Some(reason) = reason {
        STEPS.iter().for_each(|(group, check)| lines.add(group, check, Finding::skip(&*reason)));
        return lines.0;
    }
    lines.add(NETWORK, "proxy", proxy(subject));
    if tokio::time::timeout(patience, walk(subject, &mut lines)).await.is_err() {
        let late =
            || Finding::fail("no answer in time", "look at the network in between, and at the service's status page");
        let missing: Vec<_> =
            STEPS.iter().filter(|(_, check)| lines.0.iter().all(|line| line.check != *check)).collect();
        missing.into_iter().for_each(|(group, check)| lines.add(group, check, late()));
    }
    lines.0
}

/// The steps in the order in which they are printed.
const STEPS: [(&str, &str); 8] = [
    (NETWORK, "proxy"),
    (NETWORK, "accounts host"),
    (NETWORK, "mail host"),
    (NETWORK, "time"),
    (SERVICE, "token"),
    (SERVICE, "scopes"),
    (SERVICE, "organization"),
    (SERVICE, "accounts"),
];

struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, group: &'static str, check: &'static str, finding: Finding) {
        self.0.push(Line { group, check, finding });
    }
}

async fn walk(subject: &Subject, lines: &mut Lines) {
    let reader = Reader::new(subject.timeout);
    let proxied = !subject.environment.proxies.is_empty();
    let (accounts, api) = tokio::join!(reader.reach(&subject.accounts, proxied), reader.reach(&subject.api, proxied));
    let here = now();
    lines.add(NETWORK, "accounts host", reached(&accounts, &subject.accounts, proxied));
    lines.add(NETWORK, "mail host", reached(&api, &subject.api, proxied));
    let date = [&accounts, &api].into_iter().find_map(|found| found.as_ref().ok().copied().flatten());
    lines.add(
        NETWORK,
        "time",
        date.map_or_else(|| Finding::skip("the service shows no clock"), |date| skew(date, here)),
    );
    let (finding, scopes, token) = match accounts {
        Ok(_) => token(subject, &reader).await,
        Err(_) => (Finding::skip("the accounts host is out of reach"), None, None),
    };
    lines.add(SERVICE, "token", finding);
    lines.add(SERVICE, "scopes", self::scopes(subject, scopes.as_deref(), token.is_some()));
    let (organization, accounts) = match (&token, subject.principal, api) {
        (Some(token), Some(principal), Ok(_)) => listing::read(subject, &reader, principal, token).await,
        _ => (Finding::skip("needs a token, a target and the mail host"), Finding::skip("needs the same")),
    };
    lines.add(SERVICE, "organization", organization);
    lines.add(SERVICE, "accounts", accounts);
}

fn reached(found: &Result<Option<Timestamp>, Unreachable>, url: &BaseUrl, proxied: bool) -> Finding {
    let host = url.host();
    let Err(error) = found else {
        let way = match (url.is_https(), proxied) {
            (true, true) => "through the proxy, with a certificate that is trusted",
            (true, false) => "by name, connection and trusted certificate",
            (false, _) => "on this machine",
        };
        return Finding::ok(format!("{host} is reached {way}"));
    };
    let remedy = match error {
        Unreachable::NoRoots(_) => {
            "install CA certificates (package ca-certificates), or name a PEM file in SSL_CERT_FILE"
        }
        Unreachable::Name(_) => "check the name, /etc/resolv.conf, and whether a proxy has to be used (HTTPS_PROXY)",
        Unreachable::Connection(_) => "let this machine out to it (firewall, NetworkPolicy), or set HTTPS_PROXY",
        Unreachable::Tls(why) if why.contains("Expired") || why.contains("NotValidYet") => {
            "check this machine's clock first, then the certificate"
        }
        Unreachable::Tls(_) => {
            "if a proxy inspects TLS here, add its certificate to the system's, or name it in SSL_CERT_FILE"
        }
        Unreachable::Answer(_) => "look at the network in between, and at the service's status page",
    };
    Finding::fail(format!("{host}: {error}"), remedy)
}

/// The one token of this run, unless the ledger says that another one would be too many.
async fn token(subject: &Subject, reader: &Reader) -> (Finding, Option<Vec<String>>, Option<AccessToken>) {
    let now = now();
    let asked = subject
        .known()
        .map_or(0, |ledger| ledger.token_requests.iter().filter(|at| now.since(**at) < TOKEN_WINDOW).count());
    let credentials = match subject.credentials.load() {
        Ok(Credentials::Refresh(credentials)) => credentials,
        Ok(Credentials::Token(token)) => {
            return (Finding::ok("the one that was given; the service tells below"), None, Some(token));
        }
        Err(_) => return (Finding::skip("there are no credentials"), None, None),
    };
    // The daemon, which cannot know of ours, must be left with one.
    if asked + 1 >= TOKEN_REQUESTS {
        let what =
            format!("{} within ten minutes already: one more could lock everybody out", count(asked, "token request"));
        return (Finding::new(super::Level::Warn, what, Some("wait ten minutes, then ask again".into())), None, None);
    }
    let grant = reader.token(&subject.accounts, &credentials).await;
    let finding = match &grant.outcome {
        TokenOutcome::Granted { .. } => Finding::ok("granted; the ledger cannot count this one of ten in ten minutes"),
        TokenOutcome::Refused(failure) => Finding::fail(&*failure.message, "zoho-mail-reconciler explain Unauthorized"),
        TokenOutcome::Throttled(failure, _) => {
            Finding::warn(&*failure.message, "wait ten minutes, and ask for no token meanwhile")
        }
        TokenOutcome::Unavailable(failure) => Finding::fail(
            &*failure.message,
            "check --accounts-url and --data-center; if they are right, zoho-mail-reconciler explain TokenUnavailable",
        ),
    };
    let token = match grant.outcome {
        TokenOutcome::Granted { token, .. } => Some(token),
        _ => None,
    };
    (finding, grant.scopes, token)
}

fn scopes(subject: &Subject, scopes: Option<&[String]>, granted: bool) -> Finding {
    let family = match subject.auth {
        AuthMode::Admin => "ZohoMail.organization.accounts",
        AuthMode::User => "ZohoMail.accounts",
    };
    let needed = format!("{family}.UPDATE");
    match scopes {
        _ if !granted => Finding::skip("there is no token"),
        None => Finding::skip(format!("the service does not say; the daemon needs {needed}")),
        Some(scopes) if scopes.iter().any(|scope| *scope == needed || *scope == format!("{family}.ALL")) => {
            Finding::ok(format!("{needed} is among them"))
        }
        Some(_) => Finding::fail(
            format!("the refresh token was made without {needed}"),
            "make a new one, with the scopes of step 2 in deploy/setup.md",
        ),
    }
}
