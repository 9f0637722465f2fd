//! The accounts that the service lists, and whether they are those of the manifests.
//!
//! In: a token. Out: what they say about the organization, and about the manifests.
//! Invariants: no more pages than half of what the request budget has left, and none begun after [`PATIENCE`]; an account
//! that was not listed is missing only if all of the listing was read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Finding, Subject, count, now};
use crate::account::{AccountId, Zuid};
use crate::change::{Outcome, PauseCause};
use crate::observed::ObservedAccount;
use crate::zoho::{AccessToken, Answer, Code, Extent, PageAnswer, Paging, Principal, Reader};

/// No page is begun after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was read.
pub(super) struct Listed {
    accounts: Vec<ObservedAccount>,
    /// Whether these are all.
    whole: bool,
    /// Why the first page is not there.
    failed: Option<Answer>,
}

/// Reads page by page, as far as time and the request budget go.
pub(super) async fn read(
    subject: &Subject,
    reader: &Reader,
    principal: Principal,
    token: &AccessToken,
) -> (Finding, Finding) {
    let (began, mut paging) = (Instant::now(), Paging::new(principal));
    let mut listed = Listed { accounts: Vec::new(), whole: false, failed: None };
    for _ in 0..pages(subject) {
        let PageAnswer { answer, page } = reader.page(&subject.api, principal, token, paging.window()).await;
        match page {
            Some(mut page) => {
                let extent = paging.take(&mut page);
                listed.accounts.append(&mut page.accounts);
                if extent != Extent::More {
                    listed.whole = extent == Extent::Whole;
                    break;
                }
            }
            None if answer.code == Code::Timeout && paging.shorten() => listed.failed = Some(answer),
            None => {
                listed.failed = Some(answer);
                break;
            }
        }
        if began.elapsed() >= PATIENCE {
            break;
        }
    }
    judge(subject, principal, &listed)
}

/// How many pages may be asked for: the daemon keeps as much.
fn pages(subject: &Subject) -> usize {
    let Some(limit) = subject.limit else { return usize::MAX };
    let now = now();
    let used =
        subject.known().map_or(0, |ledger| ledger.requests.iter().filter(|at| now.since(**at) < limit.per).count());
    (limit.count as usize).saturating_sub(used).div_ceil(2).max(1)
}

/// What the accounts say about the organization, and about the manifests.
fn judge(subject: &Subject, principal: Principal, listed: &Listed) -> (Finding, Finding) {
    if let Some(failed) = listed.failed.as_ref().filter(|_| listed.accounts.is_empty()) {
        return (refused(failed), Finding::skip("nothing to compare the manifests with"));
    }
    let mut zoids = listed.accounts.iter().filter_map(|account| account.zoid);
    let other = zoids.find(|zoid| Principal::Admin(*zoid) != principal);
    let organization = match (principal, other) {
        (Principal::Admin(zoid), Some(other)) => Finding::warn(
            format!("asked for {zoid}, the service listed accounts of {other}"),
            "check --zoid: policyId.zoid of GET /api/accounts is the one to use",
        ),
        (Principal::Admin(zoid), None) => Finding::ok(format!("{zoid} lets us read its accounts")),
        (Principal::User, _) => Finding::ok("the person's own account can be read"),
    };
    (organization, compared(subject, listed))
}

fn refused(answer: &Answer) -> Finding {
    let later = "try again later; if it lasts, look at the service's status page";
    match &answer.outcome {
        Outcome::Paused(PauseCause::ScopeMissing, _) => {
            Finding::skip("the token may not read accounts, which the daemon need not either")
        }
        Outcome::Paused(PauseCause::TokenRefused, failure) => {
            Finding::fail(&*failure.message, "zoho-mail-reconciler explain Unauthorized")
        }
        Outcome::Rejected(failure) if matches!(answer.code, Code::Http(403 | 404)) => Finding::fail(
            &*failure.message,
            "check --zoid and --data-center; the owner of the refresh token must be an administrator there",
        ),
        Outcome::Rejected(failure)
        | Outcome::Retry(failure)
        | Outcome::InDoubt(failure)
        | Outcome::Paused(PauseCause::Throttled, failure) => Finding::warn(&*failure.message, later),
        // A page that says success and is no listing is in doubt.
        Outcome::Applied => Finding::warn("the service lists nothing", later),
    }
}

fn compared(subject: &Subject, Listed { accounts, whole, .. }: &Listed) -> Finding {
    let Some(desired) = subject.desired() else { return Finding::skip("there are no manifests to compare with") };
    if subject.sandbox || accounts.is_empty() {
        return Finding::skip("the service lists no accounts to compare with");
    }
    let there: BTreeMap<AccountId, _> = accounts.iter().map(|listed| (listed.account, listed.zuid)).collect();
    let users: BTreeSet<u64> = accounts.iter().filter_map(|listed| Some(listed.zuid?.get())).collect();
    let is_account = |zuid: Zuid| AccountId::new(zuid.get()).is_some_and(|id| there.contains_key(&id));
    let (mut wrong, mut missing, mut swapped, mut found) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (id, account) in desired.iter() {
        match there.get(&id) {
            Some(Some(zuid)) if account.spec.zuid.is_some_and(|ours| ours != *zuid) => wrong.push(account.name),
            Some(_) => found += 1,
            None if users.contains(&id.get()) || account.spec.zuid.is_some_and(is_account) => {
                swapped.push(account.name)
            }
            None if *whole => missing.push(account.name),
            None => {}
        }
    }
    let first = |names: &[&std::sync::Arc<str>]| {
        let shown: Vec<_> = names.iter().take(3).map(|name| &***name).collect();
        format!("{}{}", shown.join(", "), if names.len() > shown.len() { ", …" } else { "" })
    };
    if !swapped.is_empty() {
        return Finding::warn(
            format!("accountId and zuid are swapped, or taken from each other's place, in {}", first(&swapped)),
            "spec.accountId is the listing's accountId, and spec.zuid its zuid",
        );
    }
    if !wrong.is_empty() {
        let what = format!("the service knows another zuid for {}", first(&wrong));
        return Finding::warn(
            what,
            "compare spec.zuid with the zuid of the listing; accountId and zuid are easily mixed up",
        );
    }
    if !missing.is_empty() {
        let what = format!("the service does not list {}", first(&missing));
        return Finding::warn(what, "check spec.accountId: zoho-mail-reconciler explain AccountNotFound");
    }
    let managed = desired.managed();
    if *whole {
        return Finding::ok(format!("the service lists all {} of the manifests", count(managed, "account")));
    }
    let read = count(accounts.len(), "account");
    Finding::ok(format!(
        "{found} of {managed} found among {read} that were read; there are more than there was time for"
    ))
}
