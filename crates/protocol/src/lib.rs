//! What the parties say to each other: typed messages, claims, signed requests, intents, errors.
//!
//! Pure: no I/O, no clock, no ambient randomness; builds for WASM. Bytes come in as arguments,
//! verified values go out. Anything that must be verified before it is used is only reachable
//! through a type that verification constructs.
//!
//! | Module | Holds |
//! |---|---|
//! | [`ids`] | names of realms, instances, projects, accounts, keys, requests |
//! | [`error_code`] | the stable error codes of every edge, with status and sentence |
//! | [`intent`] | the structured field that tells key holders what a request is for |
//! | [`signed_request`] | HTTP Message Signatures (RFC 9421) of devices and enclave instances |
//! | [`evidence`] | the versioned list that an enclave shows to a key holder |
//! | [`session`] | the session attestation |
//! | [`delivery`] | how it reaches its client: in the answer, or sealed in a cookie |
//! | [`realm`] | the realm record and its quorums |
//! | [`registration`] | binding of an enclave instance to its attestation document |
//! | [`registry`] | whom a holder or guard knows |
//! | [`config`] | changes of a wallet's configuration |
//! | [`anchor`] | what must not go backwards |
//! | [`ohttp`] | the channel between client and enclave |
//! | [`sign_in`] | the two steps of every sign-in |
//! | [`account`] | identities, second factors and step-up of an account |
//! | [`project`] | a project's settings |
//! | [`app_server`], [`webhook`] | what an app's own server gets, asks and is told |
//! | [`text`], [`secret_text`] | texts for people; those that wipe themselves |
//! | [`holder_api`], [`client_api`], [`gateway_api`], [`guard_api`], [`relayer_api`] | messages |
//! | [`warrant`], [`maintenance`] | new shares of keys: by what right, and how |
//! | [`log_entry`] | what a key holder records before it acts |
//!
//! `transcripts/` holds a readable copy of each signed message; tests keep it true.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod account;
pub mod anchor;
pub mod app_server;
pub mod checkpointer;
pub mod client_api;
pub mod config;
pub mod delivery;
pub mod error_code;
pub mod evidence;
pub mod gateway_api;
pub mod guard_api;
pub mod holder_api;
pub mod ids;
pub mod intent;
pub mod log_entry;
pub mod maintenance;
pub mod ohttp;
pub mod project;
pub mod project_command;
pub mod realm;
pub mod registration;
pub mod registry;
pub mod relayer_api;
pub mod secret_text;
pub mod session;
pub mod sign_in;
pub mod signed_request;
pub mod text;
pub mod warrant;
pub mod webhook;
