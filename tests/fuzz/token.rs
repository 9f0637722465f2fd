#![no_main]
//! Any answer to a token request, through the client. In: two bytes of status, then the body; each byte 1 becomes the
//! client's secret, each byte 2 the refresh token. Holds: only a 2xx with a usable `access_token` and no error is
//! a grant, for an hour at most; no message and no Debug shows a secret, not even the one just granted.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zoho_mail_reconciler::zoho::{
    AccessToken, Client, HttpRequest, HttpResponse, Principal, RefreshCredentials, TokenAnswer, TokenOutcome,
    Transport, TransportError,
};

const CLIENT_SECRET: &str = "hush+hush/Hush=hush~hush";
const REFRESH_TOKEN: &str = "sesame&sesame%20sesame";

/// Answers at once, once.
struct Once(Arc<Mutex<Option<HttpResponse>>>);

impl Transport for Once {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [high, low, rest @ ..] = bytes else { return };
    let status = u16::from_be_bytes([*high, *low]) % 1000;
    let mut body = Vec::new();
    for byte in rest {
        match byte {
            1 => body.extend_from_slice(CLIENT_SECRET.as_bytes()),
            2 => body.extend_from_slice(REFRESH_TOKEN.as_bytes()),
            byte => body.push(*byte),
        }
    }
    let response = HttpResponse { status, body: body.clone(), ..HttpResponse::default() };
    let answer = fetch(response);
    let failure = match &answer.outcome {
        TokenOutcome::Granted { token, expires_in } => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let sent = body["access_token"].as_str().unwrap();
            assert!((200..300).contains(&status) && *token == AccessToken::new(sent).unwrap());
            assert!((1..=3600).contains(&expires_in.as_secs()));
            assert!(body["error"].is_null() && body["errorCode"].is_null());
            return assert!(sent.len() < 16 || !format!("{answer:?}").contains(sent));
        }
        TokenOutcome::Throttled(failure, asked) => {
            assert!(asked.is_none_or(|asked| (1..=86_400).contains(&asked.wait.as_secs())));
            failure
        }
        TokenOutcome::Refused(failure) | TokenOutcome::Unavailable(failure) => failure,
    };
    assert!(failure.message.chars().count() < 700 && !failure.message.contains(char::is_control), "{failure:?}");
    assert!(![CLIENT_SECRET, REFRESH_TOKEN].iter().any(|secret| failure.message.contains(secret)), "{failure:?}");
});

fn fetch(response: HttpResponse) -> TokenAnswer {
    let credentials = RefreshCredentials::new("1000.CLIENT", CLIENT_SECRET, REFRESH_TOKEN).unwrap();
    let url = || "https://accounts.zoho.eu".parse().unwrap();
    let client = Client::new(Once(Arc::new(Mutex::new(Some(response)))), url(), url(), Principal::User);
    let mut answer = pin!(client.fetch_token(&credentials));
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}
