//! x
mod manifest;
mod hostile_yaml;
