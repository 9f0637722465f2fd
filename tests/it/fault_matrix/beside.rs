//! The account beside it: every answer of the table is given to one account at every attempt, and another one in the same
//! folder, whose requests are accepted, is applied all the same.
//!
//! In: a [`Cell`]. Out: how many requests left before the one that applied the account beside, or that none did.
//! Where everybody has to wait for a pause, or for other credentials, the first pass ends, and the next one begins with
//! what did not fail before.

use std::time::Duration;

use zoho_mail_reconciler::controller::Mode;

use super::cell::Cell;
use super::life::Course;
use super::operation::BYSTANDER;
use super::scene::Scene;
use super::wire::Wire;

/// A pass that may end early, and one that comes through.
const LIVES: [Mode; 2] = [Mode::Apply; 2];

/// How many requests may leave before the account beside is applied: two tokens and one PUT of the account that fails in
/// each life.
const REQUESTS_MAX: usize = 6;

/// Lives through a cell until the account beside has what is wanted, as the service has it.
///
/// # Errors
/// It never has it, or not within so many requests.
pub async fn live_beside(cell: &Cell) -> Result<(), String> {
    let mut scene = Scene::new(cell.operation, false).await;
    scene.world().set_faults(cell.script(&scene.url));
    let mut sent = String::new();
    for mode in LIVES {
        let wire = Wire::new(cell.operation, Some((cell.meeting(), cell.form.does)));
        sent += &scene.live(mode, wire, Course::Quiet).await?.sent;
        if scene.has(BYSTANDER, cell.operation.field) {
            let before = sent.find('B').unwrap_or(sent.len());
            return if before <= REQUESTS_MAX { Ok(()) } else { Err(format!("too late: {sent}")) };
        }
        if let Some(pause) = scene.pause() {
            scene.now = pause.until + Duration::from_secs(1);
        }
    }
    Err(format!("the account beside is not applied: {sent}"))
}
