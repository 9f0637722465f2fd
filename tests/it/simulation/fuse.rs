//! How long a process lives, counted in steps.
//!
//! In: each thing that comes to the process, and each thing it does. Out: whether it still may.
//! So a process can be ended before its n-th step, for each n.

/// See the module.
#[derive(Clone, Copy, Default)]
pub struct Fuse {
    /// How many steps are left; without a number it burns for ever.
    left: Option<usize>,
}

impl Fuse {
    pub const fn new(left: usize) -> Self {
        Self { left: Some(left) }
    }

    /// How many steps are left; none also if nobody counts.
    pub fn left(self) -> usize {
        self.left.unwrap_or(0)
    }

    /// One step. Whether it may be made.
    pub const fn burn(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                *left > 0
            }
        }
    }
}
