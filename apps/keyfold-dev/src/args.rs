//! The command line.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::roles::{self, Role};
use crate::system::chain_of;

/// Runs Keyfold for development: with an attestation root of its own, on this machine.
#[derive(Debug, Parser)]
#[command(name = "keyfold-dev", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one role of the system.
    #[command(subcommand)]
    Role(Role),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Role(role) => roles::run(role),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {}", chain_of(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
