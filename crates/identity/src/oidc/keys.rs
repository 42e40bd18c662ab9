//! The public keys of an issuer: a JSON Web Key Set that was fetched, or a PEM that was configured.
//!
//! RFC 7517, RFC 7518 section 6, RFC 8037, RFC 5280 (`SubjectPublicKeyInfo`).

mod pem;

use core::fmt;
use std::collections::BTreeSet;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use keyfold_crypto::b64;
use keyfold_crypto::jwk::PublicJwk;
use serde::Deserialize;

use super::json;

/// Most bytes of a JWKS document.
pub const MAX_JWKS_LEN: usize = 64 * 1024;
/// Most keys of a JWKS document, those of other kinds included.
pub const MAX_KEYS: usize = 32;
/// Most bytes of a key's name.
pub const MAX_KID_LEN: usize = 256;

/// Bytes of a modulus: 2048 to 4096 bits. More only costs the verifier time.
const RSA_MODULUS_LEN: core::ops::RangeInclusive<usize> = 256..=512;
/// The only public exponent that is taken.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// A signature algorithm of tokens. There is no `none` and no HMAC: no value stands for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, for keys of 2048 to 4096 bits.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Returns the registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Returns the algorithm of a registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Says why keys were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JWKS document, or larger than [`MAX_JWKS_LEN`].
    #[error(transparent)]
    Document(#[from] json::JsonError),
    /// More than [`MAX_KEYS`].
    #[error("the document has too many keys")]
    TooMany,
    /// Two keys have the same name: which one a token means could be chosen by its sender.
    #[error("two keys of the document have the same name")]
    Repeated,
    /// A private key where a public one belongs: whoever reads the document can sign.
    #[error("the document publishes a private key")]
    Private,
    /// No key for any [`Algorithm`].
    #[error("no key that tokens could be verified with")]
    NoneUsable,
    /// Not a PEM of one public key for an [`Algorithm`].
    #[error("not a PEM of an RSA (2048 to 4096 bit), P-256 or Ed25519 public key")]
    Pem,
}

/// A public key that tokens are verified with. The key decides its algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa(ParsedPublicKey),
    /// P-256 and Ed25519.
    Curve(PublicJwk),
}

impl VerifyingKey {
    /// Returns the key's name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the one algorithm that the key is used with.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa(_) => Algorithm::Rs256,
            Material::Curve(PublicJwk::P256 { .. }) => Algorithm::Es256,
            Material::Curve(PublicJwk::Ed25519 { .. }) => Algorithm::EdDsa,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa(key) => key.verify_sig(message, signature).is_ok(),
            Material::Curve(key) => key.verify(message, signature).is_ok(),
        }
    }

    fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Option<Material> {
        let first = *modulus.first()?;
        // 2048 bits are 256 bytes of which the first has its highest bit set.
        if !RSA_MODULUS_LEN.contains(&modulus.len())
            || first == 0
            || (modulus.len() == *RSA_MODULUS_LEN.start() && first < 0x80)
            || exponent != RSA_EXPONENT
        {
            return None;
        }
        RsaPublicKeyComponents {
            n: modulus,
            e: &RSA_EXPONENT[..],
        }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()
        .map(Material::Rsa)
    }

    fn from_curve(key: PublicJwk) -> Option<Material> {
        key.validate().ok().map(|()| Material::Curve(key))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VerifyingKey({}, {:?})",
            self.algorithm().name(),
            self.kid
        )
    }
}

/// The keys of one issuer. Never empty; no two of one name.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
}

impl KeySet {
    /// Reads a JWKS document.
    ///
    /// Keys that could not verify any token here (other types, curves, algorithms or uses, weak or
    /// impossible ones) are skipped, so that an issuer can publish them beside the others.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    ///
    /// # Security
    ///
    /// For untrusted bytes; bounded. Whether it is the issuer's document is for TLS to say.
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeyError> {
        let document: Document = json::from_slice(document, MAX_JWKS_LEN)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        // RFC 7518 section 6: the private members of EC, RSA and OKP keys.
        let private = |key: &Members| ["d", "p", "q"].iter().any(|name| key.contains_key(*name));
        if document.keys.iter().any(private) {
            return Err(KeyError::Private);
        }
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(|members| Jwk::deserialize(members).ok()?.usable())
            .collect();
        let mut names = BTreeSet::new();
        // Names of skipped keys do not count: no token can mean them.
        if !keys
            .iter()
            .filter_map(VerifyingKey::kid)
            .all(|kid| names.insert(kid))
        {
            return Err(KeyError::Repeated);
        }
        if keys.is_empty() {
            return Err(KeyError::NoneUsable);
        }
        Ok(Self { keys })
    }

    /// Reads one public key in PEM (`BEGIN PUBLIC KEY`). It has no name: a token may give one or
    /// none.
    ///
    /// # Errors
    ///
    /// [`KeyError::Pem`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let material = pem::read(text).ok_or(KeyError::Pem)?;
        let key = VerifyingKey {
            kid: None,
            material,
        };
        Ok(Self { keys: vec![key] })
    }

    /// Returns the keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Returns the one key that a token of this name and algorithm can mean.
    ///
    /// A name finds the key of that name, and a key without a name if there is none of it. Where
    /// that leaves several, the algorithm must leave one.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let named = |key: &&VerifyingKey| kid.is_some() && key.kid() == kid;
        let candidates: Vec<_> = if self.keys.iter().any(|key| named(&key)) {
            self.keys.iter().filter(named).collect()
        } else {
            let open = |key: &&VerifyingKey| kid.is_none() || key.kid.is_none();
            self.keys.iter().filter(open).collect()
        };
        let mut fitting = candidates.iter().filter(|key| key.algorithm() == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(key),
            (None, _) if !candidates.is_empty() => Found::OtherAlgorithm,
            _ => Found::None,
        }
    }
}

/// What [`KeySet::find`] found.
pub(super) enum Found<'a> {
    Key(&'a VerifyingKey),
    OtherAlgorithm,
    None,
}

type Members = serde_json::Map<String, serde_json::Value>;

#[derive(Deserialize)]
struct Document {
    keys: Vec<Members>,
}

/// The members that matter. Read one by one, so that a key of a kind that nobody here knows does
/// not spoil the document.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn usable(&self) -> Option<VerifyingKey> {
        let for_signatures = self.use_.as_deref().is_none_or(|use_| use_ == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let named = self
            .kid
            .as_ref()
            .is_none_or(|kid| (1..=MAX_KID_LEN).contains(&kid.len()));
        if !for_signatures || !named {
            return None;
        }
        let key = VerifyingKey {
            kid: self.kid.clone(),
            material: self.material()?,
        };
        self.alg
            .as_deref()
            .is_none_or(|alg| alg == key.algorithm().name())
            .then_some(key)
    }

    fn material(&self) -> Option<Material> {
        let array = |text: &Option<String>| b64::decode_array(text.as_ref()?).ok();
        match (&*self.kty, self.crv.as_deref()) {
            ("RSA", None) => {
                let modulus = b64::decode(self.n.as_ref()?, *RSA_MODULUS_LEN.end()).ok()?;
                let exponent = b64::decode(self.e.as_ref()?, 8).ok()?;
                VerifyingKey::from_rsa(&modulus, &exponent)
            }
            ("EC", Some("P-256")) => VerifyingKey::from_curve(PublicJwk::P256 {
                x: array(&self.x)?,
                y: array(&self.y)?,
            }),
            ("OKP", Some("Ed25519")) => {
                VerifyingKey::from_curve(PublicJwk::Ed25519 { x: array(&self.x)? })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
