//! Passkeys: WebAuthn level 3, the relying party's side.
//!
//! Two ceremonies. [`verify_registration`] makes a [`PasskeyCredential`] to keep with the account;
//! [`verify_assertion`] proves that whoever holds it is there, and makes a [`ProvenPasskey`].
//! Sign-in is discoverable: the authenticator names the credential, the caller looks it up, and
//! the user handle that comes with the assertion must be the one the credential was made for.
//!
//! # What is checked
//!
//! Everything of sections 7.1 and 7.2 that a relying party must: ceremony, challenge, origin, the
//! top origin of a frame, the relying party's id, presence, verification where the project asks
//! for it, backup flags, algorithm, signature, signature counter. The challenge names project,
//! device and method ([`crate::challenge`]) and is used up by looking.
//!
//! # What is not
//!
//! - **Which authenticator it is.** Statement formats other than `none` and `packed` without
//!   certificates are read past, not verified: [`Attestation::Unverified`]. An `aaguid` is a claim.
//!   Nothing here may rest on an authenticator's make.
//! - Whether the relying party's id is a public suffix: browsers refuse that, settings may not.
//! - Related origins (section 5.11): every web origin must be of the relying party's domain.
//! - Registration without presence ("conditional create"), token binding, extensions.
//!
//! CBOR must be canonical, as CTAP2 has it: an authenticator that encodes otherwise is refused.

mod auth_data;
mod cbor;
mod client_data;
mod cose;
mod credential;
mod der;
mod registration;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod witness;

use core::fmt;

use keyfold_crypto::hash::sha256;

pub use auth_data::{MAX_AUTHENTICATOR_DATA_LEN, MAX_CREDENTIAL_ID_LEN, MIN_CREDENTIAL_ID_LEN};
pub use cbor::CborError;
pub use client_data::MAX_CLIENT_DATA_LEN;
pub use cose::{Algorithm, CoseError, InvalidSignature, PasskeyPublicKey};
pub use credential::{PasskeyCredential, UserHandle};
pub use registration::{
    Attestation, MAX_ATTESTATION_LEN, RegisteredPasskey, RegistrationResponse, verify_registration,
};
pub use witness::WitnessedPasskey;

use crate::challenge::{Bound, Challenge, ChallengeError, ChallengeMethod, bound_proof};
use crate::origin::{Origin, OriginError, is_host};
use auth_data::AuthenticatorData;

/// Most bytes of a signature: RSA of 4096 bits.
pub const MAX_SIGNATURE_LEN: usize = 512;

/// Says why a passkey was refused. Tell a client no more than "refused".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// The challenge is another method's, or too old.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// Some part is longer than its limit.
    #[error("a part of the passkey's answer is too long")]
    TooLong,
    /// `clientDataJSON` is not the JSON that browsers write.
    #[error("the client data is not well-formed")]
    MalformedClientData,
    /// An assertion where a registration belongs, or the other way round.
    #[error("the client data is one of another ceremony")]
    WrongCeremony,
    /// Another challenge was signed.
    #[error("the client data has another challenge")]
    WrongChallenge,
    /// The page is not one of the project's.
    #[error("the client data has another origin")]
    WrongOrigin,
    /// The page was framed by one that is not listed, or does not say by which.
    #[error("the page was framed by a page that is not allowed")]
    WrongTopOrigin,
    /// The authenticator data cannot be read.
    #[error("the authenticator data is not well-formed: {0}")]
    MalformedAuthenticatorData(CborError),
    /// The attestation object cannot be read.
    #[error("the attestation object is not well-formed: {0}")]
    MalformedAttestation(CborError),
    /// The passkey is one of another relying party.
    #[error("the passkey is one of another relying party")]
    WrongRelyingParty,
    /// Nobody touched the authenticator.
    #[error("the user was not present")]
    UserNotPresent,
    /// The project asks for verification by PIN or biometrics, and there was none.
    #[error("the user was not verified")]
    UserNotVerified,
    /// Backed up but not eligible for it, or eligible now and not before, or the other way round.
    #[error("the backup flags contradict each other or the stored ones")]
    BackupFlags,
    /// A registration without a credential, or an assertion with one.
    #[error("attested credential data is missing, or where it does not belong")]
    CredentialData,
    /// The credential's id is shorter or longer than WebAuthn allows.
    #[error("the credential's id has a wrong length")]
    CredentialIdLength,
    /// The credential's id is not the one that was looked up or signed.
    #[error("the credential is another one")]
    WrongCredential,
    /// The credential belongs to somebody else, or the answer does not say to whom.
    #[error("the credential is one of another user")]
    WrongUser,
    /// The credential belongs to another project.
    #[error("the credential is one of another project")]
    WrongProject,
    /// The public key is not acceptable.
    #[error(transparent)]
    Key(#[from] CoseError),
    /// The statement is `none` with content, or `packed` by another algorithm or malformed.
    #[error("the attestation statement is not valid")]
    InvalidAttestation,
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] InvalidSignature),
    /// The signature counter did not rise: there may be a copy of the authenticator.
    #[error("the signature counter went back")]
    CounterWentBack,
}

