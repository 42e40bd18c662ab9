//! The gateway as a service: the public API, the sealed records, and the host's ends of the
//! enclaves' two pipes.
//!
//! Trusted with no secret. It forwards sealed requests byte for byte and stores sealed records; it
//! reads neither, and no body is ever logged. What it can do to its users is to be unavailable.
//!
//! Does network, files, SQLite and time.
//!
//! - [`config`]: what the operator decides, and the folder it works in.
//! - [`genesis`]: the operator's call to an enclave; on no network.
//! - [`openapi`]: the description of the public API, generated from the code.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod api;
pub mod config;
mod enclaves;
mod error;
pub mod genesis;
mod host;
pub mod openapi;
mod origin;
mod pipes;
mod records;
mod run;

pub use config::{EgressTarget, EnclaveSockets, GatewayConfig, Rate, RateLimits, RelayerConfig};
pub use error::GatewayError;
pub use genesis::{EnclaveCallError, drill, genesis, holders, refresh, status};
pub use origin::{BrowserOrigin, OriginError};
pub use pipes::{Inbound, NotAMachine, Outbound};
pub use run::{init, run};
