//! Hostile text in a comment, rendered as GitHub renders it; and the comment's length.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};

use super::*;
use crate::account::printable;

/// What strangers may write to get somebody's attention, a link, a picture, or a row of their own.
const HOSTILE: [&str; 34] = [
    "a|b",
    "a\\|b",
    "a\\\\|b",
    "\\",
    "`",
    "``` ``",
    "`x",
    "x`",
    " x ",
    "  ",
    "a\nb | c |\n| - | forged |",
    "@octocat",
    "team@example.com",
    "@org/team",
    "#123",
    "GH-123",
    "org/repo#1",
    "0123456789abcdef0123456789abcdef01234567",
    "https://example.com",
    "www.example.com",
    "[x](https://example.com)",
    "![x](https://example.com/x.png)",
    "<img src=x onerror=alert(1)>",
    "</details>",
    "<!-- zoho-mail-reconciler plan -->",
    "-->",
    "**bold** ~~gone~~ $math$",
    "&lt;&#96;&amp;",
    "\u{202e}txt.exe\u{200b}\u{feff}",
    "\u{1b}[2J::error::x",
    ":tada:",
    "- [x] done",
    "::set-output name=a::b",
    "##[error]x",
];

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options
}

/// Every node's text by what it is, and the cells of each row of every table.
#[derive(Default)]
struct Seen {
    code: Vec<String>,
    rows: Vec<Vec<String>>,
    in_cell: bool,
    plain: String,
    html: Vec<String>,
    others: Vec<String>,
}

impl Seen {
    fn tell(&mut self, text: &str) {
        if self.in_cell {
            self.rows.last_mut().unwrap().last_mut().unwrap().push_str(text);
        }
    }
}

fn see(markdown: &str) -> Seen {
    let arena = Arena::new();
    let mut seen = Seen::default();
    look(parse_document(&arena, markdown, &options()), &mut seen);
    seen
}

fn look<'a>(node: &'a AstNode<'a>, seen: &mut Seen) {
    match &node.data.borrow().value {
        NodeValue::Code(code) => {
            seen.code.push(code.literal.clone());
            seen.tell(&code.literal);
        }
        NodeValue::Text(text) => {
            seen.plain.push_str(text);
            seen.plain.push('\n');
            seen.tell(text);
        }
        NodeValue::HtmlBlock(html) => seen.html.push(html.literal.trim().to_owned()),
        NodeValue::HtmlInline(html) => seen.html.push(html.clone()),
        NodeValue::TableRow(_) => seen.rows.push(Vec::new()),
        NodeValue::TableCell => {
            seen.in_cell = true;
            seen.rows.last_mut().unwrap().push(String::new());
        }
        NodeValue::Document
        | NodeValue::Paragraph
        | NodeValue::Strong
        | NodeValue::List(_)
        | NodeValue::Item(_)
        | NodeValue::SoftBreak
        | NodeValue::Table(_) => {}
        other => seen.others.push(format!("{other:?}")),
    }
    node.children().for_each(|child| look(child, seen));
    seen.in_cell &= !matches!(node.data.borrow().value, NodeValue::TableCell);
}

/// What a reader is shown of a text: itself, on one line.
fn shown(text: &str) -> String {
    printable::escape(text)
}

#[test]
fn a_text_in_a_paragraph_is_shown_as_it_is_and_does_nothing() {
    for text in HOSTILE {
        let seen = see(&format!("- {}: {}, and on\n", code("before"), code(text)));
        assert_eq!(seen.code, ["before", &shown(text)], "{text:?}");
        assert_eq!((seen.plain.as_str(), seen.html.len(), seen.others.len()), (": \n, and on\n", 0, 0), "{text:?}");
    }
}

#[test]
fn a_text_in_a_cell_is_shown_as_it_is_and_ends_no_cell() {
    for text in HOSTILE {
        let seen = see(&format!("| a | b | c |\n|-|-|-|\n| x | {} | y |\n| z | z | z |\n", cell(text)));
        // No spelling of a bar after a backslash stays one cell.
        let bar = shown(text).replace("\\|", "\\u{7c}");
        assert_eq!(seen.rows[1], ["x", &bar, "y"], "{text:?}");
        assert_eq!(seen.code, [bar], "{text:?}");
        assert_eq!((seen.rows.len(), seen.html.len(), seen.others.len()), (3, 0, 0), "{text:?} {:?}", seen.others);
        assert!(!seen.plain.contains(['@', '#', '<']), "{text:?}");
    }
}

#[test]
fn texts_are_cut_and_of_a_path_the_end_is_left() {
    let long = "ü`|".repeat(10_000);
    assert!(code(&long).chars().count() < 300 && cell(&long).chars().count() < 400);
    let place = code::place(&format!("{}/alice.yaml", "x".repeat(4000)), 7);
    assert!(place.starts_with('…') && place.ends_with("/alice.yaml:7") && place.chars().count() < 256, "{place}");
    assert_eq!(code::place("a.yaml", 7), "a.yaml:7");
    assert_eq!(code(""), "");
}

fn rows(number: usize, row: &str) -> Vec<String> {
    vec![row.to_owned(); number]
}

#[test]
fn a_comment_is_never_longer_than_the_limit_and_counts_what_it_leaves_out() {
    for (limit, row) in [(1_000, "| x |\n"), (5_000, "| x |\n"), (5_000, "| ü |\n"), (65_535, "| xxxxxxxxxxx |\n")] {
        for number in [0, 1, 10, 100, 1_000, 10_000] {
            let sections = vec![
                Section::text("**sum**\n".into()),
                Section::table("| a |\n|-|\n", rows(number, row)),
                Section::folded("rest", rows(number, "- y\n")),
            ];
            let text = fill(MARKER, sections, limit);
            assert!(text.len() <= limit, "{limit} {number} {}", text.len());
            let told: usize = text
                .lines()
                .filter_map(|line| line.strip_prefix("and ")?.split(' ').next()?.parse::<usize>().ok())
                .sum();
            let there = text.matches(row).count() + text.matches("- y\n").count();
            assert_eq!(told + there, 2 * number, "{limit} {number}");
            let full = text.matches(row).count() == number;
            assert!(full || !text.contains("- y\n"), "what comes later is left out first");
            assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        }
    }
}

#[test]
fn what_stands_above_the_table_leaves_it_room() {
    let sections = vec![
        Section::list("problems", rows(5_000, "- `a problem that takes its line`\n")),
        Section::table("| a |\n|-|\n", rows(500, "| x |\n")),
    ];
    let text = fill(MARKER, sections, COMMENT_MAX);
    assert_eq!((text.matches("| x |").count(), text.matches("- `").count()), (500, paper::LISTED_MAX));
    assert!(text.contains("and 4980 more rows: run"), "{text}");
}

#[test]
fn what_is_folded_is_a_list_for_the_renderer_and_what_is_left_out_no_row() {
    let sections =
        vec![Section::table("| a |\n|-|\n", rows(40, "| x |\n")), Section::folded("rest", rows(3, "- `y`\n"))];
    let seen = see(&fill(MARKER, sections, 300));
    assert_eq!(seen.html[0], MARKER.trim());
    assert_eq!(seen.html[1..], ["<details><summary>rest</summary>", "</details>"]);
    assert!(seen.rows.iter().all(|row| ["a", "x"].contains(&row[0].as_str())), "{:?}", seen.rows);
    assert!(seen.plain.contains("more rows: run"), "{}", seen.plain);
}
