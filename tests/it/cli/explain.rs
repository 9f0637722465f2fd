//! `explain`: what a name means is told by the program itself.

use super::Place;

#[test]
fn a_key_is_explained_however_it_is_spelt() {
    let place = Place::new();
    let text = place.ok("explain throttled");
    assert!(text.starts_with("Throttled\n\nWhat happened. The service asked to slow down."), "{text}");
    assert!(text.contains("\n\nWhat to do. "), "{text}");
    assert_eq!(text, place.ok("explain Throttled"));
}

#[test]
fn without_a_key_every_one_is_listed_with_a_sentence() {
    let text = Place::new().ok("explain");
    assert!(text.lines().count() > 25, "{text}");
    for line in text.lines() {
        let (key, sentence) = line.split_once(' ').unwrap();
        assert!(key.chars().next().unwrap().is_uppercase() && sentence.trim().ends_with('.'), "{line}");
    }
}

#[test]
fn a_misspelt_key_is_a_usage_error_with_a_hint() {
    let ran = Place::new().run("explain AcountNotFound");
    insta::assert_snapshot!(ran.all(), @"
    --- stderr
    error: the runbook has no entry AcountNotFound (did you mean AccountNotFound?); all of them: zoho-mail-reconciler explain
    --- exit 64
    ");
}
