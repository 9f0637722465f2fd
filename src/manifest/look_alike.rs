//! Characters that look like others, or like nothing: what a copy from a web page, a word processor or another keyboard
//! leaves, and what no editor shows.
//!
//! In: a text. Out: the first such character, or a hint that names it. Absent by design: what the text would mean with
//! the right character; nothing is corrected.

use crate::account::printable::is_deceptive;

/// A character that is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookAlike {
    /// How many characters stand before it.
    pub index: usize,
    character: char,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A blank that is no blank to YAML.
    Space,
    /// Not to be seen at all.
    Invisible,
    /// A quote, colon, dash or digit of typography.
    Sign(char),
    /// A letter of another script.
    Letter(char),
}

/// Letters of other scripts, each before the Latin one that it looks like.
const LETTERS: &str =
    "тtкkмmвbгrиuаaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwАAВBЕEКKМMНHОOРPСCТTХXІIЈJЅSοoνvαaιiρpυuΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX";

fn kind(c: char) -> Option<Kind> {
    if c.is_ascii() {
        return None;
    }
    Some(match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Kind::Space,
        '\u{2018}'..='\u{201b}' => Kind::Sign('\''),
        '\u{201c}'..='\u{201f}' => Kind::Sign('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Kind::Sign('-'),
        '\u{ff01}'..='\u{ff5e}' => Kind::Sign(char::from_u32(u32::from(c) - 0xfee0)?),
        c if is_deceptive(c) => Kind::Invisible,
        c => {
            let mut letters = LETTERS.chars();
            Kind::Letter(std::iter::from_fn(|| letters.next().zip(letters.next())).find(|(odd, _)| *odd == c)?.1)
        }
    })
}

fn find(text: &str, counts: impl Fn(Kind) -> bool) -> Option<LookAlike> {
    if text.is_ascii() {
        return None;
    }
    let mut characters = text.chars().enumerate();
    characters.find_map(|(index, character)| {
        let kind = kind(character).filter(|kind| counts(*kind))?;
        Some(LookAlike { index, character, kind })
    })
}

/// The first character of `line` that may have kept it from being YAML. Letters and dashes have not.
pub(super) fn in_line(line: &str) -> Option<LookAlike> {
    find(line, |kind| !matches!(kind, Kind::Letter(_) | Kind::Sign('-')))
}

/// The hint for a value or key that is refused. A word without any Latin letter is no look-alike of one.
pub(super) fn hint(text: &str) -> Option<String> {
    let latin = text.contains(|c: char| c.is_ascii_alphabetic());
    let found = find(text, |kind| latin || !matches!(kind, Kind::Letter(_)))?;
    let number = found.index + 1;
    Some(format!("its character {number} is {}: {}", found.describe(), found.remedy()))
}

/// The hint where only letters of a to z may stand, in a text that may be of another alphabet altogether.
pub(super) fn beyond_latin(text: &str) -> Option<String> {
    let (index, character) = text.chars().enumerate().find(|(_, c)| c.is_alphabetic() && !c.is_ascii())?;
    Some(format!("its character {} is no letter of a to z (U+{:04X})", index + 1, u32::from(character)))
}

impl LookAlike {
    /// What it is, in words.
    pub(super) fn describe(self) -> String {
        let Self { character, kind, .. } = self;
        let name = match kind {
            Kind::Space if matches!(character, '\u{a0}' | '\u{202f}') => "a no-break space".to_owned(),
            Kind::Space => "an unusual space".to_owned(),
            Kind::Invisible => "an invisible character".to_owned(),
            Kind::Sign(meant) | Kind::Letter(meant) => format!("a character that looks like {meant}"),
        };
        format!("{name} (U+{:04X})", u32::from(character))
    }

    /// What to write instead.
    pub(super) const fn remedy(self) -> &'static str {
        match self.kind {
            Kind::Space => "write a plain space",
            Kind::Invisible => "remove it",
            Kind::Sign(_) => "write the plain one",
            Kind::Letter(_) => "write the Latin letter",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_with_its_number_and_what_to_write() {
        for (text, expected) in [
            ("\u{442}rue", "its character 1 is a character that looks like t (U+0442): write the Latin letter"),
            ("M\u{430}ilAccount", "its character 2 is a character that looks like a (U+0430): write the Latin letter"),
            ("\u{a0}name", "its character 1 is a no-break space (U+00A0): write a plain space"),
            ("tru\u{200b}e", "its character 4 is an invisible character (U+200B): remove it"),
            ("\u{201c}true\u{201d}", "its character 1 is a character that looks like \" (U+201C): write the plain one"),
            ("\u{ff11}2", "its character 1 is a character that looks like 1 (U+FF11): write the plain one"),
        ] {
            assert_eq!(hint(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_of_another_language_is_no_disguise() {
        for text in ["alice", "Zo\u{eb}", "\u{438}\u{432}\u{430}\u{43d}", "\u{65e5}\u{672c}", ""] {
            assert_eq!(hint(text), None, "{text}");
        }
    }

    #[test]
    fn where_only_a_to_z_may_stand_any_other_letter_is_named() {
        assert_eq!(beyond_latin("a-\u{438}").as_deref(), Some("its character 3 is no letter of a to z (U+0438)"));
        assert_eq!(beyond_latin("alice.7"), None);
    }

    #[test]
    fn letters_stand_in_pairs() {
        let letters: Vec<char> = LETTERS.chars().collect();
        assert!(letters.chunks(2).all(|pair| !pair[0].is_ascii() && pair[1].is_ascii_alphabetic()));
    }
}
