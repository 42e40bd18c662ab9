//! A device's public key as JSON, and the thumbprint that names it.
//!
//! RFC 7517 (JWK), RFC 7638 (thumbprint), RFC 8037 (Ed25519).

use core::{fmt, str::FromStr};

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    b64, ed25519, hash, p256,
    secret::{Secret, SecretBytes},
};

/// The public key of a device or service.
///
/// Reading it from JSON checks that the key is on its curve; so does every use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublicJwk {
    /// A P-256 key, for ES256.
    P256 {
        /// The x coordinate, big-endian.
        x: [u8; 32],
        /// The y coordinate, big-endian.
        y: [u8; 32],
    },
    /// An Ed25519 key.
    Ed25519 {
        /// The encoded point.
        x: [u8; 32],
    },
}

/// The key is not on its curve, or of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of its curve")]
pub struct InvalidJwk;

/// The signature is not one of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct InvalidSignature;

impl PublicJwk {
    /// Checks that the key is on its curve.
    ///
    /// # Errors
    ///
    /// [`InvalidJwk`] if it is not.
    pub fn validate(&self) -> Result<(), InvalidJwk> {
        match self {
            Self::P256 { x, y } => p256::VerifyingKey::from_coordinates(x, y)
                .map(|_| ())
                .map_err(|_| InvalidJwk),
            Self::Ed25519 { x } => ed25519::VerifyingKey::from_bytes(x)
                .map(|_| ())
                .map_err(|_| InvalidJwk),
        }
    }

    /// Checks a 64-byte signature over a message: ES256 (`r || s`) or Ed25519, as the key says.
    ///
    /// # Errors
    ///
    /// [`InvalidSignature`], also when the key or the signature's length is wrong.
    ///
    /// # Security
    ///
    /// The algorithm follows from the key alone; the signer has no say in it.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let signature = signature.try_into().map_err(|_| InvalidSignature)?;
        match self {
            Self::P256 { x, y } => p256::VerifyingKey::from_coordinates(x, y)
                .map_err(|_| InvalidSignature)?
                .verify(message, signature)
                .map_err(|_| InvalidSignature),
            Self::Ed25519 { x } => ed25519::VerifyingKey::from_bytes(x)
                .map_err(|_| InvalidSignature)?
                .verify(message, signature)
                .map_err(|_| InvalidSignature),
        }
    }

    /// Returns the thumbprint: SHA-256 of the required members in alphabetical order.
    ///
    /// RFC 7638 section 3, RFC 8037 appendix A.3.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        // Base64url needs no escapes, so the text can be put together directly.
        let json = match self {
            Self::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                b64::encode(x),
                b64::encode(y)
            ),
            Self::Ed25519 { x } => {
                format!(
                    r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                    b64::encode(x)
                )
            }
        };
        Thumbprint(hash::sha256(json.as_bytes()))
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curve = match self {
            Self::P256 { .. } => "P256",
            Self::Ed25519 { .. } => "Ed25519",
        };
        write!(f, "PublicJwk::{curve}({})", self.thumbprint())
    }
}

/// The JSON form. Members a public key does not need are ignored, as RFC 7517 section 4 asks.
#[derive(Serialize, Deserialize)]
struct Json {
    kty: String,
    crv: String,
    #[serde(with = "b64")]
    x: [u8; 32],
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    y: Option<[u8; 32]>,
    // A private key where a public one belongs is refused, loudly, before it spreads.
    #[serde(default, skip_serializing)]
    d: Option<de::IgnoredAny>,
}

mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Coordinate(#[serde(with = "crate::b64")] [u8; 32]);

    pub(super) fn serialize<S: Serializer>(
        value: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => crate::b64::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        Option::<Coordinate>::deserialize(deserializer).map(|value| value.map(|inner| inner.0))
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kty, crv, x, y) = match *self {
            Self::P256 { x, y } => ("EC", "P-256", x, Some(y)),
            Self::Ed25519 { x } => ("OKP", "Ed25519", x, None),
        };
        Json {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            x,
            y,
            d: None,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        if json.d.is_some() {
            return Err(de::Error::custom(
                "a private key where a public key belongs",
            ));
        }
        let key = match (json.kty.as_str(), json.crv.as_str(), json.y) {
            ("EC", "P-256", Some(y)) => Self::P256 { x: json.x, y },
            ("OKP", "Ed25519", None) => Self::Ed25519 { x: json.x },
            _ => return Err(de::Error::custom("a key is EC P-256 or OKP Ed25519")),
        };
        key.validate().map_err(de::Error::custom)?;
        Ok(key)
    }
}

/// The name of a public key: RFC 7638's SHA-256, in text as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thumbprint(#[serde(with = "b64")] pub [u8; 32]);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = b64::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        b64::decode_array(text).map(Self)
    }
}

/// The private key of a device credential or of a service.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub enum DeviceSigningKey {
    /// A P-256 key, for ES256.
    P256(p256::SigningKey),
    /// An Ed25519 key.
    Ed25519(ed25519::SigningKey),
}

/// The bytes are not a device key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a device key")]
pub struct InvalidDeviceKey;

impl DeviceSigningKey {
    /// Draws a P-256 key.
    #[must_use]
    pub fn generate_p256(rng: &mut impl CryptoRng) -> Self {
        Self::P256(p256::SigningKey::generate(rng))
    }

    /// Draws an Ed25519 key.
    #[must_use]
    pub fn generate_ed25519(rng: &mut impl CryptoRng) -> Self {
        Self::Ed25519(ed25519::SigningKey::generate(rng))
    }

    /// Signs a message: 64 bytes, ES256 (`r || s`) or Ed25519.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Self::P256(key) => key.sign(message),
            Self::Ed25519(key) => key.sign(message),
        }
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_jwk(&self) -> PublicJwk {
        match self {
            Self::P256(key) => {
                let (x, y) = key.verifying_key().coordinates();
                PublicJwk::P256 { x, y }
            }
            Self::Ed25519(key) => PublicJwk::Ed25519 {
                x: key.verifying_key().to_bytes(),
            },
        }
    }

    /// Returns the bytes to store: 1 (P-256) or 2 (Ed25519), then the key's 32.
    #[must_use]
    pub fn to_secret_bytes(&self) -> SecretBytes {
        let (tag, secret) = match self {
            Self::P256(key) => (1, key.to_secret()),
            Self::Ed25519(key) => (2, key.to_secret()),
        };
        SecretBytes::init_with(33, |bytes| {
            let (first, rest) = bytes.split_at_mut(1);
            first.fill(tag);
            secret.expose(|secret| rest.copy_from_slice(secret));
        })
    }

    /// Reads what [`DeviceSigningKey::to_secret_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`InvalidDeviceKey`].
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, InvalidDeviceKey> {
        let (tag, secret) = bytes.split_first().ok_or(InvalidDeviceKey)?;
        let secret = Secret::from_slice(secret).ok_or(InvalidDeviceKey)?;
        match tag {
            1 => p256::SigningKey::from_secret(&secret)
                .map(Self::P256)
                .map_err(|_| InvalidDeviceKey),
            2 => Ok(Self::Ed25519(ed25519::SigningKey::from_secret(&secret))),
            _ => Err(InvalidDeviceKey),
        }
    }
}

#[cfg(test)]
mod tests;
