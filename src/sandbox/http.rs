//! The world behind a socket.
//!
//! In: HTTP/1.1 on loopback. Out: the world's replies, late or never where it says so.
//! Invariants: only loopback, ever; the world is locked for one [`World::handle`] and never across
//! a wait; connections, heads and bodies are bounded in size and time. Plain hyper instead of axum,
//! because only a service that returns an error makes hyper close a connection without an answer,
//! which is what the "drop" and "reset" faults are.

mod cut;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::cut::Body;
use super::Error;
use super::message::{Delivery, Refusal, Reply, Request};
use super::world::World;
use crate::timestamp::Timestamp;

/// Connections at a time; later ones wait to be accepted. The client's own limit is far below.
const CONNECTIONS_MAX: usize = 1024;

/// The largest body that is read at all: a fault script. The world allows the API less.
const BODY_MAX: usize = 1024 * 1024;

/// How long a head, or the pause between two requests, may last: longer than clients keep idle
/// connections (90 s in reqwest), so that a kept connection is never closed under a client's hands.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a body may take to arrive; on loopback it is there at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long replies under way may take once the server is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How long to wait after a failed accept, which means that descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running sandbox.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    tasks: TaskTracker,
}

impl Server {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// For `--api-url`: `http://127.0.0.1:PORT`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// For `--accounts-url`: the same, since one server plays both hosts.
    pub fn accounts_url(&self) -> String {
        self.api_url()
    }

    /// Waits until the server has stopped, which its cancellation begins.
    pub async fn stopped(self) {
        self.tasks.wait().await;
    }
}

/// Serves `world` on `listen` (port 0 is any free one) until `cancel`.
///
/// # Errors
/// If `listen` is not a loopback address, or cannot be listened on.
pub async fn serve(listen: SocketAddr, world: Arc<Mutex<World>>, cancel: CancellationToken) -> Result<Server, Error> {
    if !listen.ip().is_loopback() {
        return Err(Error::NotLoopback { addr: listen });
    }
    let failed = |source| Error::Listen { addr: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let tasks = TaskTracker::new();
    let service = Service { world, clock: Clock::start() };
    tasks.spawn(accept(listener, service, tasks.clone(), cancel));
    Ok(Server { addr, tasks })
}

async fn accept(listener: TcpListener, service: Service, tasks: TaskTracker, cancel: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            // Never closed, so a permit always comes.
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = next => accepted,
        };
        match accepted {
            (Ok(slot), Ok((stream, _))) => {
                tasks.spawn(connection(stream, service.clone(), cancel.clone(), slot));
            }
            _ => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    tasks.close();
}

async fn connection(stream: TcpStream, service: Service, cancel: CancellationToken, _slot: OwnedSemaphorePermit) {
    // Without it a small reply may wait 40 ms for the caller's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    // A second hand on the socket, for hyper takes the first one.
    let Ok(hand) = rustix::io::fcntl_dupfd_cloexec(&stream, 0) else { return };
    let hand = Arc::new(hand);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = builder.serve_connection(
        TokioIo::new(stream),
        service_fn(move |request| {
            let (service, hand) = (service.clone(), Arc::clone(&hand));
            async move { service.respond(request, &hand).await }
        }),
    );
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the caller's business: it hung up, or a fault closed it.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(STOP_GRACE, connection).await;
        }
    }
}

/// Wall-clock time that never goes back.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started: Timestamp,
    origin: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { started: SystemTime::now().into(), origin: Instant::now() }
    }

    fn now(self) -> Timestamp {
        self.started + self.origin.elapsed()
    }
}

/// Why hyper closes a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
struct Closed;

#[derive(Clone, Debug)]
struct Service {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl Service {
    async fn respond(self, request: hyper::Request<Incoming>, hand: &OwnedFd) -> Result<Response<Body>, Closed> {
        let (head, body) = request.into_parts();
        let reply = match read(body).await? {
            Some(body) => self.handle(&head, &body),
            None => Refusal::new(413, "BODY_TOO_LARGE", format!("the body is over {BODY_MAX} bytes")).into(),
        };
        if !reply.after.is_zero() {
            tokio::time::sleep(reply.after).await;
        }
        match reply.delivery {
            Delivery::Answer | Delivery::CutAfter(_) => Ok(response(reply)),
            Delivery::DropConnection => Err(Closed),
            Delivery::ResetConnection => {
                // Closing a socket that must not linger is what resets its connection.
                let _ = set_socket_linger(hand, Some(Duration::ZERO));
                Err(Closed)
            }
        }
    }

    fn handle(&self, head: &hyper::http::request::Parts, body: &[u8]) -> Reply {
        // What is not text is passed on as what no check accepts, rather than left out.
        let headers: Vec<(&str, &str)> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("\u{fffd}"))).collect();
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let request = Request { method: head.method.as_str(), target, headers: &headers, body };
        // A panic in a test's thread must not turn every later answer into one.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.handle(self.clock.now(), &request)
    }
}

/// The whole body; `None` if it is too large.
async fn read(body: Incoming) -> Result<Option<Bytes>, Closed> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(Some(collected.to_bytes())),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

fn response(reply: Reply) -> Response<Body> {
    let bytes = match reply.body {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = Response::new(match reply.delivery {
        Delivery::CutAfter(sent) => Body::cut(bytes, sent),
        _ => Body::whole(bytes),
    });
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // The fault script is checked when it is set, so both always parse.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value.as_ref())) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
