//! The contract with the service, as data: each line of the two tables of answers, in every form it comes in.
//!
//! In: nothing. Out: [`PUTS`], the lines of the table in `src/zoho/response.rs`, and [`TOKENS`], those of
//! `src/zoho/token.rs`, in their order.
//! Whoever wants to know what becomes of an answer reads this file; how often and when each is met,
//! [`super::expected`] says.

use zoho_mail_reconciler::condition::Reason::{
    self, AccountNotFound, Forbidden, InDoubt, Rejected, ServiceUnavailable, TokenUnavailable,
};

use super::cell::Whose;

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The field has the new value.
    Applied,
    /// Nothing happened; the account tries again.
    Retry(Reason),
    /// It may have happened; the account tries again.
    Doubt(Reason),
    /// Nothing happened; the account waits for another manifest or the resync.
    Stalled(Reason),
    /// Nothing happened; everybody waits for as long as the service says.
    Throttled,
    /// Nothing happened; everybody waits for a fresh token, and if that is refused as well, for other credentials.
    Token,
    /// Nothing happened; everybody waits for other credentials.
    Credentials,
}

impl Ends {
    /// The outcome's name in metrics.
    pub const fn label(self, whose: Whose) -> &'static str {
        match (self, whose) {
            (Self::Applied, Whose::Put) => "applied",
            (Self::Applied, Whose::Token) => "granted",
            (Self::Retry(_), Whose::Put) => "retry",
            (Self::Retry(_), Whose::Token) => "unavailable",
            (Self::Doubt(_), _) => "in_doubt",
            (Self::Stalled(_), _) => "rejected",
            (Self::Throttled, Whose::Token) => "throttled",
            (Self::Credentials, Whose::Token) => "refused",
            (Self::Throttled | Self::Token | Self::Credentials, _) => "paused",
        }
    }

    /// The reason's name in a condition.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Applied => "-",
            Self::Retry(reason) | Self::Doubt(reason) | Self::Stalled(reason) => reason.as_str(),
            Self::Throttled => Reason::Throttled.as_str(),
            Self::Token | Self::Credentials => Reason::Unauthorized.as_str(),
        }
    }
}

/// What the service does to a request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// What it promises.
    Well,
    /// Answers with this status, this header and this body.
    Say(u16, Option<(&'static str, &'static str)>, &'static str),
    /// Begins the same answer, and closes the connection before its end.
    Cut(u16, &'static str),
    /// What a script of faults calls so.
    Fault(&'static str),
    /// Nothing, for ever.
    Silence,
    /// Nobody listens.
    Refuse,
}

/// One form of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub name: &'static str,
    pub does: Does,
    /// Whether the request took effect all the same.
    pub acted: bool,
    /// What the account's condition says of it: HTTP status and errorCode, where there are any.
    pub told: &'static str,
    /// For how many seconds everybody pauses.
    pub pause: Option<u64>,
}

/// A line of the documented table.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// As the table says it.
    pub answer: &'static str,
    pub ends: Ends,
    pub forms: &'static [Form],
}

const fn form(name: &'static str, does: Does, told: &'static str) -> Form {
    Form { name, does, acted: false, told, pause: None }
}

const fn say(name: &'static str, status: u16, body: &'static str, told: &'static str) -> Form {
    form(name, Does::Say(status, None, body), told)
}

impl Form {
    /// It took effect all the same.
    const fn acted(self) -> Self {
        Self { acted: true, ..self }
    }

    /// Everybody pauses for `seconds`.
    const fn pause(self, seconds: u64) -> Self {
        Self { pause: Some(seconds), ..self }
    }

    /// With this header.
    const fn with(self, header: &'static str, value: &'static str) -> Self {
        let Does::Say(status, _, body) = self.does else { panic!("only an answer has headers") };
        Self { does: Does::Say(status, Some((header, value)), body), ..self }
    }
}

/// How long everybody pauses where nothing says how long, and at most where something else than the service does: the
/// default of `--throttle-pause`, in seconds.
pub const THROTTLE_PAUSE: u64 = 15 * 60;

