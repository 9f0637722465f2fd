//! What strangers write stays text: in manifests, in commits, in paths, in the service's answers.

use std::fs;
use std::sync::Arc;

use zoho_mail_reconciler::account::{AccountId, Field, SourceRef};
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::page::{self, Catalogue, Frame, Selection};
use zoho_mail_reconciler::report::{Acknowledged, Report};
use zoho_mail_reconciler::revision::Revision;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{all, page, parse, run_without_budget, shows, suspend, text};
use crate::process::{Rig, account};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'\u{202e}\u{1b}[2J&lt;";

/// Nothing of it has become an element, and nothing of it deceives.
fn is_only_text(html: &str) {
    let document = parse(html);
    assert!(!html.contains(['\u{202e}', '\u{1b}']), "deceptive characters are left");
    assert_eq!(all(&document, "script").len(), 1, "the page's own");
    assert!(all(&document, "img:not([src*='icon.svg']), b, iframe, object").is_empty());
    let attributes = document.tree.nodes().filter_map(|node| node.value().as_element()).flat_map(|it| it.attrs());
    assert!(attributes.into_iter().all(|(name, _)| !name.starts_with("on")), "an event handler");
    assert!(html.contains("&lt;script&gt;alert(1)"), "it is shown all the same");
}

#[test]
fn words_of_commits_paths_operators_and_failures_are_text() {
    let (now, words) = (Timestamp::from_millis(1_763_753_000_000), || HOSTILE.into());
    let mut report = Report {
        turned_at: now,
        loaded: true,
        ledger_error: Some(HOSTILE.into()),
        credentials_refused: Some(HOSTILE.into()),
        desired_unknown: Some(HOSTILE.into()),
        degraded: Some(HOSTILE.into()),
        suspended: Some(Freeze { reason: Some(words()), by: Some(words()), ..Freeze::default() }),
        problems: 1,
        first_problems: vec![HOSTILE.into()],
        ..Report::default()
    };
    report.budget.unclear = Some(HOSTILE.into());
    let acknowledged = Acknowledged {
        at: now,
        account: AccountId::new(1).unwrap(),
        name: HOSTILE.into(),
        field: Field::Enabled,
        to: true,
        source: SourceRef { path: HOSTILE.into(), line: 1 },
        revision: Arc::new(Revision { id: HOSTILE.into(), author: Some(words()), subject: Some(words()) }),
        approval: Some(HOSTILE.into()),
    };
    report.recent.add(acknowledged);
    let selection = Selection::from_query("q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE");
    let frame = Frame { target: HOSTILE, report: &report, now };
    is_only_text(&page::overview(frame, &Catalogue::default(), &selection, Some(now)));
}

#[test]
fn words_of_manifests_and_of_the_service_are_text() {
    let rig = Rig::new(3);
    let process = run_without_budget(&rig);
    let said = serde_json::to_string(&format!(
        r#"{{"data": {{"errorCode": "X", "moreInfo": {}}}}}"#,
        serde_json::json!(HOSTILE)
    ));
    rig.script(&format!(
        r#"{{"faults": [{{"account": "{}", "do": {{"answer": {{"status": 404, "body": {}}}}}}}]}}"#,
        account(1),
        said.unwrap()
    ));
    // A manifest with a character that deceives is refused as a whole.
    suspend(&rig, 0, HOSTILE.split('\u{202e}').next().unwrap());
    rig.declare(1, true, false);
    let place = rig.folder.path().join("desired-state");
    fs::rename(place.join("a2.yaml"), place.join("\"><script>alert(1)<&.yaml")).unwrap();
    fs::write(place.join("<img src=x onerror=alert(1)>.yaml"), "kind: <script>alert(1)\n").unwrap();
    shows(&process, "/", ".notices", "in manifests");
    shows(&process, "/?state=suspended", "#accounts", "<script>");
    shows(&process, "/?state=stalled", "#accounts", "HTTP 404");
    is_only_text(&process.page("/").unwrap().1);
    for n in [0, 2] {
        is_only_text(&process.page(&format!("/accounts/{}", account(n))).unwrap().1);
    }
    let own = page(&process, &format!("/accounts/{}", account(2)));
    assert!(text(&own, ".facts").contains("\"><script>alert(1)<&.yaml:1"), "{}", text(&own, ".facts"));
}
