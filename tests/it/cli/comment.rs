//! `plan -o markdown` as the renderer of a pull request sees it, whatever strangers wrote.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};

use super::Place;
use crate::builders::Manifest;

/// What would mention, link, format, close or forge something in a comment.
const HOSTILE: [&str; 12] = [
    "a|b|c",
    "a\\|b",
    "`` ` ``",
    "@octocat and @org∕team",
    "#1 GH-1 0123456789abcdef0123456789abcdef01234567",
    "[x](https:∕∕example.com) www.example.com",
    "<img src=x onerror=alert(1)>",
    "<!-- zoho-mail-reconciler plan -->",
    "--> <∕details>",
    "\n\n| forged | row |\n\n# forged",
    "\u{202e}\u{200b}\u{1b}[2J",
    "![x](x) **b** &lt;",
];

/// What a comment consists of, besides code: its HTML, its text, its tables' rows, and what should not be there.
#[derive(Default)]
struct Seen {
    html: Vec<String>,
    text: String,
    code: Vec<String>,
    rows: usize,
    others: Vec<String>,
}

fn look<'a>(node: &'a AstNode<'a>, seen: &mut Seen) {
    match &node.data.borrow().value {
        NodeValue::HtmlBlock(html) => seen.html.extend(html.literal.trim().lines().map(str::to_owned)),
        NodeValue::HtmlInline(html) => seen.html.push(html.clone()),
        NodeValue::Text(text) => seen.text.push_str(text),
        NodeValue::Code(code) => seen.code.push(code.literal.clone()),
        NodeValue::TableRow(_) => seen.rows += 1,
        NodeValue::Document
        | NodeValue::Paragraph
        | NodeValue::Strong
        | NodeValue::List(_)
        | NodeValue::Item(_)
        | NodeValue::SoftBreak
        | NodeValue::Table(_)
        | NodeValue::TableCell => {}
        other => seen.others.push(format!("{other:?}")),
    }
    node.children().for_each(|child| look(child, seen));
}

fn see(markdown: &str) -> Seen {
    let mut options = Options::default();
    for extension in [
        &mut options.extension.table,
        &mut options.extension.autolink,
        &mut options.extension.strikethrough,
        &mut options.extension.tasklist,
        &mut options.extension.footnotes,
    ] {
        *extension = true;
    }
    let (arena, mut seen) = (Arena::new(), Seen::default());
    look(parse_document(&arena, markdown, &options), &mut seen);
    seen
}

#[test]
fn no_name_address_reason_or_folder_does_anything_in_a_comment() {
    for (at, text) in HOSTILE.iter().enumerate() {
        let place = Place::new();
        let folder = format!("{text}/base");
        let write = |path: &str, name: &str, number: u64, enabled: bool| {
            place.write(path, &Manifest::of(name).id(number).enabled(enabled).to_string());
        };
        write(&format!("{folder}/gone {text}.yaml"), "gone", 1, true);
        write(&format!("{folder}/moved.yaml"), "moved", 2, true);
        place.write(&format!("{folder}/broken {text}.yaml"), "kind: [");
        write(&format!("desired-state/{text}.yaml"), "moved", 2, false);
        let odd = Manifest::of("email").id(3).enabled(true).set("email", quoted(&format!("a@{text}")));
        place.write("desired-state/email.yaml", &odd.to_string());
        let odd = Manifest::of("suspended").id(4).wanting("enabled: true, suspend: true");
        place.write("desired-state/suspended.yaml", &odd.set("suspendReason", quoted(text)).to_string());
        write(&format!("desired-state/twice {text}.yaml"), "twice", 5, true);
        write("desired-state/twice.yaml", "twice", 6, true);
        let mut command = place.command("plan -o markdown");
        command.arg(format!("--base={folder}"));
        let out = place.ran(assert_cmd::Command::from_std(command)).out;
        let seen = see(&out);
        assert_eq!(seen.html[0], "<!-- zoho-mail-reconciler plan -->", "{at}");
        let folds = ["<details><summary>", "</details>"];
        assert!(
            seen.html[1..].iter().all(|html| folds.iter().any(|fold| html.starts_with(fold))),
            "{at} {:?}",
            seen.html
        );
        assert!(!seen.html.iter().any(|html| html.contains("img")), "{at} {:?}", seen.html);
        assert!(seen.others.is_empty(), "{at} {:?}", seen.others);
        assert!(!seen.text.contains(['@', '#', '<', '[', '`', '|', '!']), "{at} {}", seen.text);
        assert!(!seen.text.contains("forged") && !seen.text.contains("www."), "{at} {}", seen.text);
        let plans_email = seen.code.iter().any(|code| code == "email");
        assert_eq!(seen.rows, if plans_email { 3 } else { 2 }, "{at} {out}");
        let shown = zoho_mail_reconciler::account::printable::escape(text);
        let place_of = |code: &&String| code.replace("\\u{7c}", "\\|").starts_with(&format!("{shown}.yaml:1"));
        assert!(seen.code.iter().any(|code| place_of(&code)), "{at}: shown as it is: {:?}", seen.code);
    }
}

/// A text as JSON, and so YAML, writes it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn thousands_of_changes_fit_and_grants_are_left_out_before_disruptions() {
    let place = Place::new();
    let long = "x".repeat(60);
    place.account("same", 9_000, "enabled: true");
    std::fs::create_dir(place.path().join("base")).unwrap();
    for number in 0..900 {
        let wanted = if number % 3 == 0 { "enabled: false" } else { "enabled: true" };
        let wanted = format!("{wanted}, email: n{number}@example.com");
        place.manifest(&format!("a{number}"), &format!("{long}.n{number}"), number, &wanted);
    }
    let markdown = place.ok("plan --base base -o markdown --disruption-budget 100%");
    assert!(markdown.len() <= 65_535 && markdown.len() > 60_000, "{}", markdown.len());
    let shown = |sign: &str| markdown.matches(sign).count();
    let (revoked, granted) = (shown("| - takes away |"), shown("| + grants |"));
    assert_eq!(revoked, 300, "every disruption is shown");
    assert!(granted < 601, "{granted}");
    assert!(markdown.contains(&format!("\nand {} more rows: run", 601 - granted)), "{}", &markdown[64_000..]);
    assert!(
        markdown.starts_with(
            "<!-- zoho-mail-reconciler plan -->\n**901 PUTs: 300 take away, 601 grant; 0 changes held**\n"
        )
    );
    assert_eq!(see(&markdown).rows, 1 + revoked + granted, "what is left out is no row");
}
