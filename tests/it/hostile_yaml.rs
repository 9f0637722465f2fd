//! Texts written to do harm: each is refused in time, in bounds, and without harm to its neighbours.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use zoho_mail_reconciler::manifest::{MAX_FILE, Parsed, PolicySpec, ProblemCode, Rules, parse};

/// What one hostile text may take of a processor, unoptimised. Optimised they take a few milliseconds; what this guards
/// against took the bare parser 16 s and more.
const DEADLINE: Duration = Duration::from_secs(2);

/// What this thread has taken of a processor so far: beside busy lanes a clock on the wall says little.
fn spent() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// A text just below the limit of one document.
fn full_of(unit: &str) -> String {
    unit.repeat(65_000 / unit.len())
}

fn timed(what: &str, bytes: &[u8]) -> Parsed {
    let begun = spent();
    let parsed = parse(&"hostile.yaml".into(), bytes, Rules::default());
    let took = spent() - begun;
    assert!(took < DEADLINE, "{what}: took {took:?}");
    assert!(parsed.documents.is_empty(), "{what}");
    assert!(parsed.problems.len() <= 101, "{what}: {} problems", parsed.problems.len());
    for problem in &parsed.problems {
        let line = problem.to_string();
        assert!(line.chars().count() < 500, "{what}: {line}");
        assert!(!line.contains(['\n', '\u{1b}', '\u{202e}', '\0']), "{what}: {line:?}");
    }
    parsed
}

fn code(what: &str, bytes: &[u8]) -> ProblemCode {
    let parsed = timed(what, bytes);
    assert_eq!(parsed.claims.len(), 1, "{what}: a document that cannot be read may declare any account");
    parsed.problems[0].code
}

#[test]
fn sixty_four_kibibytes_of_brackets_are_refused_at_once() {
    for unit in ["[", "{", "[{", "a: [", "- [a]\n", "k: {}\n", "[a, ", "{a: ", "[[], ", "&a [", "? [", "- - [a]\n"] {
        assert_eq!(code(unit, full_of(unit).as_bytes()), ProblemCode::TooComplex, "{unit}");
        timed(unit, format!("k:\n  {}", full_of(unit)).as_bytes());
    }
    // These open nothing: text after a closing quote, and a text of many lines.
    for unit in ["'[' ", "\"[\" ", "it's [", "]", "}", "'[", "\"[", "# [", "[a]: ", "{}: "] {
        timed(unit, full_of(unit).as_bytes());
        timed(unit, format!("k: [[[[[[[[[[[[[[\n  {}", full_of(unit)).as_bytes());
    }
}

#[test]
fn what_has_many_brackets_side_by_side_is_read() {
    let item = |number: u32| format!("  - {{name: a{number}, fields: [enabled, activeSyncEnabled]}}\n");
    let approval = "apiVersion: zoho-mail-reconciler/v1\nkind: DisruptionApproval\nmetadata: {name: leavers}\nspec:\n  \
                    reason: they left\n  expires: 2027-01-31T00:00:00Z\n  accounts:\n";
    let text = (0..200).fold(approval.to_owned(), |text, number| text + &item(number));
    let parsed = parse(&"approval.yaml".into(), text.as_bytes(), Rules::default());
    assert_eq!(parsed.problems, []);
    let PolicySpec::Approval(approval) = &parsed.policies[0].spec else { panic!() };
    assert_eq!(approval.accounts.len(), 200);
    assert!(approval.accounts.iter().all(|account| account.fields == [true, true]));
}

#[test]
fn no_repetition_of_any_token_takes_long() {
    let units = [
        "? ",
        "- ",
        "a: ",
        "! ",
        "!a ",
        "&a ",
        "*a ",
        "'",
        "\"",
        "\\",
        ": ",
        ",",
        "a, ",
        "-\n",
        "?\n",
        "a:\n",
        "a\n",
        "word ",
        "x",
        "# c\n",
        "\n",
        " ",
        "\t",
        "- k: v\n",
        "k: v\n",
        "|\n",
        ">\n",
        "é",
        "😀",
        "]",
        "}",
        "@",
        "0x1 ",
        "<<: x\n",
        "a: &a b\n",
        "--- a\n",
        "...\n",
        "a: !!str b\n",
    ];
    for unit in units {
        timed(unit, full_of(unit).as_bytes());
        timed(unit, format!("k:\n  {}", full_of(unit)).as_bytes());
        timed(unit, format!("--- !!map\nmetadata:\n  labels:\n    {}", full_of(unit)).as_bytes());
    }
}

