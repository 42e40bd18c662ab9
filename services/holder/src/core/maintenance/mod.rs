//! Maintenance: shares out under a warrant, new ones in, and the end of the old.
//!
//! ```text
//! hand over   Warranted ─look up→ HandingOver ─record→ Durable<HandingOver> ─seal→ HandedOver
//! take over   Warranted ─open→ Arrived ─decide→ Staging
//! confirm     OwnBatch ─found on disk, opened→ Held ─sign→ SharesAck
//! retire      OwnBatch + every holder's SharesAck → Retirement
//! ```
//!
//! | Module | Decides |
//! |---|---|
//! | [`hand_over`] | what leaves the holder, and when |
//! | [`take_over`] | whether new shares are kept beside the old, and for how long |
//! | [`retire`] | what a holder states of new shares, and when it lets the old ones end |
//! | [`drill`] | what a holder says of its shares to who asks whether they are good |

pub(crate) mod drill;
pub(crate) mod hand_over;
pub(crate) mod retire;
pub(crate) mod take_over;

use std::collections::BTreeSet;

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, ShareContext, SharePurpose};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{SealDirection, key_share_context};
use keyfold_protocol::ids::{Digest32, KeyId};
use keyfold_protocol::maintenance::{BatchSeal, KeyShares, MAX_BATCH, Sharing};
use keyfold_protocol::warrant::{SignedWarrant, WarrantError};

use crate::error::Coded;
use crate::member::Member;

/// Says why a step was refused. Keys are named by their place in the list, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MaintenanceRefusal {
    #[error(transparent)]
    Warrant(#[from] WarrantError),
    #[error("the warrant is for another image than the one that asks")]
    OtherImage,
    #[error("a batch has 1 to {MAX_BATCH} keys, each once")]
    BadBatch,
    #[error("key {0}: the generation is not one that the warrant allows here")]
    WrongGeneration(usize),
    #[error("key {0}: there must be one commitment for each holder")]
    WrongCommitments(usize),
    #[error("the envelope does not open with this holder's key for this batch")]
    DoesNotOpen,
    #[error("the envelope does not hold the shares of this batch")]
    WrongEnvelope,
    #[error("key {0}: a share is not this holder's, or does not match its commitment")]
    Mismatch(usize),
    #[error("key {0} belongs to another account")]
    Foreign(usize),
    #[error("key {0} has entropy, of which there are no new shares")]
    EntropyMissing(usize),
    #[error("key {0} has shares of that generation or a later one already, and no older ones")]
    Settled(usize),
    #[error("key {0}: another splitting with the same share is here already")]
    OtherSplitting(usize),
    #[error("key {0} got new shares too often within a day")]
    TooManyAttempts(usize),
    #[error("this holder has no good shares of these splittings of keys {0:?}")]
    NotHere(Vec<usize>),
    #[error("the batch is not confirmed by every holder")]
    NotConfirmed,
}

impl Coded for MaintenanceRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Warrant(_) | Self::OtherImage => Code::WarrantInvalid,
            Self::BadBatch | Self::WrongGeneration(_) | Self::WrongCommitments(_) => {
                Code::MalformedRequest
            }
            Self::DoesNotOpen => Code::SealBroken,
            Self::WrongEnvelope
            | Self::Mismatch(_)
            | Self::EntropyMissing(_)
            | Self::NotConfirmed => Code::EvidenceInvalid,
            Self::Foreign(_) => Code::OwnershipMismatch,
            Self::Settled(_) | Self::OtherSplitting(_) => Code::KeyExists,
            Self::TooManyAttempts(_) => Code::ReleaseLimit,
            Self::NotHere(_) => Code::KeyUnknown,
        }
    }
}

/// What a warrant allows to the instance that makes the call at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Warranted {
    id: Digest32,
    generation: u32,
}

impl Warranted {
    /// Verifies a warrant for the holder's own realm, by its own clock, and that it is for the image
    /// that calls.
    pub(crate) fn verify(
        member: &Member,
        warrant: &SignedWarrant,
        now: u64,
    ) -> Result<Self, MaintenanceRefusal> {
        let verified = warrant.verify(member.realm(), now)?;
        if !verified.is_for(&member.instance().image) {
            return Err(MaintenanceRefusal::OtherImage);
        }
        Ok(Self {
            id: verified.id(),
            generation: verified.generation(),
        })
    }

