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
    #[error("a key of that id exists already")]
    KeyExists,
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
            Self::TooMany => Code::WalletLimit,
        }
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
