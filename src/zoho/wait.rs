//! How long the service asks everybody to wait.
//!
//! In: a `Retry-After` header, or the sentence in an error. Out: a duration of 1 second to 24 hours.
//! Invariant: no answer, however wrong, stops the program for good or makes it spin.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// The longest wait that is believed. Zoho's documented limits are counted in minutes and days at most.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest wait. "Retry after 0 seconds" from a service that just refused is an invitation to a hot loop.
const MIN: Duration = Duration::from_secs(1);

/// The wait in a `Retry-After` header: seconds, or one of HTTP's dates (RFC 9110 section 10.2.3).
pub(super) fn in_header(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        Timestamp::from(httpdate::parse_http_date(text).ok()?).since(now)
    };
    Some(wait.clamp(MIN, MAX))
}

/// The wait in a sentence such as "Try again after 22 minutes", which sister products of Zoho Mail
/// send when they throttle, without a header.
pub(super) fn in_text(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    text.match_indices("after").find_map(|(at, word)| amount(&text[at + word.len()..]))
}

/// "22 minutes", with anything behind it.
fn amount(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let seconds = match () {
        () if number.is_empty() => return None,
        () if unit.starts_with("sec") => 1,
        () if unit.starts_with("min") => 60,
        () if unit.starts_with("hour") => 60 * 60,
        () => return None,
    };
    let number: u64 = number.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(number.saturating_mul(seconds)).clamp(MIN, MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_in_seconds_or_names_a_date() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(1)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(1)),
            ("Sun, 06 Nov 2044 08:49:37 GMT", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(in_header(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_sentence_counts_in_seconds_minutes_or_hours() {
        for (text, seconds) in [
            ("You crossed the limit of 30 in 1 minute. Try again after 22 minutes", Some(22 * 60)),
            ("TRY AGAIN AFTER 1 MINUTE.", Some(60)),
            ("after a while; retry after 30seconds", Some(30)),
            ("Please try after 2 hours", Some(7200)),
            ("try after 99999999999999999999 hours", Some(86_400)),
            ("try after 0 minutes", Some(1)),
            ("try after some time", None),
            ("try after 5", None),
            ("22 minutes", None),
            ("after", None),
            ("after ١ minutes", None),
        ] {
            assert_eq!(in_text(text), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
