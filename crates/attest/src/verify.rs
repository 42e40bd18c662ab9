//! The one way from bytes to a document that may be believed.

use std::collections::BTreeMap;

use crate::audit::{Code, Demands};
use crate::chain;
use crate::document::{Claims, Document};
use crate::ecdsa::Signature;
use crate::error::VerifyError;
use crate::nonce::Nonce;
use crate::pcr::Pcr;
use crate::policy::{self, MeasurementPolicy};
use crate::root::TrustRoot;

/// One hour: how long a document is good unless the caller says otherwise.
pub const DEFAULT_MAX_AGE_MS: u64 = 60 * 60 * 1000;

/// Thirty seconds: how far an enclave's clock may be ahead unless the caller says otherwise.
pub const DEFAULT_MAX_FUTURE_MS: u64 = 30 * 1000;

/// COSE's number for ECDSA with SHA-384 (RFC 9053, 2.1).
pub(crate) const ES384: i64 = -35;

/// Where an enclave of this project puts its realm.
pub(crate) const REALM_PCR: u8 = 16;

/// What a verifier demands of a document.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    /// The challenge the document must answer.
    pub nonce: &'a Nonce,
    /// The verifier's clock, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// The greatest age of the document, in milliseconds.
    pub max_age_ms: u64,
    /// How far the document's time may be ahead of the verifier's, in milliseconds.
    pub max_future_ms: u64,
    /// Which measured code is trusted.
    pub policy: &'a MeasurementPolicy,
    /// The value PCR16 must have; `None` does not look at it.
    pub pcr16: Option<Pcr>,
}

impl<'a> Expectations<'a> {
    /// Demands an answer to `nonce` by code in `policy`, at most an hour old, in any realm.
    pub fn new(nonce: &'a Nonce, now_unix_ms: u64, policy: &'a MeasurementPolicy) -> Self {
        Self {
            nonce,
            now_unix_ms,
            max_age_ms: DEFAULT_MAX_AGE_MS,
            max_future_ms: DEFAULT_MAX_FUTURE_MS,
            policy,
            pcr16: None,
        }
    }

    /// Demands besides that the enclave extended PCR16 to this value.
    #[must_use]
    pub fn with_pcr16(self, pcr16: Pcr) -> Self {
        Self {
            pcr16: Some(pcr16),
            ..self
        }
    }
}

/// Verifies an attestation document.
///
/// # Errors
///
/// A [`VerifyError`] that names the first broken rule. Any input gives one or the other, in
/// bounded time and memory.
///
/// # Security
///
/// Checks, in this order: the form of the document; the whole chain up to `root`; the signature
/// by the leaf's key; the age; the nonce; the measurements; PCR16. Variable-time: nothing in a
/// document is secret. Does not check revocation lists, which need a network (leaves live three
/// hours), nor what `public_key` and `user_data` mean. A document has more than one valid
/// encoding, so its hash is no identity.
///
/// Specification: AWS Nitro Enclaves, attestation process; RFC 9052; RFC 5280.
pub fn verify(
    document: &[u8],
    root: &TrustRoot,
    expect: &Expectations<'_>,
) -> Result<VerifiedDocument, VerifyError> {
    let Checked {
        document,
        valid_until_ms,
    } = check(document, root, &Demands::all_of(expect))?;
    Ok(VerifiedDocument {
        claims: document.claims,
        nonce: expect.nonce.clone(),
        valid_until_ms,
    })
}

/// What met its demands, whatever these were. The public ways in make their own types of it.
pub(crate) struct Checked {
    pub(crate) document: Document,
    pub(crate) valid_until_ms: u64,
}

/// The one path: form, algorithm, chain, signature, and then what was demanded.
pub(crate) fn check(
    document: &[u8],
    root: &TrustRoot,
    demands: &Demands<'_>,
) -> Result<Checked, VerifyError> {
    let authentic = Authentic::establish(Document::parse(document)?, root, demands)?;
    authentic.meet(demands)
}

/// A document of a genuine enclave, which may be old, foreign or untrusted all the same.
struct Authentic {
    document: Document,
    chain_valid_until_ms: u64,
}

