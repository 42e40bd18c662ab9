//! Commitments that let a share be recognised when it comes back.
//!
//! Whoever splits a secret makes for each share a commitment: a hash over the share, a random
//! opening, and the [context](ShareContext) that says whose share of which key it is. The
//! commitments are kept where the shares are not; a holder keeps share and opening together as a
//! [`CommittedShare`]. A share that was altered, belongs to another key or generation, or came
//! from another holder does not match, and its holder is named.
//!
//! # Security
//!
//! Binding: a second share for a commitment is a collision of SHA-256. Hiding: the 32 random bytes
//! of the opening make guessing the share from the commitment hopeless, even if the secret has
//! little entropy.

use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    b64,
    canonical::{Canonical, Encoder},
    secret::{Secret, SecretBytes},
    shamir::{Share, ShareError},
};

/// What the secret is that a share belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharePurpose {
    /// The realm's seed, which enclaves boot from.
    Seed,
    /// The entropy of a wallet: released for export or a new leaf only.
    Entropy,
    /// One signing key of a wallet.
    LeafKey,
}

impl SharePurpose {
    fn code(self) -> u8 {
        match self {
            Self::Seed => 1,
            Self::Entropy => 2,
            Self::LeafKey => 3,
        }
    }
}

/// Whose share of which secret something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareContext {
    /// The hash of the realm's record.
    #[serde(with = "b64")]
    pub realm: [u8; 32],
    /// The project; empty for the realm's seed.
    pub project: String,
    /// The account; empty for the realm's seed.
    pub account: String,
    /// The key's id, in hexadecimal.
    pub key: String,
    /// What the secret is.
    pub purpose: SharePurpose,
    /// The share's index, 1 to 255.
    pub index: u8,
    /// The generation of the sharing; goes up at each refresh.
    pub generation: u32,
}

impl Canonical for ShareContext {
    const LABEL: &'static str = "keyfold/share-context/v1";

    /// realm (32 bytes), project, account, key (strings), purpose (`u8`: 1 seed, 2 entropy,
    /// 3 leaf key), index (`u8`), generation (`u32`).
    fn encode(&self, encoder: &mut Encoder) {
        encoder
            .fixed(&self.realm)
            .str(&self.project)
            .str(&self.account)
            .str(&self.key)
            .u8(self.purpose.code())
            .u8(self.index)
            .u32(self.generation);
    }
}

/// A commitment to one share: public, and safe to store anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShareCommitment(#[serde(with = "b64")] pub [u8; 32]);

impl fmt::Debug for ShareCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShareCommitment({})", b64::encode(&self.0))
    }
}

/// Why a share does not stand for its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// The context names another index than the share has.
    #[error("the share's index is not the context's")]
    IndexMismatch,
    /// The share, its opening or its context is not what was committed to.
    #[error("the share does not match its commitment")]
    Mismatch,
}

/// Computes the commitment to a share in its context.
///
/// The hash is that of the canonical encoding with the label `keyfold/share-commitment/v1` of:
/// context (nested), index (`u8`), opening (32 bytes), data (bytes).
///
/// # Errors
///
/// [`CommitmentError::IndexMismatch`] if context and share disagree on the index.
pub fn commit(
    context: &ShareContext,
    share: &Share,
    opening: &Secret<32>,
) -> Result<ShareCommitment, CommitmentError> {
    if context.index != share.index() {
        return Err(CommitmentError::IndexMismatch);
    }
    // The encoder's buffer is not wiped, so the secret parts go straight into the hash.
    let public = Encoder::new("keyfold/share-commitment/v1")
        .nested(context)
        .u8(share.index())
        .finish();
    let mut hash = Sha256::new_with_prefix(&public);
    opening.expose(|opening| hash.update(opening));
    share.data().expose(|data| {
        // A share has at most 64 KiB.
        hash.update((data.len() as u32).to_be_bytes());
        hash.update(data);
    });
    Ok(ShareCommitment(hash.finalize().into()))
}

