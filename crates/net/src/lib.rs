//! The plumbing that the services share: TLS, serving and calling HTTP, the enclave's byte pipes,
//! error answers, rate limits and logs.
//!
//! This crate does network, files (the TLS key), time and randomness, so that the crates with the
//! decisions need none of them. It knows nothing of wallets, shares or projects.
//!
//! - [`tls`]: TLS 1.3 and nothing older; servers with their own key, clients that pin it.
//! - [`serve`]: HTTP over TLS, Unix sockets and any byte stream, with limits on everything a
//!   stranger can hold open.
//! - [`client`]: a small pooled HTTP client over any [`client::Connector`].
//! - [`pipe`]: the two byte pipes of an enclave and the host's egress proxy.
//! - [`problem`]: `application/problem+json` with stable codes.
//! - [`limit`]: rate limits in bounded memory, and who the client is.
//! - [`shutdown`], [`health`], [`telemetry`], [`descriptors`], [`dumps`], [`confine`]: how a process
//!   begins, reports and ends.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod body;
pub mod client;
pub mod confine;
pub mod descriptors;
pub mod dumps;
pub mod health;
pub mod limit;
pub mod pipe;
pub mod problem;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

pub use body::{BodyError, read_body};
pub use client::{ClientError, ClientLimits, Connector, HttpClient};
pub use confine::Confinement;
pub use problem::{Json, Problem};
pub use serve::{HttpLimits, ServeLimits, Server, harden};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use tls::{ServerTls, SpkiPin};
