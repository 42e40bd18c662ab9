//! Development: the roles with a development root, the whole system on loopback, the demo, the
//! benchmark. In no release.
//!
//! # What this crate may touch
//!
//! Everything: it starts processes, makes folders, reads clocks. Nothing that is released links it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod args;
mod bench;
mod demo;
pub mod journey;
pub mod report;
pub mod roles;
pub mod system;

pub use args::main;