    /// The hash that logs name the warrant by.
    pub(crate) fn id(&self) -> Digest32 {
        self.id
    }

    /// HPKE `info` of an envelope between the instance and this holder.
    fn seal(&self, member: &Member, direction: SealDirection) -> BatchSeal {
        BatchSeal {
            direction,
            realm: member.realm().id(),
            warrant: self.id,
            instance: member.instance().id,
            holder: member.index(),
        }
    }
}

/// Splittings that are sound in themselves, with this holder's part of each.
#[derive(Debug)]
pub(crate) struct OwnBatch {
    keys: Vec<Sharing>,
    parts: Vec<KeyShares>,
}

impl OwnBatch {
    /// Checks number, ids, and that each has one commitment for each holder.
    pub(crate) fn of(member: &Member, keys: Vec<Sharing>) -> Result<Self, MaintenanceRefusal> {
        check_batch(keys.iter().map(|sharing| sharing.key))?;
        let total = member.realm().record().holders.len();
        let part = |(at, sharing): (usize, &Sharing)| {
            let even = sharing.leaf.len() == total
                && (sharing.entropy.is_empty() || sharing.entropy.len() == total);
            let part = sharing.part(member.index()).filter(|_| even);
            part.ok_or(MaintenanceRefusal::WrongCommitments(at))
        };
        let parts = keys
            .iter()
            .enumerate()
            .map(part)
            .collect::<Result<_, _>>()?;
        Ok(Self { keys, parts })
    }

    /// Each splitting with this holder's part of it, in order.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&Sharing, &KeyShares)> {
        self.keys.iter().zip(&self.parts)
    }

    /// This holder's parts, in order.
    pub(crate) fn parts(&self) -> &[KeyShares] {
        &self.parts
    }
}

/// Checks that a list has 1 to [`MAX_BATCH`] keys and none twice.
pub(crate) fn check_batch(
    keys: impl ExactSizeIterator<Item = KeyId>,
) -> Result<(), MaintenanceRefusal> {
    let len = keys.len();
    let distinct: BTreeSet<KeyId> = keys.take(MAX_BATCH + 1).collect();
    if (1..=MAX_BATCH).contains(&len) && distinct.len() == len {
        Ok(())
    } else {
        Err(MaintenanceRefusal::BadBatch)
    }
}

/// A holder's shares of one key, as they came out of its database.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) leaf: CommittedShare,
    pub(crate) entropy: Option<CommittedShare>,
}

impl Opened {
    /// Tells whether these are this holder's, and match what they are asked for by.
    pub(crate) fn are_good(&self, member: &Member, asked: &KeyShares) -> bool {
        let good = |share: &CommittedShare, purpose, commitment: &ShareCommitment| {
            let context = context(member, asked, purpose);
            share.verify(&context, commitment).is_ok()
        };
        let entropy = match (&self.entropy, &asked.entropy) {
            (Some(share), Some(commitment)) => good(share, SharePurpose::Entropy, commitment),
            (None, None) => true,
            _ => false,
        };
        entropy && good(&self.leaf, SharePurpose::LeafKey, &asked.leaf)
    }
}

/// Places of the keys whose shares were not found, do not open, or do not match.
fn bad_places(member: &Member, asked: &[KeyShares], opened: &[Option<Opened>]) -> Vec<usize> {
    let good = |at: usize, asked| {
        let shares = opened.get(at).and_then(Option::as_ref);
        shares.is_some_and(|shares| shares.are_good(member, asked))
    };
    let places = asked.iter().enumerate();
    let bad = places.filter(|(at, asked)| !good(*at, asked));
    bad.map(|(at, _)| at).collect()
}

fn context(member: &Member, shares: &KeyShares, purpose: SharePurpose) -> ShareContext {
    key_share_context(
        member.realm().id(),
        &shares.owner,
        shares.key,
        purpose,
        member.index(),
        shares.generation,
    )
}

/// A place in a list, as the wire says it. Lists have at most [`MAX_BATCH`] keys.
fn place(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
