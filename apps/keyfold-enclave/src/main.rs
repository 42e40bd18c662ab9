//! The trusted application in an enclave: the security module of the machine, two ports of vsock.
//!
//! The [first process](../keyfold_enclave_init/index.html) starts it as an ordinary user. It takes no
//! arguments and reads no files: all that may differ between two instances comes from the host's pipe,
//! sealed or verified.
//!
//! # What this crate may touch
//!
//! `/dev/nsm`, vsock, the kernel's command line, standard error.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
// A package may have the name of a library that it uses; the library's is taken then.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(target_os = "linux")]
mod service;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    service::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
