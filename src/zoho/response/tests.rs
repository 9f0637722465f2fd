//! The table, line by line. In: status and body. Out: outcome, wait and message, as one text.

use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    "1994-11-06T08:49:00Z".parse().unwrap()
}

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, body: body.into(), ..HttpResponse::default() }
}

fn verdict(response: HttpResponse) -> String {
    print(&classify(&Ok(response), &Secrets::new(["the-token"]), now()))
}

fn print(answer: &Answer) -> String {
    let wait = answer.retry_after.map_or_else(String::new, |asked| {
        let whose = if asked.in_envelope { "" } else { " at most" };
        format!(" wait {}s{whose}", asked.wait.as_secs())
    });
    let cause = match answer.outcome {
        Outcome::Paused(cause, _) => format!(" {cause:?}"),
        _ => String::new(),
    };
    let failure = answer.outcome.failure().map(|failure| format!(" {failure}")).unwrap_or_default();
    format!("{}{cause}{wait}{failure}", answer.outcome.label())
}

fn table(cases: &[(u16, &str)]) -> String {
    cases.iter().map(|(status, body)| verdict(response(*status, body)) + "\n").collect()
}

#[test]
fn only_an_http_success_with_the_documented_body_is_applied() {
    for (status, body) in [
        (200, r#"{"status":{"code":200,"description":"success"}}"#),
        (200, r#"{"status":{"code":"200","description":"success"}}"#),
        (202, r#"{"status":{"code":200,"description":"success"},"data":{}}"#),
    ] {
        assert_eq!(verdict(response(status, body)), "applied", "{status} {body}");
    }
}

#[test]
fn a_success_without_a_readable_acknowledgement_is_in_doubt() {
    let truncated =
        HttpResponse { truncated: true, ..response(200, r#"{"status":{"code":200,"description":"success"}}"#) };
    insta::assert_snapshot!(verdict(truncated), @"in_doubt InDoubt: HTTP 200 with an oversized body (the change may have been made; it is sent again)");
    insta::assert_snapshot!(table(&[
        (200, ""),
        (204, ""),
        (200, "<html>Too many requests. Try again after 5 minutes</html>"),
        (200, "OK"),
        (200, r#"{"status":{"code":200}"#),
        (200, "{}"),
        (200, r#"{"status":{"code":200,"description":"success"},"data":{"errorCode":"SOMETHING_NEW","moreInfo":"half done"}}"#),
    ]), @"
    in_doubt InDoubt: HTTP 200 with an empty body (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 204 with an empty body (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 200 with an HTML page instead of JSON (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 200 with a body that is not the documented JSON (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 200 with a body that is not the documented JSON (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 200 with an undocumented answer (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 200 SOMETHING_NEW: success: half done (the change may have been made; it is sent again)
    ");
}

#[test]
fn an_error_inside_an_http_success_counts_as_that_error() {
    let body = |code: &str| format!(r#"{{"status":{{"code":{code},"description":"d"}}}}"#);
    let bodies: Vec<_> = ["400", "401", "403", "\"404\"", "408", "429", "500", "302"].map(body).into();
    let cases: Vec<_> = bodies.iter().map(|body| (200, body.as_str())).collect();
    insta::assert_snapshot!(table(&cases), @"
    rejected Rejected: HTTP 200 with code 400: d
    paused TokenRefused Unauthorized: HTTP 200 with code 401: d (check the credentials, and that the data center is theirs)
    rejected Forbidden: HTTP 200 with code 403: d (the owner of the token may not change this account)
    rejected AccountNotFound: HTTP 200 with code 404: d (check accountId, which is not the zuid, the organization and the data center)
    in_doubt InDoubt: HTTP 200 with code 408: d (the change may have been made; it is sent again)
    paused Throttled Throttled: HTTP 200 with code 429: d
    in_doubt ServiceUnavailable: HTTP 200 with code 500: d
    in_doubt InDoubt: HTTP 200 with code 302: d (the change may have been made; it is sent again)
    ");
}

#[test]
fn a_success_inside_an_http_error_is_never_believed_nor_taken_for_a_refusal() {
    let body = r#"{"status":{"code":200,"description":"success"}}"#;
    insta::assert_snapshot!(table(&[(302, body), (400, body), (404, body), (500, body)]), @"
    in_doubt InDoubt: HTTP 302 with code 200: success (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 400 with code 200: success (the change may have been made; it is sent again)
    in_doubt InDoubt: HTTP 404 with code 200: success (the change may have been made; it is sent again)
    in_doubt ServiceUnavailable: HTTP 500 with code 200: success
    ");
}

#[test]
fn refusals_of_one_account_stall_that_account() {
    insta::assert_snapshot!(table(&[
        (400, r#"{"status":{"code":400,"description":"Invalid Input"},"data":{"errorCode":"PATTERN_NOT_MATCHED","moreInfo":"zuid is null"}}"#),
        (400, r#"{"status":{"code":400},"data":{"errorCode":"INVALID_TICKET","moreInfo":"Invalid ticket"}}"#),
        (400, r#"{"status":{"code":404,"description":"no such account"}}"#),
        (400, r#"{"data":{"error":"URL_RULE_NOT_CONFIGURED"}}"#),
        (403, r#"{"status":{"code":403,"description":"Forbidden"},"data":{"errorCode":"FORBIDDEN"}}"#),
        (403, "<html>"),
        (404, ""),
        (409, "x"),
        (422, ""),
    ]), @"
    rejected Rejected: HTTP 400 PATTERN_NOT_MATCHED: Invalid Input: zuid is null
    rejected Rejected: HTTP 400 INVALID_TICKET: Invalid ticket (the Authorization header did not arrive: a proxy may have taken it away, otherwise this is a bug of zoho-mail-reconciler)
    rejected AccountNotFound: HTTP 400 with code 404: no such account (check accountId, which is not the zuid, the organization and the data center)
    rejected AccountNotFound: HTTP 400 URL_RULE_NOT_CONFIGURED (check accountId, which is not the zuid, the organization and the data center)
    rejected Forbidden: HTTP 403 FORBIDDEN: Forbidden (the owner of the token may not change this account)
    rejected Forbidden: HTTP 403 with an HTML page instead of JSON (the owner of the token may not change this account)
    rejected AccountNotFound: HTTP 404 with an empty body (check accountId, which is not the zuid, the organization and the data center)
    rejected Rejected: HTTP 409 with a body that is not the documented JSON
    rejected Rejected: HTTP 422 with an empty body
    ");
}

#[test]
fn a_refused_token_pauses_everybody_under_any_status() {
    let token = r#"{"data":{"errorCode":"INVALID_OAUTHTOKEN"},"status":{"code":404,"description":"Invalid Input"}}"#;
    let scope = r#"{"status":{"code":401},"data":{"errorCode":"INVALID_OAUTHSCOPE"}}"#;
    insta::assert_snapshot!(table(&[(401, token), (404, token), (200, token), (401, ""), (401, scope)]), @"
    paused TokenRefused Unauthorized: HTTP 401 with code 404 INVALID_OAUTHTOKEN: Invalid Input (check the credentials, and that the data center is theirs)
    paused TokenRefused Unauthorized: HTTP 404 INVALID_OAUTHTOKEN: Invalid Input (check the credentials, and that the data center is theirs)
    paused TokenRefused Unauthorized: HTTP 200 with code 404 INVALID_OAUTHTOKEN: Invalid Input (check the credentials, and that the data center is theirs)
    paused TokenRefused Unauthorized: HTTP 401 with an empty body (check the credentials, and that the data center is theirs)
    paused ScopeMissing Unauthorized: HTTP 401 INVALID_OAUTHSCOPE (make credentials with the scope ZohoMail.organization.accounts.UPDATE, or ZohoMail.accounts.UPDATE with user authentication)
    ");
}

#[test]
fn throttling_is_recognised_by_text_as_well_as_by_status() {
    let body = r#"{"status":{"code":400},"data":{"errorCode":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED","moreInfo":"Try again after 22 minutes"}}"#;
    insta::assert_snapshot!(table(&[
        (400, body),
        (200, body),
        (503, body),
        (429, ""),
        (403, "<html>Too Many Requests, try after 3 min</html>"),
        (400, r#"{"error":"Access Denied","error_description":"You have made too many requests continuously."}"#),
    ]), @"
    paused Throttled wait 1320s Throttled: HTTP 400 URL_ROLLING_THROTTLES_LIMIT_EXCEEDED: Try again after 22 minutes
    paused Throttled wait 1320s Throttled: HTTP 200 with code 400 URL_ROLLING_THROTTLES_LIMIT_EXCEEDED: Try again after 22 minutes
    paused Throttled wait 1320s Throttled: HTTP 503 with code 400 URL_ROLLING_THROTTLES_LIMIT_EXCEEDED: Try again after 22 minutes
    paused Throttled Throttled: HTTP 429 with an empty body
    paused Throttled wait 180s at most Throttled: HTTP 403 with an HTML page instead of JSON
    paused Throttled Throttled: HTTP 400 Access Denied: You have made too many requests continuously.
    ");
    let header = |text: &str| HttpResponse { retry_after: Some(text.into()), ..response(400, body) };
    assert!(verdict(header("7")).starts_with("paused Throttled wait 7s"));
    assert!(verdict(header("Sun, 06 Nov 1994 08:49:37 GMT")).starts_with("paused Throttled wait 37s"));
    assert!(verdict(header("nonsense")).starts_with("paused Throttled wait 1320s"));
}

#[test]
fn trouble_of_the_service_leaves_the_account_in_doubt() {
    insta::assert_snapshot!(table(&[
        (500, r#"{"status":{"code":500,"description":"Internal Error"}}"#),
        (500, r#"{"status":{"code":404,"description":"no such account"}}"#),
        (400, r#"{"status":{"code":500,"description":"Internal Error"}}"#),
        (502, "<html>"),
        (503, ""),
        (408, ""),
        (302, "<a href>"),
        (304, ""),
        (101, ""),
        (999, ""),
    ]), @"
    in_doubt ServiceUnavailable: HTTP 500: Internal Error
    in_doubt ServiceUnavailable: HTTP 500 with code 404: no such account
    in_doubt ServiceUnavailable: HTTP 400 with code 500: Internal Error
    in_doubt ServiceUnavailable: HTTP 502 with an HTML page instead of JSON
    in_doubt ServiceUnavailable: HTTP 503 with an empty body
    in_doubt InDoubt: HTTP 408 with an empty body (the change may have been made; it is sent again)
    in_doubt ServiceUnavailable: HTTP 302 with an HTML page instead of JSON (redirects are never followed: check the API URL, and for a proxy or login page in between)
    in_doubt ServiceUnavailable: HTTP 304 with an empty body (redirects are never followed: check the API URL, and for a proxy or login page in between)
    in_doubt ServiceUnavailable: HTTP 101 with an empty body
    in_doubt ServiceUnavailable: HTTP 999 with an empty body
    ");
    let waiting = HttpResponse { retry_after: Some("120".into()), ..response(503, "") };
    assert!(verdict(waiting).starts_with("in_doubt wait 120s at most "));
}

#[test]
fn only_the_words_of_the_service_itself_stop_everybody_for_longer_than_the_options_say() {
    let envelope = r#"{"status":{"code":503,"description":"Down until tomorrow"}}"#;
    let asked = |status, body| {
        verdict(HttpResponse { retry_after: Some("86400".into()), ..response(status, body) })
            .split(" Throttled:")
            .next()
            .and_then(|line| line.split(" ServiceUnavailable:").next())
            .unwrap()
            .to_owned()
    };
    for (status, body, expected) in [
        (503, envelope, "in_doubt wait 86400s"),
        (503, "<html>", "in_doubt wait 86400s at most"),
        (503, "", "in_doubt wait 86400s at most"),
        (503, r#"{"message":"no upstream"}"#, "in_doubt wait 86400s at most"),
        (429, r#"{"data":{"errorCode":"TOO_MANY_REQUESTS"}}"#, "paused Throttled wait 86400s"),
        (429, r#"{"error":"rate limit"}"#, "paused Throttled wait 86400s at most"),
        (429, "", "paused Throttled wait 86400s at most"),
    ] {
        assert_eq!(asked(status, body), expected, "{status} {body}");
    }
    let cut = HttpResponse { truncated: true, retry_after: Some("86400".into()), ..response(503, envelope) };
    assert!(verdict(cut).starts_with("in_doubt wait 86400s at most"));
}

#[test]
fn a_date_is_read_against_the_date_of_the_answer_or_the_message_says_by_which_clock() {
    let answer = |date: Option<&str>| {
        let retry_after = Some("Sun, 06 Nov 1994 08:49:37 GMT".into());
        verdict(HttpResponse { retry_after, date: date.map(Into::into), ..response(429, "") })
    };
    insta::assert_snapshot!(answer(Some("Sun, 06 Nov 1994 08:39:37 GMT")), @"paused Throttled wait 600s at most Throttled: HTTP 429 with an empty body");
    insta::assert_snapshot!(answer(None), @"paused Throttled wait 37s at most Throttled: HTTP 429 with an empty body (Retry-After is a date and the answer has no Date: it is read by the clock of this machine)");
}

#[test]
fn only_a_request_that_never_left_may_simply_be_retried() {
    let outcomes: String = [
        TransportError::Unsent("no CA certificates".into()),
        TransportError::Connect("mail.zoho.com: Connection refused".into()),
        TransportError::Timeout(Duration::from_secs(30)),
        TransportError::Lost("connection closed, the-token".into()),
    ]
    .into_iter()
    .map(|error| {
        let answer = classify(&Err(error), &Secrets::new(["the-token"]), now());
        format!("{} {}\n", answer.code, print(&answer))
    })
    .collect();
    insta::assert_snapshot!(outcomes, @"
    unsent retry ServiceUnavailable: nothing was sent: no CA certificates
    connect retry ServiceUnavailable: cannot connect to mail.zoho.com: Connection refused
    timeout in_doubt InDoubt: no answer within 30s
    lost in_doubt InDoubt: the connection was lost before the whole answer had come: connection closed, [redacted]
    ");
}

#[test]
fn an_echoed_token_or_a_forged_line_does_not_reach_the_message() {
    let body = serde_json::json!({
        "status": {"code": 403, "description": "token the-token refused\nINFO all is well \u{1b}[2J\u{202e}"},
        "data": {"errorCode": "FOR\nthe-token", "moreInfo": "x".repeat(5000)},
    });
    let line = verdict(response(403, &body.to_string()));
    assert!(!line.contains("the-token") && !line.contains(char::is_control) && !line.contains('\u{202e}'), "{line}");
    assert!(line.contains(r"token [redacted] refused\nINFO all is well \u{1b}[2J\u{202e}"), "{line}");
    assert!(line.chars().count() < 400, "{}", line.len());
}

/// Bodies near the documented ones, and any bytes at all.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let code =
        prop_oneof![Just("200".to_owned()), Just("\"200\"".to_owned()), (0u32..700).prop_map(|code| code.to_string())];
    let error =
        prop_oneof![Just("null".to_owned()), Just("\"INVALID_OAUTHTOKEN\"".to_owned()), Just("\"X\"".to_owned())];
    let near = (code, error, ".{0,300}").prop_map(|(code, error, words)| {
        let words = serde_json::Value::String(words);
        format!(r#"{{"status":{{"code":{code},"description":{words}}},"data":{{"errorCode":{error}}}}}"#).into_bytes()
    });
    prop_oneof![3 => near, 1 => proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    // No file of past failures: a seed that failed once becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_claims_more_than_was_said(status in 100u16..700, body in bodies(), truncated: bool, header: Option<String>) {
        let said = |codes: std::ops::Range<u16>| {
            let in_body = Envelope::parse(&body).filter(|_| !truncated).and_then(|envelope| envelope.code);
            codes.contains(&status) || in_body.is_some_and(|code| codes.contains(&code))
        };
        let response = HttpResponse { status, retry_after: header, date: None, body: body.clone(), truncated };
        let answer = classify(&Ok(response), &Secrets::default(), now());
        match &answer.outcome {
            Outcome::Applied => prop_assert!((200..300).contains(&status) && !truncated && !said(300..600)),
            Outcome::Rejected(_) => prop_assert!(said(400..500) && !said(500..600)),
            Outcome::Retry(_) => prop_assert!(false, "an answer came, so something may have happened"),
            Outcome::Paused(..) | Outcome::InDoubt(_) => {}
        }
        if let Some(failure) = answer.outcome.failure() {
            prop_assert!(!failure.message.contains(char::is_control) && failure.message.chars().count() < 500);
        }
        prop_assert!(answer.retry_after.is_none_or(|asked| (1..=86_400).contains(&asked.wait.as_secs())));
    }
}

#[test]
fn an_answer_shows_no_body_in_its_debug_output() {
    let shown = format!("{:?}", HttpResponse { body: b"access_token".to_vec(), ..HttpResponse::default() });
    insta::assert_snapshot!(shown, @"HttpResponse(0, None, 12 bytes, truncated: false)");
}
