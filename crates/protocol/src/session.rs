//! The session attestation: what an enclave says about a signed-in device, as a JWT.
//!
//! | Claim | Meaning |
//! |---|---|
//! | `iss` | realm |
//! | `aud` | project: the app's domain, one string |
//! | `sub` | account, random for each project |
//! | `cnf.jkt` | thumbprint of the device credential that must sign every request (RFC 7800) |
//! | `wallets` | addresses of the account's wallets |
//! | `amr`, `acr` | how the person signed in (RFC 8176, OpenID Connect) |
//! | `auth_time` | when they did; renewal never moves it |
//! | `sid` | session, from sign-in to sign-out |
//! | `iat`, `exp` | made at, not valid from; at most one hour apart |
//! | `jti` | this attestation |
//!
//! The header has exactly `typ` = [`TYP`], `alg` and `kid`; the key that `kid` names decides the
//! algorithm. Apps verify it with any JWT library and the realm's published key set; holders with
//! [`verify`], and only under keys that a registered enclave stated to them.
//!
//! Beside it, for an app's own server, is the [ID token](id_token).
//!
//! Making and verifying exist on native targets only; browsers carry the text and its
//! [`attestation_hash`].
//!
//! # Security
//!
//! An attestation is no bearer token here: enclaves and holders use it together with a signature
//! by the device that it names, over its hash. An app that takes it as a bearer token gets what a
//! bearer token gives.
//!
//! RFC 7519 (JWT), RFC 7515 (JWS), RFC 7638 (thumbprints), RFC 8725 (JWT best practice).

mod claims;
pub mod id_token;
#[cfg(not(target_family = "wasm"))]
mod json;
mod keys;
#[cfg(not(target_family = "wasm"))]
mod sign;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;
#[cfg(not(target_family = "wasm"))]
mod verify;

pub use claims::{ClaimsError, Confirmation, SessionClaims, attestation_hash};
#[cfg(not(target_family = "wasm"))]
pub use id_token::verify_id_token;
pub use id_token::{IdTokenClaims, Issuer, Nonce};
pub use keys::{
    AttestationAlgorithm, AttestationKey, AttestationKeyError, AttestationKeySet,
    MAX_ATTESTATION_KEYS,
};
#[cfg(not(target_family = "wasm"))]
pub use sign::{AttestationSigner, SignError, SignerKeyError};
#[cfg(not(target_family = "wasm"))]
pub use verify::{Expired, SessionError, SessionExpectation, VerifiedSession, verify};

/// The `typ` of the header.
pub const TYP: &str = "keyfold-session+jwt";
/// Most bytes of an attestation.
pub const MAX_ATTESTATION_LEN: usize = 8 << 10;
/// Most seconds from `iat` to `exp`.
pub const MAX_ATTESTATION_SECONDS: u64 = 3_600;
/// Most seconds from `auth_time` to `exp`, over all renewals: 30 days.
pub const MAX_SESSION_SECONDS: u64 = 30 * 86_400;
/// Seconds by which `iat` may lie ahead of the verifier's clock.
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 30;
/// Most wallets that an attestation names.
pub const MAX_WALLETS: usize = 64;
