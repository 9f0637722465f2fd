//! How long an answer asks everybody to wait, and whose words these are.
//!
//! In: an answer with a `Retry-After` header, or with a sentence in its body. Out: [`RetryAfter`], 1 second to 24 hours.
//! Invariants: no answer, however wrong, stops the program for good or makes it spin; only what the service says in its
//! own envelope may stop everybody for longer than the options say, for a proxy can send anything else.
//! A date is read against the answer's own `Date`: its sender's clock made both. Without one there is only our own clock,
//! and the message says so.

use std::time::Duration;

use super::envelope::Envelope;
use super::response::HttpResponse;
use crate::throttle::PAUSE_MAX;
use crate::timestamp::Timestamp;

/// The shortest wait. "Retry after 0 seconds" from a service that just refused is an invitation to a hot loop.
const MIN: Duration = Duration::from_secs(1);

/// What a message says if a date is read against our own clock.
const OWN_CLOCK: &str = "Retry-After is a date and the answer has no Date: it is read by the clock of this machine";

/// A wait that an answer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// How long: 1 second to 24 hours.
    pub wait: Duration,
    /// Whether the service itself says so, in its own envelope.
    pub in_envelope: bool,
}

impl RetryAfter {
    /// How long everybody pauses: for what the service says, and for what anybody else says `most` at the longest.
    pub fn capped(self, most: Duration) -> Duration {
        if self.in_envelope { self.wait } else { self.wait.min(most) }
    }
}

/// The wait in the answer's header.
pub(super) fn in_header(response: &HttpResponse, in_envelope: bool, now: Timestamp) -> Option<RetryAfter> {
    let text = response.retry_after.as_deref()?.trim();
    let wait = match date(text) {
        Some(until) => until.since(own_date(response).unwrap_or(now)),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        }
        None => return None,
    };
    Some(RetryAfter { wait: wait.clamp(MIN, PAUSE_MAX), in_envelope })
}

/// The wait in the answer's words, such as "Try again after 22 minutes": sister products of Zoho Mail send that when they
/// throttle, without a header.
pub(super) fn in_words(response: &HttpResponse, envelope: Option<&Envelope>, in_envelope: bool) -> Option<RetryAfter> {
    let wait = match envelope {
        Some(envelope) => envelope.error_code.iter().chain(&envelope.texts).find_map(|text| in_text(text)),
        None => in_text(&String::from_utf8_lossy(&response.body)),
    };
    wait.map(|wait| RetryAfter { wait, in_envelope })
}

/// What has to be said of the wait in the answer's header.
pub(super) fn remark(response: &HttpResponse) -> Option<&'static str> {
    let is_date = response.retry_after.as_deref().is_some_and(|text| date(text).is_some());
    (is_date && own_date(response).is_none()).then_some(OWN_CLOCK)
}

/// The moment of the answer, by its sender's clock.
fn own_date(response: &HttpResponse) -> Option<Timestamp> {
    response.date.as_deref().and_then(date)
}

/// One of HTTP's dates (RFC 9110 section 5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().map(Timestamp::from)
}

fn in_text(text: &str) -> Option<Duration> {
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
    Some(Duration::from_secs(number.saturating_mul(seconds)).clamp(MIN, PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str, date: Option<&str>) -> Option<u64> {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        let (retry_after, date) = (Some(text.to_owned()), date.map(str::to_owned));
        let response = HttpResponse { retry_after, date, ..HttpResponse::default() };
        in_header(&response, true, now).map(|asked| asked.wait.as_secs())
    }

    #[test]
    fn a_header_counts_in_seconds_or_names_a_date() {
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
            assert_eq!(header(text, None), seconds, "{text:?}");
        }
    }

    #[test]
    fn a_date_is_read_against_the_date_of_the_answer_however_wrong_our_own_clock_is() {
        let ten_minutes = "Sun, 06 Nov 1994 09:49:00 GMT";
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 09:39:00 GMT", 600),
            ("Sun, 06 Nov 1994 09:48:59 GMT", 1),
            ("Sun, 06 Nov 1994 09:49:00 GMT", 1),
            ("Wed, 06 Nov 1991 09:49:00 GMT", 86_400),
            ("yesterday", 3600),
        ] {
            assert_eq!(header(ten_minutes, Some(date)), Some(seconds), "{date:?}");
        }
        // An hour ahead of the service, and three years behind it.
        let ahead = ("Sun, 06 Nov 1994 07:59:00 GMT", "Sun, 06 Nov 1994 07:49:00 GMT");
        let behind = ("Thu, 06 Nov 1997 08:59:00 GMT", "Thu, 06 Nov 1997 08:49:00 GMT");
        for (text, date) in [ahead, behind] {
            assert_eq!(header(text, Some(date)), Some(600), "{date}");
        }
        assert_eq!(header("120", Some("Sun, 06 Nov 1994 07:49:00 GMT")), Some(120));
    }

    #[test]
    fn a_date_that_is_read_by_our_own_clock_is_remarked_upon() {
        let (day, seconds) = ("Sun, 06 Nov 1994 08:49:37 GMT", "120");
        for (text, date, remarked) in
            [(day, None, true), (day, Some("x"), true), (day, Some(day), false), (seconds, None, false)]
        {
            let (retry_after, date) = (Some(text.to_owned()), date.map(str::to_owned));
            let response = HttpResponse { retry_after, date, ..HttpResponse::default() };
            assert_eq!(remark(&response).is_some(), remarked, "{response:?}");
        }
        assert_eq!(remark(&HttpResponse::default()), None);
    }

    #[test]
    fn what_is_not_in_the_envelope_of_the_service_holds_for_no_longer_than_the_options_say() {
        let [minute, hour] = [60, 3600].map(Duration::from_secs);
        for (wait, in_envelope, capped) in
            [(hour, true, hour), (hour, false, minute), (minute, true, minute), (MIN, false, MIN)]
        {
            assert_eq!(RetryAfter { wait, in_envelope }.capped(minute), capped, "{wait:?} {in_envelope}");
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
