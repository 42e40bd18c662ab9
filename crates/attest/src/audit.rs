//! Judging a document that somebody else asked for.
//!
//! An auditor was not there when the document was made, so its nonce tells them nothing, and they
//! may want to know of an enclave whose code they do not know yet. Form, chain, signature and time
//! are checked on the path of [`verify`](crate::verify); what the other demands are is said by
//! [`Demands`], and the outcome is a type that nobody who acts on documents takes:
//!
//! ```compile_fail
//! use keyfold_attest::{VerifiedDocument, audit::AuditedDocument};
//! fn releases_keys(_to: &VerifiedDocument) {}
//! fn audited(document: &AuditedDocument) {
//!     releases_keys(document);
//! }
//! ```

use std::collections::BTreeMap;

use crate::danger::UnverifiedDocument;
use crate::error::VerifyError;
use crate::nonce::Nonce;
use crate::pcr::Pcr;
use crate::policy::MeasurementPolicy;
use crate::root::TrustRoot;
use crate::verify::{
    Checked, DEFAULT_MAX_AGE_MS, DEFAULT_MAX_FUTURE_MS, Expectations, REALM_PCR, check,
};

/// Which code an enclave may run.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// One of these images.
    OneOf(&'a MeasurementPolicy),
    /// Any, or what [`Demands::pcrs`] names.
    Any {
        /// Whether enclaves in debug mode pass, whose host reads their memory and whose registers
        /// of the image are zeros.
        allow_debug: bool,
    },
}

/// What is demanded of a document. What is `None` is not looked at.
#[derive(Clone, Debug)]
pub struct Demands<'a> {
    /// The challenge the document must answer. Without one nothing proves that it is fresh.
    pub nonce: Option<&'a Nonce>,
    /// The time for which the document is judged, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// The greatest age of the document, in milliseconds.
    pub max_age_ms: u64,
    /// How far the document's time may be ahead, in milliseconds.
    pub max_future_ms: u64,
    /// Which code it may run.
    pub code: Code<'a>,
    /// Registers that must have these values, by index.
    pub pcrs: BTreeMap<u8, Pcr>,
    /// The user data that it must hold.
    pub user_data: Option<&'a [u8]>,
    /// The public key that it must hold.
    pub public_key: Option<&'a [u8]>,
}

impl<'a> Demands<'a> {
    /// Demands a document of any enclave that is not in debug mode, at most an hour old.
    pub fn new(now_unix_ms: u64) -> Self {
        Self {
            nonce: None,
            now_unix_ms,
            max_age_ms: DEFAULT_MAX_AGE_MS,
            max_future_ms: DEFAULT_MAX_FUTURE_MS,
            code: Code::Any { allow_debug: false },
            pcrs: BTreeMap::new(),
            user_data: None,
            public_key: None,
        }
    }

    pub(crate) fn all_of(expect: &Expectations<'a>) -> Self {
        Self {
            nonce: Some(expect.nonce),
            now_unix_ms: expect.now_unix_ms,
            max_age_ms: expect.max_age_ms,
            max_future_ms: expect.max_future_ms,
            code: Code::OneOf(expect.policy),
            pcrs: expect
                .pcr16
                .map(|pcr| (REALM_PCR, pcr))
                .into_iter()
                .collect(),
            user_data: None,
            public_key: None,
        }
    }
}

/// Judges a document by demands that may leave out nonce and code.
///
/// # Errors
///
/// A [`VerifyError`] that names the first broken rule.
///
/// # Security
///
/// As [`verify`](crate::verify), but for what the demands leave out. Without a nonce the document
/// may be one that somebody kept; without code or registers the enclave may run anything.
pub fn examine(
    document: &[u8],
    root: &TrustRoot,
    demands: &Demands<'_>,
) -> Result<AuditedDocument, VerifyError> {
    let Checked {
        document,
        valid_until_ms,
    } = check(document, root, demands)?;
    Ok(AuditedDocument {
        content: UnverifiedDocument(document),
        answers_nonce: demands.nonce.is_some(),
        valid_until_ms,
    })
}

/// A document that met the demands of an audit. Only [`examine`] makes one.
///
/// # Security
///
/// No ground to send anybody a secret: that takes a [`VerifiedDocument`](crate::VerifiedDocument).
#[derive(Clone, Debug)]
pub struct AuditedDocument {
    content: UnverifiedDocument,
    answers_nonce: bool,
    valid_until_ms: u64,
}

impl AuditedDocument {
    /// What it says, which a genuine enclave vouches for as far as was demanded.
    pub fn content(&self) -> &UnverifiedDocument {
        &self.content
    }

    /// Says whether it answers a nonce of the verifier's.
    pub fn answers_nonce(&self) -> bool {
        self.answers_nonce
    }

    /// The last moment at which these demands are met, in milliseconds since 1970.
    pub fn valid_until_ms(&self) -> u64 {
        self.valid_until_ms
    }
}
