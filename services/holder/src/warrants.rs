//! What the operator of a holder signs by hand: warrants. The holder may run meanwhile.

use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::{MAX_HOLDERS, RealmError, VerifiedRealm};
use keyfold_protocol::warrant::{SignedWarrant, WarrantError};
use keyfold_storage::{Database, OpenError, StorageError};

use crate::clock::Clock;
use crate::config::{ConfigError, HolderConfig, load_policy};
use crate::keys::{HolderKeys, KeysError};
use crate::store;

/// Why a warrant was not looked at or not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignWarrantError {
    /// Keys or configuration are not usable.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The list of approved measurements cannot be read.
    #[error(transparent)]
    Policy(#[from] ConfigError),
    /// The database file cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database fails or contradicts itself.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stored realm record does not verify.
    #[error("the stored realm record is not valid: {0}")]
    Realm(#[from] RealmError),
    /// The holder is of no realm, so no warrant is for it.
    #[error("the holder belongs to no realm yet")]
    NoRealm,
    /// It is not one that this holder signs.
    #[error("not signed: {0}")]
    Refused(#[from] WarrantError),
    /// Its image is not one that this holder approved.
    #[error("not signed: the image is not among the measurements that this holder approved")]
    NotApproved,
}

/// A warrant as one holder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarrantStanding {
    /// The hash that logs name it by.
    pub id: Digest32,
    /// What speaks against it besides missing signatures, now.
    pub defect: Option<WarrantError>,
    /// Whether this holder approved the image.
    pub approved: bool,
    /// Index, name and party of each holder whose signature is good.
    pub signers: Vec<(u8, String, String)>,
    /// How many must sign.
    pub needed: u8,
}

/// Looks at a warrant without signing it.
///
/// # Errors
///
/// [`SignWarrantError`], not for what the standing says.
pub async fn look_at_warrant(
    config: &HolderConfig,
    signed: &SignedWarrant,
    clock: &dyn Clock,
) -> Result<WarrantStanding, SignWarrantError> {
    let keys = HolderKeys::load(config)?;
    let realm = realm(config).await?;
    standing(config, &keys, &realm, signed, clock)
}

/// Signs a warrant in place, by the machine's clock. See [`sign_warrant_at`].
///
/// # Errors
///
/// [`SignWarrantError`].
pub async fn sign_warrant(
    config: &HolderConfig,
    signed: &mut SignedWarrant,
) -> Result<WarrantStanding, SignWarrantError> {
    sign_warrant_at(config, signed, &crate::clock::SystemClock).await
}

/// Signs a warrant in place; a signature of this holder that is there already is replaced.
///
/// # Errors
///
/// [`SignWarrantError`]; the warrant is as it was.
///
/// # Security
///
/// Checks what the holder itself will check, and that the operator approved the image for signatures
/// of users too. That the image does with the shares what a warrant is for is what approving it says.
pub async fn sign_warrant_at(
    config: &HolderConfig,
    signed: &mut SignedWarrant,
    clock: &dyn Clock,
) -> Result<WarrantStanding, SignWarrantError> {
    let keys = HolderKeys::load(config)?;
    let realm = realm(config).await?;
    let before = standing(config, &keys, &realm, signed, clock)?;
    if let Some(defect) = before.defect {
        return Err(defect.into());
    }
    if !before.approved {
        return Err(SignWarrantError::NotApproved);
    }
    let own = own_index(&keys, &realm).ok_or(SignWarrantError::NoRealm)?;
    let others = signed.signatures.iter().filter(|one| one.holder != own);
    let mut signatures: Vec<_> = others.copied().collect();
    if signatures.len() >= MAX_HOLDERS {
        return Err(WarrantError::TooMany.into());
    }
    signatures.push(signed.warrant.sign(own, keys.signing()));
    signatures.sort_by_key(|one| one.holder);
    signed.signatures = signatures;
    standing(config, &keys, &realm, signed, clock)
}

fn standing(
    config: &HolderConfig,
    keys: &HolderKeys,
    realm: &VerifiedRealm,
    signed: &SignedWarrant,
    clock: &dyn Clock,
) -> Result<WarrantStanding, SignWarrantError> {
    if own_index(keys, realm).is_none() {
        return Err(SignWarrantError::NoRealm);
    }
    let policy = load_policy(&config.measurement_policy)?;
    let image = &signed.warrant.image;
    let signers = signed.signers(realm).into_iter().filter_map(|index| {
        let card = realm.record().holder(index)?;
        Some((index, card.name.clone(), card.party.clone()))
    });
    Ok(WarrantStanding {
        id: signed.warrant.id(),
        defect: signed.warrant.check(realm, clock.unix_seconds()).err(),
        approved: policy.allowed().iter().any(|one| one.pcr0 == *image),
        signers: signers.collect(),
        needed: realm.record().threshold,
    })
}

fn own_index(keys: &HolderKeys, realm: &VerifiedRealm) -> Option<u8> {
    let own = keys.verifying_key();
    let holders = &realm.record().holders;
    let at = holders.iter().position(|card| card.signing_key == own)?;
    u8::try_from(at + 1).ok()
}

/// Reads the realm out of the holder's database.
async fn realm(config: &HolderConfig) -> Result<VerifiedRealm, SignWarrantError> {
    if !config.database_path().exists() {
        return Err(SignWarrantError::NoRealm);
    }
    let database = Database::open(config.database_path()).await?;
    let record = stored(&database).await;
    database.close().await;
    Ok(record?
        .ok_or(SignWarrantError::NoRealm)?
        .verify_unpinned()?)
}

async fn stored(
    database: &Database,
) -> Result<Option<keyfold_protocol::realm::SignedRealmRecord>, StorageError> {
    let mut connection = database.readers().acquire().await?;
    store::realm::load(&mut connection).await
}
