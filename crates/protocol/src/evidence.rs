//! The evidence that an enclave shows to a key holder, and what the holder learns from it.
//!
//! A versioned list: a holder verifies every item by itself and takes nothing on the enclave's
//! word. Later releases add items; a holder that does not know an item ignores it and decides on
//! the rest, so unknown evidence never widens what is allowed.

use keyfold_crypto::b64;
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::PublicJwk;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Digest32, InstanceId, ProjectId, RealmId};
use crate::secret_text::SecretText;
use crate::sign_in::{PasskeyAssertion, PasskeyRegistration};
use crate::signed_request::{
    Profile, SignatureError, SignedComponents, VerifiedRequest, verify_device,
};

/// The version of the list that this release writes.
pub const EVIDENCE_VERSION: u32 = 1;
/// Most items in a list.
pub const MAX_ITEMS: usize = 16;

/// What an enclave shows a holder for one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    /// [`EVIDENCE_VERSION`].
    pub version: u32,
    /// At most [`MAX_ITEMS`].
    pub items: Vec<Item>,
}

/// One piece of evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Item {
    /// The device's signature over the request at hand.
    Request {
        /// Covered components and signature.
        signed: SignedComponents,
        /// The key that made it. A holder compares it with its own list.
        jwk: PublicJwk,
    },
    /// The session attestation, as the enclave issued it.
    Session {
        /// Compact JWT.
        attestation: String,
    },
    /// A passkey that vouches for the device.
    Passkey(ShownPasskey),
    /// A passkey that was made now, on the device.
    NewPasskey(ShownNewPasskey),
    /// An issuer's word on who asked for a token, with the device's key in its nonce.
    IdToken(ShownIdToken),
    /// Evidence of a later release.
    #[serde(other)]
    Unknown,
}

/// An assertion, with all that its challenge was computed from but project and device: those are
/// the signed request's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownPasskey {
    /// As the browser gave it.
    pub assertion: PasskeyAssertion,
    /// Unix seconds at which the challenge was drawn.
    pub issued: u64,
    /// The challenge's random part.
    #[serde(with = "b64")]
    pub random: [u8; 32],
}

/// A registration, with all that its challenge was computed from but project and device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownNewPasskey {
    /// The enclaves' name for the identity, as its owner sees it and unlinks it by.
    pub identity: Digest32,
    /// As the browser gave it.
    pub registration: PasskeyRegistration,
    /// The relying party's id; the authenticator's data has its hash.
    pub relying_party: String,
    /// Unix seconds at which the challenge was drawn.
    pub issued: u64,
    /// The challenge's random part.
    #[serde(with = "b64")]
    pub random: [u8; 32],
}

/// An ID token, with what its nonce was computed from but project and device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownIdToken {
    /// The enclaves' name for the identity, as its owner sees it and unlinks it by.
    pub identity: Digest32,
    /// Compact JWT.
    pub token: SecretText,
    /// Whose it is said to be; the token must say the same.
    pub issuer: String,
    /// For whom it is said to be: the project's client id at the issuer.
    pub client_id: String,
    /// The nonce's salt.
    #[serde(with = "b64")]
    pub salt: [u8; 32],
}

/// What was shown beside the request, each at most once. Nothing of it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// A passkey that vouches.
    pub passkey: Option<ShownPasskey>,
    /// A passkey that was made.
    pub new_passkey: Option<ShownNewPasskey>,
    /// A token.
    pub id_token: Option<ShownIdToken>,
}

/// Says why evidence was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Another version, too many items, or an item twice.
    #[error("the evidence list is malformed")]
    Malformed,
    /// There is no request item.
    #[error("the evidence holds no signed request")]
    NoRequest,
    /// The request's signature is not acceptable.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The request was addressed to another realm, project or instance.
    #[error("the request was addressed to somebody else")]
    WrongAddressee,
    /// The session attestation is missing, or not the one that the device signed.
    #[error("the session attestation is not the one the device signed")]
    SessionMismatch,
}

/// The addressee that a signed request must name.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// The realm.
    pub realm: RealmId,
    /// The instance that presents the evidence.
    pub instance: InstanceId,
    /// The project, where it is known from elsewhere.
    pub project: Option<&'a ProjectId>,
}

/// Evidence whose device signature verified and was addressed to this realm and instance.
#[derive(Debug, Clone)]
pub struct VerifiedEvidence {
    /// The request.
    pub request: VerifiedRequest,
    /// The key that signed it.
    pub jwk: PublicJwk,
    /// The attestation whose hash the device signed; its own signature is not verified yet.
    pub attestation: Option<String>,
    /// What else was shown; not verified.
    pub shown: Shown,
}

impl Evidence {
    /// Makes a list of the current version.
    pub fn new(items: Vec<Item>) -> Self {
        Self {
            version: EVIDENCE_VERSION,
            items,
        }
    }

    /// Verifies the device's signature and that everything belongs together.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`].
    ///
    /// # Security
    ///
    /// Does not check: the attestation's signature, that the nonce is new, that the device is on
    /// a list, what passkeys and tokens are worth. Those need the holder's own state.
    pub fn verify(
        &self,
        profile: Profile,
        addressee: &Addressee<'_>,
        now_unix_seconds: u64,
    ) -> Result<VerifiedEvidence, EvidenceError> {
        if self.version != EVIDENCE_VERSION || self.items.len() > MAX_ITEMS {
            return Err(EvidenceError::Malformed);
        }
        let (mut request, mut attestation) = (None, None);
        let mut shown = Shown::default();
        for item in &self.items {
            let twice = match item {
                Item::Request { signed, jwk } => request.replace((signed, jwk)).is_some(),
                Item::Session { attestation: jwt } => attestation.replace(jwt).is_some(),
                Item::Passkey(item) => shown.passkey.replace(item.clone()).is_some(),
                Item::NewPasskey(item) => shown.new_passkey.replace(item.clone()).is_some(),
                Item::IdToken(item) => shown.id_token.replace(item.clone()).is_some(),
                Item::Unknown => false,
            };
            if twice {
                return Err(EvidenceError::Malformed);
            }
        }
        let (signed, jwk) = request.ok_or(EvidenceError::NoRequest)?;
        let verified = verify_device(profile, signed, jwk, now_unix_seconds)?;
        if verified.realm != addressee.realm
            || verified.components.authority != addressee.instance.to_string()
            || addressee
                .project
                .is_some_and(|project| *project != verified.project)
        {
            return Err(EvidenceError::WrongAddressee);
        }
        let hash = attestation.map(|jwt| Digest32::from_bytes(sha256(jwt.as_bytes())));
        if hash != verified.session {
            return Err(EvidenceError::SessionMismatch);
        }
        Ok(VerifiedEvidence {
            request: verified,
            jwk: *jwk,
            attestation: attestation.cloned(),
            shown,
        })
    }
}

/// Whose account a piece of evidence is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountRef {
    /// The project.
    pub project: ProjectId,
    /// The account within it.
    pub account: AccountId,
}
