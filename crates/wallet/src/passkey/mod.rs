//! Passkeys as signers of a wallet (format section 7).
//!
//! The wallet's configuration holds a passkey's root in a sapient leaf of the passkey contract.
//! Pure, like the rest of the crate: P-256 is an argument, [`VerifyP256`].

mod json;
mod key;
mod signature;
mod verify;

#[cfg(test)]
mod tests;

pub use key::{PasskeyPublicKey, credential_metadata};
pub use signature::{PasskeyDecodeError, PasskeyEncodeError, PasskeySignature};
pub use verify::{P256Signature, PasskeyError, VerifyP256, verify};
