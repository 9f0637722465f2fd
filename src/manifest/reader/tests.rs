//! What is read, where, and what is refused.
//!
//! In: texts of documents. Holds: places are those of the file; whatever is not surely read is refused.

mod oracle;

use super::*;

fn place_of(text: &str, path: &[&str]) -> (Place, Place) {
    let tree = read(text, 11).unwrap();
    let (key, value) = tree.root.at(path).unwrap();
    (key.place, value.place)
}

const fn at(line: u32, column: u32) -> Place {
    Place { line, column }
}

#[test]
fn keys_values_and_tags_are_placed_in_lines_of_the_file() {
    let text = "---\n# é\nspec:\n  labels: {\"é\": !!str 1}\n  accountId: 0x10\n  zuid:\n  note: |\n    x\n";
    assert_eq!(place_of(text, &["spec", "accountId"]), (at(15, 3), at(15, 14)));
    assert_eq!(place_of(text, &["spec", "zuid"]), (at(16, 3), at(16, 3)), "what is nothing is where its key is");
    assert_eq!(place_of(text, &["spec", "note"]), (at(17, 3), at(18, 5)));
    assert_eq!(read(text, 11).unwrap().tags, [(at(14, 17), "!!str".to_owned())]);
}

#[test]
fn every_pair_is_kept() {
    let tree = read("a: 1\na: yes\nb: [1, {c: d}]\n~: -1\n? 1.5\n: 99999999999999999999\n", 1).unwrap();
    let Node::Map(pairs) = tree.root.node else { panic!() };
    let keys: Vec<Node<'_>> = pairs.into_iter().map(|(key, _)| key.node).collect();
    let text = |text: &'static str| Node::Text(text.into());
    assert_eq!(keys, [text("a"), text("a"), text("b"), Node::Null("~".into()), Node::Float("1.5".into())]);
}

#[test]
fn an_alias_is_what_it_stands_for_where_it_is() {
    let text = "a: &x {b: &y 5}\nc: *x\nd: *y\n";
    assert_eq!(place_of(text, &["c", "b"]), (at(12, 4), at(12, 4)));
    let tree = read(text, 11).unwrap();
    assert_eq!(tree.root.at(&["c", "b"]).unwrap().1.node, Node::Int(5));
    assert_eq!(tree.root.at(&["d"]).unwrap().1.node, Node::Int(5));
}

#[test]
fn what_the_parser_refuses_is_no_value() {
    for text in [
        "a:\t0x21\n",
        "a: 1\nb: [1, }\nc: 2\n",
        "a: 1\n... b: 2\n",
        "a: \"x\ny\"\nb: !!int \"17\"\n",
        "{note: \"x\"}#c\n",
        "a: {\nb: 1}\n",
        "a: *b\n",
        "a: !!str *b\n",
        "a: &b:5 17\n",
        "\ta: 1\n",
        "a: [b,\n\tc]\n",
    ] {
        assert!(matches!(read(text, 1), Err(Unread { cause: Cause::Syntax(_), .. })), "{text:?}");
    }
}

#[test]
fn brackets_are_bounded_in_depth_and_not_in_number() {
    let many = format!("a: [{}]\n", "[], ".repeat(1_000));
    assert!(read(&many, 1).is_ok());
    let nested = |depth: usize| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(15), 1).is_ok());
    for depth in [16, 100, 1_000] {
        assert_eq!(read(&nested(depth), 1).unwrap_err().cause, Cause::Exceeded(TOO_DEEP), "{depth}");
    }
    assert!(read(&format!("a: it's {}\n", "[".repeat(1_000)), 1).is_ok(), "in a text they are no brackets");
}
