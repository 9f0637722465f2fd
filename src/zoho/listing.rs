//! The listing of an organization's accounts: one page of it, asked for and decoded.
//!
//! In: where a page begins and how long it is; the answer to that. Out: [`HttpRequest`]; [`PageAnswer`].
//! Invariants: of an answer only the fields named here are kept, for listings carry passwords and addresses of others;
//! numbers and booleans may be quoted; where two fields disagree, the state is unknown; an entry without a usable
//! `accountId` is counted and never guessed; an answer that is no whole listing is a failure, never a shorter list.
//! Absent by design: which page comes next (see [`super::paging`]), and retries.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::base_url::BaseUrl;
use super::credentials::AccessToken;
use super::request::{HttpRequest, Method, Principal, reading_headers};
use super::response::{Answer, HttpResponse, TransportError, classify, message};
use super::text::Secrets;
use crate::change::{Failure, Outcome, PauseCause};
use crate::condition::Reason;
use crate::observed::{ObservedAccount, Role};
use crate::timestamp::Timestamp;

/// The most accounts that one page may have (Zoho's documentation, reading).
pub const PAGE_MAX: u32 = 200;

/// How much of an answer is read, in bytes: a full page of entries that are eight times as long as those seen (2 kB).
pub(super) const LISTING_MAX: usize = PAGE_MAX as usize * 16 * 1024;

/// Which part of the listing to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many accounts come before it.
    pub start: u64,
    /// How many accounts it has at most: 1 to [`PAGE_MAX`].
    pub limit: u32,
}

/// One page of the listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The accounts that could be understood, in the service's order.
    pub accounts: Vec<ObservedAccount>,
    /// How many entries the answer had that could not: without a usable `accountId`.
    pub unusable: usize,
}

impl Page {
    /// How many entries the answer had.
    pub fn entries(&self) -> usize {
        self.accounts.len() + self.unusable
    }
}

/// What asking for a page led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAnswer {
    /// As a PUT's answer is judged; [`Outcome::Applied`] says that [`Self::page`] is there.
    pub answer: Answer,
    /// The page.
    pub page: Option<Page>,
}

/// The GET that asks for a page of the accounts that `principal` may see. A person's own accounts have no pages.
pub fn encode_listing(principal: Principal, window: Window, api_url: &BaseUrl, token: &AccessToken) -> HttpRequest {
    let Window { start, limit } = window;
    let path = match principal {
        Principal::Admin(zoid) => format!("/api/organization/{zoid}/accounts?start={start}&limit={limit}"),
        Principal::User => "/api/accounts".to_owned(),
    };
    HttpRequest {
        operation: "list",
        method: Method::Get,
        url: format!("{api_url}{path}"),
        headers: reading_headers(Some(token)),
        body: Vec::new().into(),
        answer_max: LISTING_MAX,
    }
}

/// The page in the answer to [`encode_listing`], or why there is none. `secrets` are those of the request, `now` is for a
/// `Retry-After` that names a date.
pub fn decode_listing(
    answer: &Result<HttpResponse, TransportError>,
    secrets: &Secrets<'_>,
    now: Timestamp,
) -> PageAnswer {
    let judged = classify(answer, secrets, now);
    let Ok(response) = answer else {
        let outcome = match judged.outcome {
            Outcome::InDoubt(failure) => Outcome::InDoubt(Failure { reason: Reason::ServiceUnavailable, ..failure }),
            other => other,
        };
        return PageAnswer { answer: Answer { outcome, ..judged }, page: None };
    };
    if judged.outcome != Outcome::Applied {
        let outcome = in_words_of_a_read(judged.outcome, response, secrets);
        return PageAnswer { answer: Answer { outcome, ..judged }, page: None };
    }
    match page(&response.body) {
        Some(page) => PageAnswer { answer: judged, page: Some(page) },
        None => {
            let hint = Some("expected a listing of accounts in data");
            let message = message(response, response.envelope().as_ref(), hint, secrets);
            let outcome = Outcome::InDoubt(Failure { reason: Reason::ServiceUnavailable, message });
            PageAnswer { answer: Answer { outcome, ..judged }, page: None }
        }
    }
}

