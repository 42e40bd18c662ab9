//! Registration of instances, and what they may ask before there are users: seed, keys, time.

use keyfold_attest::{DEFAULT_MAX_AGE_MS, Expectations, Nonce};
use keyfold_crypto::hash::sha256;
use keyfold_crypto::{Canonical as _, hpke};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{
    AttestationKeys, Empty, Register, Registered, ReleaseAad, Released, SealDirection, SealedShare,
    ShareSeal, SignedTime, TimeRequest, TimeStatement, seed_share_context,
};
use keyfold_protocol::ids::{Digest32, RealmId, RequestId};
use keyfold_protocol::log_entry::Event;
use keyfold_protocol::registration::{RegistrationError, VerifiedInstance, document_hash};

use super::{Moment, occasion};
use crate::error::{ApiError, Coded};
use crate::holder::{Holder, rng};
use crate::ledger::Occasion;
use crate::member::{Caller, Member};
use crate::registry::NonceUnknown;
use crate::store;
use crate::store::sealing::Place;

/// Says why an instance was not registered.
#[derive(Debug, thiserror::Error)]
enum RegisterRefusal {
    #[error(transparent)]
    Nonce(#[from] NonceUnknown),
    #[error("this holder belongs to no realm yet")]
    NoRealm,
    #[error("the instance belongs to another realm")]
    OtherRealm,
    #[error("the attestation document was refused: {0}")]
    Document(#[from] RegistrationError),
}

impl Coded for RegisterRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Nonce(nonce) => nonce.code(),
            Self::NoRealm => Code::RealmMissing,
            Self::OtherRealm | Self::Document(RegistrationError::WrongRealm) => Code::WrongRealm,
            Self::Document(_) => Code::AttestationRefused,
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
    let fresh = holder.registry().check(message.nonce, now.ms)?;
    let ours = holder.realm().map(|own| own.realm.id());
    match (message.attested.binding.realm, ours) {
        (Some(_), None) => return Err(RegisterRefusal::NoRealm),
        (Some(theirs), Some(ours)) if theirs != ours => return Err(RegisterRefusal::OtherRealm),
        // Without a realm an instance can only repeat a genesis that was cut off.
        _ => {}
    }
    let nonce = Nonce::new(fresh.bytes()).map_err(|_| NonceUnknown)?;
    let expect = Expectations::new(&nonce, now.ms, &holder.trust().policy);
    let instance = message.attested.verify(
        &holder.trust().root,
        &expect,
        message.attested.binding.realm,
    )?;
    holder.registry().spend(fresh, now.ms)?;
    Ok(instance)
}

/// Registers an instance until its document is an hour old, or a certificate of its chain ends.
pub(crate) async fn register(holder: &Holder, message: Register) -> Result<Registered, ApiError> {
    let now = Moment::now(holder);
    let instance = verify(holder, &message, now)?;
    let expires_ms = instance
        .document_timestamp_ms
        .saturating_add(DEFAULT_MAX_AGE_MS)
        .min(instance.valid_until_ms);
    let document = Digest32::from_bytes(document_hash(&message.attested.document));
    let at = Occasion {
        realm: instance.realm.unwrap_or(RealmId::from_bytes([0; 32])),
        unix_ms: now.ms,
        instance: instance.id,
    };
    let entry = at.entry(Event::Registered { document })?;
    holder
        .ledger()
        .record(move |_| Box::pin(async move { Ok(((), entry)) }))
        .await?;
    let registered = Registered {
        instance: instance.id,
        expires: expires_ms / 1000,
    };
    holder.registry().insert(instance, expires_ms, now.ms);
    Ok(registered)
}

/// Releases the holder's share of the realm seed to an instance of the realm.
pub(crate) async fn seed(holder: &Holder, member: Member, _: Empty) -> Result<Released, ApiError> {
    let realm = member.realm().id();
    let entry = occasion(&member, holder.now_ms()).entry(Event::SeedReleased)?;
    let (sealed, durable) = holder
        .ledger()
        .record(move |connection| {
            Box::pin(async move {
                let sealed = store::realm::seed_share(connection, realm).await?;
                Ok((sealed, entry))
            })
        })
        .await?;
    let share = Place::of_seed(realm).open(holder.keys().ring(), &sealed)?;
    let context = seed_share_context(&member.realm().record().genesis_nonce, member.index());
    let seal = ShareSeal {
        direction: SealDirection::ToInstance,
        instance: member.instance().id,
        context: &context,
    };
    // No device asks for the seed: request and digest are zeros.
    let aad = ReleaseAad {
        request: RequestId::from_bytes([0; 16]),
        digest: Digest32::from_bytes([0; 32]),
    };
    let sealed = share
        .to_bytes()
        .expose(|bytes| {
            let (info, aad) = (seal.to_signed_bytes(), aad.to_signed_bytes());
            hpke::seal(&member.instance().hpke_key, &info, &aad, bytes, &mut rng())
        })
        .map_err(|_| ApiError::Broken("the seed share cannot be sealed to an instance"))?;
    Ok(Released {
        share: SealedShare(sealed),
        anchor: None,
        entry: durable.position(),
    })
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
