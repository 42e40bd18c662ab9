//! Making a passkey: WebAuthn section 7.1.

use keyfold_crypto::hash::sha256;

use super::auth_data::AuthenticatorData;
use super::cbor::Reader;
use super::{
    Ceremony, PasskeyCredential, PasskeyError, PasskeyPublicKey, RelyingParty, UserHandle,
    UserVerification, check_flags, client_data,
};
use crate::challenge::{Bound, Challenge, ChallengeMethod, bound_proof};

/// Most bytes of an attestation object. Those of TPMs, with their certificates, take about 5 KiB.
pub const MAX_ATTESTATION_LEN: usize = 16_384;

/// The answer to `navigator.credentials.create`, as it came.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationResponse<'a> {
    /// `rawId`.
    pub credential_id: &'a [u8],
    /// `response.clientDataJSON`.
    pub client_data_json: &'a [u8],
    /// `response.attestationObject`.
    pub attestation_object: &'a [u8],
}

/// What is known of where a passkey was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attestation {
    /// Nothing was stated.
    None,
    /// The key signed its own registration: whoever made it holds its private half.
    SelfSigned,
    /// Something was stated that is not verified here. Worth no more than [`Attestation::None`].
    Unverified,
}

/// A passkey that was made just now: only [`verify_registration`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct RegisteredPasskey {
    bound: Bound,
    credential: PasskeyCredential,
    user_verified: bool,
    attestation: Attestation,
    claimed_aaguid: [u8; 16],
}

bound_proof!(RegisteredPasskey);

impl RegisteredPasskey {
    /// Returns the credential: to be kept with the account.
    #[must_use]
    pub fn credential(&self) -> &PasskeyCredential {
        &self.credential
    }

    /// Returns whether the user was verified by PIN or biometrics, and not just present.
    #[must_use]
    pub fn user_verified(&self) -> bool {
        self.user_verified
    }

    /// Returns what is known of where it was made.
    #[must_use]
    pub fn attestation(&self) -> Attestation {
        self.attestation
    }

    /// Returns what the authenticator says its make is: to show a person, and for nothing else.
    #[must_use]
    pub fn claimed_aaguid(&self) -> &[u8; 16] {
        &self.claimed_aaguid
    }
}

/// Checks the answer to a challenge to make a passkey for `user`.
///
/// # Errors
///
/// [`PasskeyError`]. The challenge is used up either way.
///
/// # Security
///
/// A registration proves no identity: whoever may add a passkey to an account has proved that
/// before, by something else. That no other account has the credential's id is the caller's to
/// check.
pub fn verify_registration(
    party: &RelyingParty,
    verification: UserVerification,
    challenge: Challenge,
    user: UserHandle,
    response: &RegistrationResponse<'_>,
    now_unix_seconds: u64,
) -> Result<RegisteredPasskey, PasskeyError> {
    challenge.check(ChallengeMethod::PasskeyRegistration, now_unix_seconds)?;
    let made = check_registration(party, verification, &challenge.bytes(), response)?;
    Ok(RegisteredPasskey {
        bound: challenge.bound(now_unix_seconds),
        credential: PasskeyCredential {
            project: challenge.project().to_owned(),
            relying_party: party.id.clone(),
            id: response.credential_id.to_vec(),
            user,
            public_key: made.public_key,
            sign_count: made.sign_count,
            backup_eligible: made.backup_eligible,
            backed_up: made.backed_up,
        },
        user_verified: made.user_verified,
        attestation: made.attestation,
        claimed_aaguid: made.aaguid,
    })
}

/// What a registration says, all of it checked.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) public_key: PasskeyPublicKey,
    pub(super) sign_count: u32,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) user_verified: bool,
    pub(super) attestation: Attestation,
    pub(super) aaguid: [u8; 16],
}