/// What a PUT would be answered so is in doubt; a read only failed, and needs another scope.
fn in_words_of_a_read(outcome: Outcome, response: &HttpResponse, secrets: &Secrets<'_>) -> Outcome {
    let words = |hint| message(response, response.envelope().as_ref(), Some(hint), secrets);
    let scope = "make credentials with the scope ZohoMail.organization.accounts.READ as well, or ZohoMail.accounts.READ \
                 with user authentication";
    match outcome {
        Outcome::Paused(cause @ PauseCause::ScopeMissing, failure) => {
            Outcome::Paused(cause, Failure { message: words(scope), ..failure })
        }
        Outcome::Rejected(failure) if failure.reason == Reason::Forbidden => {
            let message = words("the owner of the token may not read these accounts");
            Outcome::Rejected(Failure { message, ..failure })
        }
        Outcome::InDoubt(Failure { reason: Reason::InDoubt, .. }) => Outcome::InDoubt(Failure {
            reason: Reason::ServiceUnavailable,
            message: words("expected a listing of accounts in data"),
        }),
        other => other,
    }
}

/// The answer, but for the entries.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The named fields of an entry, of whatever type they are.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    account_id: Value,
    zuid: Value,
    policy_id: Policy,
    primary_email_address: Value,
    mailbox_address: Value,
    mailbox_status: Value,
    enabled: Value,
    /// How old samples name it.
    account_enabled: Value,
    active_sync_enabled: Value,
    role: Value,
}

/// Where an entry names its organization.
#[derive(Default)]
struct Policy(Value);

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut policy = Value::deserialize(deserializer)?;
        Ok(Self(policy.get_mut("zoid").map(Value::take).unwrap_or_default()))
    }
}

/// `None`: the body is no listing. One sample shows an object where there is one account.
fn page(body: &[u8]) -> Option<Page> {
    let data = serde_json::from_slice::<Body<'_>>(body).ok()?.data?.get();
    let entries: Vec<&RawValue> = match data {
        _ if is_blank(data) => Vec::new(),
        _ if data.starts_with('{') => vec![serde_json::from_str(data).ok()?],
        _ => serde_json::from_str(data).ok()?,
    };
    let mut page = Page::default();
    for entry in entries {
        match serde_json::from_str(entry.get()).ok().and_then(observed) {
            Some(account) => page.accounts.push(account),
            None => page.unusable += 1,
        }
    }
    forget_contradictions(&mut page.accounts);
    Some(page)
}

/// An object with nothing in it, as a service may write that there is no account.
fn is_blank(data: &str) -> bool {
    data.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
}

/// Where two entries are of one account and disagree, its state is unknown.
fn forget_contradictions(accounts: &mut [ObservedAccount]) {
    let mut first = BTreeMap::new();
    for at in 0..accounts.len() {
        let Some(before) = first.insert(accounts[at].account, at) else { continue };
        let agreed = |field: fn(&ObservedAccount) -> Option<bool>| {
            field(&accounts[before]).filter(|value| field(&accounts[at]) == Some(*value))
        };
        let (enabled, sync) = (agreed(|account| account.enabled), agreed(|account| account.active_sync_enabled));
        for of_it in [before, at] {
            (accounts[of_it].enabled, accounts[of_it].active_sync_enabled) = (enabled, sync);
        }
    }
}

fn observed(entry: Entry) -> Option<ObservedAccount> {
    let text = |value: Value| value.as_str().filter(|text| !text.is_empty()).map(Box::from);
    Some(ObservedAccount {
        account: id(&entry.account_id)?,
        zuid: id(&entry.zuid),
        zoid: id(&entry.policy_id.0),
        email: text(entry.primary_email_address).or_else(|| text(entry.mailbox_address)),
        role: entry.role.as_str().map(role),
        enabled: mailbox_enabled([&entry.mailbox_status, &entry.enabled, &entry.account_enabled]),
        active_sync_enabled: flag(&entry.active_sync_enabled),
    })
}

