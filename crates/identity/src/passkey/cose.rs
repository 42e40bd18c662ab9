//! The public keys of passkeys, and what verifies under them.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use keyfold_crypto::{ed25519, p256};

use super::cbor::{CborError, Reader};
use super::der;

/// Fewest bytes of an RSA modulus: 2048 bits.
const MIN_MODULUS_LEN: usize = 256;
/// Most bytes of an RSA modulus: 4096 bits.
const MAX_MODULUS_LEN: usize = 512;
/// 65537, the only exponent in use.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A signature algorithm, by its COSE number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: -7.
    Es256,
    /// Ed25519: -8.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: -257.
    Rs256,
}

impl Algorithm {
    /// Those that are accepted, best first: `pubKeyCredParams`.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Returns the number in the registry "COSE Algorithms".
    #[must_use]
    pub const fn cose_number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }
}

/// Why bytes are not a public key that is accepted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not the CBOR of a COSE key.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Another algorithm than ES256, EdDSA (Ed25519) and RS256.
    #[error("the key's algorithm is not supported")]
    UnsupportedAlgorithm,
    /// Parameters that do not belong to the algorithm, are missing, too many or out of order.
    #[error("the key's parameters are not those of its algorithm")]
    WrongParameters,
    /// Not a point on the curve, of small order, or not a modulus of 2048 to 4096 bits.
    #[error("the key is not valid")]
    InvalidKey,
}

/// The signature is not one of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passkey's signature does not verify")]
pub struct InvalidSignature;

/// A passkey's public key, known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyPublicKey(Key);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Es256(p256::VerifyingKey),
    EdDsa(ed25519::VerifyingKey),
    Rs256 { modulus: Vec<u8> },
}

impl PasskeyPublicKey {
    /// Reads a COSE key that makes up the whole of the bytes.
    ///
    /// # Errors
    ///
    /// [`CoseError`]. Exactly the parameters that WebAuthn section 6.5.1.1 wants are accepted, in
    /// canonical order; so every key has one encoding.
    pub fn from_cose(bytes: &[u8]) -> Result<Self, CoseError> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(key)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CoseError> {
        let pairs = reader.map()?;
        label(reader, 1)?;
        let key_type = reader.integer()?;
        label(reader, 3)?;
        match (reader.integer()?, key_type, pairs) {
            (-7, 2, 5) => {
                label(reader, -1)?;
                if reader.integer()? != 1 {
                    return Err(CoseError::WrongParameters);
                }
                label(reader, -2)?;
                let x = fixed(reader.bytes()?)?;
                label(reader, -3)?;
                let y = fixed(reader.bytes()?)?;
                p256::VerifyingKey::from_coordinates(&x, &y)
                    .map(|key| Self(Key::Es256(key)))
                    .map_err(|_| CoseError::InvalidKey)
            }
            (-8, 1, 4) => {
                label(reader, -1)?;
                if reader.integer()? != 6 {
                    return Err(CoseError::WrongParameters);
                }
                label(reader, -2)?;
                ed25519::VerifyingKey::from_bytes(&fixed(reader.bytes()?)?)
                    .map(|key| Self(Key::EdDsa(key)))
                    .map_err(|_| CoseError::InvalidKey)
            }
            (-257, 3, 4) => {
                label(reader, -1)?;
                let modulus = reader.bytes()?;
                label(reader, -2)?;
                let exponent = reader.bytes()?;
                let whole = modulus.first().is_some_and(|first| *first != 0)
                    && modulus.last().is_some_and(|last| last & 1 == 1)
                    && (MIN_MODULUS_LEN..=MAX_MODULUS_LEN).contains(&modulus.len());
                if !whole || exponent != EXPONENT {
                    return Err(CoseError::InvalidKey);
                }
                Ok(Self(Key::Rs256 {
                    modulus: modulus.to_vec(),
                }))
            }
            (-7 | -8 | -257, ..) => Err(CoseError::WrongParameters),
            _ => Err(CoseError::UnsupportedAlgorithm),
        }
    }

    /// Returns the key's encoding, the same that it was read from.
    #[must_use]
    pub fn to_cose(&self) -> Vec<u8> {
        match &self.0 {
            Key::Es256(key) => {
                let (x, y) = key.coordinates();
                let mut bytes = vec![0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
                bytes.extend_from_slice(&x);
                bytes.extend_from_slice(&[0x22, 0x58, 32]);
                bytes.extend_from_slice(&y);
                bytes
            }
            Key::EdDsa(key) => {
                let mut bytes = vec![0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32];
                bytes.extend_from_slice(&key.to_bytes());
                bytes
            }
            Key::Rs256 { modulus } => {
                // 256 to 512 bytes: the length always takes two.
                let [.., high, low] = modulus.len().to_be_bytes();
                let mut bytes = vec![0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, high, low];
                bytes.extend_from_slice(modulus);
                bytes.extend_from_slice(&[0x21, 0x43]);
                bytes.extend_from_slice(&EXPONENT);
                bytes
            }
        }
    }

    /// Returns the key's algorithm. The key decides it: nothing that comes with a signature can
    /// choose another.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Key::Es256(_) => Algorithm::Es256,
            Key::EdDsa(_) => Algorithm::EdDsa,
            Key::Rs256 { .. } => Algorithm::Rs256,
        }
    }

    /// Returns x and y of a P-256 key, which can be an owner on chain; `None` for others.
    #[must_use]
    pub fn p256_coordinates(&self) -> Option<([u8; 32], [u8; 32])> {
        match &self.0 {
            Key::Es256(key) => Some(key.coordinates()),
            _ => None,
        }
    }

    /// Checks a signature over a message.
    ///
    /// # Errors
    ///
    /// [`InvalidSignature`].
    ///
    /// # Security
    ///
    /// An ECDSA signature and its mirror image (n - s) both verify, as WebAuthn has it: a
    /// signature is never used as a name, and the challenge is what makes a proof count once.
    /// Variable-time; everything in it is public.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let valid = match &self.0 {
            Key::Es256(key) => der::p256_signature(signature)
                .is_some_and(|signature| key.verify(message, &signature).is_ok()),
            Key::EdDsa(key) => <&[u8; 64]>::try_from(signature)
                .is_ok_and(|signature| key.verify(message, signature).is_ok()),
            Key::Rs256 { modulus } => {
                let key = RsaPublicKeyComponents {
                    n: modulus.as_slice(),
                    e: EXPONENT.as_slice(),
                };
                signature.len() == modulus.len()
                    && key
                        .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                        .is_ok()
            }
        };
        if valid { Ok(()) } else { Err(InvalidSignature) }
    }
}

fn label(reader: &mut Reader<'_>, wanted: i64) -> Result<(), CoseError> {
    if reader.integer()? == wanted {
        Ok(())
    } else {
        Err(CoseError::WrongParameters)
    }
}

fn fixed(bytes: &[u8]) -> Result<[u8; 32], CoseError> {
    bytes.try_into().map_err(|_| CoseError::InvalidKey)
}

impl serde::Serialize for PasskeyPublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        keyfold_crypto::b64::serialize(&self.to_cose(), serializer)
    }
}

impl<'de> serde::Deserialize<'de> for PasskeyPublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = keyfold_crypto::b64::Bounded::<1024>::deserialize(deserializer)?;
        Self::from_cose(&bytes).map_err(serde::de::Error::custom)
    }
}
