//! A server on loopback that does exactly what it is told, well-behaved or not, and remembers every request.
//!
//! Written by hand on purpose: a server library would refuse to send what a hostile one sends.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// What to do with each request, once all of it has been read.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Send these bytes and keep the connection.
    Say(String),
    /// Send these bytes and close.
    SayAndClose(String),
    /// Send these bytes, then `x` without end.
    Endless(String),
    /// Send nothing and keep the connection.
    Silence,
}

impl Reply {
    /// A well-formed answer.
    pub fn json(status: u16, body: &str) -> Self {
        Self::Say(http(status, "", body))
    }

    /// The documented acknowledgement.
    pub fn success() -> Self {
        Self::json(200, r#"{"status":{"code":200,"description":"success"}}"#)
    }
}

/// The text of an answer; `headers` are lines with their `\r\n`.
pub fn http(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// `PUT /path HTTP/1.1`.
    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a server remembers.
#[derive(Clone, Default)]
pub struct Memory {
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

impl Memory {
    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Adds a request that somebody else has read.
    pub fn remember(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Serves one connection until either side ends it.
    pub async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Reply) {
        *self.connections.lock().unwrap() += 1;
        while let Some(seen) = read_request(&mut stream).await {
            self.remember(seen);
            let sent = match &reply {
                Reply::Say(text) => stream.write_all(text.as_bytes()).await,
                Reply::SayAndClose(text) => {
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                    return;
                }
                Reply::Endless(text) => endless(&mut stream, text).await,
                Reply::Silence => std::future::pending().await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

async fn endless(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    loop {
        stream.write_all(&[b'x'; 4096]).await?;
    }
}

/// A request with a `Content-Length`, or nothing if the peer went away.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut seen = Seen { head, body: bytes.split_off(end) };
    let length = seen.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}

/// A running server; it ends with this value.
pub struct Server {
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// What it has seen.
    pub memory: Memory,
    task: AbortHandle,
}

impl Server {
    /// A server that answers every request with `reply`.
    pub async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let memory = Memory::default();
        let remembering = memory.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (memory, reply) = (remembering.clone(), reply.clone());
                connections.spawn(async move { memory.serve(stream, reply).await });
            }
        });
        Self { url, memory, task: task.abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
