//! The client of a realm: it verifies an enclave, seals signed requests to it, and checks what
//! comes back.
//!
//! Pure: sockets, keys, clock and randomness are the caller's, behind [`Transport`], [`Credential`]
//! and [`Environment`]. Builds for the browser.
//!
//! Nothing has to be switched on. A [`Client`] is made from a [`RealmPin`], and each of its calls
//! goes, sealed, to a key whose attestation document it asked for with its own nonce, verified, and
//! keeps for at most ten minutes. There is no call that skips this, and no reply is taken from
//! anybody but who opened the request.
//!
//! | Module | Holds |
//! |---|---|
//! | [`environment`] | the three traits that a program implements |
//! | [`pin`] | what a program must know beforehand: realm, root, measurements |
//! | [`session`] | a signed-in device |
//! | [`known`] | what a device remembers when a session ends |
//! | [`wallet`] | wallets whose address and configuration were recomputed |
//! | [`config`] | a wallet's configurations, replayed and verified |
//! | [`signing`] | signatures that were recovered before anybody uses them |
//! | [`error`] | what went wrong, and what to do about it |
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod account;
mod app_server;
mod attestation;
mod channel;
mod client;
mod code;
pub mod config;
mod devices;
pub mod environment;
pub mod error;
mod instances;
pub mod known;
mod outer;
pub mod pin;
mod project;
mod relay;
mod revocation;
pub mod session;
mod sign_in;
pub mod signing;
#[cfg(test)]
mod tests;
pub mod wallet;

pub use client::Client;
pub use code::ClientCode;
pub use config::{ConfigRefused, History};
pub use environment::{
    Credential, CredentialError, Environment, EnvironmentError, Method, OuterRequest,
    OuterResponse, Transport, TransportError,
};
pub use error::{ClientError, Problem, ProblemCode};
pub use instances::{InstanceReport, MAX_KEPT_MS};
pub use known::KnownWallets;
pub use pin::RealmPin;
pub use project::NewProject;
pub use relay::{Sent, WaitLimit};
pub use session::Session;
pub use sign_in::{PendingSignIn, TokenNonce};
pub use signing::{
    SignatureRefused, SignedMessage, SignedTransaction, read_call, verify_signature,
};
pub use wallet::{GuardRule, Wallet, WalletRefused, WalletRules};

/// What a call does.
pub use keyfold_guard::Reading;
/// Where attestations go.
pub use keyfold_protocol::delivery::Delivery;
/// Messages and names that the client's calls take and return.
pub use keyfold_protocol::{
    account as account_api, client_api, config as config_api, ids, project as project_settings,
    project_command, relayer_api, sign_in as sign_in_api,
};
