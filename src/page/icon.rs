//! Signs: each state and each level has a shape of its own, so that nothing is told by colour alone.
//!
//! In: a state or a level. Out: a small picture that a screen reader passes over, for the word stands beside it.

use maud::{Markup, html};

use super::catalogue::State;
use super::headline::Level;

/// Strokes on a field of 16 by 16.
const CHECK: &str = "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13M5 8.3l2.1 2.1L11 6";
const CLOCK: &str = "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13M8 4.5V8l2.3 1.6";
const SHIELD: &str = "M8 1.5l5.5 2v4c0 3.4-2.2 5.7-5.5 7-3.3-1.3-5.5-3.6-5.5-7v-4zM6.3 6v4M9.7 6v4";
const OCTAGON: &str = "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2zM8 4.6v4M8 11.1v.2";
const PAUSE: &str = "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13M6.2 5.5v5M9.8 5.5v5";
const GHOST: &str = "M8 1.5a6.5 6.5 0 0 1 3 .7M13.6 4.7a6.5 6.5 0 0 1 .9 3M14 10.5a6.5 6.5 0 0 1-2 2.6M9.3 14.4a6.5 \
                     6.5 0 0 1-3.3-.2M3 12.2A6.5 6.5 0 0 1 1.6 9M1.8 6A6.5 6.5 0 0 1 3.7 3.1M5 8h6";
const TRIANGLE: &str = "M8 1.8l6.6 12H1.4zM8 6.2v3.4M8 11.7v.2";

fn sign(path: &str) -> Markup {
    html! { svg.sign viewBox="0 0 16 16" aria-hidden="true" focusable="false" { path d=(path) {} } }
}

pub(super) fn of_state(state: State) -> Markup {
    sign(match state {
        State::Stalled => OCTAGON,
        State::Held => SHIELD,
        State::Drifted => TRIANGLE,
        State::Pending => CLOCK,
        State::Suspended => PAUSE,
        State::Orphaned => GHOST,
        State::InSync => CHECK,
    })
}

pub(super) fn of_level(level: Level) -> Markup {
    sign(match level {
        Level::Well => CHECK,
        Level::Busy => CLOCK,
        Level::Attention => TRIANGLE,
        Level::Trouble => OCTAGON,
    })
}
