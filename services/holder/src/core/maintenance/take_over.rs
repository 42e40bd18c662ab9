//! New shares under a warrant: opened and checked before anything is kept, and kept beside the old.

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::hpke::{self, HpkePrivateKey};
use keyfold_crypto::{Canonical as _, SecretBytes};
use keyfold_protocol::holder_api::SealDirection;
use keyfold_protocol::maintenance::{KeyShares, SealedBatch, Sharing, TakeOver};

use super::{MaintenanceRefusal, OwnBatch, Warranted, context};
use crate::core::deposit::CheckedShare;
use crate::member::Member;

/// Most splittings of one generation that a key may have on their way in.
pub(crate) const MAX_STAGED: u64 = 32;
/// Age at which a splitting makes room for a further one when there are so many, seconds.
pub(crate) const STAGED_LIFE: u64 = 86_400;

/// New shares of keys that a warrant covers and that are good. The tables were not asked yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    warrant: Warranted,
    batch: OwnBatch,
    shares: Vec<Vec<CheckedShare>>,
}

impl Arrived {
    /// Verifies the warrant, opens the envelope, and checks each share against its commitment.
    pub(crate) fn verify(
        member: &Member,
        message: TakeOver,
        key: &HpkePrivateKey,
        now: u64,
    ) -> Result<Self, MaintenanceRefusal> {
        let warrant = Warranted::verify(member, &message.warrant, now)?;
        let other = |sharing: &Sharing| sharing.generation != warrant.generation;
        if let Some(at) = message.keys.iter().position(other) {
            return Err(MaintenanceRefusal::WrongGeneration(at));
        }
        let batch = OwnBatch::of(member, message.keys)?;
        let shares = open(member, &warrant, &batch, &message.shares, key)?;
        Ok(Self {
            warrant,
            batch,
            shares,
        })
    }

    /// The warrant.
    pub(crate) fn warrant(&self) -> &Warranted {
        &self.warrant
    }

    /// Each splitting with this holder's part and its shares, in order.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&Sharing, &KeyShares, &[CheckedShare])> {
        let shares = self.shares.iter().map(Vec::as_slice);
        self.batch
            .each()
            .zip(shares)
            .map(|((sharing, part), shares)| (sharing, part, shares))
    }
}

fn open(
    member: &Member,
    warrant: &Warranted,
    batch: &OwnBatch,
    sealed: &SealedBatch,
    key: &HpkePrivateKey,
) -> Result<Vec<Vec<CheckedShare>>, MaintenanceRefusal> {
    let info = warrant.seal(member, SealDirection::ToHolder);
    let opened = hpke::open(key, &info.to_signed_bytes(), b"", &sealed.0)
        .map_err(|_| MaintenanceRefusal::DoesNotOpen)?;
    opened.expose(|mut rest| {
        let mut all = Vec::with_capacity(batch.parts().len());
        for (at, part) in batch.parts().iter().enumerate() {
            let leaf = (SharePurpose::LeafKey, Some(part.leaf));
            let entropy = (SharePurpose::Entropy, part.entropy);
            let mut shares = Vec::with_capacity(2);
            for (purpose, commitment) in [leaf, entropy] {
                let Some(commitment) = commitment else {
                    continue;
                };
                let bytes = next(&mut rest).ok_or(MaintenanceRefusal::WrongEnvelope)?;
                let share = check(member, part, purpose, commitment, bytes);
                shares.push(share.ok_or(MaintenanceRefusal::Mismatch(at))?);
            }
            all.push(shares);
        }
        if rest.is_empty() {
            Ok(all)
        } else {
            Err(MaintenanceRefusal::WrongEnvelope)
        }
    })
}

/// Takes one share with its length off the front.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (share, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(share)
}

fn check(
    member: &Member,
    part: &KeyShares,
    purpose: SharePurpose,
    commitment: ShareCommitment,
    bytes: &[u8],
) -> Option<CheckedShare> {
    let share = CommittedShare::from_bytes(bytes).ok()?;
    let context = context(member, part, purpose);
    share.verify(&context, &commitment).ok()?;
    Some(CheckedShare {
        purpose,
        commitment,
        bytes: SecretBytes::from_slice(bytes),
    })
}

/// What the tables say of a key that new shares are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyStanding {
    /// There is no such key.
    Unknown,
    /// There is, and it belongs to somebody else.
    Foreign,
    /// It belongs to the account that the splitting names.
    Owned(Standing),
}

/// What the tables say of an account's own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The generation below which no share is left.
    pub(crate) settled: u32,
    /// Whether there is a share of its entropy.
    pub(crate) has_entropy: bool,
    /// Whether the share is here, and for that splitting.
    pub(crate) same: Option<bool>,
    /// Splittings of that generation that are here.
    pub(crate) staged: u64,
    /// Those of them that are older than [`STAGED_LIFE`] and not promised.
    pub(crate) droppable: u64,
}

/// What is done with good shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Staging {
    /// They are here.
    Already,
    /// The key is new to this holder.
    NewKey,
    /// They are kept beside the others.
    Beside,
    /// The same, and the oldest of their generation that may go goes.
    InsteadOfOldest,
}

/// Decides whether the shares of the key at a place are kept, and how.
///
/// # Security
///
/// Until everybody confirmed one splitting of a generation, the account's record may name any that
/// is here: who stages one may be cut off before the record is changed or after it, and others
/// stage theirs meanwhile. So nothing takes the place of anything, and one makes room only
///
/// - for another of its own generation, since a record that names one of this generation is not
///   given another of it: while a later generation is on its way in, all of the one before stays;
/// - after a day: a record is changed within minutes of the staging, or never to that splitting. Who
///   comes later has read the record, and stages no more of a generation that it names;
/// - and never once this holder has signed that it has it, which is asked for only after the record
///   names it: what was promised is kept until every holder has promised another.
///
/// A key that this holder does not know is taken in under its owner: a holder that missed it, or lost
/// its disk, has its share again after a refresh. There is no bound on the keys of an account here:
/// others may have more of it than this holder knows of, and who has a warrant could as well name
/// other accounts.
pub(crate) fn decide(
    at: usize,
    key: KeyStanding,
    sharing: &Sharing,
) -> Result<Staging, MaintenanceRefusal> {
    let key = match key {
        KeyStanding::Unknown => return Ok(Staging::NewKey),
        KeyStanding::Foreign => return Err(MaintenanceRefusal::Foreign(at)),
        KeyStanding::Owned(key) => key,
    };
    match key.same {
        Some(true) => return Ok(Staging::Already),
        Some(false) => return Err(MaintenanceRefusal::OtherSplitting(at)),
        None => {}
    }
    if key.settled >= sharing.generation {
        return Err(MaintenanceRefusal::Settled(at));
    }
    if key.has_entropy && sharing.entropy.is_empty() {
        return Err(MaintenanceRefusal::EntropyMissing(at));
    }
    if key.staged < MAX_STAGED {
        Ok(Staging::Beside)
    } else if key.droppable > 0 {
        Ok(Staging::InsteadOfOldest)
    } else {
        Err(MaintenanceRefusal::TooManyAttempts(at))
    }
}
