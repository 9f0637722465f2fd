//! The sandbox: the documented service as a small world, behind HTTP on loopback.
//!
//! In: seeded accounts, settings, a fault script, and HTTP requests. Out: the answers the pages
//! promise, a log of what was asked, and the state that came of it.
//! Invariants: it is an independent reading of the documentation, so it never imports
//! [`crate::zoho`]: a mistake in one of the two is not excused by the other. What the pages do not
//! allow is a 4xx that says why. The world is pure (`now` is an argument), so a test may call
//! [`World::handle`] without a socket; only [`http`] does I/O, and only on loopback.
//! Deliberately absent: reads that lag behind writes, and every call but the documented ones.
//!
//! | room | is |
//! |---|---|
//! | [`settings`] | how strict, how large, who may sign in |
//! | `message` | a request and a reply, without any HTTP library |
//! | `route` | which documented operation a request is |
//! | `body` | the JSON of a PUT, read strictly |
//! | [`account`] | one account, and how the service prints it |
//! | `tokens` | the OAuth endpoint and its limits |
//! | `budget` | the request budget and its lock |
//! | [`faults`] | one scripted misfortune, and the format of the script |
//! | [`script`] | all of them, and who meets which |
//! | `log` | what was asked, and totals |
//! | `listing` | the three reads |
//! | `service` | how a request is handled, check by check |
//! | [`world`] | all of it as one value |
//! | `control` | `/sandbox/…`: looking in from outside |
//! | [`banner`] | what a person who starts it reads |
//! | [`http`] | the world behind a socket |

pub mod account;
pub mod banner;
mod body;
mod budget;
mod control;
pub mod faults;
pub mod http;
mod listing;
mod log;
mod message;
mod route;
pub mod script;
mod service;
pub mod settings;
mod tokens;
pub mod world;

use std::net::SocketAddr;

pub use account::{Account, Seed};
pub use banner::Banner;
pub use faults::{Answer, Effect, Fault};
pub use http::{Server, serve};
pub use log::{Entry, Totals};
pub use message::{Delivery, Reply, Request};
pub use route::Operation;
pub use script::Script;
pub use settings::{Budget, Credentials, LockForm, Role, Scope, Settings, sample_zuid};
pub use world::World;

/// Why the sandbox cannot start, or does not take a fault script.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Asked to listen where others could reach it.
    #[error("the sandbox listens on loopback only (127.0.0.1 or [::1]), and {addr} is not")]
    NotLoopback {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The socket cannot be had.
    #[error("the sandbox cannot listen on {addr}; choose another port, or 0 for any free one")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The script is not JSON, or not of the documented shape.
    #[error("the fault script cannot be read: {0}")]
    Script(String),
    /// The script is well-formed, but one fault makes no sense.
    #[error("fault {position} of the script {reason}")]
    Fault {
        /// Which one, counted from 1.
        position: usize,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
    /// More faults than the sandbox keeps.
    #[error("the fault script has {count} faults, and the sandbox keeps at most {}", script::MAX_FAULTS)]
    TooManyFaults {
        /// How many there are.
        count: usize,
    },
}
