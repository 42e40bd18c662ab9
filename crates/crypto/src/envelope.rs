//! Sealing at rest: AES-256-GCM envelopes that know their key and their place.
//!
//! # Format
//!
//! | Bytes | What |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | key id: 8 bytes derived from the master key under a label of their own |
//! | 12 | nonce, random |
//! | n | ciphertext |
//! | 16 | tag |
//!
//! The AES key is not the master key: it is derived from it by HKDF-SHA256 for the very cell and
//! version that the [`Aad`] names. The AAD of the cipher is the canonical encoding of version
//! byte, key id and place. So an envelope that is moved to another row, column or version does not
//! open, and random nonces could only collide among the envelopes of one version of one cell:
//! the bound of 2^32 messages for one key (NIST SP 800-38D section 8.3) is never in sight.
//!
//! # Security
//!
//! An envelope hides its contents, not its length, and does not show that it is the newest: an old
//! envelope of the same version opens again. What must not go backwards needs an anchor elsewhere.
//! AES-GCM does not commit to its key; here the key id and the derivation leave an attacker no
//! second key to choose.
//!
//! NIST SP 800-38D, RFC 5869.

use core::fmt;

use rand_core::CryptoRng;

mod gcm;

use gcm::NONCE_BYTES;

use crate::{
    canonical::{Canonical, Encoder},
    hash,
    secret::{Secret, SecretBytes},
};

/// The most bytes of plaintext in one envelope: 1 MiB.
pub const MAX_PLAINTEXT_BYTES: usize = 1 << 20;

/// The bytes that sealing adds: version, key id, nonce, tag.
pub const OVERHEAD_BYTES: usize = 1 + 8 + NONCE_BYTES + 16;

const VERSION: u8 = 1;

/// The public name of a master key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({:016x})", u64::from_be_bytes(self.0))
    }
}

/// The place an envelope belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aad<'a> {
    /// The table, or the kind of record.
    pub table: &'a str,
    /// The row's primary key.
    pub row: &'a [u8],
    /// The column, or the part of the record.
    pub column: &'a str,
    /// The version of the row.
    pub version: u64,
}

impl Canonical for Aad<'_> {
    const LABEL: &'static str = "keyfold/envelope-place/v1";

    /// table (string), row (bytes), column (string), version (`u64`).
    fn encode(&self, encoder: &mut Encoder) {
        encoder
            .str(self.table)
            .bytes(self.row)
            .str(self.column)
            .u64(self.version);
    }
}

/// A process's 32-byte master key.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`. It is never used as a cipher's key itself.
pub struct MasterKey {
    secret: Secret<32>,
    id: KeyId,
}

impl MasterKey {
    /// Takes over the key's bytes.
    #[must_use]
    pub fn new(secret: Secret<32>) -> Self {
        let named = expand(&secret, &mut Encoder::new("keyfold/master-key-id/v1"));
        let id =
            KeyId(named.expose(|[a, b, c, d, e, f, g, h, ..]| [*a, *b, *c, *d, *e, *f, *g, *h]));
        Self { secret, id }
    }

    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::new(Secret::random(rng))
    }

    /// Returns the key's public name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns a copy of the key's bytes: for its `init` command alone.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        self.secret.duplicate()
    }

    /// Derives a key for another purpose.
    ///
    /// # Security
    ///
    /// `label` belongs to one purpose. `context` may be anything, also empty.
    ///
    /// RFC 5869.
    #[must_use]
    pub fn derive(&self, label: &str, context: &[u8]) -> Secret<32> {
        let mut info = Encoder::new("keyfold/master-derive/v1");
        info.str(label).bytes(context);
        expand(&self.secret, &mut info)
    }

    /// Derives the key of one version of one cell.
    fn cell_key(&self, place: &[u8]) -> Secret<32> {
        let mut info = Encoder::new("keyfold/envelope-key/v1");
        info.bytes(place);
        expand(&self.secret, &mut info)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?}, [redacted])", self.id)
    }
}

fn expand(secret: &Secret<32>, info: &mut Encoder) -> Secret<32> {
    secret.expose(|secret| hash::hkdf_sha256(&[], secret, &info.finish()))
}

