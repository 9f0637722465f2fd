#![no_main]
//! Any text where an option, a setting or a fault script stands. Holds: a value or an error, never a panic; and
//! what is read prints as something that reads the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::guard::{DisruptionBudget, GrantBudget};
use zoho_mail_reconciler::ledger::Owner;
use zoho_mail_reconciler::sandbox::Script;
use zoho_mail_reconciler::throttle::RateLimit;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::BaseUrl;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(script) = Script::parse(bytes) {
        assert!(script.len() <= 1000);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same::<AccountId>(text);
    same::<DisruptionBudget>(text);
    same::<GrantBudget>(text);
    same::<Owner>(text);
    same::<RateLimit>(text);
    same::<Timestamp>(text);
    same::<BaseUrl>(text);
});

fn same<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().unwrap(), value, "{text:?}");
    }
}
