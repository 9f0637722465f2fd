//! The ways in which a service may spell a secret that it repeats.
//!
//! In: a text of the service, and a secret. Out: whether a reader of the text would have the secret, or half of it.
//! Invariant: upper case, percent signs, backslashes, entities, base64, hexadecimal, blanks in between, and a few of them
//! one over the other hide nothing.
//! Deliberately absent: encryption, compression, and the secret backwards: who spells it so means to give it away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The shortest secret that is looked for in other spellings, in bytes: of a shorter one they are found by chance, and a
/// secret of the service has 42 and more.
const LENGTH_MIN: usize = 8;

/// From this length on half of a secret is looked for as well, in bytes: what a service shows of a value that it cut.
const HALVED_MIN: usize = 24;

/// How many spellings over one another are undone: a JSON text within a JSON text within a URL.
const DEPTH: usize = 3;

/// Whether `text` tells `secret` in any spelling.
pub(super) fn tells(text: &str, secret: &str) -> bool {
    if secret.len() < LENGTH_MIN {
        return false;
    }
    let parts = match secret.split_at_checked(secret.len() / 2) {
        Some((first, second)) if secret.len() >= HALVED_MIN => vec![first, second],
        _ => vec![secret],
    };
    let mut text = text.to_owned();
    for _ in 0..DEPTH {
        if parts.iter().any(|part| stands_in(&text, part)) {
            return true;
        }
        text = unescaped(&text);
    }
    parts.iter().any(|part| stands_in(&text, part))
}

fn stands_in(text: &str, part: &str) -> bool {
    let graphic: String = text.chars().filter(char::is_ascii_graphic).collect();
    let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
    // The alphabet of URLs differs in two letters.
    let standard = graphic.replace('-', "+").replace('_', "/");
    let folded = graphic.to_ascii_lowercase();
    folded.contains(&part.to_ascii_lowercase())
        || folded.contains(&hex)
        || (0..3).any(|shift| standard.contains(&in_base64(part, shift)))
}

/// What is sure to stand in the base64 of a text that has `part` after a multiple of three bytes and `shift` more.
fn in_base64(part: &str, shift: usize) -> String {
    let encoded = STANDARD_NO_PAD.encode([&b"...."[..shift], part.as_bytes()].concat());
    // The letters at both ends hold bits of the neighbours as well.
    let (first, last) = ((shift * 8).div_ceil(6), (shift + part.len()) * 8 / 6);
    encoded[first..last].to_owned()
}

/// `text` with one layer of escapes undone: `%2D`, `\u002d`, `\x2d`, `\-`, `&#45;`, `&#x2d;`, `&amp;`.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) = escape(rest).unwrap_or((c, c.len_utf8()));
        plain.push(c);
        rest = &rest[length..];
    }
    plain
}

/// The character that `text` begins with the escape of, and the escape's length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    for (mark, digits) in [("%", 2), ("\\u", 4), ("\\x", 2)] {
        let found = text.strip_prefix(mark).and_then(|rest| number(rest.get(..digits)?, 16));
        if let Some(c) = found {
            return Some((c, mark.len() + digits));
        }
    }
    if let Some(c) = text.strip_prefix('\\').and_then(|rest| rest.chars().next()) {
        return Some((c, 1 + c.len_utf8()));
    }
    let (name, _) = text.strip_prefix('&')?.split_once(';')?;
    let c = match name.strip_prefix('#') {
        Some(code) => code.strip_prefix(['x', 'X']).map_or_else(|| number(code, 10), |code| number(code, 16))?,
        None => ENTITIES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((c, name.len() + 2))
}

/// The entities that HTML needs; every other character may stand for itself.
const ENTITIES: [(&str, char); 5] = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hush-Hush+hush/hush&hush<42";

    #[test]
    fn every_spelling_tells() {
        let html = SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('-', "&#45;").replace('/', "&#x2F;");
        let json: String = SECRET.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
        let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for text in [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            html,
            json.replace('\\', "\\\\"),
            json.replace("\\u00", "\\x"),
            json,
            percent.replace('%', ""),
            percent.replace('%', "%25"),
            percent,
            SECRET.replace('/', "\\/"),
            SECRET.replace('h', "h\n"),
            SECRET.replace('h', "h\u{200b}"),
            SECRET[..14].to_owned(),
            SECRET[13..].to_owned(),
        ] {
            assert!(tells(&format!("see {text}, it says"), SECRET), "{text}");
        }
        for before in ["", "a", "ab", "abc", "abcd:"] {
            for engine in [base64::engine::general_purpose::STANDARD, base64::engine::general_purpose::URL_SAFE] {
                let text = engine.encode(format!("{before}{SECRET}:x"));
                assert!(tells(&format!("Basic {text}"), SECRET), "{text}");
            }
        }
    }

    #[test]
    fn what_says_nothing_of_the_secret_stays() {
        for text in ["", "%", "%zz \\", "\\u12", "&;", "&#;", "&#xzz;", "hush", &SECRET[..12], "invalid_client"] {
            assert!(!tells(text, SECRET), "{text}");
        }
        assert!(!tells("an uneasy text", "easy"), "a short secret is only looked for as it is");
    }
}
