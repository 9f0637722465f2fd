//! Alerts and their tests name metrics, labels and label values that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_yaml::Value;
use zoho_mail_reconciler::change::{Failure, Outcome, PauseCause};
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::metrics::{Metrics, PREFIX};
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::throttle::Wait;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{recipes, text, words};

/// Label values by label, by metric.
type Exported = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

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
    let waits = [Wait::RateLimit, Wait::Paused(Reason::Throttled), Wait::Breaker, Wait::Probe, Wait::TokenLimit];
    waits.into_iter().for_each(|wait| metrics.waited(wait, took));
    ["granted", "refused", "throttled", "unavailable"].into_iter().for_each(|result| metrics.token_answered(result));
    metrics.api_request("token", 200, took);
    metrics.text(&Report::default(), Timestamp::from_millis(0))
}

fn exported() -> Exported {
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

/// `a="x",b!~"y"` as (label, operator, value).
fn matchers(text: &str) -> Vec<(&str, &str, &str)> {
    let matcher = |part: &'_ str| -> (usize, usize) {
        let start = part.find(['=', '!']).unwrap_or_else(|| panic!("no operator in {part:?}"));
        (start, part.find('"').unwrap_or_else(|| panic!("no value in {part:?}")))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let (operator, value) = matcher(part);
            (part[..operator].trim(), part[operator..value].trim(), part[value..].trim().trim_matches('"'))
        })
        .collect()
}

/// What `text` asks for and is not exported.
fn unknown(text: &str, exported: &Exported) -> Vec<String> {
    let start = format!("{PREFIX}_");
    let mut unknown = Vec::new();
    for name in words(text, &start, &['_']) {
        let Some(labels) = exported.get(name) else {
            unknown.push(name.to_owned());
            continue;
        };
        for (at, _) in text.match_indices(name) {
            let Some(selector) = text[at + name.len()..].strip_prefix('{') else { continue };
            for (label, operator, value) in matchers(selector.split('}').next().unwrap()) {
                let exists = labels.get(label).is_some_and(|values| operator.ends_with('~') || values.contains(value));
                if !exists {
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
    for recipe in recipes() {
        let unknown = unknown(&recipe.text, &exported);
        assert!(unknown.is_empty(), "{}: {unknown:?}", recipe.path.display());
    }
}

#[test]
fn a_metric_label_or_value_that_does_not_exist_is_found() {
    let exported = exported();
    let check = |text: &str| unknown(text, &exported).join(" ");
    assert_eq!(check("rate(zoho_mail_reconciler_reconcile_total{result!=\"applied\"}[5m])"), "");
    assert_eq!(check("zoho_mail_reconciler_reconcile_duration_seconds_bucket{le=\"0.001\"}"), "");
    assert_eq!(check("zoho_mail_reconciler_reconciles_total > 1"), "zoho_mail_reconciler_reconciles_total");
    assert_eq!(
        check("zoho_mail_reconciler_reconcile_total{outcome=\"applied\", result=\"done\"}"),
        "zoho_mail_reconciler_reconcile_total{outcome=\"applied\"} zoho_mail_reconciler_reconcile_total{result=\"done\"}"
    );
}

/// The alerting rules.
fn rules() -> Vec<Value> {
    let alerts: Value = serde_yaml::from_str(&text("monitoring/alerts.yaml")).unwrap();
    alerts["groups"]
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_sequence().unwrap().clone())
        .collect()
}

#[test]
fn every_alert_names_only_labels_that_exist_and_says_what_to_do() {
    let labels: BTreeSet<String> = exported().into_values().flat_map(BTreeMap::into_keys).collect();
    for rule in rules() {
        let (alert, expr) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        for modifier in ["without", "by", "ignoring", "on"] {
            let opening = format!("{modifier} (");
            let grouped = expr.split(&opening).skip(1).filter_map(|rest| rest.split(')').next());
            for label in grouped.flat_map(|list| list.split(',')).map(str::trim) {
                assert!(labels.contains(label), "{alert}: {modifier} ({label})");
            }
        }
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{alert}: severity {severity:?}");
        for annotation in ["summary", "description"] {
            let text = rule["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{alert}: {annotation} {text:?}");
            for label in words(text, "$labels.", &['$', '.', '_']) {
                assert!(labels.contains(&label["$labels.".len()..]), "{alert}: {label}");
            }
        }
    }
}

#[test]
fn every_alert_is_raised_in_a_test() {
    let tests = text("monitoring/alerts.test.yaml");
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let raised = tests.contains(&format!("alertname=\"{alert}\""))
            || tests.split(&format!("alertname: {alert}\n")).skip(1).any(|test| test.contains("exp_labels"));
        assert!(raised, "{alert} is raised by no test of alerts.test.yaml");
    }
}
