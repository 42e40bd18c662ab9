//! From a seed to the keys of a wallet.
//!
//! # Security
//!
//! Not on the path of a signature: each leaf key is shared by itself, so that signing needs neither
//! the seed nor its siblings. Intermediate keys are wiped; intermediate chain codes, which give
//! nothing away without a key beside them, are not.
//!
//! BIP-32, BIP-44.

use bip32::{ChildNumber, XPrv};
use zeroize::Zeroize;

use crate::{
    secp256k1::{InvalidKey, SigningKey},
    secret::Secret,
};

/// The largest index of an account: 2^31 - 1.
pub const MAX_INDEX: u32 = (1 << 31) - 1;

/// The longest path that is followed.
pub const MAX_DEPTH: usize = 16;

/// Why no key could be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// An index is above [`MAX_INDEX`].
    #[error("an index is above 2^31 - 1")]
    Index,
    /// The path has more than [`MAX_DEPTH`] steps.
    #[error("the path is too long")]
    Depth,
    /// There is no key here, which happens once in 2^127: use the next index.
    #[error("there is no key at this path; use the next index")]
    NoKey,
}

/// One step of a derivation path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A hardened step, written with an apostrophe.
    Hardened(u32),
    /// A normal step.
    Normal(u32),
}

impl Step {
    fn to_child(self) -> Result<ChildNumber, DeriveError> {
        match self {
            Self::Hardened(index) => ChildNumber::new(index, true),
            Self::Normal(index) => ChildNumber::new(index, false),
        }
        .map_err(|_| DeriveError::Index)
    }
}

/// Derives the Ethereum key m/44'/60'/0'/0/index.
///
/// # Errors
///
/// See [`DeriveError`].
///
/// BIP-44, SLIP-44 (coin type 60).
pub fn derive_ethereum(seed: &Secret<64>, index: u32) -> Result<SigningKey, DeriveError> {
    derive(
        seed,
        &[
            Step::Hardened(44),
            Step::Hardened(60),
            Step::Hardened(0),
            Step::Normal(0),
            Step::Normal(index),
        ],
    )
}

/// Derives the key at a path below a seed of 64 bytes.
///
/// # Errors
///
/// See [`DeriveError`].
///
/// BIP-32.
pub fn derive(seed: &Secret<64>, path: &[Step]) -> Result<SigningKey, DeriveError> {
    let key = seed.expose(|seed| derive_extended(seed, path))?;
    let mut bytes = key.to_bytes();
    let secret = Secret::init_with(|target| target.copy_from_slice(&bytes));
    bytes.zeroize();
    SigningKey::from_secret(&secret).map_err(|InvalidKey| DeriveError::NoKey)
}

fn derive_extended(seed: &[u8], path: &[Step]) -> Result<XPrv, DeriveError> {
    if path.len() > MAX_DEPTH {
        return Err(DeriveError::Depth);
    }
    let root = XPrv::new(seed).map_err(|_| DeriveError::NoKey)?;
    path.iter().try_fold(root, |parent, step| {
        parent
            .derive_child(step.to_child()?)
            .map_err(|_| DeriveError::NoKey)
    })
}

#[cfg(test)]
mod tests;
