//! The three reads: a page of the organization's users, one user, and a person's own accounts.
//!
//! In: the accounts and the query. Out: documents with the documented names (Zoho's documentation,
//! reading). Invariants: pages are offsets into the order of `accountId`; `start` and `limit` are
//! digits, once each, and the limit is at most 200. One user is read by zuid or e-mail, never by
//! `accountId`: mistaking the two is what the real service would not forgive either.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::account::Account;
use super::message::{Refusal, Reply};
use crate::account::{AccountId, Zoid, Zuid};

/// Accounts of a page when no limit is given (Zoho's documentation, reading).
const LIMIT_DEFAULT: usize = 10;

/// The most one may ask for (Zoho's documentation, reading).
const LIMIT_MAX: usize = 200;

type Accounts = BTreeMap<AccountId, Account>;

/// `GET /api/organization/{zoid}/accounts?start=&limit=`
pub(super) fn page(accounts: &Accounts, zoid: Zoid, query: &str) -> Result<Reply, Refusal> {
    let (start, limit) = window(query)?;
    let page: Vec<Value> = accounts.values().skip(start).take(limit).map(|account| account.listed(zoid)).collect();
    Ok(Reply::data(&page))
}

/// `GET /api/organization/{zoid}/accounts/{zuid or e-mail}`
pub(super) fn one(accounts: &Accounts, zoid: Zoid, user: &str) -> Result<Reply, Refusal> {
    let user = percent_decode_str(user)
        .decode_utf8()
        .map_err(|_| Refusal::input("PATTERN_NOT_MATCHED", "the user in the path is not UTF-8"))?;
    let zuid: Option<Zuid> = user.parse().ok();
    let found = accounts.values().find(|account| match zuid {
        Some(zuid) => account.zuid == zuid,
        None => account.email.eq_ignore_ascii_case(&user),
    });
    let unknown = || Refusal::new(404, "USER_NOT_FOUND", "no user has this zuid or e-mail; an accountId is neither");
    found.map(|account| Reply::data(&account.listed(zoid))).ok_or_else(unknown)
}

/// `GET /api/accounts`
pub(super) fn own(accounts: &Accounts, zoid: Zoid, person: Zuid) -> Reply {
    let own: Vec<Value> =
        accounts.values().filter(|account| account.zuid == person).map(|account| account.listed(zoid)).collect();
    Reply::data(&own)
}

fn window(query: &str) -> Result<(usize, usize), Refusal> {
    let pattern = |reason: &str| Refusal::input("PATTERN_NOT_MATCHED", reason);
    let (mut start, mut limit) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match key.as_ref() {
            "start" => &mut start,
            "limit" => &mut limit,
            _ => return Err(Refusal::input("EXTRA_PARAM_FOUND", "the listing takes start and limit only")),
        };
        let is_number = value.bytes().all(|b| b.is_ascii_digit());
        let number = value.parse::<usize>().ok().filter(|_| is_number);
        let number = number.ok_or_else(|| pattern("start and limit are whole numbers"))?;
        if slot.replace(number).is_some() {
            return Err(Refusal::input("EXTRA_PARAM_FOUND", "start or limit is there twice"));
        }
    }
    match limit.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok((start.unwrap_or(0), limit)),
        _ => Err(pattern("limit is not within 1 to 200")),
    }
}