pub(super) fn check_registration(
    party: &RelyingParty,
    verification: UserVerification,
    challenge: &[u8; 32],
    response: &RegistrationResponse<'_>,
) -> Result<Made, PasskeyError> {
    client_data::check(
        response.client_data_json,
        Ceremony::Registration,
        challenge,
        party,
    )?;
    let object = AttestationObject::parse(response.attestation_object)?;
    let data = AuthenticatorData::parse(object.auth_data)?;
    check_flags(&data, party, verification)?;
    let (user_verified, backed_up) = (data.user_verified(), data.backed_up());
    let (backup_eligible, sign_count) = (data.backup_eligible(), data.sign_count);
    let made = data.attested.ok_or(PasskeyError::CredentialData)?;
    if made.credential_id != response.credential_id {
        return Err(PasskeyError::WrongCredential);
    }
    let attestation = object.check(&made.public_key, response.client_data_json)?;
    Ok(Made {
        public_key: made.public_key,
        sign_count,
        backup_eligible,
        backed_up,
        user_verified,
        attestation,
        aaguid: made.aaguid,
    })
}

/// WebAuthn section 6.5.4, read but not believed.
struct AttestationObject<'a> {
    format: &'a str,
    statement: &'a [u8],
    auth_data: &'a [u8],
}

impl<'a> AttestationObject<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, PasskeyError> {
        if bytes.len() > MAX_ATTESTATION_LEN {
            return Err(PasskeyError::TooLong);
        }
        Self::read(bytes).map_err(PasskeyError::MalformedAttestation)
    }

    fn read(bytes: &'a [u8]) -> Result<Self, super::CborError> {
        let mut reader = Reader::new(bytes);
        let (mut format, mut statement, mut auth_data) = (None, None, None);
        if reader.map()? != 3 {
            return Err(super::CborError::UnexpectedType);
        }
        // Some browsers write the three in another order. Three pairs and three names: none twice.
        for _ in 0..3 {
            match reader.text()? {
                "fmt" => format = Some(reader.text()?),
                "attStmt" => {
                    let before = reader.rest();
                    reader.skip()?;
                    let len = before.len() - reader.rest().len();
                    statement = before.get(..len);
                }
                "authData" => auth_data = Some(reader.bytes()?),
                _ => return Err(super::CborError::UnexpectedType),
            }
        }
        reader.finish()?;
        match (format, statement, auth_data) {
            (Some(format), Some(statement), Some(auth_data)) => Ok(Self {
                format,
                statement,
                auth_data,
            }),
            _ => Err(super::CborError::UnexpectedType),
        }
    }

    fn check(
        &self,
        key: &PasskeyPublicKey,
        client_data_json: &[u8],
    ) -> Result<Attestation, PasskeyError> {
        let mut reader = Reader::new(self.statement);
        let pairs = reader.map().map_err(PasskeyError::MalformedAttestation)?;
        match (self.format, pairs) {
            ("none", 0) => Ok(Attestation::None),
            ("none", _) => Err(PasskeyError::InvalidAttestation),
            // Three pairs: with certificates.
            ("packed", 3) => Ok(Attestation::Unverified),
            ("packed", _) => {
                let (algorithm, signature) = self_statement(reader, pairs)?;
                if algorithm != key.algorithm().cose_number() {
                    return Err(PasskeyError::InvalidAttestation);
                }
                let signed = [self.auth_data, &sha256(client_data_json)].concat();
                key.verify(&signed, signature)?;
                Ok(Attestation::SelfSigned)
            }
            _ => Ok(Attestation::Unverified),
        }
    }
}

/// Reads `{"alg": ..., "sig": ...}`, WebAuthn section 8.2.
fn self_statement(mut reader: Reader<'_>, pairs: u64) -> Result<(i64, &[u8]), PasskeyError> {
    let malformed = PasskeyError::MalformedAttestation;
    if pairs != 2 || reader.text().map_err(malformed)? != "alg" {
        return Err(PasskeyError::InvalidAttestation);
    }
    let algorithm = reader.integer().map_err(malformed)?;
    if reader.text().map_err(malformed)? != "sig" {
        return Err(PasskeyError::InvalidAttestation);
    }
    let signature = reader.bytes().map_err(malformed)?;
    Ok((algorithm, signature))
}
