//! What vouches for a device besides the enclave: passkeys, and issuers' tokens.
//!
//! An identity vouches for a device of an account where this holder bound it to that account
//! before, and where what is shown now names this very device, was made now, and was not used.
//!
//! An identity is bound on the word of a device that is active, or first. What that device named
//! by its own signature counts at once. What only the enclave says belongs to the account counts
//! after the delay that a device without any evidence would wait: so an enclave that lies gains
//! nothing by it.
//!
//! Behind each stands the device that had it bound, or that named it last. Once that one is taken
//! off it vouches for nothing, until an active device names it: else a thief whose device was taken
//! off would let his next one in.

use keyfold_crypto::hash::{hmac_sha256, sha256};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{Encoder, Secret, b64};
use keyfold_identity::challenge::{CHALLENGE_SECONDS, ChallengeMethod, challenge_hash};
use keyfold_identity::oidc::id_token::{IdTokenError, MAX_CLOCK_SKEW_SECONDS};
use keyfold_identity::oidc::subject::ProvenSubject;
use keyfold_identity::passkey::{
    AssertionResponse, PasskeyError, RegistrationResponse, WitnessedPasskey,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{ShownIdToken, ShownNewPasskey, ShownPasskey};
use keyfold_protocol::ids::{Digest32, ProjectId};
use keyfold_protocol::sign_in::Proof;

use super::operation::SpentNonce;
use crate::error::Coded;

/// Most identities that vouch for devices of one account.
pub(crate) const MAX_IDENTITIES: u64 = 16;
/// Seconds since an ID token was issued, at most.
pub(crate) const MAX_TOKEN_AGE: u64 = 600;

/// Says why something that was shown vouches for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VouchRefusal {
    #[error("neither a new passkey nor a token was shown, or both")]
    Nothing,
    #[error("the challenge was not drawn just now")]
    NotFresh,
    #[error("it was used before")]
    UsedBefore,
    #[error("this holder knows no such identity of the account")]
    Unknown,
    #[error("the identity does not count yet")]
    TooYoung,
    #[error("the device that stood behind the identity was taken off")]
    Unbacked,
    #[error("the device signed for another proof")]
    NotNamed,
    #[error("the account has a passkey of that id, with another key")]
    OtherKey,
    #[error("the account has as many identities that vouch as it may have")]
    TooMany,
    #[error("this holder trusts no such issuer")]
    IssuerUnknown,
    #[error("the issuer's keys cannot be had")]
    IssuerAway,
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error(transparent)]
    Token(#[from] IdTokenError),
}

impl Coded for VouchRefusal {
    fn code(&self) -> Code {
        match self {
            Self::IssuerAway => Code::Unavailable,
            Self::OtherKey => Code::IdentityTaken,
            _ => Code::EvidenceInvalid,
        }
    }
}

/// The request that something is shown beside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) project: &'a ProjectId,
    /// The key that signed the request.
    pub(crate) device: Thumbprint,
    /// The proof that its intent names.
    pub(crate) named: Option<Digest32>,
    /// The holder's clock, Unix seconds.
    pub(crate) now: u64,
}

impl Occasion<'_> {
    /// Computes what a passkey must have signed here, if that was drawn just now.
    fn challenge(
        &self,
        method: ChallengeMethod,
        issued: u64,
        random: &[u8; 32],
    ) -> Result<[u8; 32], VouchRefusal> {
        let ends = issued.saturating_add(CHALLENGE_SECONDS + MAX_CLOCK_SKEW_SECONDS);
        if issued > self.now.saturating_add(MAX_CLOCK_SKEW_SECONDS) || ends <= self.now {
            return Err(VouchRefusal::NotFresh);
        }
        let project = self.project.as_str();
        Ok(challenge_hash(
            method,
            project,
            &self.device.0,
            issued,
            random,
        ))
    }

    /// The device, if its intent names this proof.
    fn named_by(&self, proof: Digest32) -> Option<Thumbprint> {
        (self.named == Some(proof)).then_some(self.device)
    }

    /// What is spent so that the same is not shown twice.
    fn spent(&self, what: &str, name: &str, seconds: u64) -> SpentNonce {
        SpentNonce {
            device: self.device,
            nonce: format!("{what}:{name}"),
            expires: self.now.saturating_add(seconds),
        }
    }
}

/// An assertion for this device, of now; by whose key is still to be seen.
#[derive(Debug)]
pub(crate) struct FreshAssertion {
    /// Which passkey: the hash of its id.
    pub(crate) credential: Digest32,
    /// What goes with its use.
    pub(crate) spent: SpentNonce,
    /// The device, if it named the assertion.
    pub(crate) named_by: Option<Thumbprint>,
    challenge: [u8; 32],
    shown: ShownPasskey,
}

