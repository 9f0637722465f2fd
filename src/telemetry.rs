//! Logs: text for a terminal, JSON lines for a collector, always on standard error.
//!
//! In: `--log-format` and `--log-level`. Out: the process-wide subscriber, and hook of panics.
//! Invariants: standard output belongs to what a command prints; control characters of untrusted
//! text never reach a terminal, in neither format; a panic tells no secret; a reader that went away
//! ends nothing, and one that does not read holds up no command that queues its lines.
//!
//! The parts: [`output`] (how lines get to standard error), [`queue`] (those that wait for a reader).

mod output;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, error};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};

pub use self::output::{Flush, Kind, flush, line, lines_are_json, lines_dropped, queue_lines, share_terminal};
use self::queue::Priority;
use crate::account::printable::{self, Notation};
use crate::timestamp::Timestamp;

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
#[error(
    "invalid value {level:?} for '--log-level <FILTER>': expected off, error, warn, info, debug or trace, or a filter by \
     module such as info,zoho_mail_reconciler::source=debug"
)]
pub struct InvalidLevel {
    level: String,
}

/// The watcher's library warns of each folder that it was told twice is gone; the one that checks certificates tells of
/// each that it refuses, which the client tells as well. A filter that names them hears them again.
const QUIETER: &str = "notify=error,rustls_platform_verifier=off";

/// How much of a level that cannot be used is repeated, in characters: a filter of a few modules.
const LEVEL_SHOWN: usize = 200;

/// Starts logging for the life of the process. A second call changes nothing.
pub fn start(format: LogFormat, level: &str) -> Result<(), InvalidLevel> {
    // A misspelt level would be taken for the name of a module, and everything else be silenced.
    let misspelt = |part: &str| part.is_empty() || !part.contains('=') && part.trim().parse::<LevelFilter>().is_err();
    let filter = EnvFilter::try_new(format!("{QUIETER},{level}")).ok().filter(|_| !level.split(',').any(misspelt));
    let filter = filter.ok_or_else(|| InvalidLevel { level: printable::cut(level, LEVEL_SHOWN) })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_timer(Millis);
    // A subscriber that is already there (a test's) stays.
    let _ = match format {
        LogFormat::Text => {
            let text = builder.with_ansi(use_colour()).fmt_fields(EscapedFields);
            text.with_writer(Output { json: false }).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).with_writer(Output { json: true }).try_init(),
    };
    Ok(())
}

/// What is told of a panic whose words were made up on the way: they may quote secrets, or what a stranger wrote.
const WORDS_WITHHELD: &str = "its words are not shown, for they may quote what is secret";

/// From now on a panic is one event of the log, or one line where errors are not logged.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // Words of this type stand in the program's text as they are.
        let why = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or(WORDS_WITHHELD);
        let backtrace = Backtrace::capture();
        let trace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        if tracing::enabled!(Level::ERROR) {
            error!(%place, why, backtrace = trace, "this program has a bug and broke down");
        } else {
            line(Kind::Error, &format!("this program has a bug and broke down at {place}: {why}"));
        }
    }));
}

/// Moments as the ledger writes them: UTC with milliseconds.
struct Millis;

impl FormatTime for Millis {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", Timestamp::from(SystemTime::now()))
    }
}

/// Makes a writer for each event.
struct Output {
    /// Whether lines are JSON, which has escapes of its own.
    json: bool,
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = EventWriter;

    fn make_writer(&'a self) -> EventWriter {
        EventWriter { json: self.json, priority: Priority::Ordinary }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> EventWriter {
        let priority = if *event.level() == Level::ERROR { Priority::LastWords } else { Priority::Ordinary };
        EventWriter { json: self.json, priority }
    }
}

/// Takes the one line of an event.
struct EventWriter {
    json: bool,
    priority: Priority,
}

impl std::io::Write for EventWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let shown = if self.json { printable_json(line) } else { Cow::Borrowed(line) };
        output::deliver(&shown, self.priority);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A line of JSON in which nothing steers a terminal.
fn printable_json(line: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(line) {
        Ok(text) => match printable::document(text, Notation::Json) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        Err(_) => Cow::Borrowed(line),
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
        let value = printable::escape(value);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        for bad in ["inof", "", "info,warning!", "a=b=c", "zoho_mail_reconciler=loud"] {
            assert!(start(LogFormat::Text, bad).is_err(), "{bad:?}");
        }
    }
}
