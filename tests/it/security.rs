//! What a stranger can do to this program, and what it may give away: nothing.
//!
//! The strangers: who writes a manifest, who answers as the service, who asks for the pages, who may read this
//! machine's files and logs. Each part is a table of what they try, held against the real binary.

mod canary;
mod crash;
mod files;
mod network;
mod pages;
mod rules;
mod text;

use zoho_mail_reconciler::account::AccountId;

/// A fault: the service says `words` in every place it has for words, the first time it is asked.
fn words(operation: &str, account: Option<AccountId>, status: u16, words: &str) -> String {
    let words = serde_json::to_string(words).unwrap();
    let account = account.map(|id| format!(r#""account": "{id}", "#)).unwrap_or_default();
    let body = format!(
        r#"{{"status": {{"code": {status}, "description": {words}}}, "error": {words}, "error_description": {words},
            "data": {{"errorCode": {words}, "moreInfo": {words}}}}}"#
    );
    let answer = format!(r#"{{"answer": {{"status": {status}, "body": {body}}}}}"#);
    format!(r#"{{"operation": "{operation}", {account}"times": 1, "do": {answer}}}"#)
}