/// Which of the two ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ceremony {
    Registration,
    Assertion,
}

/// Says whether the user must be verified by PIN or biometrics, not just present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserVerification {
    /// Refused without it. What a passkey as the only proof, or as a step up, needs.
    Required,
    /// Accepted without it; the proof says which it was.
    Preferred,
}

/// Says what becomes of an assertion whose counter did not rise.
///
/// Authenticators that synchronise always say 0, for which there is nothing to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterPolicy {
    /// Refused: [`PasskeyError::CounterWentBack`].
    Refuse,
    /// Accepted, and [`ProvenPasskey::may_be_cloned`] says so.
    Report,
}

/// Where a passkey may be used: a page, or an Android app by its signing certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasskeyOrigin {
    /// A page.
    Web(Origin),
    /// An Android app: SHA-256 of the certificate it is signed with.
    Android([u8; 32]),
}

impl PasskeyOrigin {
    /// Parses `https://host[:port]` or `android:apk-key-hash:` and base64url.
    ///
    /// # Errors
    ///
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        match text.strip_prefix("android:apk-key-hash:") {
            Some(hash) => keyfold_crypto::b64::decode_array(hash)
                .map(Self::Android)
                .map_err(|_| OriginError),
            None => Origin::parse(text).map(Self::Web),
        }
    }

    fn matches(&self, said: &str) -> bool {
        match self {
            Self::Web(origin) => origin.as_str() == said,
            Self::Android(_) => Self::parse(said).as_ref() == Ok(self),
        }
    }
}

/// Says why settings name no relying party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelyingPartyError {
    /// The id is not a domain in lower case.
    #[error("the relying party's id is not a domain")]
    Id,
    /// An origin is not of the id's domain.
    #[error("an origin is not of the relying party's domain")]
    Origin,
}

/// The relying party that a project is, from its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    id_hash: [u8; 32],
    origins: Vec<PasskeyOrigin>,
    top_origins: Vec<Origin>,
}