impl ShareCommitment {
    /// Checks a share and its opening.
    ///
    /// # Errors
    ///
    /// See [`CommitmentError`].
    ///
    /// # Security
    ///
    /// Constant-time in the bytes of share and opening.
    pub fn verify(
        &self,
        context: &ShareContext,
        share: &Share,
        opening: &Secret<32>,
    ) -> Result<(), CommitmentError> {
        let computed = commit(context, share, opening)?;
        if bool::from(self.0.ct_eq(&computed.0)) {
            Ok(())
        } else {
            Err(CommitmentError::Mismatch)
        }
    }
}

/// A share with the opening of its commitment: what a holder keeps and hands back.
///
/// # Security
///
/// Both parts wipe themselves and do not print.
#[derive(Debug, PartialEq, Eq)]
pub struct CommittedShare {
    /// The share.
    pub share: Share,
    /// The random bytes that blind its commitment.
    pub opening: Secret<32>,
}

/// Bytes that are not a committed share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommittedShareError {
    /// The first byte names a version this release does not know.
    #[error("unknown version of a committed share")]
    Version,
    /// The bytes end too early.
    #[error("a committed share is cut short")]
    Truncated,
    /// What is inside is not a share.
    #[error(transparent)]
    Share(#[from] ShareError),
}

/// The version byte of [`CommittedShare::to_bytes`].
const COMMITTED_SHARE_VERSION: u8 = 1;

impl CommittedShare {
    /// Draws an opening and commits to a share.
    ///
    /// # Errors
    ///
    /// [`CommitmentError::IndexMismatch`] if context and share disagree on the index.
    pub fn new(
        context: &ShareContext,
        share: Share,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, ShareCommitment), CommitmentError> {
        let opening = Secret::random(rng);
        let commitment = commit(context, &share, &opening)?;
        Ok((Self { share, opening }, commitment))
    }

    /// Checks the share against its commitment and hands it over.
    ///
    /// # Errors
    ///
    /// See [`CommitmentError`].
    pub fn open(
        self,
        context: &ShareContext,
        commitment: &ShareCommitment,
    ) -> Result<Share, CommitmentError> {
        self.verify(context, commitment)?;
        Ok(self.share)
    }

    /// Checks the share against its commitment.
    ///
    /// # Errors
    ///
    /// See [`CommitmentError`].
    pub fn verify(
        &self,
        context: &ShareContext,
        commitment: &ShareCommitment,
    ) -> Result<(), CommitmentError> {
        commitment.verify(context, &self.share, &self.opening)
    }

    /// Returns the bytes to seal: version (1), index (`u8`), opening (32 bytes), the share.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        SecretBytes::init_with(34 + self.share.data().len(), |bytes| {
            let (header, rest) = bytes.split_at_mut(2);
            header.copy_from_slice(&[COMMITTED_SHARE_VERSION, self.share.index()]);
            let (opening, data) = rest.split_at_mut(32);
            self.opening.expose(|bytes| opening.copy_from_slice(bytes));
            self.share
                .data()
                .expose(|bytes| data.copy_from_slice(bytes));
        })
    }

    /// Reads what [`CommittedShare::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// See [`CommittedShareError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommittedShareError> {
        let (version, rest) = bytes.split_first().ok_or(CommittedShareError::Truncated)?;
        if *version != COMMITTED_SHARE_VERSION {
            return Err(CommittedShareError::Version);
        }
        let (index, rest) = rest.split_first().ok_or(CommittedShareError::Truncated)?;
        let (opening, data) = rest
            .split_at_checked(32)
            .ok_or(CommittedShareError::Truncated)?;
        let opening = Secret::from_slice(opening).ok_or(CommittedShareError::Truncated)?;
        let share = Share::new(*index, SecretBytes::from_slice(data))?;
        Ok(Self { share, opening })
    }
}

#[cfg(test)]
mod tests;
