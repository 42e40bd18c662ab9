//! The published half of a gateway key.

use ohttp::hpke::{Aead, Kdf, Kem};
use ohttp::{KeyConfig, SymmetricSuite};

/// The one suite that is offered and taken.
pub(super) const KEM: Kem = Kem::X25519Sha256;
pub(super) const SUITE: SymmetricSuite = SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm);

/// Bytes of a list of one configuration: its length, key id, KEM, public key, length of the list
/// of suites, one suite.
const ENCODED_LEN: usize = 2 + 1 + 2 + 32 + 2 + 4;

/// Reports that bytes are not a key configuration of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of exactly one X25519, HKDF-SHA256, AES-128-GCM key configuration")]
pub struct KeyConfigError;

/// A gateway's key configuration, encoded as `application/ohttp-keys`.
///
/// Always a list of exactly one configuration with exactly one suite: DHKEM(X25519, HKDF-SHA256),
/// HKDF-SHA256, AES-128-GCM. There is nothing to choose, so nothing to downgrade.
///
/// # Security
///
/// Being well-formed says nothing about whose key it is. That says the attestation document whose
/// user data binds these bytes.
///
/// RFC 9458 section 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedKeyConfig([u8; ENCODED_LEN]);

impl EncodedKeyConfig {
    /// Parses the encoded list.
    ///
    /// # Errors
    ///
    /// [`KeyConfigError`] if it is anything but one configuration with the one suite.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyConfigError> {
        let encoded = Self(bytes.try_into().map_err(|_| KeyConfigError)?);
        let config = encoded.decode()?;
        // Also compares the outer length and the suite, which decoding alone does not pin.
        if encode_list(&config)? != encoded || config.select(SUITE).is_err() {
            return Err(KeyConfigError);
        }
        Ok(encoded)
    }

    /// Returns the encoded list.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the key's one-byte number.
    pub fn key_id(&self) -> u8 {
        let [_, _, key_id, ..] = self.0;
        key_id
    }

    pub(super) fn decode(&self) -> Result<KeyConfig, KeyConfigError> {
        let [_, _, config @ ..] = &self.0;
        KeyConfig::decode(config).map_err(|_| KeyConfigError)
    }
}

pub(super) fn encode_list(config: &KeyConfig) -> Result<EncodedKeyConfig, KeyConfigError> {
    let bytes = KeyConfig::encode_list(&[config]).map_err(|_| KeyConfigError)?;
    Ok(EncodedKeyConfig(
        bytes.try_into().map_err(|_| KeyConfigError)?,
    ))
}