impl RelyingParty {
    /// Makes a relying party of its id (a domain), the pages and apps that may use its passkeys,
    /// and the pages that may frame these.
    ///
    /// # Errors
    ///
    /// [`RelyingPartyError`].
    ///
    /// # Security
    ///
    /// From the project's sealed settings, never from a request. With no `top_origins`, a page in
    /// a frame of another origin is refused.
    pub fn new(
        id: &str,
        origins: Vec<PasskeyOrigin>,
        top_origins: Vec<Origin>,
    ) -> Result<Self, RelyingPartyError> {
        let domain = is_host(id) && (id.contains('.') || id == "localhost");
        let address = id
            .split('.')
            .all(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if !domain || address {
            return Err(RelyingPartyError::Id);
        }
        let of_domain = |host: &str| {
            host.strip_suffix(id)
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        for origin in &origins {
            if let PasskeyOrigin::Web(origin) = origin
                && !of_domain(origin.host())
            {
                return Err(RelyingPartyError::Origin);
            }
        }
        Ok(Self {
            id: id.to_owned(),
            id_hash: sha256(id.as_bytes()),
            origins,
            top_origins,
        })
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The answer to `navigator.credentials.get`, as it came.
#[derive(Debug, Clone, Copy)]
pub struct AssertionResponse<'a> {
    /// `rawId`: what the credential was looked up by. Not signed.
    pub credential_id: &'a [u8],
    /// `response.clientDataJSON`.
    pub client_data_json: &'a [u8],
    /// `response.authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `response.signature`.
    pub signature: &'a [u8],
    /// `response.userHandle`; always there when the credential was discovered.
    pub user_handle: Option<&'a [u8]>,
}

/// What an authenticator signed, once its signature is known to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssertionFacts {
    user_verified: bool,
    backup_eligible: bool,
    backed_up: bool,
    sign_count: u32,
}

impl AssertionFacts {
    /// Returns whether the user was verified by PIN or biometrics.
    #[must_use]
    pub fn user_verified(&self) -> bool {
        self.user_verified
    }

    /// Returns the signature counter; 0 where the authenticator keeps none.
    #[must_use]
    pub fn sign_count(&self) -> u32 {
        self.sign_count
    }
}

/// Checks an assertion under a key, over a challenge that the caller computed.
///
/// For whoever keeps a list of keys and no ceremonies, as a holder does: the challenge is
/// [`crate::challenge::challenge_hash`] of what the passkey is to vouch for. That it is used once,
/// whose key it is, and the counter, are the caller's to check; [`verify_assertion`] does all.
///
/// # Errors
///
/// [`PasskeyError`].
pub fn check_assertion(
    party: &RelyingParty,
    verification: UserVerification,
    challenge: &[u8; 32],
    key: &PasskeyPublicKey,
    response: &AssertionResponse<'_>,
) -> Result<AssertionFacts, PasskeyError> {
    if response.signature.len() > MAX_SIGNATURE_LEN {
        return Err(PasskeyError::TooLong);
    }
    client_data::check(
        response.client_data_json,
        Ceremony::Assertion,
        challenge,
        party,
    )?;
    let data = AuthenticatorData::parse(response.authenticator_data)?;
    check_flags(&data, party, verification)?;
    if data.attested.is_some() {
        return Err(PasskeyError::CredentialData);
    }
    let signed = [
        response.authenticator_data,
        &sha256(response.client_data_json),
    ]
    .concat();
    key.verify(&signed, response.signature)?;
    Ok(AssertionFacts {
        user_verified: data.user_verified(),
        backup_eligible: data.backup_eligible(),
        backed_up: data.backed_up(),
        sign_count: data.sign_count,
    })
}

fn check_flags(
    data: &AuthenticatorData,
    party: &RelyingParty,
    verification: UserVerification,
) -> Result<(), PasskeyError> {
    if data.rp_id_hash != party.id_hash {
        return Err(PasskeyError::WrongRelyingParty);
    }
    if !data.user_present() {
        return Err(PasskeyError::UserNotPresent);
    }
    if verification == UserVerification::Required && !data.user_verified() {
        return Err(PasskeyError::UserNotVerified);
    }
    Ok(())
}

/// A passkey whose holder is there, just now: only [`verify_assertion`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenPasskey {
    bound: Bound,
    credential: PasskeyCredential,
    user_verified: bool,
    may_be_cloned: bool,
}

bound_proof!(ProvenPasskey);

impl ProvenPasskey {
    /// Returns the credential with its new counter and backup state: to be stored before the
    /// proof is used.
    #[must_use]
    pub fn credential(&self) -> &PasskeyCredential {
        &self.credential
    }

    /// Returns whether the user was verified by PIN or biometrics, and not just present.
    #[must_use]
    pub fn user_verified(&self) -> bool {
        self.user_verified
    }

    /// Returns whether the counter did not rise, under [`CounterPolicy::Report`].
    #[must_use]
    pub fn may_be_cloned(&self) -> bool {
        self.may_be_cloned
    }
}

/// Checks the answer to a challenge, with the credential that was looked up by its id.
///
/// # Errors
///
/// [`PasskeyError`]. The challenge is used up either way.
///
/// # Security
///
/// `stored` is looked up in the challenge's project. Where no credential is found, refuse as for a
/// wrong one.
pub fn verify_assertion(
    party: &RelyingParty,
    verification: UserVerification,
    counter: CounterPolicy,
    challenge: Challenge,
    stored: &PasskeyCredential,
    response: &AssertionResponse<'_>,
    now_unix_seconds: u64,
) -> Result<ProvenPasskey, PasskeyError> {
    challenge.check(ChallengeMethod::PasskeyAssertion, now_unix_seconds)?;
    if stored.project != challenge.project() {
        return Err(PasskeyError::WrongProject);
    }
    if stored.relying_party != party.id {
        return Err(PasskeyError::WrongRelyingParty);
    }
    if stored.id != response.credential_id {
        return Err(PasskeyError::WrongCredential);
    }
    if response.user_handle != Some(stored.user.as_bytes()) {
        return Err(PasskeyError::WrongUser);
    }
    let facts = check_assertion(
        party,
        verification,
        &challenge.bytes(),
        &stored.public_key,
        response,
    )?;
    if facts.backup_eligible != stored.backup_eligible {
        return Err(PasskeyError::BackupFlags);
    }
    let counts = facts.sign_count != 0 || stored.sign_count != 0;
    let may_be_cloned = counts && facts.sign_count <= stored.sign_count;
    if may_be_cloned && counter == CounterPolicy::Refuse {
        return Err(PasskeyError::CounterWentBack);
    }
    Ok(ProvenPasskey {
        bound: challenge.bound(now_unix_seconds),
        credential: PasskeyCredential {
            sign_count: stored.sign_count.max(facts.sign_count),
            backed_up: facts.backed_up,
            ..stored.clone()
        },
        user_verified: facts.user_verified,
        may_be_cloned,
    })
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        })
    }
}
