//! The form of a document: COSE_Sign1 around a map of claims, every length bounded.

use std::collections::BTreeMap;

use crate::cbor::{Count, Reader, write_bytes};
use crate::error::{CborError, VerifyError};
use crate::pcr::Pcr;

/// The longest document that is read, in bytes. Genuine ones have about 5,000; the Nitro security
/// module answers with at most 12,288.
pub const MAX_DOCUMENT_LEN: usize = 32 * 1024;

/// The most certificates in a chain, root and leaf included. Genuine chains have five.
pub const MAX_CHAIN_LEN: usize = 8;

const COSE_SIGN1_TAG: u64 = 18;
const ALGORITHM_LABEL: i64 = 1;
const MAX_PROTECTED_LEN: usize = 64;
const MAX_SIGNATURE_LEN: usize = 256;
const MAX_KEY_NAME_LEN: usize = 16;
const MAX_MODULE_ID_LEN: usize = 256;
const MAX_DIGEST_LEN: usize = 16;
const MAX_PCRS: usize = 32;
const MAX_CERTIFICATE_LEN: usize = 1024;
const MAX_PUBLIC_KEY_LEN: usize = 1024;
const MAX_USER_DATA_LEN: usize = 512;
const MAX_NONCE_LEN: usize = 512;

/// A document whose form is sound and about which nothing else is known.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) algorithm: i64,
    pub(crate) signature: Vec<u8>,
    pub(crate) claims: Claims,
    protected: Vec<u8>,
    payload: Vec<u8>,
}

/// What a document says.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) module_id: String,
    pub(crate) timestamp_ms: u64,
    pub(crate) pcrs: BTreeMap<u8, Pcr>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) cabundle: Vec<Vec<u8>>,
    pub(crate) public_key: Option<Vec<u8>>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) nonce: Option<Vec<u8>>,
}

impl Document {
    /// Reads a document, tagged or untagged.
    ///
    /// The algorithm may be any here, so that tools can show what emulators write; the caller
    /// that verifies refuses all but one.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, VerifyError> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(VerifyError::DocumentTooLarge {
                len: document.len(),
            });
        }
        let mut reader = Reader::new(document);
        if reader.tag()?.is_some_and(|tag| tag != COSE_SIGN1_TAG) {
            return Err(VerifyError::WrongTag);
        }
        let count = reader.array()?;
        if !matches!(count, Count::Definite(4) | Count::Indefinite) {
            return Err(VerifyError::NotCoseSign1);
        }
        let protected = reader.bytes(MAX_PROTECTED_LEN)?;
        let algorithm = parse_protected(&protected)?;
        let unprotected = reader.map()?;
        if reader.more(unprotected, 0)? {
            return Err(VerifyError::UnprotectedHeader);
        }
        let payload = reader.bytes(MAX_DOCUMENT_LEN)?;
        let signature = reader.bytes(MAX_SIGNATURE_LEN)?;
        if reader.more(count, 4)? {
            return Err(VerifyError::NotCoseSign1);
        }
        reader.finish()?;
        let claims = Claims::parse(&payload)?;
        Ok(Self {
            algorithm,
            signature,
            claims,
            protected,
            payload,
        })
    }

    /// Writes what the enclave's key signed.
    ///
    /// Specification: RFC 9052, section 4.4.
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        const ARRAY_OF_FOUR: u8 = 0x84;
        const CONTEXT: &[u8] = b"\x6aSignature1";
        let mut out = Vec::with_capacity(self.payload.len() + 32);
        out.push(ARRAY_OF_FOUR);
        out.extend_from_slice(CONTEXT);
        write_bytes(&mut out, &self.protected);
        write_bytes(&mut out, b"");
        write_bytes(&mut out, &self.payload);
        out
    }
}

fn parse_protected(protected: &[u8]) -> Result<i64, VerifyError> {
    let mut reader = Reader::new(protected);
    let count = reader.map().map_err(|_| VerifyError::ProtectedHeader)?;
    if !reader.more(count, 0)? || reader.integer()? != ALGORITHM_LABEL {
        return Err(VerifyError::ProtectedHeader);
    }
    let algorithm = reader.integer()?;
    if reader.more(count, 1)? {
        return Err(VerifyError::ProtectedHeader);
    }
    reader.finish()?;
    Ok(algorithm)
}

/// Claims as they are found, before it is known whether the required ones are there.
#[derive(Default)]
struct Found {
    module_id: Option<String>,
    digest: Option<()>,
    timestamp_ms: Option<u64>,
    pcrs: Option<BTreeMap<u8, Pcr>>,
    certificate: Option<Vec<u8>>,
    cabundle: Option<Vec<Vec<u8>>>,
    // The outer `Option` says whether the field stood there, the inner one whether it was null.
    public_key: Option<Option<Vec<u8>>>,
    user_data: Option<Option<Vec<u8>>>,
    nonce: Option<Option<Vec<u8>>>,
}