impl FreshAssertion {
    pub(crate) fn read(shown: &ShownPasskey, at: &Occasion<'_>) -> Result<Self, VouchRefusal> {
        let method = ChallengeMethod::PasskeyAssertion;
        let challenge = at.challenge(method, shown.issued, &shown.random)?;
        // Longer than it could be shown again, by any of the clocks.
        let seconds = CHALLENGE_SECONDS + 2 * MAX_CLOCK_SKEW_SECONDS;
        Ok(Self {
            credential: credential(&shown.assertion.id),
            spent: at.spent("passkey", &b64::encode(&challenge), seconds),
            named_by: at.named_by(Proof::Passkey(shown.assertion.clone()).digest()),
            challenge,
            shown: shown.clone(),
        })
    }

    /// Verifies it by the passkey that the account has; returns that as it is now.
    pub(crate) fn verify(
        &self,
        kept: &Bound<WitnessedPasskey>,
    ) -> Result<WitnessedPasskey, VouchRefusal> {
        let assertion = &self.shown.assertion;
        Ok(kept.what.asserted(
            &self.challenge,
            &AssertionResponse {
                credential_id: &assertion.id,
                client_data_json: &assertion.client_data_json,
                authenticator_data: &assertion.authenticator_data,
                signature: &assertion.signature,
                user_handle: None,
            },
        )?)
    }
}

/// A token about this device, verified by keys that this holder fetched.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    /// Whom it is about.
    pub(crate) subject: Digest32,
    /// What goes with its use.
    pub(crate) spent: SpentNonce,
    /// The device, if it named the token.
    pub(crate) named_by: Option<Thumbprint>,
    identity: Digest32,
    proof: Digest32,
}

impl VerifiedToken {
    /// # Security
    ///
    /// To be called with what the verification of this very token gave, its nonce included. The
    /// nonce is what is spent: one token can have several signatures.
    pub(crate) fn new(
        shown: &ShownIdToken,
        nonce: &str,
        proven: &ProvenSubject,
        key: &Secret<32>,
        at: &Occasion<'_>,
    ) -> Self {
        let subject = Encoder::new("keyfold/holder-subject/v1")
            .str(proven.issuer())
            .str(proven.audience())
            .str(proven.subject())
            .finish();
        let proof = Proof::Token {
            token: shown.token.clone(),
        }
        .digest();
        Self {
            subject: Digest32::from_bytes(key.expose(|key| hmac_sha256(key, &subject))),
            spent: at.spent("token", nonce, MAX_TOKEN_AGE + 3 * MAX_CLOCK_SKEW_SECONDS),
            named_by: at.named_by(proof),
            identity: shown.identity,
            proof,
        }
    }

    /// What is bound where the token's person is the account's.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            identity: self.identity,
            proof: self.proof,
            binding: Binding::Subject(self.subject),
        }
    }
}

/// An identity as it is bound to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    /// A passkey, by the hash of its id.
    Passkey {
        credential: Digest32,
        passkey: Box<WitnessedPasskey>,
    },
    /// Whom an issuer names, by a keyed hash.
    Subject(Digest32),
}

/// An identity that is bound.
#[derive(Debug)]
pub(crate) struct Bound<T> {
    pub(crate) what: T,
    /// Whether a device stands behind it that was not taken off.
    pub(crate) is_backed: bool,
    /// Unix seconds from which it vouches.
    pub(crate) counts_from: u64,
}

impl<T> Bound<T> {
    /// Checks that it vouches for devices now.
    pub(crate) fn check(&self, now: u64) -> Result<(), VouchRefusal> {
        if !self.is_backed {
            Err(VouchRefusal::Unbacked)
        } else if self.counts_from > now {
            Err(VouchRefusal::TooYoung)
        } else {
            Ok(())
        }
    }
}

/// An identity that could be bound.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The enclaves' name for it.
    pub(crate) identity: Digest32,
    pub(crate) binding: Binding,
    /// As an intent would name what was shown.
    proof: Digest32,
}

impl Candidate {
    /// Verifies a registration on this device, of now.
    pub(crate) fn new_passkey(
        shown: &ShownNewPasskey,
        at: &Occasion<'_>,
    ) -> Result<Self, VouchRefusal> {
        let method = ChallengeMethod::PasskeyRegistration;
        let challenge = at.challenge(method, shown.issued, &shown.random)?;
        let registration = &shown.registration;
        let passkey = WitnessedPasskey::registered(
            &shown.relying_party,
            &challenge,
            &RegistrationResponse {
                credential_id: &registration.id,
                client_data_json: &registration.client_data_json,
                attestation_object: &registration.attestation_object,
            },
        )?;
        Ok(Self {
            identity: shown.identity,
            proof: Proof::NewPasskey(registration.clone()).digest(),
            binding: Binding::Passkey {
                credential: credential(&registration.id),
                passkey: Box::new(passkey),
            },
        })
    }