pub const SUCCESS: &str = r#"{"status":{"code":200,"description":"success"}}"#;
const HTML: &str = "<html><body>Hello</body></html>";
const TICKET: &str = r#"{"data":{"errorCode":"INVALID_TICKET","moreInfo":"Invalid ticket"},"status":{"code":400}}"#;
const TOKEN: &str = r#"{"data":{"errorCode":"INVALID_OAUTHTOKEN"},"status":{"code":401,"description":"x"}}"#;
const SCOPE: &str = r#"{"data":{"errorCode":"INVALID_OAUTHSCOPE"},"status":{"code":401,"description":"x"}}"#;
const RULE: &str = r#"{"data":{"errorCode":"URL_RULE_NOT_CONFIGURED"},"status":{"code":404,"description":"x"}}"#;
const PATTERN: &str = r#"{"data":{"errorCode":"PATTERN_NOT_MATCHED","moreInfo":"x"},"status":{"code":400}}"#;
const MINUTES: &str = r#"{"data":{"errorCode":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED","moreInfo":"Try again after 22 minutes"},"status":{"code":400}}"#;
const SOME_TIME: &str = r#"{"data":{"errorCode":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED","moreInfo":"Try again later"},"status":{"code":400}}"#;
const SLOW: &str = r#"{"status":{"code":429,"description":"slow down"}}"#;
const DOWN: &str = r#"{"status":{"code":503,"description":"down"}}"#;
const DENIED: &str = r#"{"error":"Access Denied","error_description":"Try again after 30 minutes"}"#;
const ROLLING: &str = "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED";

