//! One certificate of the chain.

use x509_cert::certificate::Version;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5912::{ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, SECP_384_R_1};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::ecdsa::{PublicKey, SCALAR_LEN, Signature};
use crate::error::VerifyError;

/// A certificate whose form is sound and whose signature nobody has checked yet.
pub(crate) struct Certificate<'a> {
    signed_bytes: &'a [u8],
    signature: Signature,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    not_before_seconds: u64,
    not_after_seconds: u64,
    key: PublicKey,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate and refuses what the chain never needs.
    ///
    /// Specification: RFC 5280, section 4; RFC 5480.
    pub(crate) fn parse(der: &'a [u8], position: usize) -> Result<Self, VerifyError> {
        let malformed = |_| VerifyError::CertificateMalformed { position };
        let whole = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let tbs = whole.tbs_certificate();
        if tbs.version() != Version::V3 || tbs.issuer().is_empty() || tbs.subject().is_empty() {
            return Err(VerifyError::CertificateMalformed { position });
        }
        for algorithm in [whole.signature_algorithm(), tbs.signature()] {
            if algorithm.oid != ECDSA_WITH_SHA_384 || algorithm.parameters.is_some() {
                return Err(VerifyError::CertificateAlgorithm { position });
            }
        }
        let signature = whole
            .signature()
            .as_bytes()
            .and_then(fixed_signature)
            .ok_or(VerifyError::CertificateSignature { position })?;
        let extensions = Extensions::parse(tbs, position)?;
        Ok(Self {
            signed_bytes: signed_bytes(der).map_err(malformed)?,
            signature,
            issuer: tbs.issuer().to_der().map_err(malformed)?,
            subject: tbs.subject().to_der().map_err(malformed)?,
            not_before_seconds: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after_seconds: tbs.validity().not_after.to_unix_duration().as_secs(),
            key: public_key(tbs).ok_or(VerifyError::CertificateKey { position })?,
            basic_constraints: extensions.basic_constraints,
            key_usage: extensions.key_usage,
        })
    }

    /// The key the certificate is about.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The last second of validity, since 1970.
    pub(crate) fn not_after_seconds(&self) -> u64 {
        self.not_after_seconds
    }

    /// Checks that `now_seconds` lies in the validity, both ends included.
    pub(crate) fn check_validity(
        &self,
        now_seconds: u64,
        position: usize,
    ) -> Result<(), VerifyError> {
        if now_seconds < self.not_before_seconds {
            return Err(VerifyError::CertificateNotYetValid { position });
        }
        if now_seconds > self.not_after_seconds {
            return Err(VerifyError::CertificateExpired { position });
        }
        Ok(())
    }

    /// Checks that `issuer` is the one this certificate names, and signed it.
    ///
    /// Names are compared by their encoding: an authority copies its own name, and looser rules
    /// only help who imitates it.
    pub(crate) fn check_issued_by(
        &self,
        issuer: &Certificate<'_>,
        position: usize,
    ) -> Result<(), VerifyError> {
        if self.issuer != issuer.subject {
            return Err(VerifyError::IssuerMismatch { position });
        }
        if !issuer.key.verifies(self.signed_bytes, &self.signature) {
            return Err(VerifyError::CertificateSignature { position });
        }
        Ok(())
    }

    /// Checks that this certificate names somebody else as its issuer.
    pub(crate) fn check_not_self_issued(&self, position: usize) -> Result<(), VerifyError> {
        if self.issuer == self.subject {
            return Err(VerifyError::SelfIssued { position });
        }
        Ok(())
    }

    /// Checks that this is an authority, with `authorities_below` others between it and the leaf.
    pub(crate) fn check_authority(
        &self,
        position: usize,
        authorities_below: usize,
    ) -> Result<(), VerifyError> {
        let Some(constraints) = self.basic_constraints.as_ref().filter(|found| found.ca) else {
            return Err(VerifyError::NotAuthority { position });
        };
        if constraints
            .path_len_constraint
            .is_some_and(|allowed| authorities_below > usize::from(allowed))
        {
            return Err(VerifyError::PathLength { position });
        }
        if !self.key_usage.as_ref().is_some_and(KeyUsage::key_cert_sign) {
            return Err(VerifyError::KeyUsage { position });
        }
        Ok(())
    }

    /// Checks that this is no authority and may sign documents.
    pub(crate) fn check_leaf(&self, position: usize) -> Result<(), VerifyError> {
        if self.basic_constraints.as_ref().is_none_or(|found| found.ca) {
            return Err(VerifyError::LeafIsAuthority);
        }
        if !self
            .key_usage
            .as_ref()
            .is_some_and(|usage| usage.digital_signature() && !usage.key_cert_sign())
        {
            return Err(VerifyError::KeyUsage { position });
        }
        Ok(())
    }
}

