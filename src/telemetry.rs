//! Logs: text for a terminal, JSON lines for a collector, always on standard error.
//!
//! In: `--log-format` and `--log-level`. Out: the process-wide subscriber.
//! Invariants: standard output belongs to what a command prints; control characters of untrusted
//! text never reach a terminal.

use std::fmt;
use std::sync::OnceLock;

use clap::ValueEnum;
use indicatif::ProgressBar;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {level:?} is not a filter such as `info` or `zoho_mail_reconciler=debug`")]
pub struct InvalidLevel {
    level: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the life of the process. A second call changes nothing.
pub fn start(format: LogFormat, level: &str) -> Result<(), InvalidLevel> {
    let filter = EnvFilter::try_new(level).map_err(|source| InvalidLevel { level: level.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Terminal).with_target(false);
    // A subscriber that is already there (a test's) stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(use_colour()).fmt_fields(EscapedFields).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The progress bar that shares standard error with the log.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Makes room for log lines above `bar` from now on.
pub fn share_terminal(bar: ProgressBar) {
    // One bar a process; a second one would only flicker.
    let _ = BAR.set(bar);
}

/// Standard error, around the bar.
struct Terminal;

impl std::io::Write for Terminal {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let write = || std::io::stderr().lock().write(line);
        match BAR.get().filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn use_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// `message key=value …` with control characters escaped: tracing-subscriber 0.3.23 lets newlines,
/// escape sequences and bidirectional controls of `%` fields through.
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = EscapedVisitor { writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct EscapedVisitor<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl EscapedVisitor<'_> {
    fn write(&mut self, field: &Field, value: &str) {
        if self.result.is_err() {
            return;
        }
        let gap = if std::mem::take(&mut self.first) { "" } else { " " };
        let value = escape(value);
        self.result = match field.name() {
            "message" => write!(self.writer, "{gap}{value}"),
            name if value.is_empty() || value.contains([' ', '=', '"']) => {
                write!(self.writer, "{gap}{name}=\"{}\"", value.replace('"', "\\\""))
            }
            name => write!(self.writer, "{gap}{name}={value}"),
        };
    }
}

impl Visit for EscapedVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, &format!("{value:?}"));
    }
}

/// `text` without anything that moves a cursor, starts a line, or reverses what is read.
pub fn escape(text: &str) -> String {
    let dangerous = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escaped = text.chars().map(|c| if dangerous(c) { c.escape_default().to_string() } else { c.to_string() });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_cannot_forge_a_line_or_move_the_cursor() {
        assert_eq!(escape("a\nb\u{1b}[31m\u{202e}ü"), "a\\nb\\u{1b}[31m\\u{202e}ü");
    }
}
