//! A document on its way: drafted, certified, sealed.

use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey};
use p384::elliptic_curve::Generate;
use rand_core::CryptoRng;

use super::certificate::{CertificateDraft, Extension, key_usage};
use super::{DevIssuer, IssueRequest, IssuerError, ROOT_NAME, SECONDS_PER_DAY, cbor};

const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const ES384: i64 = -35;
const ALGORITHM_LABEL: i64 = 1;

/// A document of which nothing is signed yet.
pub struct Draft<'a> {
    /// What the document shall say.
    pub request: IssueRequest,
    /// The authorities between root and leaf, the upper first.
    pub intermediates: Vec<CertificateDraft>,
    /// The certificate whose key signs the document.
    pub leaf: CertificateDraft,
    issuer: &'a DevIssuer,
}

impl<'a> Draft<'a> {
    pub(super) fn new(issuer: &'a DevIssuer, request: IssueRequest) -> Self {
        let made = request.timestamp_ms / 1000;
        let authority = |scope: &str, path_len, before, after| CertificateDraft {
            // A hint without meaning here, as AWS's certificates have some.
            extensions: vec![Extension {
                oid: SUBJECT_KEY_IDENTIFIER.to_vec(),
                critical: false,
                value: [&[0x04, 0x14][..], &[path_len; 20]].concat(),
            }],
            ..CertificateDraft::authority(
                &format!("{scope}.{ROOT_NAME}"),
                Some(path_len),
                made.saturating_sub(before),
                made.saturating_add(after),
            )
        };
        let mut instance = authority("instance", 0, 15 * 60, SECONDS_PER_DAY);
        instance.key_usage = Some(key_usage::CERTIFICATE_SIGN);
        let leaf = CertificateDraft::leaf(
            &format!("{}.{ROOT_NAME}", request.module_id),
            made.saturating_sub(3),
            made.saturating_add(3 * 60 * 60),
        );
        let intermediates = vec![
            authority("region", 2, 5 * SECONDS_PER_DAY, 15 * SECONDS_PER_DAY),
            authority("zonal", 1, SECONDS_PER_DAY / 2, 5 * SECONDS_PER_DAY),
            instance,
        ];
        Self {
            request,
            intermediates,
            leaf,
            issuer,
        }
    }

    /// Draws a key for each certificate below the root and signs them all.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Time`] where a time cannot be written.
    pub fn certify(self, rng: &mut impl CryptoRng) -> Result<Certified, IssuerError> {
        let request = self.request.clone();
        let module = self.certify_module(rng)?;
        Ok(Certified::new(
            request,
            module.bundle,
            module.certificate,
            module.key,
        ))
    }

    pub(super) fn certify_module(self, rng: &mut impl CryptoRng) -> Result<Module, IssuerError> {
        let mut bundle = vec![self.issuer.root_der.clone()];
        let mut above = (ROOT_NAME.to_owned(), self.issuer.key.clone());
        for draft in self.intermediates {
            let key = SigningKey::generate_from_rng(rng);
            bundle.push(draft.sign(key.verifying_key(), &above.0, &above.1, rng)?);
            above = (draft.subject, key);
        }
        let key = SigningKey::generate_from_rng(rng);
        let certificate = self
            .leaf
            .sign(key.verifying_key(), &above.0, &above.1, rng)?;
        Ok(Module {
            id: self.request.module_id,
            bundle,
            certificate,
            key,
        })
    }
}

/// An enclave whose chain is signed, and whose key then signs document after document.
///
/// This is how real ones work: one leaf for three hours. A document costs one signature here.
pub struct Module {
    id: String,
    bundle: Vec<Vec<u8>>,
    certificate: Vec<u8>,
    key: SigningKey,
}

impl Module {
    /// Makes a document. Its `module_id` is this module's, whatever the request says.
    pub fn attest(&self, request: &IssueRequest) -> Vec<u8> {
        let request = IssueRequest {
            module_id: self.id.clone(),
            ..request.clone()
        };
        Certified::new(
            request,
            self.bundle.clone(),
            self.certificate.clone(),
            self.key.clone(),
        )
        .seal()
    }
}