/// What a certificate says of itself, for people. Nobody vouches for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateContent {
    /// Whom it is about, as RFC 4514 writes names. May hold any character.
    pub subject: String,
    /// Who is said to have signed it.
    pub issuer: String,
    /// The first second of validity, since 1970.
    pub not_before_seconds: u64,
    /// The last second of validity, since 1970.
    pub not_after_seconds: u64,
}

impl CertificateContent {
    /// Reads any certificate in DER, also one that no chain could hold.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let whole = x509_cert::Certificate::from_der(der).ok()?;
        let tbs = whole.tbs_certificate();
        Some(Self {
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            not_before_seconds: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after_seconds: tbs.validity().not_after.to_unix_duration().as_secs(),
        })
    }
}

#[derive(Default)]
struct Extensions {
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
}

impl Extensions {
    fn parse(tbs: &x509_cert::TbsCertificate, position: usize) -> Result<Self, VerifyError> {
        let malformed = |_| VerifyError::CertificateMalformed { position };
        let mut found = Self::default();
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        for extension in tbs.extensions().map(Vec::as_slice).unwrap_or_default() {
            if seen.contains(&extension.extn_id) {
                return Err(VerifyError::DuplicateExtension { position });
            }
            seen.push(extension.extn_id);
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                BasicConstraints::OID => {
                    found.basic_constraints =
                        Some(BasicConstraints::from_der(value).map_err(malformed)?);
                }
                KeyUsage::OID => {
                    found.key_usage = Some(KeyUsage::from_der(value).map_err(malformed)?);
                }
                _ if extension.critical => {
                    return Err(VerifyError::UnknownCriticalExtension { position });
                }
                // Key identifiers and the address of a revocation list: hints, not rules.
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Cuts out the bytes that were signed, as they stand: encoding them anew could change them.
fn signed_bytes(der: &[u8]) -> x509_cert::der::Result<&[u8]> {
    SliceReader::new(der)?.sequence(|certificate| {
        let tbs = certificate.tlv_bytes()?;
        let _algorithm = certificate.tlv_bytes()?;
        let _signature = certificate.tlv_bytes()?;
        Ok(tbs)
    })
}

/// Brings a signature in DER to the form in which both values have 48 bytes.
fn fixed_signature(der: &[u8]) -> Option<Signature> {
    let mut reader = SliceReader::new(der).ok()?;
    let (r, s) = reader
        .sequence(|pair| {
            x509_cert::der::Result::Ok((UintRef::decode(pair)?, UintRef::decode(pair)?))
        })
        .ok()?;
    reader.finish().ok()?;
    let mut fixed = [0; 2 * SCALAR_LEN];
    let (fixed_r, fixed_s) = fixed.split_at_mut(SCALAR_LEN);
    for (to, from) in [(fixed_r, r.as_bytes()), (fixed_s, s.as_bytes())] {
        let start = SCALAR_LEN.checked_sub(from.len())?;
        to.get_mut(start..)?.copy_from_slice(from);
    }
    Some(fixed)
}

fn public_key(tbs: &x509_cert::TbsCertificate) -> Option<PublicKey> {
    let info = tbs.subject_public_key_info();
    let curve = info
        .algorithm
        .parameters
        .as_ref()?
        .decode_as::<ObjectIdentifier>()
        .ok()?;
    if info.algorithm.oid != ID_EC_PUBLIC_KEY || curve != SECP_384_R_1 {
        return None;
    }
    PublicKey::parse(info.subject_public_key.as_bytes()?)
}
