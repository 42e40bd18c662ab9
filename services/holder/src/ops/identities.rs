//! Identities that vouch for devices: shown at a sign-in, linked, unlinked.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::evidence::{AccountRef, Shown, ShownIdToken};
use keyfold_protocol::holder_api::{Empty, IdentityLinked, InSession};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::log_entry::Event;
use sqlx::SqliteConnection;

use super::{Moment, occasion, verify_session};
use crate::core::evidence::{
    Binding, Candidate, Decision, FreshAssertion, Occasion as At, VerifiedToken, VouchRefusal,
};
use crate::core::operation::{EvidenceRefusal, SignInOperation};
use crate::core::standing::StandingRefusal;
use crate::error::ApiError;
use crate::holder::Holder;
use crate::ledger::Occasion;
use crate::member::Member;
use crate::store;

/// What was shown at a sign-in, as far as it verifies by itself.
pub(super) struct Presented {
    /// What may vouch for the device, where the account has it.
    pub(super) vouching: Vouching,
    /// What may vouch from now on, where the device is active.
    pub(super) candidates: Vec<Candidate>,
}

/// What may vouch for a device.
pub(super) struct Vouching {
    assertion: Option<FreshAssertion>,
    token: Option<VerifiedToken>,
}

impl Presented {
    /// Verifies what was shown.
    ///
    /// # Security
    ///
    /// What does not verify is as if it had not been shown: the device waits. Refusing the sign-in
    /// would add nothing, and make an issuer that is away, or that this holder does not trust, a
    /// reason to let nobody in.
    pub(super) async fn read(holder: &Holder, sign_in: &SignInOperation, now: u64) -> Self {
        let shown = &sign_in.shown;
        let at = At {
            project: &sign_in.owner.project,
            device: sign_in.jwk.thumbprint(),
            named: sign_in.named,
            now,
        };
        let assertion = shown
            .passkey
            .as_ref()
            .and_then(|shown| heard(FreshAssertion::read(shown, &at)));
        let made = shown
            .new_passkey
            .as_ref()
            .and_then(|shown| heard(Candidate::new_passkey(shown, &at)));
        let token = match &shown.id_token {
            None => None,
            Some(shown) => heard(token(holder, shown, &at).await),
        };
        let candidates = made
            .into_iter()
            .chain(token.as_ref().map(VerifiedToken::candidate))
            .collect();
        Self {
            vouching: Vouching { assertion, token },
            candidates,
        }
    }
}

impl Vouching {
    /// Tells whether something vouches for the device that the account has; uses it up.
    ///
    /// An active device that named a passkey stands behind it from now on; [`keep`] does the same
    /// for a token.
    pub(super) async fn accept(
        &self,
        connection: &mut SqliteConnection,
        owner: &AccountRef,
        is_active: bool,
        now: u64,
    ) -> Result<bool, ApiError> {
        let mut vouched = false;
        if let Some(assertion) = &self.assertion {
            vouched |= accept_passkey(connection, owner, assertion, is_active, now).await?;
        }
        if let Some(token) = &self.token {
            vouched |= accept_token(connection, owner, token, now).await?;
        }
        Ok(vouched)
    }
}

async fn accept_passkey(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    assertion: &FreshAssertion,
    is_active: bool,
    now: u64,
) -> Result<bool, ApiError> {
    let credential = assertion.credential;
    let kept = store::identities::passkey(connection, owner, credential).await?;
    let verdict = kept.ok_or(VouchRefusal::Unknown).and_then(|kept| {
        let counted = assertion.verify(&kept)?;
        match kept.check(now) {
            Err(VouchRefusal::Unbacked) if is_active && assertion.named_by.is_some() => {}
            vouches => vouches?,
        }
        Ok(counted)
    });
    let Some(counted) = heard(verdict) else {
        return Ok(false);
    };
    if !store::sessions::spend(connection, &assertion.spent).await? {
        let _ = heard::<()>(Err(VouchRefusal::UsedBefore));
        return Ok(false);
    }
    let by = assertion.named_by;
    store::identities::set_passkey(connection, owner, credential, &counted, by).await?;
    Ok(true)
}

async fn accept_token(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    token: &VerifiedToken,
    now: u64,
) -> Result<bool, ApiError> {
    let kept = store::identities::subject(connection, owner, token.subject).await?;
    let verdict = kept
        .ok_or(VouchRefusal::Unknown)
        .and_then(|kept| kept.check(now));
    if heard(verdict).is_none() {
        return Ok(false);
    }
    if !store::sessions::spend(connection, &token.spent).await? {
        let _ = heard::<()>(Err(VouchRefusal::UsedBefore));
        return Ok(false);
    }
    if let Some(device) = token.named_by {
        store::identities::set_subject(connection, owner, token.subject, device).await?;
    }
    Ok(true)
}

/// Keeps what an active device showed at its sign-in, so that it vouches from now on, or later.
pub(super) async fn keep(
    holder: &Holder,
    entry: Occasion,
    owner: &AccountRef,
    device: Thumbprint,
    named: Option<Digest32>,
    candidates: Vec<Candidate>,
) -> Result<(), ApiError> {
    for candidate in candidates {
        let owner = owner.clone();
        let bound = holder
            .ledger()
            .commit({
                let (now, delay) = (entry.unix_ms / 1000, delay(holder));
                move |connection| {
                    Box::pin(async move {
                        let at = At {
                            project: &owner.project,
                            device,
                            named,
                            now,
                        };
                        bind(connection, &owner, &candidate, &at, delay, entry).await
                    })
                }
            })
            .await;
        match bound {
            // The device is in all the same.
            Err(ApiError::Refused { detail, .. }) => tracing::warn!(detail, "nothing was bound"),
            bound => drop(bound?),
        }
    }
    Ok(())
}

