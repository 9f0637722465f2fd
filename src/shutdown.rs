//! Signals: how the world tells the process to stop or to look again.
//!
//! In: SIGTERM, SIGINT, SIGHUP. Out: one [`Stop`], and a call for each SIGHUP.
//! Invariants: the first SIGTERM or SIGINT ends the process in order, the second at once, but for what is left of the
//! log; SIGHUP never ends it.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// The exit code of a process that was told twice: 128 + SIGINT, as shells report it.
const IMPATIENT: i32 = 130;

/// The order to finish what is in flight, then end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Listens for signals as long as the process lives; `hang_up` is called for each SIGHUP, and `before_exit` when a second
/// order to stop ends the process.
///
/// # Errors
///
/// If the handlers cannot be installed.
pub fn listen(
    stops: mpsc::Sender<Stop>,
    hang_up: impl Fn() + Send + 'static,
    before_exit: fn(),
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_ups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut told = false;
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                Some(()) = hang_ups.recv() => {
                    info!("SIGHUP: reading everything again");
                    hang_up();
                    continue;
                }
                else => return,
            }
            if told {
                warn!("told to stop twice: leaving at once; what is in flight stays in doubt");
                before_exit();
                std::process::exit(IMPATIENT);
            }
            told = true;
            // If nobody listens, the conductor has ended already.
            let _ = stops.send(Stop).await;
        }
    });
    Ok(())
}
