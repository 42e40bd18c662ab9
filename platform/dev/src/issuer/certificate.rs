//! One certificate, with every field a test may want to spoil.

use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

use super::IssuerError;
use super::der::{
    BOOLEAN_TRUE, bits, named_bits, octets, oid, sequence, set, time, tlv, unsigned, utf8,
};

/// ecdsa-with-SHA384 (1.2.840.10045.4.3.3), the content of its identifier.
pub const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// ecdsa-with-SHA256 (1.2.840.10045.4.3.2), the content of its identifier.
pub const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

const VERSION_3: u8 = 2;

/// The bits of a key usage that matter here.
pub mod key_usage {
    /// digitalSignature.
    pub const DIGITAL_SIGNATURE: u8 = 0x80;
    /// nonRepudiation.
    pub const NON_REPUDIATION: u8 = 0x40;
    /// keyCertSign.
    pub const CERTIFICATE_SIGN: u8 = 0x04;
    /// cRLSign.
    pub const CRL_SIGN: u8 = 0x02;
}

/// Whether a certificate is an authority, and how many may follow it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// Whether the certificate is an authority.
    pub ca: bool,
    /// How many authorities may stand between it and the leaf.
    pub path_len: Option<u8>,
}

/// An extension besides basic constraints and key usage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// The content of the identifier.
    pub oid: Vec<u8>,
    /// Whether a verifier that does not know it must refuse.
    pub critical: bool,
    /// The value, in DER.
    pub value: Vec<u8>,
}

/// A certificate before it is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateDraft {
    /// The common name.
    pub subject: String,
    /// The issuer's common name; `None` takes the one of the certificate above.
    pub issuer: Option<String>,
    /// The first second of validity, since 1970.
    pub not_before_seconds: u64,
    /// The last second of validity, since 1970.
    pub not_after_seconds: u64,
    /// Basic constraints; `None` leaves the extension out.
    pub basic_constraints: Option<BasicConstraints>,
    /// Key usage (see [`key_usage`]); `None` leaves the extension out.
    pub key_usage: Option<u8>,
    /// Further extensions.
    pub extensions: Vec<Extension>,
    /// The algorithm the certificate names. The signature is made with SHA-384 all the same.
    pub algorithm: &'static [u8],
    /// The version, counted from 0.
    pub version: u8,
}

impl CertificateDraft {
    /// An authority like AWS's.
    pub fn authority(
        subject: &str,
        path_len: Option<u8>,
        not_before_seconds: u64,
        not_after_seconds: u64,
    ) -> Self {
        Self {
            subject: subject.to_owned(),
            issuer: None,
            not_before_seconds,
            not_after_seconds,
            basic_constraints: Some(BasicConstraints { ca: true, path_len }),
            key_usage: Some(
                key_usage::DIGITAL_SIGNATURE | key_usage::CERTIFICATE_SIGN | key_usage::CRL_SIGN,
            ),
            extensions: Vec::new(),
            algorithm: ECDSA_WITH_SHA384,
            version: VERSION_3,
        }
    }

    /// A leaf like AWS's.
    pub fn leaf(subject: &str, not_before_seconds: u64, not_after_seconds: u64) -> Self {
        Self {
            basic_constraints: Some(BasicConstraints {
                ca: false,
                path_len: None,
            }),
            key_usage: Some(key_usage::DIGITAL_SIGNATURE | key_usage::NON_REPUDIATION),
            ..Self::authority(subject, None, not_before_seconds, not_after_seconds)
        }
    }

    /// Signs the certificate and gives it in DER.
    pub(super) fn sign(
        &self,
        key: &VerifyingKey,
        issuer: &str,
        issuer_key: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, IssuerError> {
        let mut serial = [0; 16];
        rng.fill_bytes(&mut serial);
        let algorithm = sequence(&[&oid(self.algorithm)]);
        let point = key.to_sec1_point(false);
        let tbs = sequence(&[
            &tlv(0xa0, &unsigned(&[self.version])),
            &unsigned(&serial),
            &algorithm,
            &name(self.issuer.as_deref().unwrap_or(issuer)),
            &sequence(&[
                &time(self.not_before_seconds)?,
                &time(self.not_after_seconds)?,
            ]),
            &name(&self.subject),
            &sequence(&[
                &sequence(&[&oid(EC_PUBLIC_KEY), &oid(SECP384R1)]),
                &bits(point.as_bytes()),
            ]),
            &tlv(0xa3, &tlv(0x30, &self.extensions().concat())),
        ]);
        let signature: Signature = issuer_key.sign(&tbs);
        let (r, s) = signature.split_bytes();
        let signature = sequence(&[&unsigned(&r), &unsigned(&s)]);
        Ok(sequence(&[&tbs, &algorithm, &bits(&signature)]))
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        if let Some(constraints) = self.basic_constraints {
            let ca = if constraints.ca { BOOLEAN_TRUE } else { &[] };
            let path_len = constraints
                .path_len
                .map(|len| unsigned(&[len]))
                .unwrap_or_default();
            all.push(extension(
                BASIC_CONSTRAINTS,
                true,
                &sequence(&[ca, &path_len]),
            ));
        }
        if let Some(usage) = self.key_usage {
            all.push(extension(KEY_USAGE, true, &named_bits(usage)));
        }
        all.extend(
            self.extensions
                .iter()
                .map(|e| extension(&e.oid, e.critical, &e.value)),
        );
        all
    }
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    sequence(&[
        &oid(id),
        if critical { BOOLEAN_TRUE } else { &[] },
        &octets(value),
    ])
}

fn name(common_name: &str) -> Vec<u8> {
    let organization = sequence(&[&oid(ORGANIZATION), &utf8("Keyfold development, not AWS")]);
    let common_name = sequence(&[&oid(COMMON_NAME), &utf8(common_name)]);
    sequence(&[&set(&[&organization]), &set(&[&common_name])])
}
