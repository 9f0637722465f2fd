#![no_main]
//! Any answer to a PUT. In: two bytes of status, one that says whether there is a `Retry-After` (up to a NUL) and
//! whether the body was cut, then the body; each byte 1 becomes the access token. Holds: success is never
//! read from anything but a 2xx with the documented acknowledgement, and a message is one bounded line without the token.

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zoho_mail_reconciler::change::Outcome;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{HttpResponse, Secrets, classify};

/// Not of the form that is always taken out: the request's own secrets have to go whatever they look like.
const TOKEN: &str = "hush+hush/Hush=hush~hush";

fuzz_target!(|bytes: &[u8]| {
    let [high, low, flags, rest @ ..] = bytes else { return };
    let status = u16::from_be_bytes([*high, *low]) % 1000;
    let echoed: Vec<u8> = rest
        .iter()
        .flat_map(|byte| if *byte == 1 { TOKEN.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let split = if flags & 1 == 1 { echoed.iter().position(|byte| *byte == 0) } else { None };
    let (header, body) = split.map_or((None, &echoed[..]), |nul| (Some(&echoed[..nul]), &echoed[nul + 1..]));
    let response = HttpResponse {
        status,
        retry_after: header.map(|header| String::from_utf8_lossy(header).into_owned()),
        date: None,
        body: body.to_vec(),
        truncated: flags & 2 == 2,
    };
    let acknowledged = !response.truncated && (200..300).contains(&status) && is_acknowledgement(body);
    let answer = classify(&Ok(response), &Secrets::new([TOKEN]), Timestamp::from_millis(1_763_753_731_042));
    assert_eq!(answer.outcome == Outcome::Applied, acknowledged, "{answer:?}");
    assert!(!matches!(answer.outcome, Outcome::Retry(_)), "an answer came, so something may have happened");
    assert!(answer.retry_after.is_none_or(|asked| (1..=86_400).contains(&asked.wait.as_secs())));
    let Some(failure) = answer.outcome.failure() else { return };
    assert!(failure.message.chars().count() < 600, "{failure}");
    assert!(
        !failure.message.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
        "{failure:?}"
    );
    assert!(!failure.message.contains(TOKEN), "{failure:?}");
});

/// An independent reading of the documented form: a 2xx `status.code`, and no error code anywhere.
fn is_acknowledgement(body: &[u8]) -> bool {
    let Ok(Value::Object(top)) = serde_json::from_slice(body) else { return false };
    let code = match &top.get("status").unwrap_or(&Value::Null)["code"] {
        Value::String(digits) => digits.trim().parse::<u16>().ok().map(u64::from),
        number => number.as_u64(),
    };
    let data = top.get("data").and_then(Value::as_object);
    let errors =
        [Some(&top), data].into_iter().flatten().flat_map(|object| [object.get("errorCode"), object.get("error")]);
    code.is_some_and(|code| (200..300).contains(&code)) && errors.flatten().all(Value::is_null)
}
