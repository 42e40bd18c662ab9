//! Passwords: set by a mailed code, checked by Argon2id (RFC 9106).

use keyfold_identity::EmailAddress;
use keyfold_identity::password::{
    self, Cost, MemoryPermit, Password, PasswordAccount, PasswordError, PasswordHash, VerifyError,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::sign_in::{Next, SignInStarted};

use super::attempts::{self, Kind};
use super::{Asker, Proven, account::read, email, unusable};
use crate::limits::{PASSWORD_PAUSE, PASSWORD_SECONDS, PASSWORD_TRIES};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::Project;
use crate::settings;
use crate::waiting::Step;

/// Begins: nothing is looked up, so nothing is told.
pub(super) fn start<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    address: &str,
) -> Result<SignInStarted, Problem> {
    let step = Step::Password(email::parse(address)?);
    let now = realm.now();
    let expires = now.saturating_add(PASSWORD_SECONDS);
    let sign_in = realm.waiting.begin(
        asker.project,
        asker.device,
        step,
        now,
        expires,
        &mut realm.core.rng()?,
    )?;
    Ok(SignInStarted {
        sign_in,
        expires,
        next: Next::Password {},
    })
}

/// Checks a password, which may be changed to another.
///
/// # Security
///
/// The same records are read and the same work is done whether there is an account, a password or
/// neither. Attempts are counted at the holders before the password is looked at: by address, and
/// apart for each device that the account knows, so that strangers who guess do not lock its owner
/// out.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    address: &EmailAddress,
    (text, new): (&str, Option<&str>),
) -> Result<Proven, Problem> {
    let cost = cost(project)?;
    // Before anything is looked at, so that it tells nothing of the address.
    let new = new.map(|new| parse_new(project, Some(address), new));
    let new = new.transpose()?;
    let password = Password::parse(text).map_err(|_| Code::SignInRefused)?;
    let mut proven = email::of_address(realm, asker.project, address);
    let account = read(realm, asker.project, &proven.hash).await?;
    let known = account.as_ref();
    let known = known.is_some_and(|account| account.lets_act(asker.device));
    attempts::reserve(realm, asker, Kind::Password, &proven.hash, known).await?;
    let stored = account.as_ref().and_then(|account| {
        let mut identities = account.identities.iter();
        let identity = identities.find(|identity| identity.hash == proven.hash)?;
        identity.password.clone()
    });
    let stored_text = stored;
    let stored = stored_text
        .as_deref()
        .and_then(|text| PasswordHash::parse(text).ok());
    let wanted = stored.as_ref().map_or(cost, PasswordHash::cost);
    let mut permit = permit(realm, wanted).await?;
    let whose = PasswordAccount {
        project: asker.project.as_str(),
        identity: address.lookup_bytes(),
    };
    let verified = password::verify(
        &password,
        &whose,
        asker.device.0,
        stored.as_ref(),
        cost,
        realm.keys.peppers(),
        &mut permit,
        realm.now(),
    );
    drop(permit);
    let verified = verified.map_err(|error| match error {
        VerifyError::Wrong => Problem::from(Code::SignInRefused),
        VerifyError::UnknownPepper => Problem::internal("a stored password has another pepper"),
        VerifyError::Hash(_) => Code::Unavailable.into(),
    })?;
    proven.keep.password_was = stored_text;
    if let Some(new) = new {
        proven.keep.password = Some(hash(realm, asker, project, address, &new).await?);
        proven.keep.other_password = true;
    } else if verified.needs_upgrade() {
        proven.keep.password = Some(hash(realm, asker, project, address, &password).await?);
    }
    Ok(Proven {
        amr: &["pwd"],
        acr: "password",
        ..proven
    })
}

/// Reads a new password for an address, if there is one: none of the best known, and none that is
/// made of what a guesser knows of the place.
pub(super) fn parse_new(
    project: &Project,
    address: Option<&EmailAddress>,
    text: &str,
) -> Result<Password, Problem> {
    let unsuitable =
        |error: PasswordError| Problem::new(Code::PasswordUnsuitable, error.to_string());
    let password = Password::parse(text).map_err(unsuitable)?;
    let place = [
        address.map_or("", EmailAddress::as_str),
        project.project.as_str(),
        &project.display_name,
    ];
    password.check_new(&place).map_err(unsuitable)?;
    Ok(password)
}

/// Hashes a password that is known to be right, or is to become the address's.
pub(super) async fn hash<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    address: &EmailAddress,
    password: &Password,
) -> Result<String, Problem> {
    let cost = cost(project)?;
    let mut permit = permit(realm, cost).await?;
    let whose = PasswordAccount {
        project: asker.project.as_str(),
        identity: address.lookup_bytes(),
    };
    let pepper = realm.keys.peppers().first();
    let pepper = pepper.ok_or_else(|| Problem::internal("there is no pepper"))?;
    password::hash(
        password,
        &whose,
        cost,
        pepper,
        &mut permit,
        &mut realm.core.rng()?,
    )
    .map(|hash| hash.to_string())
    .map_err(|_| Code::Unavailable.into())
}

fn cost(project: &Project) -> Result<Cost, Problem> {
    settings::password(&project.sign_in)
        .map_err(unusable)?
        .ok_or(Code::MethodOff.into())
}

/// Waits for memory; there is only so much for all hashes together, whatever the load.
async fn permit<P: Platform>(realm: &Realm<P>, cost: Cost) -> Result<MemoryPermit, Problem> {
    for _ in 0..PASSWORD_TRIES {
        if let Some(permit) = realm.password_memory.try_take(cost.memory_kib()) {
            return Ok(permit);
        }
        realm.core.platform().sleep(PASSWORD_PAUSE).await;
    }
    Err(Code::RateLimited.into())
}