/// Which field `disableMailAccount` changes is not documented: every field that is there has to say the same.
fn mailbox_enabled([status, enabled, account_enabled]: [&Value; 3]) -> Option<bool> {
    let status = match status {
        Value::Null => None,
        // Values other than "enabled" are not documented.
        Value::String(text) => Some(Some(text.trim().eq_ignore_ascii_case("enabled"))),
        _ => Some(None),
    };
    let others = [enabled, account_enabled].map(|value| (!value.is_null()).then(|| flag(value)));
    let mut said = [status].into_iter().chain(others).flatten();
    let first = said.next()??;
    said.all(|other| other == Some(first)).then_some(first)
}

/// Ids are numbers in some answers, and digits in others.
fn id<T: std::str::FromStr>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Old samples quote booleans.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn role(text: &str) -> Role {
    match text {
        _ if text.eq_ignore_ascii_case("super_admin") => Role::SuperAdmin,
        _ if text.eq_ignore_ascii_case("admin") => Role::Admin,
        _ => Role::Member,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::zoho::response::Code;

    fn decode(body: &[u8]) -> PageAnswer {
        let response = HttpResponse { status: 200, body: body.to_vec(), ..HttpResponse::default() };
        decode_listing(&Ok(response), &Secrets::default(), Timestamp::default())
    }

    fn listing(data: &Value) -> Page {
        decode(json!({"status": {"code": 200}, "data": data}).to_string().as_bytes()).page.unwrap()
    }

    fn one(entry: Value) -> ObservedAccount {
        let mut entry = entry;
        entry["accountId"] = json!("2560636000000008002");
        let page = listing(&json!([entry]));
        assert_eq!(page.unusable, 0, "{entry}");
        page.accounts.into_iter().next().unwrap()
    }

    #[test]
    fn an_account_that_is_listed_twice_with_different_states_has_none_that_is_known() {
        let body = br#"{"status":{"code":200},"data":[{"accountId":"1","enabled":false,"activeSyncEnabled":true},
            {"accountId":"1","enabled":true,"activeSyncEnabled":true}]}"#;
        let page = page(body).unwrap();
        let states: Vec<_> =
            page.accounts.iter().map(|account| (account.enabled, account.active_sync_enabled)).collect();
        assert_eq!(states, [(None, Some(true)); 2]);
    }

    #[test]
    fn an_entry_is_read_in_every_form_of_the_samples() {
        let entry = json!({"accountId": "2560636000000008002", "zuid": 1111111, "policyId": {"zoid": 12345678},
            "primaryEmailAddress": "a@example.com", "mailboxAddress": "b@example.com", "mailboxStatus": "enabled",
            "enabled": true, "status": true, "activeSyncEnabled": false, "role": "member",
            "sendMailDetails": [{"password": "secret"}]});
        let quoted = json!({"accountId": 2560636000000008002_u64, "zuid": "1111111", "policyId": {"zoid": "12345678"},
            "mailboxAddress": "a@example.com", "accountEnabled": "true", "activeSyncEnabled": "false", "role": "MEMBER"});
        let expected = ObservedAccount {
            account: "2560636000000008002".parse().unwrap(),
            zuid: "1111111".parse().ok(),
            zoid: "12345678".parse().ok(),
            email: Some("a@example.com".into()),
            role: Some(Role::Member),
            enabled: Some(true),
            active_sync_enabled: Some(false),
        };
        for data in [json!([entry, quoted]), json!([quoted, entry])] {
            assert_eq!(listing(&data).accounts, [expected.clone(), expected.clone()]);
        }
        assert_eq!(listing(&entry).accounts, [expected], "one account as an object");
        assert_eq!(listing(&json!([])), Page::default());
    }

    #[test]
    fn what_disagrees_or_is_not_said_is_unknown() {
        for (entry, enabled) in [
            (json!({"mailboxStatus": "enabled", "enabled": true}), Some(true)),
            (json!({"mailboxStatus": "Enabled", "enabled": "TRUE"}), Some(true)),
            (json!({"mailboxStatus": "disabled", "enabled": false}), Some(false)),
            (json!({"mailboxStatus": "suspended"}), Some(false)),
            (json!({"enabled": false}), Some(false)),
            (json!({"accountEnabled": "true"}), Some(true)),
            (json!({"mailboxStatus": "enabled", "enabled": false}), None),
            (json!({"mailboxStatus": "disabled", "enabled": true}), None),
            (json!({"mailboxStatus": "enabled", "accountEnabled": "false"}), None),
            (json!({"mailboxStatus": 1, "enabled": true}), None),
            (json!({"mailboxStatus": "enabled", "enabled": "yes"}), None),
            (json!({}), None),
        ] {
            assert_eq!(one(entry.clone()).enabled, enabled, "{entry}");
        }
        for (flag, expected) in
            [(json!(true), Some(true)), (json!("False"), Some(false)), (json!(1), None), (json!(null), None)]
        {
            assert_eq!(one(json!({"activeSyncEnabled": flag})).active_sync_enabled, expected, "{flag}");
        }
        assert_eq!(one(json!({"role": "super_admin"})).role, Some(Role::SuperAdmin));
        assert_eq!(one(json!({"role": 7})).role, None);
    }

    #[test]
    fn an_entry_without_a_usable_id_is_counted_and_hides_no_other() {
        let entries = json!([{"accountId": "0"}, {"accountId": 1.5}, {}, 7, null, {"accountId": "12"}, {"zuid": 3}]);
        let page = listing(&entries);
        assert_eq!((page.accounts.len(), page.unusable, page.entries()), (1, 6, 7));
    }

    #[test]
    fn what_is_no_whole_listing_is_a_failure_and_no_shorter_list() {
        for body in [
            r#"{"status":{"code":200}}"#,
            r#"{"status":{"code":200},"data":null}"#,
            r#"{"status":{"code":200},"data":"none"}"#,
            r#"{"status":{"code":200},"data":7}"#,
        ] {
            let PageAnswer { answer, page } = decode(body.as_bytes());
            let Outcome::InDoubt(failure) = answer.outcome else { panic!("{body}: {answer:?}") };
            assert_eq!((failure.reason, page), (Reason::ServiceUnavailable, None), "{body}");
        }
        let whole = json!({"status": {"code": 200}, "data": [{"accountId": "12"}]}).to_string();
        for end in 0..whole.len() {
            assert_eq!(decode(&whole.as_bytes()[..end]).page, None, "{end}");
        }
        let long = HttpResponse { status: 200, body: whole.into_bytes(), truncated: true, ..HttpResponse::default() };
        let cut = decode_listing(&Ok(long), &Secrets::default(), Timestamp::default());
        assert_eq!((cut.page, cut.answer.code), (None, Code::Http(200)));
        let lost =
            decode_listing(&Err(TransportError::Lost("reset".into())), &Secrets::default(), Timestamp::default());
        assert_eq!((lost.page, lost.answer.code), (None, Code::Lost));
    }

    #[test]
    fn a_page_is_asked_for_by_its_offset_and_a_person_has_no_pages() {
        let (api, token) = ("https://mail.zoho.com".parse().unwrap(), AccessToken::new("t").unwrap());
        let url = |principal| encode_listing(principal, Window { start: 400, limit: 200 }, &api, &token).url;
        let admin = Principal::Admin("12345678".parse().unwrap());
        assert_eq!(url(admin), "https://mail.zoho.com/api/organization/12345678/accounts?start=400&limit=200");
        assert_eq!(url(Principal::User), "https://mail.zoho.com/api/accounts");
    }
}
