//! Registration of instances, and what they may ask before there are users: seed, keys, time.

use keyfold_crypto::hash::sha256;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{
    AttestationKeys, Empty, Register, Registered, Released, SignedTime, TimeRequest, TimeStatement,
};
use keyfold_protocol::ids::{Digest32, RealmId};
use keyfold_protocol::log_entry::Event;
use keyfold_protocol::registration::{RegistrationError, VerifiedInstance, document_hash};
use keyfold_protocol::registry::NotVerified;

use super::{Moment, occasion};
use crate::core::release::SeedRelease;
use crate::error::{ApiError, Coded};
use crate::holder::{Holder, rng};
use crate::ledger::Occasion;
use crate::member::{Caller, Member};
use crate::store;
use crate::store::sealing::Place;

/// Says why an instance was not registered.
#[derive(Debug, thiserror::Error)]
enum RegisterRefusal {
    #[error("this holder belongs to no realm yet")]
    NoRealm,
    #[error("the instance belongs to another realm")]
    OtherRealm,
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
}

impl Coded for RegisterRefusal {
    fn code(&self) -> Code {
        match self {
            Self::NoRealm => Code::RealmMissing,
            Self::OtherRealm => Code::WrongRealm,
            Self::NotVerified(NotVerified::Nonce(_)) => Code::NonceUnknown,
            Self::NotVerified(NotVerified::Document(RegistrationError::WrongRealm)) => {
                Code::WrongRealm
            }
            Self::NotVerified(NotVerified::Document(_)) => Code::AttestationRefused,
        }
    }
}

/// Verifies that a document answers our nonce, comes from approved code under our root, is fresh,
/// and binds the keys that travel beside it and our realm (or none, for genesis).
fn verify(
    holder: &Holder,
    message: &Register,
    now: Moment,
) -> Result<VerifiedInstance, RegisterRefusal> {
    let (registry, trust) = (holder.registry(), holder.trust());
    let nonce = registry
        .check(message.nonce, now.ms)
        .map_err(NotVerified::from)?;
    let ours = holder.realm().map(|own| own.realm.id());
    match (message.attested.binding.realm, ours) {
        (Some(_), None) => return Err(RegisterRefusal::NoRealm),
        (Some(theirs), Some(ours)) if theirs != ours => return Err(RegisterRefusal::OtherRealm),
        // Without a realm an instance can only repeat a genesis that was cut off.
        _ => {}
    }
    let attested = &message.attested;
    Ok(registry.verify(nonce, attested, &trust.root, &trust.policy, now.ms)?)
}

/// Registers an instance until its document is an hour old, or a certificate of its chain ends.
///
/// # Security
///
/// Anybody can have an instance answer our nonce, at its gateway, and bring us the document. So
/// what changes nothing costs nothing: while a registration with the same keys has time left, its
/// end is all that is answered, and neither nonce nor log entry is spent.
pub(crate) async fn register(holder: &Holder, message: Register) -> Result<Registered, ApiError> {
    let now = Moment::now(holder);
    let instance = verify(holder, &message, now)?;
    if let Some(expires_ms) = holder.registry().unchanged(&instance, now.ms) {
        return Ok(Registered {
            instance: instance.id,
            expires: expires_ms / 1000,
        });
    }
    let document = Digest32::from_bytes(document_hash(&message.attested.document));
    let at = Occasion {
        realm: instance.realm.unwrap_or(RealmId::from_bytes([0; 32])),
        unix_ms: now.ms,
        instance: instance.id,
    };
    let entry = at.entry(Event::Registered { document })?;
    holder
        .ledger()
        .commit(move |_| Box::pin(async move { Ok(((), Some(entry))) }))
        .await?;
    let id = instance.id;
    let expires_ms = holder.registry().insert(instance, now.ms);
    Ok(Registered {
        instance: id,
        expires: expires_ms / 1000,
    })
}

/// Releases the holder's share of the realm seed to an instance of the realm.
pub(crate) async fn seed(holder: &Holder, member: Member, _: Empty) -> Result<Released, ApiError> {
    let realm = member.realm().id();
    let at = occasion(&member, holder.now_ms());
    let (release, sealed) = holder
        .ledger()
        .record(at, move |connection| {
            Box::pin(async move {
                let sealed = store::realm::seed_share(connection, realm).await?;
                Ok((SeedRelease, sealed))
            })
        })
        .await?;
    let share = Place::of_seed(realm).open(holder.keys().ring(), &sealed)?;
    release.seal(&member, &share, &mut rng())
}

/// Takes over the keys that session attestations are signed with.
pub(crate) async fn attestation_keys(
    holder: &Holder,
    member: Member,
    message: AttestationKeys,
) -> Result<Empty, ApiError> {
    if message.keys.keys().is_empty() {
        return Err(ApiError::refused(
            Code::MalformedRequest,
            "there is no key in the statement",
        ));
    }
    let _one_at_a_time = holder.state_keys().await;
    if *holder.attestation_keys() == message.keys {
        return Ok(Empty {});
    }
    let text = serde_json::to_string(&message.keys)
        .map_err(|_| ApiError::Broken("attestation keys have no JSON"))?;
    let now = Moment::now(holder);
    let at = occasion(&member, now.ms);
    let keys = Digest32::from_bytes(sha256(text.as_bytes()));
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                store::realm::set_attestation_keys(connection, &text, now.seconds).await?;
                let entry = at.entry(Event::KeysStated { keys })?;
                Ok(((), Some(entry)))
            })
        })
        .await?;
    holder.set_attestation_keys(message.keys);
    Ok(Empty {})
}

/// Signs the holder's time over the instance's nonce.
pub(crate) async fn time(
    holder: &Holder,
    _caller: Caller,
    message: TimeRequest,
) -> Result<SignedTime, ApiError> {
    let statement = TimeStatement {
        nonce: message.nonce,
        unix_ms: holder.now_ms(),
    };
    Ok(statement.sign(holder.keys().signing()))
}
