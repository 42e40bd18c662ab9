//! Public keys of attestations, as JSON Web Keys.

use core::fmt;

#[cfg(not(target_family = "wasm"))]
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use keyfold_crypto::b64;
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use serde::{Deserialize, Serialize};

/// Most keys of a set: the current ones and those whose attestations may still be valid.
pub const MAX_ATTESTATION_KEYS: usize = 16;

/// The only public exponent that is taken.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// Bytes of a modulus: 2048 to 4096 bits. More only costs the verifier time.
const RSA_MODULUS_LEN: core::ops::RangeInclusive<usize> = 256..=512;

/// A signature algorithm of attestations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttestationAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which every JWT library verifies.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl AttestationAlgorithm {
    /// Returns the registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Reports a key or key set that attestations cannot be verified with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationKeyError {
    /// Not an RSA key of 2048 to 4096 bits with exponent 65537, nor a point of P-256.
    #[error("not a public key for RS256 or ES256")]
    NotAKey,
    /// `kty`, `alg` and `use` do not say one and the same thing, or there is a private part.
    #[error("the members of the key contradict each other")]
    Contradiction,
    /// `kid` is not the key's thumbprint.
    #[error("the key is not named by its thumbprint")]
    WrongKid,
    /// More than [`MAX_ATTESTATION_KEYS`].
    #[error("too many keys")]
    TooMany,
    /// The same key twice.
    #[error("a key occurs twice")]
    Repeated,
}

/// A public key that attestations are verified with; parsed once, used often.
///
/// The key decides its algorithm. Its `kid` is its thumbprint, so that a name cannot be given to
/// another key.
///
/// RFC 7517, RFC 7518 section 6, RFC 7638.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct AttestationKey {
    material: Material,
    kid: Thumbprint,
    #[cfg(not(target_family = "wasm"))]
    parsed: ParsedPublicKey,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8> },
    P256 { x: [u8; 32], y: [u8; 32] },
}

impl AttestationKey {
    /// Makes a key from an RSA modulus, big-endian without leading zeros; the exponent is 65537.
    ///
    /// # Errors
    ///
    /// [`AttestationKeyError::NotAKey`].
    pub fn from_rsa_modulus(modulus: &[u8]) -> Result<Self, AttestationKeyError> {
        Self::new(Material::Rsa {
            modulus: modulus.to_vec(),
        })
    }

    /// Makes a key from the coordinates of a point of P-256, big-endian.
    ///
    /// # Errors
    ///
    /// [`AttestationKeyError::NotAKey`].
    pub fn from_p256_coordinates(x: [u8; 32], y: [u8; 32]) -> Result<Self, AttestationKeyError> {
        Self::new(Material::P256 { x, y })
    }

    fn new(material: Material) -> Result<Self, AttestationKeyError> {
        let good = match &material {
            Material::Rsa { modulus } => {
                RSA_MODULUS_LEN.contains(&modulus.len())
                    && modulus
                        .first()
                        .is_some_and(|b| *b >= 0x80 || modulus.len() > 256)
                    && modulus.first() != Some(&0)
            }
            Material::P256 { x, y } => PublicJwk::P256 { x: *x, y: *y }.validate().is_ok(),
        };
        if !good {
            return Err(AttestationKeyError::NotAKey);
        }
        Ok(Self {
            kid: material.thumbprint(),
            #[cfg(not(target_family = "wasm"))]
            parsed: material.parse()?,
            material,
        })
    }

    /// Returns the key's thumbprint, which is also its `kid`.
    pub fn kid(&self) -> Thumbprint {
        self.kid
    }

    /// Returns the one algorithm that this key is used with.
    pub fn algorithm(&self) -> AttestationAlgorithm {
        match self.material {
            Material::Rsa { .. } => AttestationAlgorithm::Rs256,
            Material::P256 { .. } => AttestationAlgorithm::Es256,
        }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl Material {
    /// RFC 7638: SHA-256 over the required members in alphabetical order.
    fn thumbprint(&self) -> Thumbprint {
        match self {
            Self::Rsa { modulus } => Thumbprint(sha256(
                format!(
                    r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                    b64::encode(&RSA_EXPONENT),
                    b64::encode(modulus)
                )
                .as_bytes(),
            )),
            Self::P256 { x, y } => PublicJwk::P256 { x: *x, y: *y }.thumbprint(),
        }
    }

    #[cfg(not(target_family = "wasm"))]
    fn parse(&self) -> Result<ParsedPublicKey, AttestationKeyError> {
        match self {
            Self::Rsa { modulus } => RsaPublicKeyComponents {
                n: &modulus[..],
                e: &RSA_EXPONENT[..],
            }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
            Self::P256 { x, y } => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[0x04][..], x, y].concat())
            }
        }
        .map_err(|_| AttestationKeyError::NotAKey)
    }
}

