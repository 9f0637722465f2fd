//! The way to the service: the real client, and what a test has to do or to see on its side of the wire.
//!
//! In: requests. Out: what the real transport brought, and a letter for each request, in [`Sent`].
//! Absent by design: answers made up here. Whatever a server can do, the simulated service does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use zoho_mail_reconciler::zoho::{HttpRequest, HttpResponse, HttpTransport, Transport, TransportError};

use super::operation::{BYSTANDER, Operation, TARGET};
use super::table::Does;

/// How long a request may take that is to be answered: longer than anything takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a request may take that is not: long enough to arrive on a loaded machine.
const HASTE: Duration = Duration::from_secs(2);

/// Which requests meet the row.
#[derive(Clone, Copy, Debug)]
pub struct Meeting {
    pub of: Of,
    /// The first one, counted from 1.
    pub nth: u64,
    /// How many; `None` is all.
    pub times: Option<u64>,
}

/// Of which requests some meet the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Tokens,
    Puts,
    /// The PUTs of the operation to the target.
    Target,
}

/// The requests of one life of the process: `k` for a token, `T` for the operation on the target, `O` for the
/// target's other field, `B` for the bystander, and `|` where a resync began.
#[derive(Debug, Default)]
pub struct Sent {
    pub all: String,
    /// Those that had somebody to go to.
    pub arriving: String,
    met: u64,
}

impl Sent {
    /// A resync begins.
    pub fn resync(&mut self) {
        self.all.push('|');
    }
}

/// Where an answer that has come waits until the test lets it go on.
#[derive(Debug)]
pub struct Gate {
    pub reached: Semaphore,
    pub open: Semaphore,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }
}

/// See the module.
pub struct Wire {
    pub operation: Operation,
    pub meeting: Option<(Meeting, Does)>,
    pub gate: Option<Arc<Gate>>,
    pub sent: Arc<Mutex<Sent>>,
    patient: HttpTransport,
    hasty: HttpTransport,
}

impl Wire {
    /// A wire on which the requests of `meeting` meet what the service does.
    pub fn new(operation: Operation, meeting: Option<(Meeting, Does)>) -> Self {
        let (patient, hasty) = (HttpTransport::new(PATIENCE), HttpTransport::new(HASTE));
        Self { operation, meeting, gate: None, sent: Arc::default(), patient, hasty }
    }

    /// Writes the request down. What it meets, if it meets anything.
    fn note(&self, request: &HttpRequest) -> Option<Does> {
        let mut sent = self.sent.lock().unwrap();
        let letter = match () {
            () if request.operation == "token" => 'k',
            () if request.url.ends_with(BYSTANDER) => 'B',
            () if request.url.ends_with(TARGET) && request.operation == self.operation.name_in_metrics() => 'T',
            () => 'O',
        };
        let met = self.meeting.filter(|(meeting, _)| match meeting.of {
            Of::Tokens => letter == 'k',
            Of::Puts => letter != 'k',
            Of::Target => letter == 'T',
        });
        sent.met += u64::from(met.is_some());
        let due = |meeting: Meeting, met: u64| {
            met.checked_sub(meeting.nth).is_some_and(|since| meeting.times.is_none_or(|times| since < times))
        };
        let does = met.filter(|(meeting, _)| due(*meeting, sent.met)).map(|(_, does)| does);
        sent.all.push(letter);
        if !matches!(does, Some(Does::Refuse)) {
            sent.arriving.push(letter);
        }
        does
    }
}

impl Transport for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let does = self.note(&request);
        let answer = match does {
            None => return self.patient.send(request).await,
            Some(Does::Silence) => self.hasty.send(request).await,
            Some(Does::Refuse) => self.patient.send(to_nobody(request)).await,
            Some(_) => self.patient.send(request).await,
        };
        if let Some(gate) = &self.gate {
            gate.reached.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        answer
    }
}

/// The same request to an address where nobody listens: bound, so that nobody else can.
fn to_nobody(request: HttpRequest) -> HttpRequest {
    static NOBODY: OnceLock<(TcpSocket, SocketAddr)> = OnceLock::new();
    let (_, address) = NOBODY.get_or_init(|| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    });
    let (_, path) = request.url.strip_prefix("http://").and_then(|url| url.split_once('/')).unwrap();
    HttpRequest { url: format!("http://{address}/{path}"), ..request }
}
