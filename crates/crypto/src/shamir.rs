//! Shamir's secret sharing over GF(2^8), byte by byte.
//!
//! For each byte of the secret a polynomial of degree t - 1 is drawn whose value at 0 is that
//! byte and whose other coefficients are uniformly random; share i holds the values at x = i.
//! Any t shares give the polynomial, and t - 1 are uniformly random whatever the secret is.
//!
//! # Security
//!
//! Arithmetic is without table look-ups and without branches on secret bytes; indices, the
//! threshold and lengths are public and may influence timing. A share carries no integrity: one
//! wrong share gives a wrong secret, silently. Whoever combines checks each share against its
//! [commitment](crate::commitment) first.
//!
//! A. Shamir, "How to share a secret", CACM 22 (1979).

mod gf256;

use core::borrow::Borrow;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// The most bytes a secret may have: 64 KiB.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// How many of how many shares are needed: t of n with 1 <= t <= n <= 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Threshold {
    needed: u8,
    total: u8,
}

/// The numbers are not a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold needs 1 <= t <= n <= 255, not {needed} of {total}")]
pub struct ThresholdError {
    /// t as it was given.
    pub needed: u8,
    /// n as it was given.
    pub total: u8,
}

impl Threshold {
    /// Makes a threshold of `needed` (t) out of `total` (n).
    ///
    /// # Errors
    ///
    /// [`ThresholdError`] unless 1 <= t <= n.
    pub fn new(needed: u8, total: u8) -> Result<Self, ThresholdError> {
        if needed >= 1 && needed <= total {
            Ok(Self { needed, total })
        } else {
            Err(ThresholdError { needed, total })
        }
    }

    /// Returns t, the number of shares that are needed.
    #[must_use]
    pub fn needed(self) -> u8 {
        self.needed
    }

    /// Returns n, the number of shares there are.
    #[must_use]
    pub fn total(self) -> u8 {
        self.total
    }
}

/// One share of a secret.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, compared in constant time.
#[derive(Debug, PartialEq, Eq)]
pub struct Share {
    index: u8,
    data: SecretBytes,
}

/// Bytes that cannot be a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The index is zero: the value there is the secret itself.
    #[error("a share's index is never zero")]
    ZeroIndex,
    /// There are no bytes, or more than [`MAX_SECRET_BYTES`].
    #[error("a share has 1 to 65536 bytes")]
    Length,
}

impl Share {
    /// Makes a share of bytes received from elsewhere.
    ///
    /// # Errors
    ///
    /// See [`ShareError`].
    pub fn new(index: u8, data: SecretBytes) -> Result<Self, ShareError> {
        if index == 0 {
            return Err(ShareError::ZeroIndex);
        }
        if data.is_empty() || data.len() > MAX_SECRET_BYTES {
            return Err(ShareError::Length);
        }
        Ok(Self { index, data })
    }

    /// Returns the index, 1 to 255: the x of the polynomial.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Returns the share's bytes, as many as the secret has.
    #[must_use]
    pub fn data(&self) -> &SecretBytes {
        &self.data
    }

    /// Makes a second copy, which wipes itself as well.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            index: self.index,
            data: self.data.duplicate(),
        }
    }
}

/// The secret is empty or longer than [`MAX_SECRET_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret to split has 1 to 65536 bytes")]
pub struct SplitError;

/// Splits a secret into the n shares of `threshold`, with indices 1 to n in order.
///
/// # Errors
///
/// [`SplitError`] if the secret is empty or too long.
///
/// # Security
///
/// All depends on `rng`: with predictable output, one share gives the secret away.
pub fn split(
    secret: &[u8],
    threshold: Threshold,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Share>, SplitError> {
    if secret.is_empty() || secret.len() > MAX_SECRET_BYTES {
        return Err(SplitError);
    }
    // Row k holds, for each byte of the secret, the coefficient of x^(k+1). The highest may be
    // zero: forcing it to be something else would tell t - 1 shareholders what the secret is not.
    let rows = usize::from(threshold.needed) - 1;
    let mut coefficients = Zeroizing::new(vec![0; rows * secret.len()]);
    rng.fill_bytes(&mut coefficients);
    let share = |x: u8| {
        SecretBytes::init_with(secret.len(), |value| {
            // Horner's scheme from the highest power down; the secret is the constant term.
            for row in coefficients.chunks_exact(secret.len()).rev() {
                gf256::multiply_add(value, x, row);
            }
            gf256::multiply_add(value, x, secret);
        })
    };
    Ok((1..=threshold.total)
        .map(|index| Share {
            index,
            data: share(index),
        })
        .collect())
}

/// Why shares could not be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// Ask more holders: there are fewer shares than the threshold needs.
    #[error("{have} shares, but {need} are needed")]
    TooFew {
        /// How many shares there are.
        have: usize,
        /// How many are needed.
        need: u8,
    },
    /// Two shares have the same index.
    #[error("two shares have the index {0}")]
    DuplicateIndex(u8),
    /// A share's index is above n.
    #[error("a share has the index {0}, which the threshold does not know")]
    UnknownIndex(u8),
    /// The shares are not of one secret: their lengths differ.
    #[error("shares of different lengths")]
    LengthsDiffer,
}

/// Combines the first t of `shares` into the secret.
///
/// All shares given are checked for index and length; those after the first t are not used.
///
/// # Errors
///
/// See [`CombineError`].
///
/// # Security
///
/// Does not notice a wrong share: check each against its [commitment](crate::commitment) first.
pub fn combine<S: Borrow<Share>>(
    threshold: Threshold,
    shares: &[S],
) -> Result<SecretBytes, CombineError> {
    let too_few = CombineError::TooFew {
        have: shares.len(),
        need: threshold.needed,
    };
    let mut seen = [false; 256];
    let mut length = None;
    for share in shares.iter().map(Borrow::borrow) {
        if share.index == 0 || share.index > threshold.total {
            return Err(CombineError::UnknownIndex(share.index));
        }
        match seen.get_mut(usize::from(share.index)) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(CombineError::DuplicateIndex(share.index)),
        }
        if *length.get_or_insert(share.data.len()) != share.data.len() {
            return Err(CombineError::LengthsDiffer);
        }
    }
    let used = shares.get(..usize::from(threshold.needed)).ok_or(too_few)?;
    let length = length.ok_or(too_few)?;
    Ok(SecretBytes::init_with(length, |secret| {
        for share in used.iter().map(Borrow::borrow) {
            let others = used.iter().map(|other| other.borrow().index);
            let weight = gf256::lagrange_at_zero(share.index, others);
            share
                .data
                .expose(|data| gf256::add_scaled(secret, weight, data));
        }
    }))
}

#[cfg(test)]
mod tests;