/// What a PUT can meet.
pub const PUTS: &[Line] = &[
    Line {
        answer: "2xx with the acknowledgement",
        ends: Ends::Applied,
        forms: &[
            form("200", Does::Well, ""),
            say("200, the code as a string", 200, r#"{"status":{"code":"200","description":"success"}}"#, "").acted(),
            say("202 with data", 202, r#"{"status":{"code":200},"data":{}}"#, "").acted(),
        ],
    },
    Line {
        answer: "nobody listens, or nothing could be sent",
        ends: Ends::Retry(ServiceUnavailable),
        forms: &[form("connection refused", Does::Refuse, "cannot connect to 127.")],
    },
    Line {
        answer: "no answer in time, or one that is cut short",
        ends: Ends::Doubt(InDoubt),
        forms: &[
            form("silence before acting", Does::Silence, "no answer within 2s"),
            form("silence after acting", Does::Silence, "no answer within 2s").acted(),
            form("closed before acting", Does::Fault("dropBeforeActing"), "the connection was lost"),
            form("closed after acting", Does::Fault("dropAfterActing"), "the connection was lost").acted(),
            form("reset before acting", Does::Fault("resetBeforeActing"), "the connection was lost"),
            form("reset after acting", Does::Fault("resetAfterActing"), "the connection was lost").acted(),
            form("cut within the acknowledgement", Does::Cut(200, SUCCESS), "the connection was lost").acted(),
            form("cut within a refusal", Does::Cut(403, PATTERN), "the connection was lost"),
        ],
    },
    Line {
        answer: "2xx without the acknowledgement, or with an error beside it",
        ends: Ends::Doubt(InDoubt),
        forms: &[
            say("200 HTML", 200, HTML, "HTTP 200 with an HTML page").acted(),
            say("200 HTML of a login page", 200, HTML, "HTTP 200 with an HTML page"),
            say("200 empty", 200, "", "HTTP 200 with an empty body").acted(),
            say("204", 204, "", "HTTP 204 with an empty body").acted(),
            say("200 invalid JSON", 200, r#"{"status":{"code":200"#, "HTTP 200 with a body that is not").acted(),
            say("200 without a code", 200, "{}", "HTTP 200 with an undocumented answer").acted(),
            say("200 oversized", 200, "{oversized}", "HTTP 200 with an oversized body").acted(),
            say("200, code 302", 200, r#"{"status":{"code":302}}"#, "HTTP 200 with code 302"),
            say(
                "200, an error beside the acknowledgement",
                200,
                r#"{"status":{"code":200},"data":{"error":"HALF"}}"#,
                "HTTP 200 HALF",
            )
            .acted(),
        ],
    },
    Line {
        answer: "408, or an acknowledgement under 3xx or 4xx",
        ends: Ends::Doubt(InDoubt),
        forms: &[
            say("408", 408, "", "HTTP 408 with an empty body"),
            say("400 with an acknowledgement", 400, SUCCESS, "HTTP 400 with code 200: success").acted(),
            say("404 with an acknowledgement", 404, SUCCESS, "HTTP 404 with code 200: success"),
            say("302 with an acknowledgement", 302, SUCCESS, "HTTP 302 with code 200: success").acted(),
        ],
    },
    Line {
        answer: "3xx",
        ends: Ends::Doubt(ServiceUnavailable),
        forms: &[
            say("302", 302, "", "HTTP 302 with an empty body").with("Location", "{url}/elsewhere"),
            say("307 to the same", 307, HTML, "HTTP 307 with an HTML page").with("Location", "{url}/elsewhere"),
        ],
    },
    Line {
        answer: "5xx, or a code of 5xx in a 2xx or 4xx",
        ends: Ends::Doubt(ServiceUnavailable),
        forms: &[
            say("500", 500, r#"{"status":{"code":500,"description":"Internal Error"}}"#, "HTTP 500: Internal Error"),
            say("500 after acting", 500, r#"{"status":{"code":500,"description":"x"}}"#, "HTTP 500: x").acted(),
            say("500 with an acknowledgement", 500, SUCCESS, "HTTP 500 with code 200: success").acted(),
            form("502 HTML", Does::Fault("badGateway"), "HTTP 502 with an HTML page"),
            say("503", 503, "", "HTTP 503 with an empty body"),
            say("503, Retry-After", 503, "busy", "HTTP 503 with a body that is not")
                .with("Retry-After", "120")
                .pause(120),
            say("503 of a proxy, Retry-After", 503, HTML, "HTTP 503 with an HTML page")
                .with("Retry-After", "86400")
                .pause(THROTTLE_PAUSE),
            say("503 with an envelope, Retry-After", 503, DOWN, "HTTP 503: down")
                .with("Retry-After", "86400")
                .pause(24 * 60 * 60),
            say("504 after acting", 504, HTML, "HTTP 504 with an HTML page").acted(),
            say("200, code 500", 200, r#"{"status":{"code":500,"description":"x"}}"#, "HTTP 200 with code 500: x"),
            say("404, code 500", 404, r#"{"status":{"code":500,"description":"x"}}"#, "HTTP 404 with code 500: x"),
        ],
    },
    Line {
        answer: "`THROTTLES_LIMIT_EXCEEDED`, \"too many requests\", or 429",
        ends: Ends::Throttled,
        forms: &[
            say("429, Retry-After in seconds", 429, SLOW, "HTTP 429: slow").with("Retry-After", "7200").pause(7200),
            say("429, Retry-After as a date", 429, SLOW, "HTTP 429").with("Retry-After", "{in 30 minutes}").pause(1800),
            say("429 of a proxy, Retry-After", 429, "", "HTTP 429").with("Retry-After", "7200").pause(THROTTLE_PAUSE),
            say("429 of a proxy, shorter", 429, HTML, "HTTP 429 with an HTML").with("Retry-After", "60").pause(60),
            say("429", 429, "", "HTTP 429 with an empty body").pause(THROTTLE_PAUSE),
            say("400 with minutes", 400, MINUTES, "HTTP 400 URL_ROLLING_THROTTLES_LIMIT_EXCEEDED: Try").pause(22 * 60),
            say("400 without minutes", 400, SOME_TIME, ROLLING).pause(THROTTLE_PAUSE),
            say("400 with a text alone", 400, "Too many requests", "HTTP 400").pause(THROTTLE_PAUSE),
            say("200 with an errorCode", 200, MINUTES, "HTTP 200 with code 400 URL_ROLLING_THROTTLES").pause(22 * 60),
            say("200, code 429", 200, r#"{"status":{"code":429}}"#, "HTTP 200 with code 429").pause(THROTTLE_PAUSE),
            say("503 with minutes", 503, MINUTES, "HTTP 503 with code 400 URL_ROLLING_THROTTLES").pause(22 * 60),
            say("403 HTML with minutes", 403, "<p>Too Many Requests, after 3 min", "HTTP 403 with an HTML").pause(180),
        ],
    },
    Line {
        answer: "`INVALID_OAUTHTOKEN`, `INVALID_OAUTHSCOPE`, or any other 401",
        ends: Ends::Token,
        forms: &[
            say("401", 401, TOKEN, "HTTP 401 INVALID_OAUTHTOKEN"),
            say("401 empty", 401, "", "HTTP 401 with an empty body"),
            say("404 with its errorCode", 404, TOKEN, "HTTP 404 with code 401 INVALID_OAUTHTOKEN"),
            say("200 with its errorCode", 200, TOKEN, "HTTP 200 with code 401 INVALID_OAUTHTOKEN"),
            say("200, code 401", 200, r#"{"status":{"code":401}}"#, "HTTP 200 with code 401"),
            say("401, a scope", 401, SCOPE, "HTTP 401 INVALID_OAUTHSCOPE"),
            say("403 with the errorCode of a scope", 403, SCOPE, "HTTP 403 with code 401 INVALID_OAUTHSCOPE"),
        ],
    },
    Line {
        answer: "403",
        ends: Ends::Stalled(Forbidden),
        forms: &[
            say("403", 403, r#"{"data":{"errorCode":"FORBIDDEN"},"status":{"code":403}}"#, "HTTP 403 FORBIDDEN"),
            say("403 HTML", 403, HTML, "HTTP 403 with an HTML page"),
            say("200, code 403", 200, r#"{"status":{"code":403}}"#, "HTTP 200 with code 403"),
        ],
    },
    Line {
        answer: "`URL_RULE_NOT_CONFIGURED`, or 404",
        ends: Ends::Stalled(AccountNotFound),
        forms: &[
            say("404", 404, r#"{"status":{"code":404,"description":"no such account"}}"#, "HTTP 404: no such account"),
            say("404 empty", 404, "", "HTTP 404 with an empty body"),
            say("404 with its errorCode", 404, RULE, "HTTP 404 URL_RULE_NOT_CONFIGURED"),
            say(
                "400 with data.error",
                400,
                r#"{"data":{"error":"URL_RULE_NOT_CONFIGURED"}}"#,
                "HTTP 400 URL_RULE_NOT_CONFIGURED",
            ),
            say("200, code 404 as a string", 200, r#"{"status":{"code":"404"}}"#, "HTTP 200 with code 404"),
        ],
    },
    Line {
        answer: "400, or any other 4xx",
        ends: Ends::Stalled(Rejected),
        forms: &[
            say("400 INVALID_TICKET", 400, TICKET, "HTTP 400 INVALID_TICKET"),
            say("400 PATTERN_NOT_MATCHED", 400, PATTERN, "HTTP 400 PATTERN_NOT_MATCHED"),
            say(
                "400 zuid is null",
                400,
                r#"{"data":{"moreInfo":"zuid is null"},"status":{"code":400}}"#,
                "HTTP 400: zuid is null",
            ),
            say("422", 422, "", "HTTP 422 with an empty body"),
            say("200 with an errorCode", 200, PATTERN, "HTTP 200 with code 400 PATTERN_NOT_MATCHED"),
            say("200, code 400 as a string", 200, r#"{"status":{"code":"400"}}"#, "HTTP 200 with code 400"),
        ],
    },
];

/// What a token request can meet. `Retry` is said of the token request here: it is made again, and nobody else waits.
pub const TOKENS: &[Line] = &[
    Line {
        answer: "2xx with a usable token and no error",
        ends: Ends::Applied,
        forms: &[form("granted", Does::Well, "")],
    },
    Line {
        answer: "an error that stays, such as `invalid_client` or `invalid_code`",
        ends: Ends::Credentials,
        forms: &[
            say("invalid_client", 200, r#"{"error":"invalid_client"}"#, "HTTP 200 invalid_client"),
            say("invalid_code", 200, r#"{"error":"invalid_code"}"#, "HTTP 200 invalid_code"),
            say("400 invalid_code", 400, r#"{"error":"invalid_code"}"#, "HTTP 400 invalid_code"),
        ],
    },
    Line {
        answer: "`Access Denied`, or what throttles a PUT",
        ends: Ends::Throttled,
        forms: &[
            say("Access Denied", 200, r#"{"error":"Access Denied","status":"failure"}"#, "").pause(THROTTLE_PAUSE),
            say(
                "400 Access Denied with minutes",
                400,
                r#"{"error":"Access Denied","error_description":"Try again after 10 minutes"}"#,
                "",
            )
            .pause(600),
            say("429, Retry-After", 429, "", "").with("Retry-After", "60").pause(60),
            say("400 Access Denied with more minutes", 400, DENIED, "").pause(1800),
            say("429 of a proxy, Retry-After", 429, HTML, "").with("Retry-After", "86400").pause(THROTTLE_PAUSE),
        ],
    },
    Line {
        answer: "any other answer, or none",
        ends: Ends::Retry(TokenUnavailable),
        forms: &[
            say("500", 500, "", "HTTP 500 with an empty body"),
            say("503 with invalid_client", 503, r#"{"error":"invalid_client"}"#, "HTTP 503 invalid_client"),
            form("502 HTML", Does::Fault("badGateway"), "HTTP 502 with an HTML page"),
            say("302", 302, "", "HTTP 302 with an empty body").with("Location", "{url}/elsewhere"),
            say("200 garbage", 200, "OK", "HTTP 200 with a body that is not"),
            say("200 empty", 200, "", "HTTP 200 with an empty body"),
            say("200 with an empty token", 200, r#"{"access_token":""}"#, "HTTP 200 with an undocumented answer"),
            say("200 with another error", 200, r#"{"error":"general_error"}"#, "HTTP 200 general_error"),
            form("cut short", Does::Cut(200, r#"{"access_token":"abc"}"#), "the connection was lost"),
            form("closed before acting", Does::Fault("dropBeforeActing"), "the connection was lost"),
            form("closed after acting", Does::Fault("dropAfterActing"), "the connection was lost"),
            form("reset", Does::Fault("resetAfterActing"), "the connection was lost"),
            form("silence", Does::Silence, "no answer within 2s"),
            form("connection refused", Does::Refuse, "cannot connect to 127."),
        ],
    },
];
