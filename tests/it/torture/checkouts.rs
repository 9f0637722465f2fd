//! Real git at work, with busy neighbours.
