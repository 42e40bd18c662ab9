//! The one verifier of AWS Nitro attestation documents.
//!
//! Whoever acts on a document (holder, client, browser) calls [`verify`], which has no switch that
//! skips a step. A [`VerifiedDocument`] is made only here, after the whole chain up to the given
//! [`TrustRoot`], the signature, the age, the nonce and the measurements were found good, so whoever
//! holds one need not ask again. [`audit`] judges a document on the same path for somebody who did
//! not ask for it, and gives another type.
//!
//! What `public_key` and `user_data` mean is not judged here: the document only proves that the
//! measured code put them there.
//!
//! # What this crate may touch
//!
//! Its arguments and nothing else: no clock, randomness, network or files. It builds for WASM.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod audit;
mod cbor;
mod certificate;
mod chain;
pub mod danger;
mod document;
mod ecdsa;
mod error;
mod nonce;
mod pcr;
mod policy;
mod root;
mod verify;

pub use document::{MAX_CHAIN_LEN, MAX_DOCUMENT_LEN};
pub use error::{CborError, RefusalKind, VerifyError};
pub use nonce::{Nonce, NonceError};
pub use pcr::{PCR_LEN, Pcr, extend};
pub use policy::{MeasurementPolicy, Measurements};
pub use root::{RootError, TrustRoot};
pub use verify::{
    DEFAULT_MAX_AGE_MS, DEFAULT_MAX_FUTURE_MS, Expectations, VerifiedDocument, verify,
};
