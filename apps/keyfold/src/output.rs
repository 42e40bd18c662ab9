//! What a command prints, and what it shows while it works.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::error::{CliError, Exit};

/// Nothing moves on the screen before a step has taken this long to matter.
const TICK: Duration = Duration::from_millis(120);

/// The outcome of a command: for people, and for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Lines for people.
    pub text: String,
    /// An object for programs; `ok` is added.
    pub json: Value,
    /// Where the report is complete and bad news all the same: the exit code.
    pub bad_news: Option<Exit>,
}

impl Report {
    /// Makes a report.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            bad_news: None,
        }
    }
}

/// Where a command prints, and how.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    /// Prints JSON, or text with progress where standard error is a terminal.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Tells whether the outcome is printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether a person can be asked something.
    pub fn can_ask(&self) -> bool {
        self.terminal && std::io::stdin().is_terminal()
    }

    /// Shows that a step is under way, on terminals, until the value is dropped.
    pub(crate) fn step(&self, what: &str) -> Step {
        if self.json || !self.terminal {
            return Step(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Step(Some(bar))
    }

    /// Says something to a person on standard error, beside the outcome.
    pub(crate) fn say(&self, words: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{words}");
        }
    }

    /// Says on standard error what somebody needs who gets no outcome, whatever form was asked for.
    pub(crate) fn tell(&self, words: &str) {
        let _ = writeln!(std::io::stderr(), "{words}");
    }

    /// Prints the outcome. Nobody is left to tell where the streams are gone.
    pub(crate) fn finish(&self, outcome: &Result<Report, CliError>) {
        let mut out = std::io::stdout().lock();
        let _ = match (outcome, self.json) {
            (Ok(report), true) => writeln!(out, "{}", with_ok(report)),
            (Ok(report), false) if report.text.is_empty() => Ok(()),
            (Ok(report), false) => writeln!(out, "{}", report.text),
            (Err(error), true) => writeln!(out, "{}", error.to_json()),
            (Err(error), false) => {
                writeln!(std::io::stderr(), "{}", in_words(error))
            }
        };
    }
}

fn with_ok(report: &Report) -> Value {
    let mut object = report.json.as_object().cloned().unwrap_or_default();
    object.insert("ok".to_owned(), json!(report.bad_news.is_none()));
    Value::Object(object)
}

fn in_words(error: &CliError) -> String {
    let CliError {
        code,
        message,
        what_to_do,
        request_id,
        transaction,
        ..
    } = error;
    let id = request_id
        .as_ref()
        .map(|id| format!(", request {id}"))
        .unwrap_or_default();
    let known = |name: &str| {
        let value = transaction.as_ref().and_then(|known| known.get(name));
        let text = value.map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        text.map(|text| format!("{name} {text}"))
    };
    let known: Vec<_> = ["id", "hash", "nonce"]
        .into_iter()
        .filter_map(known)
        .collect();
    let transaction = match known.is_empty() {
        true => String::new(),
        false => format!("transaction: {}\n", known.join(", ")),
    };
    format!(
        "error: {}\n{transaction}{what_to_do}\n[{code}{id}]",
        printable(message)
    )
}

/// A step under way.
pub(crate) struct Step(Option<ProgressBar>);

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Keeps what a terminal shows as it is: no escapes, no line breaks, nothing that is not seen.
pub(crate) fn printable(text: &str) -> String {
    keyfold_protocol::text::printable(text, usize::MAX)
}

/// Writes Unix seconds as a time in UTC.
pub(crate) fn utc(unix_seconds: u64) -> String {
    use time::format_description::well_known::Rfc3339;
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| unix_seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_sentence_what_to_do_and_a_code() {
        let words = in_words(&CliError::not_signed_in());
        assert_eq!(
            words,
            "error: nobody is signed in\n\
             Sign in: keyfold sign-in --email you@example.org\n[not_signed_in]"
        );
        let about = CliError {
            transaction: Some(Box::new(json!({"id": "7f", "nonce": 3, "wallet": "0x"}))),
            ..CliError::not_signed_in()
        };
        assert!(in_words(&about).contains("\ntransaction: id 7f, nonce 3\n"));
    }

    #[test]
    fn success_says_so_in_json() {
        let good = Report::new("", json!({"a": 1}));
        assert_eq!(with_ok(&good), json!({"a": 1, "ok": true}));
        let bad = Report {
            bad_news: Some(Exit::Unavailable),
            ..good
        };
        assert_eq!(with_ok(&bad), json!({"a": 1, "ok": false}));
    }

    #[test]
    fn times_are_readable_and_names_harmless() {
        assert_eq!(utc(1_767_268_800), "2026-01-01T12:00:00Z");
        assert_eq!(utc(u64::MAX), u64::MAX.to_string());
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{202e}\u{2060}"), "a[2Jb");
    }
}
