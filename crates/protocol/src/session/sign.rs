//! The enclave's side: hold the attestation key, sign what was verified.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use keyfold_crypto::{SecretBytes, b64};
use serde::Serialize;

use super::{
    AttestationAlgorithm, AttestationKey, ClaimsError, MAX_ATTESTATION_LEN, SessionClaims, TYP,
};

const TAG_RS256: u8 = 1;
const TAG_ES256: u8 = 2;

/// Reports that an attestation key could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an attestation key")]
pub struct SignerKeyError;

/// Says why an attestation could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No verifier would accept these claims.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The attestation would be longer than [`MAX_ATTESTATION_LEN`].
    #[error("the attestation would be too large")]
    TooLarge,
    /// The signature operation failed.
    #[error("the attestation could not be signed")]
    Signature,
}

/// The private key of a realm's session attestations.
///
/// RSA keys have 2048 bits: an attestation travels in a cookie and a header of every request, a
/// verifier pays for each, and a key signs statements that live an hour and is itself replaced
/// after 30 days. 3072 bits would protect for decades what nobody can use tomorrow, at half again
/// the signature's size and about three times the time to sign.
///
/// # Security
///
/// The key is kept by AWS-LC, which wipes it; `Debug` prints its public name only. Key generation
/// draws from AWS-LC's own generator, as its interface takes no other.
pub struct AttestationSigner {
    pair: Pair,
    public: AttestationKey,
}

enum Pair {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: AttestationAlgorithm,
    kid: String,
}

impl AttestationSigner {
    /// Draws an RSA key of 2048 bits, for RS256. Takes a tenth of a second or so.
    ///
    /// # Errors
    ///
    /// [`SignerKeyError`] if the library fails.
    pub fn generate_rs256() -> Result<Self, SignerKeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SignerKeyError)?;
        Self::new(Pair::Rs256(pair))
    }

    /// Draws a P-256 key, for ES256.
    ///
    /// # Errors
    ///
    /// [`SignerKeyError`] if the library fails.
    pub fn generate_es256() -> Result<Self, SignerKeyError> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SignerKeyError)?;
        Self::new(Pair::Es256(pair))
    }

    fn new(pair: Pair) -> Result<Self, SignerKeyError> {
        let public = match &pair {
            Pair::Rs256(pair) => {
                let public = pair.public_key();
                if public.exponent().big_endian_without_leading_zero() != [1, 0, 1] {
                    return Err(SignerKeyError);
                }
                AttestationKey::from_rsa_modulus(public.modulus().big_endian_without_leading_zero())
            }
            Pair::Es256(pair) => {
                let [0x04, coordinates @ ..] = pair.public_key().as_ref() else {
                    return Err(SignerKeyError);
                };
                let (x, y) = coordinates.split_at_checked(32).ok_or(SignerKeyError)?;
                AttestationKey::from_p256_coordinates(
                    x.try_into().map_err(|_| SignerKeyError)?,
                    y.try_into().map_err(|_| SignerKeyError)?,
                )
            }
        };
        Ok(Self {
            pair,
            public: public.map_err(|_| SignerKeyError)?,
        })
    }

    /// Reads what [`AttestationSigner::to_secret_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`SignerKeyError`] if it is anything else.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, SignerKeyError> {
        let (tag, pkcs8) = bytes.split_first().ok_or(SignerKeyError)?;
        Self::new(match *tag {
            TAG_RS256 => Pair::Rs256(RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SignerKeyError)?),
            TAG_ES256 => Pair::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(|_| SignerKeyError)?,
            ),
            _ => return Err(SignerKeyError),
        })
    }

    /// Returns the private key, to be sealed: one byte for the algorithm, then PKCS#8.
    ///
    /// # Errors
    ///
    /// [`SignerKeyError`] if the library fails.
    ///
    /// # Security
    ///
    /// Whoever has these bytes can attest any session of the realm.
    pub fn to_secret_bytes(&self) -> Result<SecretBytes, SignerKeyError> {
        let tagged = |tag: u8, der: &[u8]| {
            SecretBytes::init_with(der.len() + 1, |bytes| {
                if let Some((first, rest)) = bytes.split_first_mut() {
                    *first = tag;
                    rest.copy_from_slice(der);
                }
            })
        };
        Ok(match &self.pair {
            Pair::Rs256(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SignerKeyError)?;
                tagged(TAG_RS256, der.as_ref())
            }
            Pair::Es256(pair) => {
                let der = pair.to_pkcs8v1().map_err(|_| SignerKeyError)?;
                tagged(TAG_ES256, der.as_ref())
            }
        })
    }

    /// Returns the public key, to be published and stated to holders.
    pub fn public_jwk(&self) -> &AttestationKey {
        &self.public
    }

    /// Signs an attestation.
    ///
    /// # Errors
    ///
    /// [`SignError`]; nothing is signed that [`verify`](super::verify()) would refuse whoever asked.
    ///
    /// # Security
    ///
    /// Signs whatever claims it is given: only to be called with what the enclave itself verified.
    ///
    /// RFC 7515 section 5.1, RFC 7518 sections 3.3 and 3.4.
    pub fn sign(&self, claims: &SessionClaims) -> Result<String, SignError> {
        claims.check()?;
        self.sign_typed(TYP, claims)
    }

    /// Signs claims that were checked, as what `typ` says they are.
    pub(super) fn sign_typed(
        &self,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, SignError> {
        let header = Header {
            typ,
            alg: self.public.algorithm(),
            kid: self.public.kid().to_string(),
        };
        let mut jwt = encode_part(&header)?;
        jwt.push('.');
        jwt.push_str(&encode_part(claims)?);
        let signature = self.sign_bytes(jwt.as_bytes())?;
        jwt.push('.');
        jwt.push_str(&b64::encode(&signature));
        if jwt.len() > MAX_ATTESTATION_LEN {
            return Err(SignError::TooLarge);
        }
        Ok(jwt)
    }

    pub(super) fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .map_err(|_| SignError::Signature)?;
                Ok(signature)
            }
            Pair::Es256(pair) => {
                let signature = pair.sign(&rng, message).map_err(|_| SignError::Signature)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

fn encode_part(part: &impl Serialize) -> Result<String, SignError> {
    Ok(b64::encode(
        &serde_json::to_vec(part).map_err(|_| SignError::Signature)?,
    ))
}

impl core::fmt::Debug for AttestationSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AttestationSigner({:?})", self.public)
    }
}