async fn bind(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    candidate: &Candidate,
    at: &At<'_>,
    delay: u64,
    entry: Occasion,
) -> Result<(u64, Option<keyfold_log::LogEntry>), ApiError> {
    let known = store::identities::known(connection, owner, &candidate.binding).await?;
    let decision = candidate.decide(&known, at, delay)?;
    let Decision::Bind(counts_from) = decision else {
        return Ok((decision.counts_from(), None));
    };
    let identity = candidate.identity;
    let bound = (identity, &candidate.binding);
    store::identities::bind(connection, owner, bound, at.device, counts_from, at.now).await?;
    let event = Event::IdentityLinked {
        owner,
        identity,
        counts_from,
    };
    Ok((counts_from, Some(entry.entry(event)?)))
}

/// An active device has an identity vouch for the account's devices.
///
/// The very same evidence is good again once the identity is bound, for the answer may have been
/// lost.
pub(crate) async fn link(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<IdentityLinked, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::LinkIdentity];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let Intent::LinkIdentity { proof, .. } = *operation.intent() else {
        return Err(EvidenceRefusal::WrongOperation.into());
    };
    let (device, named) = (operation.device(), Some(proof));
    let at = At {
        project: &operation.owner().project,
        device,
        named,
        now: now.seconds,
    };
    let candidate = shown_to_link(holder, operation.shown(), &at).await?;
    let (entry, delay) = (occasion(&member, now.ms), delay(holder));
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let owner = operation.owner();
                let standing = store::sessions::standing(connection, &operation).await?;
                if !standing.nonce_is_new {
                    let known =
                        store::identities::known(connection, owner, &candidate.binding).await?;
                    return match (known.counts_from, known.same_key) {
                        (Some(counts_from), true) => Ok((IdentityLinked { counts_from }, None)),
                        _ => Err(StandingRefusal::NonceReused.into()),
                    };
                }
                let _good = standing.check(now.seconds)?;
                store::devices::touch(connection, owner, device, now.seconds).await?;
                let at = At {
                    project: &owner.project,
                    device,
                    named,
                    now: now.seconds,
                };
                let (counts_from, entry) =
                    bind(connection, owner, &candidate, &at, delay, entry).await?;
                Ok((IdentityLinked { counts_from }, entry))
            })
        })
        .await
}

/// The one thing that was shown to be linked.
///
/// # Security
///
/// A passkey is shown as the device got it, so the device can name it, and must have. A token that
/// came by way of a code is the enclave's word, and waits.
async fn shown_to_link(
    holder: &Holder,
    shown: &Shown,
    at: &At<'_>,
) -> Result<Candidate, VouchRefusal> {
    let candidate = match (&shown.new_passkey, &shown.id_token) {
        (Some(made), None) => Candidate::new_passkey(made, at)?,
        (None, Some(shown)) => token(holder, shown, at).await?.candidate(),
        _ => return Err(VouchRefusal::Nothing),
    };
    let passkey = matches!(candidate.binding, Binding::Passkey { .. });
    if passkey && !candidate.is_named(at) {
        return Err(VouchRefusal::NotNamed);
    }
    Ok(candidate)
}

/// An active device has an identity vouch no more.
///
/// The very same evidence is good again once the identity is gone, for the answer may have been
/// lost.
pub(crate) async fn unlink(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::UnlinkIdentity];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let Intent::UnlinkIdentity { identity, .. } = *operation.intent() else {
        return Err(EvidenceRefusal::WrongOperation.into());
    };
    let entry = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let (owner, device) = (operation.owner(), operation.device());
                let standing = store::sessions::standing(connection, &operation).await?;
                if !standing.nonce_is_new {
                    return match store::identities::is_bound(connection, owner, identity).await? {
                        false => Ok((Empty {}, None)),
                        true => Err(StandingRefusal::NonceReused.into()),
                    };
                }
                let _good = standing.check(now.seconds)?;
                store::devices::touch(connection, owner, device, now.seconds).await?;
                let gone = store::identities::unbind(connection, owner, identity).await?;
                let entry = gone
                    .then(|| entry.entry(Event::IdentityUnlinked { owner, identity }))
                    .transpose()?;
                Ok((Empty {}, entry))
            })
        })
        .await
}

async fn token(
    holder: &Holder,
    shown: &ShownIdToken,
    at: &At<'_>,
) -> Result<VerifiedToken, VouchRefusal> {
    let key = holder.keys().subjects();
    holder.issuers().verify(shown, key, at).await
}

fn delay(holder: &Holder) -> u64 {
    holder.config().new_device_delay_seconds
}

/// What verified; the log hears why it did not, and nothing that was shown.
fn heard<T>(verdict: Result<T, VouchRefusal>) -> Option<T> {
    verdict
        .inspect_err(|refusal| tracing::warn!(%refusal, "nothing vouches for a device"))
        .ok()
}
