//! The first process of an enclave: makes the machine ready, starts the application as an ordinary
//! user, and ends the machine with it.
//!
//! # What this crate may touch
//!
//! The machine that it is the first process of.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(target_os = "linux")]
mod first;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    first::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
