//! The dashboard shows what there is, and can be read.
//!
//! In: `dashboard.json`. What Grafana and Prometheus think of it is asked by `.ci/dashboard` and `.ci/monitoring`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::exports::{OF_A_SCRAPE, exported, unknown, unknown_labels};
use super::text;

fn dashboard() -> Value {
    serde_json::from_str(&text("monitoring/dashboard.json")).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn string<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Panels that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

#[test]
fn every_query_asks_for_what_is_exported_of_the_organizations_that_are_chosen() {
    let (dashboard, exported) = (dashboard(), exported());
    let mut queries = 0;
    for panel in panels(&dashboard) {
        let title = string(panel, "title");
        for target in list(panel, "targets") {
            let query = string(target, "expr");
            assert_eq!(unknown(query, &exported), [""; 0], "{title}");
            assert_eq!(unknown_labels(query, &exported), [""; 0], "{title}");
            let (asked, chosen) = (query.matches("zoho_mail_reconciler_"), query.matches("{instance=~\"$instance\""));
            assert_eq!(asked.count(), chosen.count(), "{title}: {query}");
            // What a legend names is what the query keeps.
            let legend = string(target, "legendFormat");
            for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                let kept = !query.contains("sum") || query.contains(label);
                assert!(kept && (OF_A_SCRAPE.contains(&label) || query.contains(label)), "{title}: {legend}");
            }
            queries += 1;
        }
    }
    assert!(queries > 40, "only {queries} queries");
}

#[test]
fn the_first_row_is_the_state_at_a_glance() {
    let dashboard = dashboard();
    let titles: Vec<_> = panels(&dashboard).take(7).map(|panel| string(panel, "title")).collect();
    let expected =
        ["In sync", "Pending changes", "Held", "Stalled", "Oldest change waits", "Request budget used", "Paused until"];
    assert_eq!(titles, expected);
    let highest = panels(&dashboard).take(7).all(|panel| panel["gridPos"]["y"] == 1);
    assert!(highest, "all of them in one line");
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_covers_no_other() {
    let dashboard = dashboard();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "panels") {
        let title = string(panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is too wide");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} covers another at {cell:?}");
        }
    }
    for panel in panels(&dashboard) {
        let title = string(panel, "title");
        assert!(string(panel, "description").ends_with('.'), "{title} has no description");
        assert!(!string(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{title} has no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn every_variable_that_is_used_is_defined() {
    let dashboard = dashboard();
    let variables: BTreeSet<_> = list(&dashboard["templating"], "list").iter().map(|it| string(it, "name")).collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "instance"]));
    let text = dashboard.to_string();
    for used in text.split('$').skip(1) {
        let name: String =
            used.trim_start_matches('{').chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // `$__…` are Grafana's own.
        assert!(name.starts_with("__") || variables.contains(&*name), "${name}");
    }
}
