//! Passkeys: made, and shown (WebAuthn level 3).

use keyfold_identity::challenge::ChallengeMethod;
use keyfold_identity::mail::DisplayName;
use keyfold_identity::passkey::{
    AssertionResponse, CounterPolicy, PasskeyCredential, PasskeyError, RegistrationResponse,
    UserHandle, UserVerification, verify_assertion, verify_registration,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Item, ShownNewPasskey, ShownPasskey};
use keyfold_protocol::ids::{Digest32, ProjectId};
use keyfold_protocol::sign_in::{Next, PasskeyAssertion, PasskeyRegistration, SignInStarted};

use super::account::find;
use super::{Asker, Keep, Level, Proven};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Project};
use crate::settings::methods::{PasskeyConfig, passkeys};
use crate::waiting::Step;

/// The method's name in records.
const PASSKEY: &str = "passkey";

/// Draws a challenge for a passkey that the person chooses on the device.
pub(super) fn start<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
) -> Result<SignInStarted, Problem> {
    let PasskeyConfig {
        party,
        verification,
    } = settings(project)?;
    let begun = super::challenge(
        realm,
        asker,
        ChallengeMethod::PasskeyAssertion,
        Step::Passkey,
    )?;
    Ok(begun.started(Next::Passkey {
        challenge: begun.challenge,
        relying_party: party.id().to_owned(),
        user_verification: verification == UserVerification::Required,
        issued: begun.issued,
        random: begun.random,
    }))
}

/// Draws a challenge for a passkey that is to be made.
pub(super) fn start_new<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    name: &str,
) -> Result<SignInStarted, Problem> {
    let PasskeyConfig {
        party,
        verification,
    } = settings(project)?;
    let name = DisplayName::parse(name)
        .map_err(|error| Problem::new(Code::MalformedRequest, error.to_string()))?;
    let name = name.as_str().to_owned();
    let user = UserHandle::random(&mut realm.core.rng()?);
    let step = Step::NewPasskey {
        user,
        name: name.clone(),
    };
    let begun = super::challenge(realm, asker, ChallengeMethod::PasskeyRegistration, step)?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(user.as_bytes());
    Ok(begun.started(Next::NewPasskey {
        challenge: begun.challenge,
        relying_party: party.id().to_owned(),
        user: bytes,
        name,
        user_verification: verification == UserVerification::Required,
        issued: begun.issued,
        random: begun.random,
    }))
}

/// Checks what a passkey signed.
///
/// # Security
///
/// No credential of that id is refused as a wrong signature is.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    shown: &PasskeyAssertion,
) -> Result<Proven, Problem> {
    let challenge = super::take_challenge(realm, asker, ChallengeMethod::PasskeyAssertion)?;
    let (issued, random) = (challenge.issued_at_unix_seconds(), *challenge.random());
    let PasskeyConfig {
        party,
        verification,
    } = settings(project)?;
    let hash = identity(realm, asker.project, &shown.id);
    let (stored, label) = credential(realm, asker.project, &hash).await?;
    let response = AssertionResponse {
        credential_id: &shown.id,
        client_data_json: &shown.client_data_json,
        authenticator_data: &shown.authenticator_data,
        signature: &shown.signature,
        user_handle: Some(&shown.user_handle),
    };
    let proven = verify_assertion(
        &party,
        verification,
        CounterPolicy::Refuse,
        challenge,
        &stored,
        &response,
        realm.now(),
    )
    .map_err(refused)?;
    let verified = proven.user_verified();
    Ok(Proven {
        evidence: vec![Item::Passkey(ShownPasskey {
            assertion: shown.clone(),
            issued,
            random,
        })],
        ..of_passkey(hash, label, proven.credential(), verified)
    })
}

/// Checks what the browser says of the passkey that it made.
///
/// # Security
///
/// That nobody has a credential of that id yet is known once its identity is claimed.
pub(super) fn finish_new<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    (user, name): (UserHandle, String),
    made: &PasskeyRegistration,
) -> Result<Proven, Problem> {
    let challenge = super::take_challenge(realm, asker, ChallengeMethod::PasskeyRegistration)?;
    let (issued, random) = (challenge.issued_at_unix_seconds(), *challenge.random());
    let PasskeyConfig {
        party,
        verification,
    } = settings(project)?;
    let response = RegistrationResponse {
        credential_id: &made.id,
        client_data_json: &made.client_data_json,
        attestation_object: &made.attestation_object,
    };
    let registered = verify_registration(
        &party,
        verification,
        challenge,
        user,
        &response,
        realm.now(),
    )
    .map_err(refused)?;
    let hash = identity(realm, asker.project, &made.id);
    let verified = registered.user_verified();
    Ok(Proven {
        is_new: true,
        evidence: vec![Item::NewPasskey(ShownNewPasskey {
            identity: hash,
            registration: made.clone(),
            relying_party: party.id().to_owned(),
            issued,
            random,
        })],
        ..of_passkey(hash, name, registered.credential(), verified)
    })
}

fn settings(project: &Project) -> Result<PasskeyConfig, Problem> {
    passkeys(&project.sign_in)
        .map_err(super::unusable)?
        .ok_or(Code::MethodOff.into())
}

fn identity<P: Platform>(realm: &Realm<P>, project: &ProjectId, id: &[u8]) -> Digest32 {
    realm.keys.identity(project, PASSKEY, id)
}

async fn credential<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    hash: &Digest32,
) -> Result<(PasskeyCredential, String), Problem> {
    let owner = find(realm, project, hash)
        .await?
        .ok_or(Code::SignInRefused)?;
    let account = realm
        .records
        .read::<Account>(realm.account_id(&owner))
        .await?
        .ok_or(Code::SignInRefused)?
        .value;
    account
        .identities
        .into_iter()
        .find(|identity| identity.hash == *hash)
        .and_then(|identity| Some((identity.passkey?, identity.address)))
        .ok_or(Code::SignInRefused.into())
}

fn of_passkey(
    hash: Digest32,
    label: String,
    credential: &PasskeyCredential,
    verified: bool,
) -> Proven {
    Proven {
        method: PASSKEY.to_owned(),
        hash,
        label,
        amr: if verified {
            &["pop", "user", "mfa"]
        } else {
            &["pop", "user"]
        },
        acr: if verified {
            "passkey-verified"
        } else {
            "passkey"
        },
        level: if verified {
            Level::Passkey
        } else {
            Level::Code
        },
        keep: Keep {
            passkey: Some(credential.clone()),
            ..Keep::default()
        },
        is_new: false,
        evidence: Vec::new(),
    }
}

fn refused(error: PasskeyError) -> Problem {
    tracing::info!(%error, "a passkey was refused");
    Code::SignInRefused.into()
}
