//! Why the system did not start, in sentences that say what to do.

use std::path::PathBuf;

/// Why the system, or a part of it, does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// A tool is not installed.
    #[error("{what} is not at {path}; run tools/setup.sh (`make setup`) first")]
    Missing {
        /// Which tool.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A process cannot be started at all.
    #[error("{name} cannot be started ({program})")]
    Spawn {
        /// Which process.
        name: String,
        /// Its program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A process ended that was to go on.
    #[error("{name} ended ({status}) by itself. Its last lines:\n{tail}\nThe whole log: {log}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: String,
        /// Last lines of its log.
        tail: String,
        /// The log file.
        log: PathBuf,
    },
    /// A process is not ready in time.
    #[error(
        "{name} was not ready after {seconds} s. Its last lines:\n{tail}\nThe whole log: {log}"
    )]
    NotReady {
        /// Which process.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// Last lines of its log.
        tail: String,
        /// The log file.
        log: PathBuf,
    },
    /// A process is asked to start that runs already.
    #[error("{name} runs already")]
    Running {
        /// Which process.
        name: String,
    },
    /// A file or folder.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something else on the way, in words.
    #[error("cannot {what}: {problem}")]
    Step {
        /// What was tried.
        what: String,
        /// What went wrong.
        problem: String,
    },
    /// The data folder is too deep for Unix sockets.
    #[error(
        "the data folder {path} is too deep for Unix sockets (108 bytes); choose a shorter one with --data or TMPDIR"
    )]
    PathTooLong {
        /// The folder.
        path: PathBuf,
    },
    /// No block of ports is free.
    #[error(
        "no sixteen neighbouring ports are free on 127.0.0.1 between 20000 and 32000; end what uses them"
    )]
    NoPorts,
}

impl SystemError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn step<E: std::error::Error>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Step {
            what,
            problem: chain(&error),
        }
    }
}

/// Joins an error's sentence and its causes'.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // Transparent errors repeat their cause's words.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
