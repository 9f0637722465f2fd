//! The labels of a file's accounts, for whoever looks for accounts by them.
//!
//! In: a file's bytes and the documents that [`super::parse`] made of them. Out: labels by document.
//! Invariant: only what was read and found sound is read again. Apart from `parse`, for the daemon has no use for
//! labels and keeps none.

use std::collections::BTreeMap;

use super::chunk::chunks;
use super::node::{Node, Placed};
use super::{Document, read_tree};

/// Labels, by key.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// The labels of those of a file's `documents` that have any, with the line on which the document's content begins.
pub fn labels(bytes: &[u8], documents: &[Document]) -> Vec<(u32, Labels)> {
    let Ok(text) = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) else { return Vec::new() };
    let of_document = |document: &Document| {
        let line = document.source.line;
        let chunk = chunks(text).find(|chunk| chunk.content_line == line)?;
        let labels = of_root(&read_tree(&chunk).ok()?.root);
        (!labels.is_empty()).then_some((line, labels))
    };
    documents.iter().filter_map(of_document).collect()
}

fn of_root(root: &Placed<'_>) -> Labels {
    let labels = root.at(&["metadata", "labels"]).map(|(_, labels)| &labels.node);
    let pairs = if let Some(Node::Map(pairs)) = labels { pairs.as_slice() } else { &[] };
    let pair = |(key, value): &(Placed<'_>, Placed<'_>)| match (&key.node, &value.node) {
        (Node::Text(key), Node::Text(value)) => Some((Box::from(&**key), Box::from(&**value))),
        _ => None,
    };
    pairs.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Rules, parse};

    #[test]
    fn each_sound_document_has_its_own_labels_whatever_its_style() {
        let account = |id: u32, metadata: &str| {
            format!(
                "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{id}, {metadata}}}\n\
                 spec: {{accountId: {id}, zuid: 9, enabled: true}}\n"
            )
        };
        let block = account(4, "").replace("{name: a4, }", "\n  name: a4\n  labels:\n    team: \"sales\"\n    x/y: ''");
        let texts = ["labels: {team: \"1\"}", "labels: {team: 1}", ""].map(|metadata| account(1, metadata));
        let text = format!("\u{feff}# first\n{}---\n{}---\n{}---\n{block}", texts[0], texts[1], account(3, ""));
        let parsed = parse(&"x.yaml".into(), text.as_bytes(), Rules::default());
        let found = labels(text.as_bytes(), &parsed.documents);
        let found: Vec<_> = found.iter().map(|(line, labels)| format!("{line} {labels:?}")).collect();
        assert_eq!(found, [r#"2 {"team": "1"}"#, r#"17 {"team": "sales", "x/y": ""}"#]);
    }
}
