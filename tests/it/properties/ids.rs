//! Identifiers on their whole way: manifest, plan, request, ledger, status, and back. In: any "long" that Zoho
//! documents, most of them beyond what a float can hold. Out: the same digits everywhere.

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::Value;
use zoho_mail_reconciler::account::{AuthMode, Field, MAX_ID};
use zoho_mail_reconciler::desired::{DesiredState, Look};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::{Parsed, Rules, parse};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::zoho::{AccessToken, Principal, encode};

use super::{config, ms};

/// Where digits get lost: at 2^53 and around, at powers of ten, and at the end of the range.
fn any_id() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1..=MAX_ID,
        2 => ((1_u64 << 53) - 5)..((1_u64 << 53) + 5),
        1 => (MAX_ID - 1000)..=MAX_ID,
        1 => (0..19_u32, 0..3_u64).prop_map(|(power, off)| (10_u64.pow(power) + off).saturating_sub(1).max(1)),
        1 => 1..1000_u64,
    ]
}

/// The same to YAML, and read in different ways: as it stands, or by way of a parser that knows places.
const LAYOUTS: [&str; 2] = ["metadata:\n  name: a", "metadata: {name: a}"];

fn manifest(layout: &str, account: &str, zuid: &str) -> Parsed {
    let text = format!(
        "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\n{layout}\nspec:\n  accountId: {account}\n  \
         zuid: {zuid}\n  enabled: true\n  activeSyncEnabled: false\n"
    );
    parse(&"a.yaml".into(), text.as_bytes(), Rules { auth: AuthMode::Admin, ..Rules::default() })
}

/// The way a person may write a number in YAML and mean these digits.
fn any_style() -> impl Strategy<Value = fn(u64) -> String> {
    let styles: Vec<fn(u64) -> String> =
        vec![|id| format!("{id}"), |id| format!("\"{id}\""), |id| format!("'{id}'"), |id| format!("{id} # comment")];
    prop::sample::select(styles).no_shrink()
}

/// Digits that are not an id, or not these.
fn spoilt(id: u64) -> [String; 9] {
    [
        format!("{id}.0"),
        format!("{id}e0"),
        format!("!!int {id}"),
        format!("-{id}"),
        format!("+{id}"),
        format!("0{id}"),
        format!("0x{id:x}"),
        format!("{}", u128::from(id) + u128::from(MAX_ID)),
        format!("{id}_0"),
    ]
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn an_id_keeps_all_its_digits_from_the_manifest_to_the_wire_and_the_ledger_and_back(
        (account, zuid, zoid) in (any_id(), any_id(), any_id()), style in any_style(),
        layout in prop::sample::select(LAYOUTS.to_vec()),
    ) {
        prop_assume!(account != zuid);
        let parsed = manifest(layout, &style(account), &style(zuid));
        prop_assert_eq!(&parsed.problems, &[]);
        let spec = parsed.documents[0].spec.clone();
        prop_assert_eq!((spec.account_id.get(), spec.zuid.unwrap().get()), (account, zuid));

        let mut state = DesiredState::new();
        state.update(&"a.yaml".into(), Look::Parsed(parsed));
        let mut ledger = Ledger::new(Owner::Organization(zoid.to_string().parse().unwrap()));
        let token = AccessToken::new("token").unwrap();
        for change in plan(&state, &ledger, ms(0)).changes {
            let principal = Principal::Admin(zoid.to_string().parse().unwrap());
            let request = encode(&change, principal, &"https://mail.zoho.com".parse().unwrap(), &token).unwrap();
            prop_assert_eq!(&request.url, &format!("https://mail.zoho.com/api/organization/{zoid}/accounts/{account}"));
            let quote = if change.field == Field::Enabled { "" } else { "\"" };
            let begin = format!("{{\"zuid\":{quote}{zuid}{quote},\"mode\":");
            prop_assert!(request.body.expose_secret().starts_with(begin.as_bytes()), "{begin}");
            // Whoever reads the body as the documentation's "long" gets it whole, and not by way of a float.
            let body: Value = serde_json::from_slice(request.body.expose_secret()).unwrap();
            prop_assert_eq!(body["zuid"].to_string(), format!("{quote}{zuid}{quote}"));

            let printed = serde_json::to_value(&change).unwrap();
            prop_assert_eq!(&printed["account"], &Value::String(account.to_string()));
            let (at, name, field, to) = (ms(1), change.name, change.field, change.to);
            ledger.apply(Record::Intent { at, account: change.account, name, zuid: change.zuid, field, to, spec_hash: 1, lands_by: None, cause: None });
        }
        let text = String::from_utf8(ledger.to_bytes()).unwrap();
        let row = format!("\n  \"{account}\":{{\"name\":\"a\",\"zuid\":\"{zuid}\",");
        prop_assert!(text.contains(&row) && text.contains(&format!("\"zoid\":\"{zoid}\"")), "{text}");
        prop_assert_eq!(Ledger::from_bytes(Some(text.as_bytes()), b""), Ok(Some(ledger)));
    }

    #[test]
    fn what_is_not_plain_digits_within_a_long_is_refused_and_never_rounded(
        account in any_id(), layout in prop::sample::select(LAYOUTS.to_vec()),
    ) {
        for text in spoilt(account) {
            for text in [format!("'{text}'"), format!("\"{text}\""), text] {
                let parsed = manifest(layout, &text, "1");
                prop_assert!(parsed.documents.is_empty() && !parsed.problems.is_empty(), "{text}");
            }
        }
    }
}
