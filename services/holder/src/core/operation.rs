//! From evidence to an operation: everything that can be verified without the holder's tables.

use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Addressee, Evidence, EvidenceError, Shown};
use keyfold_protocol::ids::{AccountId, Digest32, SessionId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::session::{
    self, AttestationKeySet, Expired, SessionError, SessionExpectation,
};
use keyfold_protocol::signed_request::{Profile, SignatureError};

use crate::error::Coded;
use crate::member::Member;

/// What evidence is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Keys that a registered enclave stated.
    pub(crate) keys: &'a AttestationKeySet,
    /// The holder's clock, Unix seconds.
    pub(crate) now: u64,
    /// Seconds since the person signed in, after which a session opens nothing.
    pub(crate) max_auth_age: u64,
}

/// Says why evidence does not prove an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvidenceRefusal {
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the signed intent does not ask for this operation")]
    WrongOperation,
    #[error("the session attestation was made for another device")]
    OtherDevice,
    #[error("the session attestation does not name the wallet")]
    OtherWallet,
    #[error("the person signed in too long ago")]
    AuthTooOld,
}

impl Coded for EvidenceRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Evidence(EvidenceError::Signature(SignatureError::Expired)) => {
                Code::SignatureExpired
            }
            Self::Evidence(EvidenceError::Signature(SignatureError::Intent(_)))
            | Self::WrongOperation => Code::IntentMismatch,
            Self::Evidence(EvidenceError::Signature(_)) => Code::SignatureInvalid,
            Self::Evidence(EvidenceError::SessionMismatch)
            | Self::OtherDevice
            | Self::OtherWallet => Code::SessionInvalid,
            Self::Evidence(_) => Code::EvidenceInvalid,
            Self::Session(SessionError::Expired) | Self::AuthTooOld => Code::SessionExpired,
            Self::Session(_) => Code::SessionInvalid,
        }
    }
}

/// What a nonce is spent under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpentNonce {
    /// The device that signed it.
    pub(crate) device: Thumbprint,
    /// Its text.
    pub(crate) nonce: String,
    /// Unix seconds until which the signature could be shown again.
    pub(crate) expires: u64,
}

/// An operation within a session: signed by the device that the attestation names, for the realm,
/// project and instance at hand.
///
/// Only [`SessionOperation::verify`] makes one. Not yet known: whether nonce, session and device
/// are good by the holder's own tables ([`super::standing`]).
#[derive(Debug)]
pub(crate) struct SessionOperation {
    owner: AccountRef,
    device: Thumbprint,
    session: SessionId,
    intent: Intent,
    nonce: SpentNonce,
    shown: Shown,
}

impl SessionOperation {
    /// Verifies evidence, in this order: the device's signature and its addressee; the operation;
    /// the attestation's signature, realm, project, expiry; that it was made for this device, and
    /// for the wallet whose key is to be used; the age of the sign-in.
    pub(crate) fn verify(
        member: &Member,
        evidence: &Evidence,
        allowed: &[Operation],
        rules: &Rules<'_>,
    ) -> Result<Self, EvidenceRefusal> {
        let addressee = Addressee {
            realm: member.realm().id(),
            instance: member.instance().id,
            project: None,
        };
        let verified = evidence.verify(Profile::Request, &addressee, rules.now)?;
        let request = verified.request;
        if !allowed.contains(&request.intent.operation()) {
            return Err(EvidenceRefusal::WrongOperation);
        }
        // The profile covers the attestation's hash, so it is there.
        let attestation = verified.attestation.ok_or(EvidenceError::SessionMismatch)?;
        let expect = SessionExpectation {
            realm: &member.realm().id(),
            project: &request.project,
            now_unix_seconds: rules.now,
            // Renewal is what an attestation that ran out is good for, while its session lasts:
            // the age of the sign-in is checked below.
            expired: if request.intent.operation() == Operation::Renew {
                Expired::Accepted
            } else {
                Expired::Refused
            },
        };
        let session = session::verify(&attestation, rules.keys, &expect)?;
        if session.device() != request.device {
            return Err(EvidenceRefusal::OtherDevice);
        }
        let key_use = request.intent.key_use();
        if key_use.is_some_and(|key_use| !session.has_wallet(&key_use.wallet)) {
            return Err(EvidenceRefusal::OtherWallet);
        }
        let claims = session.claims();
        if rules.now.saturating_sub(claims.auth_time) > rules.max_auth_age {
            return Err(EvidenceRefusal::AuthTooOld);
        }
        Ok(Self {
            owner: AccountRef {
                project: request.project,
                account: claims.sub,
            },
            device: request.device,
            session: claims.sid,
            intent: request.intent,
            nonce: SpentNonce {
                device: request.device,
                nonce: request.nonce,
                expires: request.expires,
            },
            shown: verified.shown,
        })
    }

    pub(crate) fn owner(&self) -> &AccountRef {
        &self.owner
    }

    pub(crate) fn device(&self) -> Thumbprint {
        self.device
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(crate) fn nonce(&self) -> &SpentNonce {
        &self.nonce
    }

    /// What was shown beside the request; not verified.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }
}

/// A sign-in that is begun or finished, signed by its device: to finish one is to want onto the
/// account's list.
///
/// That the person proved who they are is the enclave's word here; passkeys and ID tokens let the
/// holder verify it itself ([`super::evidence`]).
#[derive(Debug)]
pub(crate) struct SignInOperation {
    /// The account that the enclave found or made, in the project that the device addressed.
    pub(crate) owner: AccountRef,
    /// The device's key.
    pub(crate) jwk: PublicJwk,
    /// Its nonce.
    pub(crate) nonce: SpentNonce,
    /// The proof that the device names, if it names one.
    pub(crate) named: Option<Digest32>,
    /// What was shown beside the request; not verified.
    pub(crate) shown: Shown,
}

impl SignInOperation {
    /// Verifies the device's signature, its addressee and the operation.
    pub(crate) fn verify(
        member: &Member,
        operation: Operation,
        account: AccountId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<Self, EvidenceRefusal> {
        let addressee = Addressee {
            realm: member.realm().id(),
            instance: member.instance().id,
            project: None,
        };
        let verified = evidence.verify(Profile::SignIn, &addressee, now)?;
        let request = verified.request;
        if request.intent.operation() != operation {
            return Err(EvidenceRefusal::WrongOperation);
        }
        let named = match request.intent {
            Intent::FinishSignIn { proof, .. } => Some(proof),
            _ => None,
        };
        Ok(Self {
            named,
            shown: verified.shown,
            owner: AccountRef {
                project: request.project,
                account,
            },
            jwk: verified.jwk,
            nonce: SpentNonce {
                device: request.device,
                nonce: request.nonce,
                expires: request.expires,
            },
        })
    }
}
