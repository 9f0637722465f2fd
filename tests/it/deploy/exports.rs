//! What `/metrics` exports, and what of a query is not in it.
//!
//! In: metrics after everything has happened once, texts with queries. Out: names, labels and values that do not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zoho_mail_reconciler::change::{Failure, Outcome, PauseCause};
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::metrics::{Metrics, PREFIX};
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::throttle::Wait;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::words;

/// Labels that a scrape adds, whatever is scraped.
pub const OF_A_SCRAPE: [&str; 1] = ["instance"];

/// Label values by label, by metric.
pub type Exported = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// `/metrics` after everything has happened once: a family without events prints nothing.
fn after_everything() -> String {
    let metrics = Metrics::new();
    let took = Duration::from_millis(1);
    for reason in [Reason::Unauthorized, Reason::Throttled, Reason::ServiceUnavailable, Reason::AccountNotFound] {
        let failure = || Failure { reason, message: "".into() };
        let paused = Outcome::Paused(PauseCause::Throttled, failure());
        for outcome in [
            Outcome::Applied,
            Outcome::Retry(failure()),
            Outcome::Rejected(failure()),
            Outcome::InDoubt(failure()),
            paused,
        ] {
            metrics.reconciled(&outcome, took, Timestamp::from_millis(0));
        }
    }
    let ours = [Wait::RateLimit, Wait::Breaker, Wait::Probe, Wait::TokenLimit, Wait::TokenUnavailable];
    let waits = ours.into_iter().chain([Wait::Paused(Reason::Throttled)]);
    waits.into_iter().for_each(|wait| metrics.waited(wait, took));
    ["granted", "refused", "throttled", "unavailable"].into_iter().for_each(|result| metrics.token_answered(result));
    metrics.notified("sent");
    metrics.api_request("token", 200, took);
    metrics.text(&Report::default(), Timestamp::from_millis(0))
}

/// What is exported.
pub fn exported() -> Exported {
    let mut exported = Exported::new();
    for sample in after_everything().lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = sample.split_once(['{', ' ']).unwrap();
        let known = exported.entry(name.to_owned()).or_default();
        for (label, _, value) in labels.split_once('}').map(|(labels, _)| matchers(labels)).unwrap_or_default() {
            known.entry(label.to_owned()).or_default().insert(value.to_owned());
        }
    }
    exported
}

/// `a="x",b!~"y"` as (label, operator, value); of `a,b`, as documents list them, operator and value are empty.
fn matchers(text: &str) -> Vec<(&str, &str, &str)> {
    let matcher = |part| {
        let Some(operator) = str::find(part, ['=', '!']) else { return (part, "", "") };
        let value = part.find('"').unwrap_or_else(|| panic!("no value in {part:?}"));
        (part[..operator].trim(), part[operator..value].trim(), part[value..].trim_matches('"'))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(matcher).collect()
}

/// What `text` asks for and is not exported.
pub fn unknown(text: &str, exported: &Exported) -> Vec<String> {
    let start = format!("{PREFIX}_");
    let mut unknown = Vec::new();
    for name in words(text, &start, &['_']) {
        // A histogram as a whole has no sample of its own.
        let of_histogram = || exported.get(&format!("{name}_bucket"));
        let Some(labels) = exported.get(name).or_else(of_histogram) else {
            unknown.push(name.to_owned());
            continue;
        };
        for (at, _) in text.match_indices(name) {
            let Some(selector) = text[at + name.len()..].strip_prefix('{') else { continue };
            for (label, operator, value) in matchers(selector.split('}').next().unwrap()) {
                let exists = labels.get(label).is_some_and(|values| {
                    // Any version and commit may be meant: upgrades have two.
                    operator.is_empty()
                        || operator.ends_with('~')
                        || ["version", "commit"].contains(&label)
                        || values.contains(value)
                });
                if !exists && !OF_A_SCRAPE.contains(&label) {
                    unknown.push(format!("{name}{{{label}{operator}\"{value}\"}}"));
                }
            }
        }
    }
    unknown
}

#[test]
fn every_metric_that_deploy_names_is_exported_with_the_labels_and_values_it_names() {
    let exported = exported();
    for recipe in super::recipes() {
        // JSON has the quotes of its queries behind backslashes.
        let unknown = unknown(&recipe.text.replace("\\\"", "\""), &exported);
        assert!(unknown.is_empty(), "{}: {unknown:?}", recipe.path.display());
    }
}

#[test]
fn a_metric_label_or_value_that_does_not_exist_is_found() {
    let exported = exported();
    let check = |text: &str| unknown(text, &exported).join(" ");
    assert_eq!(check("rate(zoho_mail_reconciler_reconcile_total{result!=\"applied\"}[5m])"), "");
    assert_eq!(check("zoho_mail_reconciler_reconcile_duration_seconds_bucket{le=\"0.001\"}"), "");
    assert_eq!(check("`zoho_mail_reconciler_api_request_duration_seconds{operation}`"), "");
    assert_eq!(
        check("`zoho_mail_reconciler_api_request_duration_seconds{operation,unit}`"),
        "zoho_mail_reconciler_api_request_duration_seconds{unit\"\"}"
    );
    assert_eq!(check("zoho_mail_reconciler_reconciles_total > 1"), "zoho_mail_reconciler_reconciles_total");
    assert_eq!(
        check("zoho_mail_reconciler_reconcile_total{outcome=\"applied\", result=\"done\"}"),
        "zoho_mail_reconciler_reconcile_total{outcome=\"applied\"} zoho_mail_reconciler_reconcile_total{result=\"done\"}"
    );
}

/// Labels that `query` groups, matches or joins by, and that nothing has.
pub fn unknown_labels(query: &str, exported: &Exported) -> Vec<String> {
    let known: BTreeSet<&str> =
        exported.values().flat_map(BTreeMap::keys).map(String::as_str).chain(OF_A_SCRAPE).collect();
    let lists = ["without (", "by (", "ignoring (", "on ("].into_iter();
    let lists = lists.flat_map(|opening| query.split(opening).skip(1)).filter_map(|rest| rest.split(')').next());
    let labels = lists.flat_map(|list| list.split(',')).map(str::trim).filter(|label| !label.is_empty());
    labels.filter(|label| !known.contains(label)).map(str::to_owned).collect()
}
