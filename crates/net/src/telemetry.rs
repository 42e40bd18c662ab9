//! Structured logs on standard error.
//!
//! # Security
//!
//! Secret types of this project print as `Name(..)`, whatever format string is used; that is kept by
//! those types, not here. What is logged besides must be something a stranger may read: ids, codes,
//! sizes, times. Never bodies, headers or addresses of users.

use tracing_subscriber::EnvFilter;

/// The environment variable that chooses levels, in the syntax of `tracing_subscriber::EnvFilter`
/// (`info`, `keyfold_net=debug`).
pub const LEVEL_VARIABLE: &str = "KEYFOLD_LOG";

/// The logs could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not one.
    #[error("{LEVEL_VARIABLE} is not a list of levels")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// Something in this process has started logs already.
    #[error("logs were started twice")]
    Twice,
}

/// Starts JSON logs on standard error, at `info` unless [`LEVEL_VARIABLE`] says otherwise.
///
/// # Errors
///
/// [`TelemetryError`].
pub fn init() -> Result<(), TelemetryError> {
    let levels = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(levels).map_err(TelemetryError::Level)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}