/// Why something could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too long to seal: at most 1048576 bytes")]
pub struct SealError;

/// Why an envelope could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes are no envelope, or one of a version this release does not know.
    #[error("not an envelope of a known version")]
    Format,
    /// The key that sealed it is not in the ring: an operator has to add it.
    #[error("sealed under the unknown key {0:?}")]
    UnknownKey(KeyId),
    /// The envelope was altered, or belongs to another place.
    #[error("the envelope was altered or belongs to another place")]
    Altered,
}

/// The master key that seals, and older ones that only open.
#[derive(Debug)]
pub struct KeyRing {
    current: MasterKey,
    older: Vec<MasterKey>,
}

impl KeyRing {
    /// Makes a ring of one key.
    #[must_use]
    pub fn new(current: MasterKey) -> Self {
        Self {
            current,
            older: Vec::new(),
        }
    }

    /// Adds a key that opens and no longer seals.
    #[must_use]
    pub fn with_older(mut self, key: MasterKey) -> Self {
        self.older.push(key);
        self
    }

    /// Returns the key that seals.
    #[must_use]
    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    /// Seals bytes for one place under the current key.
    ///
    /// # Errors
    ///
    /// [`SealError`] if there are more than [`MAX_PLAINTEXT_BYTES`].
    pub fn seal(
        &self,
        aad: &Aad<'_>,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > MAX_PLAINTEXT_BYTES {
            return Err(SealError);
        }
        let place = aad.to_signed_bytes();
        let id = self.current.id;
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let key = self.current.cell_key(&place);
        let ciphertext =
            gcm::seal(&key, &nonce, &associated_data(id, &place), plaintext).ok_or(SealError)?;
        let mut envelope = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        envelope.push(VERSION);
        envelope.extend_from_slice(&id.0);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&ciphertext);
        Ok(envelope)
    }

    /// Opens an envelope that was sealed for this place under any key of the ring.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(&self, aad: &Aad<'_>, envelope: &[u8]) -> Result<SecretBytes, OpenError> {
        let parsed = Parsed::new(envelope)?;
        let key = self
            .find(parsed.key)
            .ok_or(OpenError::UnknownKey(parsed.key))?;
        let place = aad.to_signed_bytes();
        let bound = associated_data(parsed.key, &place);
        gcm::open(
            &key.cell_key(&place),
            parsed.nonce,
            &bound,
            parsed.ciphertext,
        )
        .ok_or(OpenError::Altered)
    }

    /// Returns whether an envelope was sealed under another key than the current one.
    ///
    /// # Errors
    ///
    /// [`OpenError::Format`] if the bytes are no envelope.
    pub fn needs_reseal(&self, envelope: &[u8]) -> Result<bool, OpenError> {
        Ok(Parsed::new(envelope)?.key != self.current.id)
    }

    fn find(&self, id: KeyId) -> Option<&MasterKey> {
        core::iter::once(&self.current)
            .chain(&self.older)
            .find(|key| key.id == id)
    }
}

/// An envelope cut into its parts; nothing in it is proven yet.
struct Parsed<'a> {
    key: KeyId,
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn new(envelope: &'a [u8]) -> Result<Self, OpenError> {
        let in_bounds = OVERHEAD_BYTES..=OVERHEAD_BYTES + MAX_PLAINTEXT_BYTES;
        if !in_bounds.contains(&envelope.len()) {
            return Err(OpenError::Format);
        }
        let (version, rest) = envelope.split_first().ok_or(OpenError::Format)?;
        let (key, rest) = rest.split_first_chunk().ok_or(OpenError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk().ok_or(OpenError::Format)?;
        if *version != VERSION {
            return Err(OpenError::Format);
        }
        Ok(Self {
            key: KeyId(*key),
            nonce,
            ciphertext,
        })
    }
}

fn associated_data(key: KeyId, place: &[u8]) -> Vec<u8> {
    Encoder::new("keyfold/envelope-aad/v1")
        .u8(VERSION)
        .fixed(&key.0)
        .bytes(place)
        .finish()
}

#[cfg(test)]
mod tests;