impl Claims {
    fn parse(payload: &[u8]) -> Result<Self, VerifyError> {
        let mut reader = Reader::new(payload);
        let mut found = Found::default();
        let count = reader.map()?;
        let mut seen = 0;
        // Every turn fills a field that was empty or fails, so there are nine turns at most.
        while reader.more(count, seen)? {
            found.read_field(&mut reader)?;
            seen += 1;
        }
        reader.finish()?;
        found.digest.ok_or(VerifyError::MissingField("digest"))?;
        Ok(Self {
            module_id: found
                .module_id
                .ok_or(VerifyError::MissingField("module_id"))?,
            timestamp_ms: found
                .timestamp_ms
                .ok_or(VerifyError::MissingField("timestamp"))?,
            pcrs: found.pcrs.ok_or(VerifyError::MissingField("pcrs"))?,
            certificate: found
                .certificate
                .ok_or(VerifyError::MissingField("certificate"))?,
            cabundle: found
                .cabundle
                .ok_or(VerifyError::MissingField("cabundle"))?,
            public_key: found.public_key.flatten(),
            user_data: found.user_data.flatten(),
            nonce: found.nonce.flatten(),
        })
    }
}

impl Found {
    fn read_field(&mut self, reader: &mut Reader<'_>) -> Result<(), VerifyError> {
        match reader.text(MAX_KEY_NAME_LEN)?.as_str() {
            "module_id" => set(&mut self.module_id, module_id(reader)?),
            "digest" => set(&mut self.digest, digest(reader)?),
            "timestamp" => set(&mut self.timestamp_ms, reader.unsigned()?),
            "pcrs" => set(&mut self.pcrs, pcrs(reader)?),
            "certificate" => set(&mut self.certificate, certificate(reader)?),
            "cabundle" => set(&mut self.cabundle, cabundle(reader)?),
            "public_key" => set(&mut self.public_key, public_key(reader)?),
            "user_data" => set(
                &mut self.user_data,
                optional(reader, MAX_USER_DATA_LEN, VerifyError::UserDataLength)?,
            ),
            "nonce" => set(
                &mut self.nonce,
                optional(reader, MAX_NONCE_LEN, VerifyError::NonceLength)?,
            ),
            _ => Err(VerifyError::UnknownField),
        }
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> Result<(), VerifyError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(VerifyError::DuplicateField),
    }
}

/// Reads a byte string and reports one that is too long as `error`.
fn bounded(
    reader: &mut Reader<'_>,
    max: usize,
    error: VerifyError,
) -> Result<Vec<u8>, VerifyError> {
    reader.bytes(max).map_err(|cbor| match cbor {
        CborError::TooLong => error,
        other => other.into(),
    })
}

fn optional(
    reader: &mut Reader<'_>,
    max: usize,
    error: VerifyError,
) -> Result<Option<Vec<u8>>, VerifyError> {
    if reader.null()? {
        Ok(None)
    } else {
        bounded(reader, max, error).map(Some)
    }
}

fn module_id(reader: &mut Reader<'_>) -> Result<String, VerifyError> {
    let id = reader.text(MAX_MODULE_ID_LEN)?;
    if id.is_empty() {
        Err(VerifyError::EmptyModuleId)
    } else {
        Ok(id)
    }
}

fn digest(reader: &mut Reader<'_>) -> Result<(), VerifyError> {
    match reader.text(MAX_DIGEST_LEN)?.as_str() {
        "SHA384" => Ok(()),
        _ => Err(VerifyError::Digest),
    }
}

fn pcrs(reader: &mut Reader<'_>) -> Result<BTreeMap<u8, Pcr>, VerifyError> {
    let mut pcrs = BTreeMap::new();
    let count = reader.map()?;
    let mut seen = 0;
    while reader.more(count, seen)? {
        let index = reader.unsigned()?;
        let index = u8::try_from(index).map_err(|_| VerifyError::PcrIndex)?;
        if usize::from(index) >= MAX_PCRS {
            return Err(VerifyError::PcrIndex);
        }
        let value = bounded(reader, 64, VerifyError::PcrLength)?;
        // The syntax also knows 32 and 64 bytes, for other digests; `digest` is SHA384 here.
        let value = Pcr::try_from(value.as_slice()).map_err(|_| VerifyError::PcrLength)?;
        if pcrs.insert(index, value).is_some() {
            return Err(VerifyError::DuplicatePcr);
        }
        seen += 1;
    }
    if pcrs.is_empty() {
        return Err(VerifyError::PcrCount);
    }
    Ok(pcrs)
}

fn certificate(reader: &mut Reader<'_>) -> Result<Vec<u8>, VerifyError> {
    let der = bounded(reader, MAX_CERTIFICATE_LEN, VerifyError::CertificateLength)?;
    if der.is_empty() {
        Err(VerifyError::CertificateLength)
    } else {
        Ok(der)
    }
}

fn cabundle(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, VerifyError> {
    let mut bundle = Vec::new();
    let count = reader.array()?;
    while reader.more(count, bundle.len() as u64)? {
        // The leaf is in the chain too.
        if bundle.len() + 1 == MAX_CHAIN_LEN {
            return Err(VerifyError::ChainLength);
        }
        bundle.push(certificate(reader)?);
    }
    if bundle.is_empty() {
        Err(VerifyError::ChainLength)
    } else {
        Ok(bundle)
    }
}

fn public_key(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, VerifyError> {
    let key = optional(reader, MAX_PUBLIC_KEY_LEN, VerifyError::PublicKeyLength)?;
    if key.as_ref().is_some_and(Vec::is_empty) {
        return Err(VerifyError::PublicKeyLength);
    }
    Ok(key)
}
