//! Which variants a run tries that has not the time for all of them: those that the latest commits concern, and a share
//! of the rest that is another one at the next commit.
//!
//! In: the files that each variant edits, the files that were touched, a number that grows with the commits. Out: the
//! places of the chosen in the table, in the order of their trials.
//! Invariants: a variant of a touched file is always chosen; among [`SHARES`] successive numbers every variant is;
//! the touched go first, and still [`PER_SHARE`] of them never keep one of the share waiting, so that where everything
//! is touched and time is short the rest has its turn.
//! Deliberately absent: git, which [`super::commits`] asks, and time.

use std::collections::BTreeSet;

/// After how many successive commits all have been tried. A share of some 120 variants is then a dozen, which the five
/// minutes of a pipeline suffice for.
pub const SHARES: u64 = 10;

/// How many of the touched are tried for each one of the share.
pub const PER_SHARE: usize = 3;

/// The places of the chosen variants, each once.
pub fn choose(edited: &[Vec<&str>], touched: &BTreeSet<String>, number: u64) -> Vec<usize> {
    let concerned = |place: &usize| edited[*place].iter().any(|file| touched.contains(*file));
    let (mut first, rest): (Vec<_>, Vec<_>) = (0..edited.len()).partition(concerned);
    // Where time is too short for all that is touched, it is not for the same ones each time.
    let steps = usize::try_from(number % SHARES).unwrap_or_default() * first.len() / SHARES as usize;
    first.rotate_left(steps);
    let mut share = rest.into_iter().filter(|place| *place as u64 % SHARES == number % SHARES);
    let mut chosen = Vec::new();
    for some in first.chunks(PER_SHARE) {
        chosen.extend(some);
        chosen.extend(share.next());
    }
    chosen.extend(share);
    chosen
}
