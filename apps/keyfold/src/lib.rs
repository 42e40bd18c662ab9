//! The command of Keyfold's users, developers and operators, as a library.
//!
//! The program `keyfold` hands in AWS's root and no other; the development program hands in a way
//! to read a development root besides, and reuses everything here.
//!
//! # What this crate may touch
//!
//! Profiles and their state folders, standard streams, the gateway's public API, the clock and the
//! system's random generator; for operators, what the services touch.
//!
//! # Security
//!
//! - A profile of a development realm cannot be used by `keyfold` itself: it executes `keyfold-dev`.
//! - The device's key and the session lie in files of mode 0600.
//! - What other parties said is printed without control characters.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod amount;
mod args;
mod code;
mod commands;
mod connect;
mod development;
mod error;
mod files;
mod outbox;
mod output;
mod profile;
mod roots;
mod run;
mod state;
mod transport;

pub use args::{Cli, Command};
pub use code::CliCode;
pub use connect::{CliClient, connect};
pub use development::{DEVELOPMENT_PROGRAM, Next, next};
pub use error::{CliError, Exit};
pub use output::{Output, Report};
pub use profile::{Gateway, Guard, Kind, Profile, ProfileError, ProfileFile};
pub use roots::{DevelopmentRoot, RootLoader, Roots};
pub use run::{execute, main, refuse_arguments, run};
pub use state::{StateDir, StateError};
pub use transport::{HttpsTransport, SystemEnvironment};
