//! The passkeys that a witness knows: somebody who keeps keys and knows no project's settings.
//!
//! A key holder is one. It cannot ask which pages a project lists, since those settings are sealed
//! in the enclave; and it need not: what it wants to know is whether the authenticator that it was
//! shown before, of the same relying party, vouches for one device now. So it keeps what the
//! registration said, and holds assertions against that.
//!
//! # What is checked
//!
//! Ceremony, challenge, relying party, presence, signature, backup flags; at an assertion also user
//! verification, always, and the counter. The page must be of the relying party's domain; an
//! Android app must be the one that made the passkey.
//!
//! # What is not
//!
//! Which pages of the domain, and which page framed it: a browser tells both, and the enclave
//! compares them with the project's settings. That the challenge is fresh and used once, and whose
//! passkey it is, are the caller's to check.

use serde::{Deserialize, Serialize};

use super::client_data::Claimed;
use super::registration::check_registration;
use super::{
    AssertionFacts, AssertionResponse, PasskeyError, PasskeyOrigin, PasskeyPublicKey,
    RegistrationResponse, RelyingParty, UserVerification, check_assertion,
};
use crate::origin::Origin;

/// A passkey as a witness keeps it: made by [`WitnessedPasskey::registered`] only, or read from
/// what the witness stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessedPasskey {
    relying_party: String,
    /// The Android app that made it, as its origin; absent where a page did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    public_key: PasskeyPublicKey,
    sign_count: u32,
    backup_eligible: bool,
}

impl WitnessedPasskey {
    /// Checks the answer to a challenge to make a passkey for a relying party.
    ///
    /// # Errors
    ///
    /// [`PasskeyError`].
    ///
    /// # Security
    ///
    /// A registration proves nothing about a person, and mostly nobody signs it: that it counts is
    /// for somebody else to say.
    pub fn registered(
        relying_party: &str,
        challenge: &[u8; 32],
        response: &RegistrationResponse<'_>,
    ) -> Result<Self, PasskeyError> {
        let claimed = Claimed::read(response.client_data_json)?;
        let (party, origin) = party(relying_party, &claimed)?;
        let made = check_registration(&party, UserVerification::Preferred, challenge, response)?;
        Ok(Self {
            relying_party: relying_party.to_owned(),
            app: matches!(origin, PasskeyOrigin::Android(_)).then_some(claimed.origin),
            public_key: made.public_key,
            sign_count: made.sign_count,
            backup_eligible: made.backup_eligible,
        })
    }

    /// Checks the answer to a challenge, with user verification; returns the passkey with its
    /// counter as it is now, to be stored before the proof is used.
    ///
    /// # Errors
    ///
    /// [`PasskeyError`], [`PasskeyError::CounterWentBack`] among them.
    pub fn asserted(
        &self,
        challenge: &[u8; 32],
        response: &AssertionResponse<'_>,
    ) -> Result<Self, PasskeyError> {
        let claimed = Claimed::read(response.client_data_json)?;
        let (party, origin) = party(&self.relying_party, &claimed)?;
        let of_app = matches!(origin, PasskeyOrigin::Android(_));
        if of_app && self.app.as_deref() != Some(&claimed.origin) {
            return Err(PasskeyError::WrongOrigin);
        }
        let facts = check_assertion(
            &party,
            UserVerification::Required,
            challenge,
            &self.public_key,
            response,
        )?;
        self.counted(facts)
    }

    /// Returns whether two are one and the same key of one relying party, whatever was counted.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.relying_party == other.relying_party && self.public_key == other.public_key
    }

    fn counted(&self, facts: AssertionFacts) -> Result<Self, PasskeyError> {
        if facts.backup_eligible != self.backup_eligible {
            return Err(PasskeyError::BackupFlags);
        }
        let counts = facts.sign_count != 0 || self.sign_count != 0;
        if counts && facts.sign_count <= self.sign_count {
            return Err(PasskeyError::CounterWentBack);
        }
        Ok(Self {
            sign_count: facts.sign_count,
            ..self.clone()
        })
    }
}

/// The relying party of an id, at the page that the client data claims: it is refused where that
/// page is not of the id's domain.
fn party(id: &str, claimed: &Claimed) -> Result<(RelyingParty, PasskeyOrigin), PasskeyError> {
    let origin = PasskeyOrigin::parse(&claimed.origin).map_err(|_| PasskeyError::WrongOrigin)?;
    let top = claimed.top_origin.as_deref().map(Origin::parse);
    let top = top
        .transpose()
        .map_err(|_| PasskeyError::WrongTopOrigin)?
        .into_iter()
        .collect();
    RelyingParty::new(id, vec![origin.clone()], top)
        .map(|party| (party, origin))
        .map_err(|_| PasskeyError::WrongOrigin)
}