#[test]
fn deep_nesting_is_refused_however_it_is_written() {
    let indented: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let lists: String = (0..300).map(|depth| format!("{}-\n", " ".repeat(depth))).collect();
    assert_eq!(code("mappings", indented.as_bytes()), ProblemCode::TooComplex);
    timed("lists", lists.as_bytes());
    assert_eq!(code("keys", full_of("? ").as_bytes()), ProblemCode::TooComplex);
}

#[test]
fn aliases_cannot_multiply() {
    let bomb =
        |leaf: &str, step: fn(u32) -> String| format!("a0: &a0\n  {leaf}\n") + &(1..200).map(step).collect::<String>();
    let mappings = bomb("x: y", |i| format!("a{i}: &a{i}\n  p: *a{0}\n  q: *a{0}\n", i - 1));
    assert_eq!(code("mappings", mappings.as_bytes()), ProblemCode::TooComplex);
    let lists = bomb("- x", |i| format!("a{i}: &a{i}\n  - *a{0}\n  - *a{0}\n", i - 1));
    timed("lists", lists.as_bytes());
    let long = format!("a: &a \"\\t{}\"\n", "x".repeat(30_000))
        + &(0..1_000).map(|i| format!("k{i}: *a\n")).collect::<String>();
    assert_eq!(code("long texts", long.as_bytes()), ProblemCode::TooComplex);
    assert_eq!(code("itself", b"a: &a\n  b: *a\n"), ProblemCode::TooComplex);
}

#[test]
fn size_and_encoding_are_checked_before_anything_else() {
    let four_mebibytes = usize::try_from(MAX_FILE).unwrap();
    assert_eq!(code("too large", &vec![b'['; four_mebibytes + 1]), ProblemCode::TooLarge);
    assert_eq!(code("one large document", &vec![b'x'; four_mebibytes]), ProblemCode::TooLarge);
    assert_eq!(code("a crash left zeros", &[0; 4096]), ProblemCode::ForbiddenCharacter);
    assert_eq!(code("UTF-16", b"\xff\xfea\0:\0 \0b\0"), ProblemCode::NotUtf8);
    assert_eq!(code("a cut character", b"a: \xc3"), ProblemCode::NotUtf8);
    assert_eq!(code("carriage returns", b"a: 1\rb: 2\r"), ProblemCode::ForbiddenCharacter);
    assert_eq!(code("a second byte-order mark", b"\xef\xbb\xbf\xef\xbb\xbfa: 1"), ProblemCode::ForbiddenCharacter);
    assert_eq!(code("directives", full_of("%TAG !a! b\n").as_bytes()), ProblemCode::UnsupportedSyntax);
}

#[test]
fn many_documents_are_bounded_in_number_and_in_problems() {
    let many = "---\na\n".repeat(16_385);
    assert_eq!(code("too many", many.as_bytes()), ProblemCode::TooLarge);
    let broken = timed("two thousand broken ones", "---\nenabeld: yes\n".repeat(2_000).as_bytes());
    assert_eq!(broken.problems.len(), 101);
    assert_eq!(broken.problems[100].code, ProblemCode::TooManyProblems);
    assert_eq!(broken.claims.len(), 2_000, "what is not listed is still claimed");
    let keys: String = (0..2_000).map(|i| format!("key{i}: v\n")).collect();
    assert_eq!(timed("two thousand unknown keys", keys.as_bytes()).problems.len(), 101);
}

#[test]
fn a_hostile_document_does_not_touch_its_neighbours() {
    let good = include_str!("../fixtures/valid/minimal.yaml");
    for hostile in [full_of("["), full_of("? "), "a: \0".to_owned(), "a: *b".to_owned(), "'".to_owned()] {
        let text = format!("---\n{good}---\n{hostile}\n---\n{}", good.replace("alice", "bob").replace("8002", "8003"));
        let parsed = parse(&"mixed.yaml".into(), text.as_bytes(), Rules::default());
        let names: Vec<&str> = parsed.documents.iter().map(|document| &*document.name).collect();
        assert_eq!(names, ["alice", "bob"]);
        assert_eq!((parsed.problems.len(), parsed.claims.len()), (1, 1));
    }
}
