//! What a stranger can do to this program, and what it may give away: nothing.
//!
//! The strangers: who writes a manifest, who answers as the service, who asks for the pages, who may read this
//! machine's files and logs. Each part is a table of what they try, held against the real binary.

mod crash;
mod text;
