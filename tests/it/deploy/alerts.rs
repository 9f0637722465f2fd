//! Alerts say what is so, to whom it happens and where to read on, and each is seen raised.

use serde_yaml::Value;

use super::exports::{OF_A_SCRAPE, exported, unknown_labels};
use super::{text, words, yaml};

/// The alerting rules of a file's groups.
fn rules_of(groups: &Value) -> Vec<Value> {
    let groups = groups.as_sequence().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_sequence().unwrap().clone()).collect()
}

/// The alerting rules.
fn rules() -> Vec<Value> {
    rules_of(&yaml("monitoring/alerts.yaml")["groups"])
}

#[test]
fn every_alert_names_only_labels_that_exist_and_says_to_whom_it_happens_and_what_to_do() {
    let exported = exported();
    for rule in rules() {
        let (alert, expr) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        assert_eq!(unknown_labels(expr, &exported), [""; 0], "{alert}");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{alert}: severity {severity:?}");
        let annotation = |name: &str| rule["annotations"][name].as_str().unwrap_or_default();
        assert!(annotation("summary").contains("{{ $labels.instance }}"), "{alert} does not say whose it is");
        for name in ["summary", "description"] {
            assert!(annotation(name).ends_with('.'), "{alert}: {name} {:?}", annotation(name));
            for label in words(annotation(name), "$labels.", &['$', '.', '_']) {
                assert!(OF_A_SCRAPE.contains(&&label["$labels.".len()..]), "{alert}: {label}");
            }
        }
    }
}

/// Where GitHub puts the heading `## NameOfTheAlert`, and where Grafana shows the dashboard of this name.
#[test]
fn every_alert_links_to_its_own_entry_of_the_runbook_and_to_the_dashboard() {
    let dashboard: Value = serde_yaml::from_str(&text("monitoring/dashboard.json")).unwrap();
    let dashboard =
        format!("/d/{}?var-instance={{{{ $labels.instance | urlquery }}}}", dashboard["uid"].as_str().unwrap());
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let link = |name: &str| rule["annotations"][name].as_str().unwrap_or_default().to_owned();
        let runbook = format!("/deploy/runbook.md#{}", alert.to_ascii_lowercase());
        assert!(link("runbook_url").ends_with(&runbook), "{alert}: {}", link("runbook_url"));
        assert!(link("dashboard_url").ends_with(&dashboard), "{alert}: {}", link("dashboard_url"));
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

#[test]
fn the_quiet_day_that_raises_nothing_has_every_metric_that_an_alert_looks_at() {
    let quiet = &yaml("monitoring/alerts.test.yaml")["tests"][0];
    assert!(quiet["name"].as_str().unwrap().starts_with("a quiet day"));
    let series = serde_yaml::to_string(&quiet["input_series"]).unwrap();
    for rule in rules() {
        for metric in words(rule["expr"].as_str().unwrap(), "zoho_mail_reconciler_", &['_']) {
            assert!(
                words(&series, metric, &['_']).next().is_some() || series.contains(&format!("{metric}{{")),
                "{metric}"
            );
        }
    }
}

#[test]
fn what_the_operator_is_given_are_the_very_same_alerts() {
    let resource = yaml("monitoring/prometheus-rule.yaml");
    assert_eq!(resource["kind"], "PrometheusRule");
    assert!(rules().len() > 10);
    assert_eq!(
        resource["spec"],
        yaml("monitoring/alerts.yaml"),
        "make prometheus-rule.yaml anew, as it says in its first lines"
    );
}
