//! Why a document was refused: one variant for each rule.

use thiserror::Error;

/// A rule of CBOR that the bytes break.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CborError {
    /// The input ends inside an item.
    #[error("the input ends inside an item")]
    Truncated,
    /// An item has another type than the one that belongs here.
    #[error("an item has another type than the one that belongs here")]
    UnexpectedType,
    /// A length or a number is not in its shortest form, or uses a reserved form.
    #[error("a length or a number is not in its shortest form")]
    NotShortest,
    /// A string is longer than its field may be.
    #[error("a string is longer than its field may be")]
    TooLong,
    /// A text string is not UTF-8.
    #[error("a text string is not UTF-8")]
    NotUtf8,
    /// Bytes follow the end of the item.
    #[error("bytes follow the end of the item")]
    TrailingBytes,
}

/// Why an attestation document was refused.
///
/// `position` counts certificates from the root (0) to the leaf.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VerifyError {
    // The form of the document.
    /// The document is longer than [`MAX_DOCUMENT_LEN`](crate::MAX_DOCUMENT_LEN).
    #[error("the document is too large: {len} bytes")]
    DocumentTooLarge {
        /// The length of the refused document, in bytes.
        len: usize,
    },
    /// The bytes are not the CBOR that belongs there.
    #[error("malformed CBOR: {0}")]
    Cbor(#[from] CborError),
    /// The document has a tag other than 18 (COSE_Sign1).
    #[error("the document has a tag other than COSE_Sign1")]
    WrongTag,
    /// The document is not an array of four items.
    #[error("the document is not a COSE_Sign1 array of four items")]
    NotCoseSign1,
    /// The protected header is not a map that holds the algorithm and nothing else.
    #[error("the protected header must hold the algorithm and nothing else")]
    ProtectedHeader,
    /// The unprotected header is not empty.
    #[error("the unprotected header is not empty")]
    UnprotectedHeader,
    /// The signature algorithm is not ES384 (-35).
    #[error("the signature algorithm is not ES384")]
    Algorithm,
    /// The signature is not 96 bytes long.
    #[error("the signature is not 96 bytes long")]
    SignatureLength,
    /// A field stands twice.
    #[error("a field stands twice")]
    DuplicateField,
    /// A field that attestation documents do not have.
    #[error("a field that attestation documents do not have")]
    UnknownField,
    /// A required field is absent.
    #[error("the field {0} is missing")]
    MissingField(&'static str),
    /// `module_id` is empty.
    #[error("module_id is empty")]
    EmptyModuleId,
    /// `digest` is not `SHA384`.
    #[error("digest is not SHA384")]
    Digest,
    /// There is no PCR, or more than 32.
    #[error("there must be 1 to 32 PCRs")]
    PcrCount,
    /// A PCR has an index above 31.
    #[error("a PCR has an index above 31")]
    PcrIndex,
    /// A PCR stands twice.
    #[error("a PCR stands twice")]
    DuplicatePcr,
    /// A PCR is not 48 bytes long, as `digest` demands.
    #[error("a PCR is not 48 bytes long")]
    PcrLength,
    /// A certificate is empty or longer than 1,024 bytes.
    #[error("a certificate must have 1 to 1,024 bytes")]
    CertificateLength,
    /// The bundle is empty or the chain is longer than [`MAX_CHAIN_LEN`](crate::MAX_CHAIN_LEN).
    #[error("the bundle must hold at least one certificate and the chain at most eight")]
    ChainLength,
    /// `public_key` is empty or longer than 1,024 bytes.
    #[error("public_key must have 1 to 1,024 bytes")]
    PublicKeyLength,
    /// `user_data` is longer than 512 bytes.
    #[error("user_data must have at most 512 bytes")]
    UserDataLength,
    /// `nonce` is longer than 512 bytes.
    #[error("nonce must have at most 512 bytes")]
    NonceLength,

    // The chain.
    /// The first certificate of the bundle is not the root this verifier trusts, byte for byte.
    #[error("the bundle does not begin with the trusted root")]
    RootMismatch,
    /// A certificate is not a DER certificate of version 3.
    #[error("certificate {position} is malformed")]
    CertificateMalformed {
        /// Which certificate.
        position: usize,
    },
    /// A certificate is signed with something other than ECDSA and SHA-384.
    #[error("certificate {position} is not signed with ECDSA and SHA-384")]
    CertificateAlgorithm {
        /// Which certificate.
        position: usize,
    },
    /// A certificate's key is not an uncompressed point of P-384.
    #[error("the key of certificate {position} is not a P-384 key")]
    CertificateKey {
        /// Which certificate.
        position: usize,
    },
    /// A certificate's issuer is not the subject of the one before it.
    #[error("certificate {position} names another issuer than the certificate before it")]
    IssuerMismatch {
        /// Which certificate.
        position: usize,
    },
    /// A certificate below the root names itself as its issuer.
    #[error("certificate {position} names itself as its issuer")]
    SelfIssued {
        /// Which certificate.
        position: usize,
    },
    /// A certificate was not signed by the one before it.
    #[error("certificate {position} was not signed by the certificate before it")]
    CertificateSignature {
        /// Which certificate.
        position: usize,
    },
    /// A certificate is not valid yet.
    #[error("certificate {position} is not valid yet")]
    CertificateNotYetValid {
        /// Which certificate.
        position: usize,
    },
    /// A certificate has expired.
    #[error("certificate {position} has expired")]
    CertificateExpired {
        /// Which certificate.
        position: usize,
    },
    /// An extension stands twice.
    #[error("certificate {position} has an extension twice")]
    DuplicateExtension {
        /// Which certificate.
        position: usize,
    },
    /// A critical extension that this verifier does not understand.
    #[error("certificate {position} has a critical extension that is not understood")]
    UnknownCriticalExtension {
        /// Which certificate.
        position: usize,
    },
    /// A certificate of the bundle is not a certificate authority.
    #[error("certificate {position} signs others but is not a certificate authority")]
    NotAuthority {
        /// Which certificate.
        position: usize,
    },
    /// The leaf is a certificate authority, or its basic constraints are absent or malformed.
    #[error("the leaf must not be a certificate authority")]
    LeafIsAuthority,
    /// More certificates follow an authority than its path length allows.
    #[error("more certificates follow certificate {position} than its path length allows")]
    PathLength {
        /// Which certificate.
        position: usize,
    },
    /// The key usage is absent or does not allow what the key was used for.
    #[error("the key usage of certificate {position} does not allow what its key was used for")]
    KeyUsage {
        /// Which certificate.
        position: usize,
    },
    /// The document's own signature is wrong.
    #[error("the signature of the document is wrong")]
    Signature,

    // What was expected of it.
    /// The document was made later than the verifier's clock allows.
    #[error("the document was made in the future")]
    FromTheFuture,
    /// The document is older than allowed.
    #[error("the document is too old")]
    TooOld,
    /// The document has no nonce.
    #[error("the document has no nonce")]
    NonceMissing,
    /// The document answers another nonce.
    #[error("the document answers another nonce")]
    NonceMismatch,
    /// A PCR that the verifier needs is not in the document.
    #[error("PCR{0} is missing")]
    PcrMissing(u8),
    /// The enclave runs in debug mode: its host can read its memory.
    #[error("the enclave runs in debug mode, where its host can read its memory")]
    DebugMode,
    /// The measured code is not in the policy.
    #[error("the measured code is not one that the policy allows")]
    MeasurementNotAllowed,
    /// PCR16 does not hold the expected realm.
    #[error("PCR16 is not the expected value")]
    Pcr16Mismatch,
    /// A PCR besides PCR16 does not hold the expected value.
    #[error("PCR{0} is not the expected value")]
    PcrMismatch(u8),
    /// The user data is absent or not the expected one.
    #[error("the user data is not the expected one")]
    UserDataMismatch,
    /// The public key is absent or not the expected one.
    #[error("the public key is not the expected one")]
    PublicKeyMismatch,
}

/// What kind of rule a refused document broke: what somebody can do about it follows from this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusalKind {
    /// It is no attestation document, or a damaged one.
    Form,
    /// Nobody whom the verifier trusts signed it.
    Authenticity,
    /// It is from another time than the verifier's: document or certificates.
    Time,
    /// The enclave runs in debug mode.
    Debug,
    /// It is genuine, and another one than was expected.
    Expectation,
}

