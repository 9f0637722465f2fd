//! A file with every bug of it, each behind a switch.
//!
//! In: a file's text, and the edits of all variants in it. Out: the text that has them all.
//! Invariant: a text that is not in its file exactly once is an error, for then the variant no longer applies.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::ensure;

use super::variants::Edit;

/// `text` with every edit in it, each behind its switch. Edits of one and the same place share it.
pub fn switched(text: &str, edits: &[(&str, &Edit)]) -> anyhow::Result<String> {
    let mut places: BTreeMap<(usize, usize), Vec<(&str, &str)>> = BTreeMap::new();
    let mut stale = Vec::new();
    for (name, edit) in edits {
        match locate(text, edit.find).as_slice() {
            [place] => places.entry((place.start, place.end)).or_default().push((name, edit.replace)),
            found => stale.push(format!("{name}: its text is there {} times: {}", found.len(), edit.find)),
        }
    }
    ensure!(stale.is_empty(), "these no longer apply:\n{}", stale.join("\n"));
    let (mut out, mut end) = (String::new(), 0);
    for ((start, stop), bugs) in places {
        ensure!(start >= end, "{} overlaps another one", bugs[0].0);
        let sound = &text[start..stop];
        ensure!(!sound.starts_with('.'), "{}: {sound:?} is neither an expression nor a statement", bugs[0].0);
        let chain: String = (bugs.iter())
            .map(|(name, bug)| format!("if crate::mutant::is(\"{name}\") {{ {bug} }} else "))
            .chain([format!("{{ {sound} }}")])
            .collect();
        let statement = sound.ends_with([';', '}']);
        out += &text[end..start];
        out += &if statement { chain } else { format!("({chain})") };
        end = stop;
    }
    Ok(out + &text[end..])
}

/// Where `find` is in `text`, of whatever kind its white space is; of that, what lies between the marks « and ».
fn locate(text: &str, find: &str) -> Vec<Range<usize>> {
    text.char_indices().filter_map(|(start, _)| matched(text, start, find)).collect()
}

fn matched(text: &str, start: usize, find: &str) -> Option<Range<usize>> {
    let (mut at, mut begin, mut end) = (start, start, None);
    let mut spaced = false;
    for char in find.chars() {
        match char {
            '«' => begin = at,
            '»' => end = Some(at),
            char if char.is_whitespace() => {
                let gap = text[at..].len() - text[at..].trim_start().len();
                if gap == 0 && !spaced {
                    return None;
                }
                at += gap;
            }
            char => at = text[at..].starts_with(char).then_some(at + char.len_utf8())?,
        }
        spaced = char.is_whitespace();
    }
    Some(begin..end.unwrap_or(at))
}
