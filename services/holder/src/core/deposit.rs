//! Shares of a new key: opened and checked before anything is kept.

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, ShareContext, SharePurpose};
use keyfold_crypto::hpke::{self, HpkePrivateKey};
use keyfold_crypto::{Canonical as _, SecretBytes};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    SealDirection, SealedShare, ShareSeal, ShareStore, key_share_context,
};
use keyfold_protocol::ids::InstanceId;

use crate::error::Coded;
use crate::member::Member;

/// Most keys of one account.
pub(crate) const MAX_KEYS: u64 = 64;
/// Most attempts at one key that are kept.
pub(crate) const MAX_SHARINGS: u64 = 32;
/// Age at which an attempt makes room for a further one when there are so many, seconds. No
/// operation of an enclave lasts that long, so an attempt of that age became the wallet or never
/// will; and of a key that became a wallet there are no further attempts.
pub(crate) const SHARING_LIFE: u64 = 86_400;

/// Says why shares were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DepositRefusal {
    #[error("a new key has generation 1")]
    WrongGeneration,
    #[error("a new key has one leaf share and at most one entropy share")]
    WrongPurposes,
    #[error("a share does not open with this holder's key for this place")]
    DoesNotOpen,
    #[error("a share is not this holder's, or does not match its commitment")]
    Mismatch,
    #[error("a key of that id exists already, of somebody else or in use")]
    KeyExists,
    #[error("the key was tried to be made too often within a day")]
    TooManyAttempts,
    #[error("the account has as many keys as it may have")]
    TooMany,
}

impl Coded for DepositRefusal {
    fn code(&self) -> Code {
        match self {
            Self::WrongGeneration | Self::WrongPurposes => Code::MalformedRequest,
            Self::DoesNotOpen => Code::SealBroken,
            Self::Mismatch => Code::EvidenceInvalid,
            Self::KeyExists => Code::KeyExists,
            Self::TooMany | Self::TooManyAttempts => Code::WalletLimit,
        }
    }
}

/// What the tables say of the key that shares are for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Existing {
    /// Whether it belongs to the account that asks.
    pub(crate) own: bool,
    pub(crate) generation: u32,
    /// Whether a share of it ever left the holder.
    pub(crate) released: bool,
    /// Whether there are shares of a later generation.
    pub(crate) staged: bool,
    /// Attempts that are kept, and of these the ones older than [`SHARING_LIFE`].
    pub(crate) sharings: u64,
    pub(crate) old_sharings: u64,
}

/// What is done with good shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deposit {
    /// The key is new.
    New,
    /// The shares are kept beside those of earlier attempts.
    Beside,
    /// The same, and the oldest attempt goes.
    InsteadOfOldest,
}

/// Decides whether shares are kept, and how.
///
/// # Security
///
/// Nothing takes the place of what may be a wallet's only share: two attempts at one key may run at
/// the same time, holders see them in different orders, and only the wallet's record says which
/// one counts. So attempts stand beside each other.
pub(crate) fn decide(
    existing: Option<&Existing>,
    keys: u64,
    generation: u32,
) -> Result<Deposit, DepositRefusal> {
    match existing {
        None if keys >= MAX_KEYS => Err(DepositRefusal::TooMany),
        None => Ok(Deposit::New),
        Some(key) if !key.own || key.released || key.staged || key.generation != generation => {
            Err(DepositRefusal::KeyExists)
        }
        Some(key) if key.sharings < MAX_SHARINGS => Ok(Deposit::Beside),
        Some(key) if key.old_sharings > 0 => Ok(Deposit::InsteadOfOldest),
        Some(_) => Err(DepositRefusal::TooManyAttempts),
    }
}

/// A share that opened and matched its commitment.
#[derive(Debug)]
pub(crate) struct CheckedShare {
    pub(crate) purpose: SharePurpose,
    pub(crate) commitment: ShareCommitment,
    pub(crate) bytes: SecretBytes,
}

/// Opens and checks all shares of a new key.
pub(crate) fn open_shares(
    member: &Member,
    owner: &AccountRef,
    message: &ShareStore,
    key: &HpkePrivateKey,
) -> Result<Vec<CheckedShare>, DepositRefusal> {
    if message.generation != 1 {
        return Err(DepositRefusal::WrongGeneration);
    }
    let count = |purpose| {
        message
            .shares
            .iter()
            .filter(|share| share.purpose == purpose)
            .count()
    };
    let (leaf, entropy) = (count(SharePurpose::LeafKey), count(SharePurpose::Entropy));
    if leaf != 1 || entropy > 1 || leaf + entropy != message.shares.len() {
        return Err(DepositRefusal::WrongPurposes);
    }
    message
        .shares
        .iter()
        .map(|stored| {
            let context = key_share_context(
                member.realm().id(),
                owner,
                message.key,
                stored.purpose,
                member.index(),
                message.generation,
            );
            let instance = member.instance().id;
            let bytes = open_share(instance, &context, &stored.share, &stored.commitment, key)?;
            Ok(CheckedShare {
                purpose: stored.purpose,
                commitment: stored.commitment,
                bytes,
            })
        })
        .collect()
}

/// Opens one share that an instance sealed to this holder, and checks it.
pub(crate) fn open_share(
    instance: InstanceId,
    context: &ShareContext,
    sealed: &SealedShare,
    commitment: &ShareCommitment,
    key: &HpkePrivateKey,
) -> Result<SecretBytes, DepositRefusal> {
    let seal = ShareSeal {
        direction: SealDirection::ToHolder,
        instance,
        context,
    };
    let bytes = hpke::open(key, &seal.to_signed_bytes(), b"", &sealed.0)
        .map_err(|_| DepositRefusal::DoesNotOpen)?;
    bytes
        .expose(CommittedShare::from_bytes)
        .map_err(|_| DepositRefusal::Mismatch)?
        .verify(context, commitment)
        .map_err(|_| DepositRefusal::Mismatch)?;
    Ok(bytes)
}