impl VerifyError {
    /// Returns what kind of rule was broken.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::DocumentTooLarge { .. }
            | Self::Cbor(_)
            | Self::WrongTag
            | Self::NotCoseSign1
            | Self::ProtectedHeader
            | Self::UnprotectedHeader
            | Self::DuplicateField
            | Self::UnknownField
            | Self::MissingField(_)
            | Self::EmptyModuleId
            | Self::Digest
            | Self::PcrCount
            | Self::PcrIndex
            | Self::DuplicatePcr
            | Self::PcrLength
            | Self::CertificateLength
            | Self::ChainLength
            | Self::PublicKeyLength
            | Self::UserDataLength
            | Self::NonceLength => RefusalKind::Form,
            Self::Algorithm
            | Self::SignatureLength
            | Self::RootMismatch
            | Self::CertificateMalformed { .. }
            | Self::CertificateAlgorithm { .. }
            | Self::CertificateKey { .. }
            | Self::IssuerMismatch { .. }
            | Self::SelfIssued { .. }
            | Self::CertificateSignature { .. }
            | Self::DuplicateExtension { .. }
            | Self::UnknownCriticalExtension { .. }
            | Self::NotAuthority { .. }
            | Self::LeafIsAuthority
            | Self::PathLength { .. }
            | Self::KeyUsage { .. }
            | Self::Signature => RefusalKind::Authenticity,
            Self::CertificateNotYetValid { .. }
            | Self::CertificateExpired { .. }
            | Self::FromTheFuture
            | Self::TooOld => RefusalKind::Time,
            Self::DebugMode => RefusalKind::Debug,
            Self::NonceMissing
            | Self::NonceMismatch
            | Self::PcrMissing(_)
            | Self::MeasurementNotAllowed
            | Self::Pcr16Mismatch
            | Self::PcrMismatch(_)
            | Self::UserDataMismatch
            | Self::PublicKeyMismatch => RefusalKind::Expectation,
        }
    }
}
