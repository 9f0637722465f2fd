//! The page for people, as a browser takes it apart: the real binary on a simulated service.
//!
//! In: manifests, and a service with moods. Out: what stands on the page. What a browser makes of it (the live part, the
//! keyboard, contrast) is `tests/page`, which `.ci/page` runs.

mod hostile;
mod questions;

use std::fs;

use scraper::{ElementRef, Html, Selector};

use crate::process::{Process, Rig, account, wait_for};

/// A page, which has no error in it.
pub fn parse(html: &str) -> Html {
    let document = Html::parse_document(html);
    assert!(document.errors.is_empty(), "{:?}\n{html}", document.errors);
    document
}

pub fn all<'h>(html: &'h Html, selector: &str) -> Vec<ElementRef<'h>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

/// What a person reads there.
pub fn text(html: &Html, selector: &str) -> String {
    let words = all(html, selector).into_iter().flat_map(|element| element.text().collect::<Vec<_>>());
    words.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn page(process: &Process, path: &str) -> Html {
    let (status, body) = wait_for("the page", || process.page(path));
    assert_eq!(status, 200, "{path}: {body}");
    parse(&body)
}

/// Waits until the page at `path` shows that.
fn shows(process: &Process, path: &str, selector: &str, words: &str) -> Html {
    wait_for(words, || {
        let html = page(process, path);
        text(&html, selector).contains(words).then_some(html)
    })
}

fn names(html: &Html) -> Vec<String> {
    all(html, "table.accounts tbody th a").iter().map(|name| name.text().collect()).collect()
}

/// The daemon, that may take nothing away, over a service that has acknowledged everything once.
fn run_without_budget(rig: &Rig) -> Process {
    assert!(rig.apply().status.success());
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--disruption-budget", "0"]);
    rig.begin(command)
}

fn suspend(rig: &Rig, n: u64, reason: &str) {
    rig.declare(n, true, true);
    let path = rig.folder.path().join(format!("desired-state/a{n}.yaml"));
    let text = fs::read_to_string(&path).unwrap();
    let reason = serde_json::to_string(reason).unwrap();
    fs::write(path, format!("{text}  suspend: true\n  suspendReason: {reason}\n")).unwrap();
}

#[test]
fn every_state_is_shown_with_why_and_with_what_to_do() {
    let rig = Rig::new(6);
    let process = run_without_budget(&rig);
    shows(&process, "/", "h1", "Everything is in sync");
    rig.script(&format!(
        r#"{{"faults": [{{"account": "{}", "do": {{"answer": {{"status": 404}}}}}}, {{"account": "{}", "latency": "10m"}}]}}"#,
        account(1),
        account(5)
    ));
    rig.declare(0, false, true);
    rig.declare(1, true, false);
    suspend(&rig, 2, "on leave");
    fs::remove_file(rig.folder.path().join("desired-state/a3.yaml")).unwrap();
    rig.declare(5, true, false);
    shows(&process, "/", "h1", "2 accounts need attention");
    for (n, state, label, reason, words) in [
        (0, "held", "Held back", "DisruptionBudgetExceeded", "held by the disruption budget"),
        (1, "stalled", "Stalled", "AccountNotFound", "HTTP 404"),
        (2, "suspended", "Suspended", "Suspended", "on leave"),
        (3, "orphaned", "No manifest", "Orphaned", "its manifest is gone"),
        (5, "pending", "Pending", "InDoubt", "enabled (in doubt) -> true"),
    ] {
        let row = format!("#a{} .state", account(n));
        let html = shows(&process, &format!("/?state={state}"), &row, words);
        assert_eq!(names(&html), [format!("a{n}")], "{state}");
        assert!(text(&html, &row).starts_with(&format!("{label} {reason} ")), "{}", text(&html, &row));
        let way = all(&html, &format!("{row} a.reason"))[0].attr("href").unwrap();
        assert_eq!(way, format!("runbook#{reason}"));
        let own = page(&process, &format!("/accounts/{}", account(n)));
        assert_eq!((text(&own, "h1"), text(&own, ".lead .badge")), (format!("a{n}"), label.to_owned()));
        assert!(text(&own, ".lead").contains(words), "{}", text(&own, ".lead"));
    }
    let html = page(&process, "/");
    assert_eq!(text(&html, "a.count[data-state='in-sync'] .number"), "1");
    assert_eq!(names(&html), ["a1", "a0", "a5", "a2", "a3", "a4"], "who needs somebody stands first");
    assert!(text(&html, ".cards").contains("Disruption budget 5 of 0 in 1 h"), "{}", text(&html, ".cards"));
    let runbook = page(&process, "/runbook");
    assert!(text(&runbook, "section#AccountNotFound").contains("What to do."));
    assert!(all(&runbook, "section.prose[id]").len() > 16);
}

#[test]
fn a_search_a_filter_and_a_page_are_in_the_address_and_no_address_is_wrong() {
    let rig = Rig::new(230);
    let process = run_without_budget(&rig);
    let html = shows(&process, "/", "#found", "230 accounts");
    assert_eq!((names(&html).len(), names(&html)[99].as_str()), (100, "a188"));
    let next = all(&html, "a[rel=next]")[0].attr("href").unwrap().to_owned();
    assert_eq!(next, "?page=2#accounts");
    assert_eq!(names(&page(&process, "/?page=2"))[0], "a189");
    assert_eq!(names(&page(&process, "/?page=3")).len(), 30);
    assert_eq!(names(&page(&process, "/?page=99999999999999999999")).len(), 100, "what is no number is the first page");
    assert_eq!(names(&page(&process, "/?page=99")), names(&page(&process, "/?page=3")), "beyond the end is the end");
    assert_eq!(names(&page(&process, "/?q=A22&sort=name")).len(), 11, "whatever the case");
    let one = page(&process, &format!("/?q={}", account(7)));
    assert_eq!((names(&one), text(&one, "#found")), (vec!["a7".to_owned()], "1 account of 230 · Show all".to_owned()));
    assert_eq!(text(&page(&process, "/?state=held"), ".empty"), "No account is like that.");
    for odd in ["?state=bogus&sort=%00&reason=x&page=-1", "?%ff=%fe&q=%ff", "?q=a22&q=a2&&&=&page=0", "?page=1e9"] {
        assert!(!names(&page(&process, &format!("/{odd}"))).is_empty() || odd.contains("%ff"), "{odd}");
    }
    let kept = page(&process, "/?q=%22%3E%3Cscript%3E&sort=name");
    assert_eq!(all(&kept, "#q")[0].attr("value"), Some("\"><script>"));
}

#[test]
fn what_changed_is_told_with_its_manifest_also_after_a_restart() {
    let rig = Rig::new(3);
    let process = run_without_budget(&rig);
    shows(&process, "/", "h1", "Everything is in sync");
    rig.declare(1, true, true);
    let newest = ".changes li:first-child";
    let html = shows(&process, "/", newest, "a1 : ActiveSync on");
    assert!(text(&html, newest).contains("a1.yaml:1"), "{}", text(&html, newest));
    process.kill();
    let process = rig.run();
    shows(&process, "/", "h1", "Everything is in sync");
    let html = shows(&process, "/", newest, "a1 : ActiveSync on");
    assert_eq!(all(&html, ".changes li").len(), 6, "each field of each account, once");
    let own = page(&process, &format!("/accounts/{}", account(2)));
    assert!(text(&own, "table").contains("mailbox on on, "), "{}", text(&own, "table"));
    assert!(text(&own, ".changes").contains("mailbox on a2.yaml:1"), "{}", text(&own, ".changes"));
}

#[test]
fn whatever_is_asked_the_pages_only_show_and_say_what_a_browser_may_do() {
    let rig = Rig::new(1);
    let process = rig.run();
    shows(&process, "/", "h1", "Everything is in sync");
    let known = format!("/accounts/{}", account(0));
    for path in ["/", &known, "/runbook", "/page.css", "/page.js", "/icon.svg"] {
        let (head, body) = process.ask("GET", path).unwrap();
        let (head_alone, nothing) = process.ask("HEAD", path).unwrap();
        assert!(head.contains(" 200 ") && !body.is_empty(), "{path}: {head}");
        assert!(head_alone.contains(" 200 ") && nothing.is_empty(), "{path}: {head_alone}");
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let (head, _) = process.ask(method, path).unwrap();
            assert!(
                head.contains(" 405 ") && head.to_lowercase().contains("allow: get,head"),
                "{method} {path}: {head}"
            );
        }
        let head = head.to_lowercase();
        assert!(!head.contains("set-cookie") && head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(head.contains("cache-control: no-store") && head.contains("default-src 'none'"), "{head}");
        if path.starts_with("/page") || path.starts_with("/icon") {
            continue;
        }
        assert!(head.contains("frame-ancestors 'none'") && head.contains("base-uri 'none'"), "{head}");
        assert!(!head.contains("unsafe") && !head.contains('*'), "{head}");
        let html = parse(&body);
        assert_eq!(all(&html, "h1").len(), 1);
        for outside in
            ["[style]", "style", "script:not([src])", "[src*='//']", "link[href*='//']", "iframe", "form[method=post]"]
        {
            assert!(all(&html, outside).is_empty(), "{path} has {outside}");
        }
    }
    for unknown in ["1", "0", "x", "9223372036854775808", "%3Cb%3E", "1%00"] {
        let (status, body) = process.page(&format!("/accounts/{unknown}")).unwrap();
        assert_eq!((status, text(&parse(&body), "h1")), (404, "Nothing here".to_owned()), "{unknown}");
    }
}

#[test]
fn the_next_dates_of_manifests_stand_on_the_page() {
    let rig = Rig::new(6);
    for n in 0..6 {
        rig.declare(n, true, true);
        let path = rig.folder.path().join(format!("desired-state/a{n}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        // Two end at the first moment, and one at each of four later ones.
        fs::write(path, format!("{text}  validUntil: 2999-01-0{}T08:00:00Z\n", n.max(1) + 1)).unwrap();
    }
    let process = run_without_budget(&rig);
    let html = shows(&process, "/", "section[aria-labelledby=dates-title]", "Upcoming dates");
    let text = text(&html, "section[aria-labelledby=dates-title]");
    assert!(text.contains(": 2 accounts end") && text.ends_with("and 2 later moments"), "{text}");
    assert_eq!(text.matches(": 1 account ends").count(), 2, "{text}");
}
