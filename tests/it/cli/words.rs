//! Rare errors of libraries, which reach users in this program's words.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use super::{Place, Ran};
use crate::commits::{commit, git};

/// What only libraries say.
const FOREIGN: [&str; 10] =
    ["peel", "encountered", "decoded", "loose object", "EOF", "eof", "tunnel", "client error", "Document", " at path"];

fn says(ran: &Ran, words: &str) {
    let said = ran.all();
    assert!(said.contains(words), "{words}: {said}");
    let foreign = FOREIGN.iter().find(|foreign| said.contains(**foreign));
    assert_eq!(foreign, None, "{said}");
}

/// The file that holds an object of the repository.
fn object(place: &Place, name: &str) -> PathBuf {
    let git = std::process::Command::new("git").args(["rev-parse", name]).current_dir(place.path()).output().unwrap();
    let id = String::from_utf8(git.stdout).unwrap();
    place.path().join(".git/objects").join(&id[..2]).join(id[2..].trim())
}

#[test]
fn what_a_revision_lacks() {
    let place = Place::with_alice();
    let plan = |revision: &str| place.run(&format!("plan --base-ref {revision}"));
    git(place.path(), "init -q -b main");
    says(&plan("HEAD"), "found \"HEAD\" (nothing is committed yet)");
    commit(place.path());
    git(place.path(), "tag folder HEAD:desired-state");
    for (revision, kind) in
        [("HEAD^{tree}", "tree"), ("folder", "tree"), ("HEAD:desired-state/sales/alice.yaml", "blob")]
    {
        says(&plan(revision), &format!("found \"{revision}\" (a {kind}, and no commit)"));
    }
    says(&plan("HEAD~5"), "(no commit of that name)");
    place.account("sales/alice", 2, "enabled: true");
    commit(place.path());
    for name in ["HEAD~1:desired-state/sales/alice.yaml", "HEAD~1:desired-state/sales"] {
        let (path, keep) = (object(&place, name), place.path().join("keep"));
        fs::rename(&path, &keep).unwrap();
        says(&plan("HEAD~1"), " missing: clone without --filter");
        fs::write(&path, "garbage").unwrap();
        says(&plan("HEAD~1"), " damaged: clone without --filter, or git fsck tells");
        fs::rename(&keep, &path).unwrap();
    }
    assert_eq!(plan("HEAD~1").code, 0);
    let config = place.path().join(".git/config");
    let sound = fs::read(&config).unwrap();
    fs::write(&config, "[core").unwrap();
    says(&plan("main"), "(its config cannot be read)");
    fs::write(&config, sound).unwrap();
    fs::write(place.path().join(".git/HEAD"), "junk").unwrap();
    says(&plan("main"), "found \"HEAD\" (HEAD cannot be read)");
}

#[test]
fn what_a_file_lacks() {
    let place = Place::with_alice();
    place.ok("apply --sandbox");
    says(&place.run("suspend --force --ledger nowhere/ledger.json"), "cannot be written: No such file or directory");
    place.write("script.json", "[]");
    says(&place.run("sandbox --faults script.json"), "expected a JSON object with the key faults");
    place.write("ledger.sandbox.json.suspended", "{");
    says(&place.run("apply --sandbox"), "its file is not understood: it ends too early, in line 1");
    fs::remove_file(place.path().join("ledger.sandbox.json.suspended")).unwrap();
    place.write("ledger.sandbox.json", "{");
    says(&place.run("plan --sandbox"), "is damaged: it ends too early, in line 1");
    place.write("ledger.sandbox.json", "x");
    says(&place.run("plan --sandbox"), "is damaged: it is no JSON from line 1, column 1 on");
}

/// Answers every connection alike, and returns where.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn what_a_connection_lacks() {
    let refuses = || answering(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    for (proxy, url, words) in [
        (Some(refuses()), "https://mail.zoho.test".to_owned(), "the proxy: it does not let this through"),
        (
            Some(answering(b"")),
            "https://mail.zoho.test".to_owned(),
            "the proxy: the connection was closed before the answer",
        ),
        (None, format!("https://{}", answering(b"")), "the connection was closed before it was secured"),
        (None, format!("https://{}", answering(b"SSH-2.0-x\r\n")), "what answers there does not speak TLS"),
        (None, format!("http://{}", answering(b"SSH-2.0-x\r\n")), "what answers there does not speak HTTP"),
        (None, format!("http://{}", answering(b"")), "the connection was closed before the answer"),
    ] {
        let mut place = Place::with_alice();
        place.set("ZOHO_MAIL_ACCESS_TOKEN", "abc").set("ZOHO_MAIL_ZOID", "7").set("ZOHO_MAIL_ACCOUNTS_URL", &url);
        if let Some(proxy) = proxy {
            place.set("HTTPS_PROXY", &format!("http://{proxy}"));
        }
        says(&place.run(&format!("doctor --api-url {url}")), words);
    }
}