/// A document whose chain is signed and whose content is not.
#[derive(Clone)]
pub struct Certified {
    /// The certificates above the leaf, the root first.
    pub bundle: Vec<Vec<u8>>,
    /// The leaf.
    pub certificate: Vec<u8>,
    /// The fields in their order, each with its value in CBOR. `certificate` and `cabundle` stand
    /// here empty and are filled in by [`Certified::seal`], unless they were given a value.
    pub claims: Vec<(String, Vec<u8>)>,
    /// A tag before the document; AWS writes none.
    pub tag: Option<u64>,
    /// The protected header, in CBOR.
    pub protected: Vec<u8>,
    /// The unprotected header, in CBOR.
    pub unprotected: Vec<u8>,
    /// Whether the fields stand in a map of indefinite length, as in recent documents, or of
    /// definite length, as in older ones.
    pub indefinite: bool,
    key: SigningKey,
}

impl Certified {
    pub(super) fn new(
        request: IssueRequest,
        bundle: Vec<Vec<u8>>,
        certificate: Vec<u8>,
        key: SigningKey,
    ) -> Self {
        let optional = |value: Option<Vec<u8>>| {
            value.map_or_else(|| cbor::NULL.to_vec(), |value| cbor::bytes(&value))
        };
        let pcrs: Vec<_> = request
            .pcrs
            .iter()
            .map(|(index, pcr)| (cbor::unsigned(u64::from(*index)), cbor::bytes(pcr)))
            .collect();
        let claims = [
            ("module_id", cbor::text(&request.module_id)),
            ("digest", cbor::text("SHA384")),
            ("timestamp", cbor::unsigned(request.timestamp_ms)),
            ("pcrs", cbor::map(&pcrs, false)),
            ("certificate", Vec::new()),
            ("cabundle", Vec::new()),
            ("public_key", optional(request.public_key)),
            ("user_data", optional(request.user_data)),
            ("nonce", optional(request.nonce)),
        ];
        Self {
            bundle,
            certificate,
            claims: claims.map(|(key, value)| (key.to_owned(), value)).to_vec(),
            tag: None,
            protected: protected_header(ES384),
            unprotected: cbor::map(&[], false),
            indefinite: true,
            key,
        }
    }

    /// Gives the value of a field, in CBOR, to be changed.
    pub fn claim_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.claims
            .iter_mut()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Leaves a field out.
    pub fn omit(&mut self, name: &str) {
        self.claims.retain(|(key, _)| key != name);
    }

    /// Signs the document and gives its bytes; the last 96 are the signature.
    pub fn seal(&self) -> Vec<u8> {
        let payload = self.payload();
        self.seal_payload(&payload)
    }

    /// Signs other content in place of the fields.
    pub fn seal_payload(&self, payload: &[u8]) -> Vec<u8> {
        let signed = cbor::array(&[
            cbor::text("Signature1"),
            cbor::bytes(&self.protected),
            cbor::bytes(b""),
            cbor::bytes(payload),
        ]);
        let signature: Signature = self.key.sign(&signed);
        let document = cbor::array(&[
            cbor::bytes(&self.protected),
            self.unprotected.clone(),
            cbor::bytes(payload),
            cbor::bytes(&signature.to_bytes()),
        ]);
        match self.tag {
            Some(tag) => [cbor::head(6, tag), document].concat(),
            None => document,
        }
    }

    /// The fields, in CBOR.
    pub fn payload(&self) -> Vec<u8> {
        let entries: Vec<_> = self
            .claims
            .iter()
            .map(|(key, value)| {
                let value = match key.as_str() {
                    "certificate" if value.is_empty() => cbor::bytes(&self.certificate),
                    "cabundle" if value.is_empty() => {
                        let bundle: Vec<_> = self.bundle.iter().map(|c| cbor::bytes(c)).collect();
                        cbor::array(&bundle)
                    }
                    _ => value.clone(),
                };
                (cbor::text(key), value)
            })
            .collect();
        cbor::map(&entries, self.indefinite)
    }
}

/// A protected header that names one algorithm.
pub(super) fn protected_header(algorithm: i64) -> Vec<u8> {
    cbor::map(
        &[(cbor::integer(ALGORITHM_LABEL), cbor::integer(algorithm))],
        false,
    )
}
