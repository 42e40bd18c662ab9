//! From entropy to the words a person can write down, and to the seed of their keys.
//!
//! English words only. The passphrase is normalised (NFKD) as the standard asks.
//!
//! # Security
//!
//! [`Entropy`] and [`Mnemonic`] wipe themselves. Inside the PBKDF2 of the library, intermediate
//! values on the stack are not wiped. Looking up words touches tables at places that depend on the
//! entropy; this happens when a wallet is made, imported or exported, never when it signs.
//!
//! BIP-39.

use core::fmt;

use bip39::Language;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{Secret, SecretBytes};

/// The longest text that is read as a mnemonic: 24 words of 8 letters and what is between.
pub const MAX_PHRASE_BYTES: usize = 512;

/// The longest passphrase that is accepted.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// A wallet's entropy: 128 bits, or 256.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, compared in constant time.
#[derive(Debug, PartialEq, Eq)]
pub struct Entropy(SecretBytes);

/// The entropy has neither 16 nor 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entropy has 16 or 32 bytes")]
pub struct EntropyError;

impl Entropy {
    /// Draws 128 bits.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(SecretBytes::init_with(16, |bytes| rng.fill_bytes(bytes)))
    }

    /// Takes over 16 or 32 bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] for every other number.
    pub fn from_bytes(bytes: SecretBytes) -> Result<Self, EntropyError> {
        if matches!(bytes.len(), 16 | 32) {
            Ok(Self(bytes))
        } else {
            Err(EntropyError)
        }
    }

    /// Returns the bytes: to split or to seal.
    #[must_use]
    pub fn as_secret(&self) -> &SecretBytes {
        &self.0
    }

    /// Returns the words for it: 12 for 128 bits, 24 for 256.
    ///
    /// # Errors
    ///
    /// [`MnemonicError`] is not expected: both sizes have words.
    pub fn to_mnemonic(&self) -> Result<Mnemonic, MnemonicError> {
        self.0.expose(|bytes| {
            bip39::Mnemonic::from_entropy_in(Language::English, bytes)
                .map(|inner| Mnemonic(Box::new(inner)))
                .map_err(|_| MnemonicError::WordCount)
        })
    }
}

/// Why words are not a mnemonic.
///
/// # Security
///
/// Names no word: what a person typed is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MnemonicError {
    /// There are neither 12 nor 24 words.
    #[error("a mnemonic has 12 or 24 words")]
    WordCount,
    /// A word is not in the English list.
    #[error("a word is not in the English list")]
    UnknownWord,
    /// The words are all known but their checksum is wrong: one was mistyped or they are in the
    /// wrong order.
    #[error("the words' checksum is wrong")]
    Checksum,
    /// The passphrase is longer than [`MAX_PASSPHRASE_BYTES`].
    #[error("the passphrase is too long")]
    Passphrase,
}

/// Twelve or twenty-four words whose checksum is right.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
pub struct Mnemonic(Box<bip39::Mnemonic>);

impl Mnemonic {
    /// Reads words; upper case and any white space between them are accepted.
    ///
    /// # Errors
    ///
    /// See [`MnemonicError`].
    pub fn parse(phrase: &str) -> Result<Self, MnemonicError> {
        if phrase.len() > MAX_PHRASE_BYTES {
            return Err(MnemonicError::WordCount);
        }
        if !matches!(phrase.split_whitespace().count(), 12 | 24) {
            return Err(MnemonicError::WordCount);
        }
        // All English words are ASCII: nothing to normalise but the case.
        let mut lower = Zeroizing::new(String::with_capacity(MAX_PHRASE_BYTES));
        for word in phrase.split_whitespace() {
            if !lower.is_empty() {
                lower.push(' ');
            }
            lower.push_str(word);
        }
        lower.make_ascii_lowercase();
        bip39::Mnemonic::parse_in_normalized(Language::English, &lower)
            .map(|inner| Self(Box::new(inner)))
            .map_err(|error| match error {
                bip39::Error::InvalidChecksum => MnemonicError::Checksum,
                bip39::Error::BadWordCount(_) | bip39::Error::BadEntropyBitCount(_) => {
                    MnemonicError::WordCount
                }
                _ => MnemonicError::UnknownWord,
            })
    }

    /// Lends the words, separated by single spaces, to a closure.
    ///
    /// # Security
    ///
    /// Only for export to the person whose words they are.
    pub fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        let mut phrase = Zeroizing::new(String::with_capacity(MAX_PHRASE_BYTES));
        for word in self.0.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        read(&phrase)
    }

    /// Returns the entropy the words stand for.
    #[must_use]
    pub fn to_entropy(&self) -> Entropy {
        let (mut array, len) = self.0.to_entropy_array();
        let entropy = Entropy(SecretBytes::from_slice(
            array.get(..len).unwrap_or_default(),
        ));
        array.zeroize();
        entropy
    }

    /// Computes the 64-byte seed: PBKDF2-HMAC-SHA512 with 2048 rounds, about two milliseconds.
    ///
    /// # Errors
    ///
    /// [`MnemonicError::Passphrase`] if it is too long.
    pub fn to_seed(&self, passphrase: &str) -> Result<Secret<64>, MnemonicError> {
        if passphrase.len() > MAX_PASSPHRASE_BYTES {
            return Err(MnemonicError::Passphrase);
        }
        let mut seed = self.0.to_seed(passphrase);
        let secret = Secret::init_with(|target| target.copy_from_slice(&seed));
        seed.zeroize();
        Ok(secret)
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mnemonic([redacted])")
    }
}

#[cfg(test)]
mod tests;
