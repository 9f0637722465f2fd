//! The simulation by itself, for more seeds than `cargo test` has time for: few enough files that the compiler can take its
//! time with them, and with the program.
//!
//! In: what the simulation takes (`SIMULATION_SEEDS`, `SIMULATION_FROM`, `SIMULATION_SEED`). Out: its verdict.
//! Deliberately absent: any test of its own. `cargo test` leaves it out, for `it` has all of these.

#[allow(dead_code, reason = "shared with the integration tests, which use all of it")]
#[path = "../it"]
mod it {
    pub mod builders;
    pub mod depth;
    pub mod simulation;
}

use it::{builders, depth};