    /// Tells whether the device named it.
    pub(crate) fn is_named(&self, at: &Occasion<'_>) -> bool {
        at.named_by(self.proof).is_some()
    }

    /// Decides from when it counts; `None` where that is known already.
    pub(crate) fn decide(
        &self,
        known: &Known,
        at: &Occasion<'_>,
        delay: u64,
    ) -> Result<Decision, VouchRefusal> {
        if !known.same_key {
            return Err(VouchRefusal::OtherKey);
        }
        let wait = if self.is_named(at) { 0 } else { delay };
        let from = at.now.saturating_add(wait);
        match known.counts_from {
            Some(before) if known.is_backed && before <= from => Ok(Decision::Keep(before)),
            None if known.count >= MAX_IDENTITIES => Err(VouchRefusal::TooMany),
            _ => Ok(Decision::Bind(from)),
        }
    }
}

/// What the tables say of an identity and its account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// From when it counts, if it is bound.
    pub(crate) counts_from: Option<u64>,
    /// Whether a device stands behind it that was not taken off.
    pub(crate) is_backed: bool,
    /// Whether what is bound has the key that was shown; true where nothing is bound.
    pub(crate) same_key: bool,
    /// How many are bound to the account.
    pub(crate) count: u64,
}

/// What is done about an identity, and from when it counts afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing.
    Keep(u64),
    /// It is bound, counts earlier than before, or has a device behind it again.
    Bind(u64),
}

impl Decision {
    pub(crate) fn counts_from(self) -> u64 {
        match self {
            Self::Keep(at) | Self::Bind(at) => at,
        }
    }
}

fn credential(id: &[u8]) -> Digest32 {
    Digest32::from_bytes(sha256(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const DAY: u64 = 86_400;

    fn candidate() -> Candidate {
        Candidate {
            identity: Digest32::from_bytes([1; 32]),
            binding: Binding::Subject(Digest32::from_bytes([2; 32])),
            proof: Digest32::from_bytes([3; 32]),
        }
    }

    fn at(project: &ProjectId, named: Option<[u8; 32]>) -> Occasion<'_> {
        Occasion {
            project,
            device: Thumbprint([4; 32]),
            named: named.map(Digest32::from_bytes),
            now: NOW,
        }
    }

    #[test]
    fn what_the_device_did_not_name_waits_as_a_device_would() {
        let project = "app.example".parse().unwrap();
        let decide = |named, counts_from, count| {
            let known = Known {
                counts_from,
                is_backed: true,
                same_key: true,
                count,
            };
            candidate().decide(&known, &at(&project, named), DAY)
        };
        assert_eq!(decide(Some([3; 32]), None, 0), Ok(Decision::Bind(NOW)));
        for unnamed in [None, Some([9; 32])] {
            assert_eq!(decide(unnamed, None, 0), Ok(Decision::Bind(NOW + DAY)));
        }
        // Naming it later ends the wait; showing it again neither begins nor ends it.
        let bound = Some(NOW + 5);
        assert_eq!(decide(Some([3; 32]), bound, 1), Ok(Decision::Bind(NOW)));
        assert_eq!(decide(None, bound, 1), Ok(Decision::Keep(NOW + 5)));
        let full = MAX_IDENTITIES;
        assert_eq!(decide(None, None, full), Err(VouchRefusal::TooMany));
        assert_eq!(decide(None, bound, full), Ok(Decision::Keep(NOW + 5)));
    }

    #[test]
    fn a_challenge_counts_for_its_minutes_and_not_from_the_future() {
        let project = "app.example".parse().unwrap();
        let fresh = |issued| {
            let method = ChallengeMethod::PasskeyAssertion;
            at(&project, None)
                .challenge(method, issued, &[0; 32])
                .is_ok()
        };
        let oldest = NOW + 1 - CHALLENGE_SECONDS - MAX_CLOCK_SKEW_SECONDS;
        assert!(fresh(NOW) && fresh(oldest) && fresh(NOW + MAX_CLOCK_SKEW_SECONDS));
        assert!(!fresh(oldest - 1) && !fresh(NOW + MAX_CLOCK_SKEW_SECONDS + 1));
        assert!(!fresh(0) && !fresh(u64::MAX));
    }
}