impl Authentic {
    fn establish(
        document: Document,
        root: &TrustRoot,
        demands: &Demands<'_>,
    ) -> Result<Self, VerifyError> {
        if document.algorithm != ES384 {
            return Err(VerifyError::Algorithm);
        }
        let signature = Signature::try_from(document.signature.as_slice())
            .map_err(|_| VerifyError::SignatureLength)?;
        // A leaf is born seconds before its document. A verifier whose clock is a little behind,
        // as far as it tolerates, judges the chain at the document's time.
        let ahead_ms = document
            .claims
            .timestamp_ms
            .saturating_sub(demands.now_unix_ms);
        let tolerated_ms = if ahead_ms <= demands.max_future_ms {
            ahead_ms
        } else {
            0
        };
        let chain_time_ms = demands.now_unix_ms.saturating_add(tolerated_ms);
        let leaf = chain::verify(
            &document.claims.cabundle,
            &document.claims.certificate,
            root,
            chain_time_ms / 1000,
        )?;
        if !leaf.key.verifies(&document.signed_bytes(), &signature) {
            return Err(VerifyError::Signature);
        }
        Ok(Self {
            document,
            chain_valid_until_ms: leaf.valid_until_seconds.saturating_mul(1000),
        })
    }

    fn meet(self, demands: &Demands<'_>) -> Result<Checked, VerifyError> {
        let claims = &self.document.claims;
        if claims.timestamp_ms.saturating_sub(demands.now_unix_ms) > demands.max_future_ms {
            return Err(VerifyError::FromTheFuture);
        }
        if demands.now_unix_ms.saturating_sub(claims.timestamp_ms) > demands.max_age_ms {
            return Err(VerifyError::TooOld);
        }
        match (demands.nonce, claims.nonce.as_deref()) {
            (None, _) => {}
            (Some(_), None) => return Err(VerifyError::NonceMissing),
            (Some(demanded), Some(nonce)) if nonce != demanded.as_bytes() => {
                return Err(VerifyError::NonceMismatch);
            }
            (Some(_), Some(_)) => {}
        }
        match demands.code {
            Code::OneOf(policy) => policy.check(claims)?,
            Code::Any { allow_debug } => policy::check_mode(claims, allow_debug).map(drop)?,
        }
        for (index, demanded) in &demands.pcrs {
            match claims.pcrs.get(index) {
                None => return Err(VerifyError::PcrMissing(*index)),
                Some(pcr) if pcr == demanded => {}
                Some(_) if *index == REALM_PCR => return Err(VerifyError::Pcr16Mismatch),
                Some(_) => return Err(VerifyError::PcrMismatch(*index)),
            }
        }
        if demands.user_data.is_some() && demands.user_data != claims.user_data.as_deref() {
            return Err(VerifyError::UserDataMismatch);
        }
        if demands.public_key.is_some() && demands.public_key != claims.public_key.as_deref() {
            return Err(VerifyError::PublicKeyMismatch);
        }
        let valid_until_ms = claims
            .timestamp_ms
            .saturating_add(demands.max_age_ms)
            .min(self.chain_valid_until_ms);
        Ok(Checked {
            document: self.document,
            valid_until_ms,
        })
    }
}

/// A document that met every expectation. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedDocument {
    claims: Claims,
    nonce: Nonce,
    valid_until_ms: u64,
}

impl VerifiedDocument {
    /// The name of the enclave: its instance and a number.
    pub fn module_id(&self) -> &str {
        &self.claims.module_id
    }

    /// When the document was made, in milliseconds since 1970 by the platform's clock.
    pub fn timestamp_ms(&self) -> u64 {
        self.claims.timestamp_ms
    }

    /// The last moment at which these expectations hold, in milliseconds since 1970: the greatest
    /// age, or the end of the chain if that comes first.
    pub fn valid_until_ms(&self) -> u64 {
        self.valid_until_ms
    }

    /// The registers the enclave has locked or extended, by index.
    pub fn pcrs(&self) -> &BTreeMap<u8, Pcr> {
        &self.claims.pcrs
    }

    /// One register.
    pub fn pcr(&self, index: u8) -> Option<&Pcr> {
        self.claims.pcrs.get(&index)
    }

    /// The key the enclave put into the document. Absent and null are the same.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.claims.public_key.as_deref()
    }

    /// The data the enclave put into the document. Absent and null are the same.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.claims.user_data.as_deref()
    }

    /// The challenge the document answers.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }
}