impl PartialEq for AttestationKey {
    fn eq(&self, other: &Self) -> bool {
        self.material == other.material
    }
}

impl Eq for AttestationKey {}

impl fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AttestationKey({} {})",
            self.algorithm().name(),
            self.kid
        )
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    alg: AttestationAlgorithm,
    #[serde(rename = "use")]
    use_: String,
    kid: Thumbprint,
    /// A private key where a public one belongs is refused before it spreads.
    #[serde(default, skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl From<AttestationKey> for Jwk {
    fn from(key: AttestationKey) -> Self {
        let base = Self {
            kty: String::new(),
            crv: None,
            n: None,
            e: None,
            x: None,
            y: None,
            alg: key.algorithm(),
            use_: "sig".to_owned(),
            kid: key.kid,
            d: None,
        };
        match key.material {
            Material::Rsa { modulus } => Self {
                kty: "RSA".to_owned(),
                n: Some(b64::encode(&modulus)),
                e: Some(b64::encode(&RSA_EXPONENT)),
                ..base
            },
            Material::P256 { x, y } => Self {
                kty: "EC".to_owned(),
                crv: Some("P-256".to_owned()),
                x: Some(b64::encode(&x)),
                y: Some(b64::encode(&y)),
                ..base
            },
        }
    }
}

impl TryFrom<Jwk> for AttestationKey {
    type Error = AttestationKeyError;

    fn try_from(jwk: Jwk) -> Result<Self, AttestationKeyError> {
        let coordinate =
            |text: &str| b64::decode_array(text).map_err(|_| AttestationKeyError::NotAKey);
        let material = match (
            &*jwk.kty,
            &jwk.n,
            &jwk.e,
            jwk.crv.as_deref(),
            &jwk.x,
            &jwk.y,
        ) {
            ("RSA", Some(n), Some(e), None, None, None) => {
                if *e != b64::encode(&RSA_EXPONENT) {
                    return Err(AttestationKeyError::NotAKey);
                }
                let modulus = b64::decode(n, *RSA_MODULUS_LEN.end())
                    .map_err(|_| AttestationKeyError::NotAKey)?;
                Material::Rsa { modulus }
            }
            ("EC", None, None, Some("P-256"), Some(x), Some(y)) => Material::P256 {
                x: coordinate(x)?,
                y: coordinate(y)?,
            },
            _ => return Err(AttestationKeyError::NotAKey),
        };
        let key = Self::new(material)?;
        if jwk.alg != key.algorithm() || jwk.use_ != "sig" || jwk.d.is_some() {
            return Err(AttestationKeyError::Contradiction);
        }
        if jwk.kid != key.kid {
            return Err(AttestationKeyError::WrongKid);
        }
        Ok(key)
    }
}

/// The keys that attestations of a realm are verified with, as a JSON Web Key Set.
///
/// RFC 7517 section 5.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JwkSet", into = "JwkSet")]
pub struct AttestationKeySet {
    keys: Vec<AttestationKey>,
}

#[derive(Serialize, Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

impl AttestationKeySet {
    /// Makes a set.
    ///
    /// # Errors
    ///
    /// [`AttestationKeyError`] for too many keys or the same twice.
    pub fn new(keys: Vec<AttestationKey>) -> Result<Self, AttestationKeyError> {
        if keys.len() > MAX_ATTESTATION_KEYS {
            return Err(AttestationKeyError::TooMany);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|other| other.kid == key.kid) {
                return Err(AttestationKeyError::Repeated);
            }
        }
        Ok(Self { keys })
    }

    /// Keeps the keys of these thumbprints: for a set that came from somebody who could add to it,
    /// as the gateway can.
    #[must_use]
    pub fn pinned(mut self, thumbprints: &[Thumbprint]) -> Self {
        self.keys.retain(|key| thumbprints.contains(&key.kid));
        self
    }

    /// Returns the keys.
    pub fn keys(&self) -> &[AttestationKey] {
        &self.keys
    }

    /// Returns the key of a name.
    pub fn find(&self, kid: &Thumbprint) -> Option<&AttestationKey> {
        self.keys.iter().find(|key| key.kid == *kid)
    }
}

impl From<AttestationKeySet> for JwkSet {
    fn from(set: AttestationKeySet) -> Self {
        Self {
            keys: set.keys.into_iter().map(Jwk::from).collect(),
        }
    }
}

impl TryFrom<JwkSet> for AttestationKeySet {
    type Error = AttestationKeyError;

    fn try_from(set: JwkSet) -> Result<Self, AttestationKeyError> {
        // Before the keys are parsed, which costs more than reading them.
        if set.keys.len() > MAX_ATTESTATION_KEYS {
            return Err(AttestationKeyError::TooMany);
        }
        Self::new(
            set.keys
                .into_iter()
                .map(AttestationKey::try_from)
                .collect::<Result<_, _>>()?,
        )
    }
}
