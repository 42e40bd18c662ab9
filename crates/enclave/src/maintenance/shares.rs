//! From t holders' shares to new ones for all, without a key in between that anybody could use.

use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::shamir::{Share, Threshold, combine, split};
use keyfold_crypto::{Canonical, SecretBytes, hpke};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{SealDirection, key_share_context};
use keyfold_protocol::ids::{Digest32, KeyId, RealmId};
use keyfold_protocol::maintenance::{BatchSeal, HandedOver, KeyShares, SealedBatch, Sharing};
use rand_core::CryptoRng;

use super::keys::Current;
use crate::peers::CallError;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// A holder's shares of one key, checked against their commitments.
pub(super) struct KeyParts {
    leaf: Share,
    entropy: Option<Share>,
}

/// Which envelope is opened or sealed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope {
    pub(super) warrant: Digest32,
    pub(super) holder: u8,
}

impl Envelope {
    fn info<P: Platform>(self, realm: &Realm<P>, direction: SealDirection) -> Vec<u8> {
        BatchSeal {
            direction,
            realm: realm.verified.id(),
            warrant: self.warrant,
            instance: realm.core.instance(),
            holder: self.holder,
        }
        .to_signed_bytes()
    }
}

/// Opens what a holder handed over; for each key that was asked for its parts, where it has them.
///
/// # Errors
///
/// [`CallError::WrongShare`] where anything in it is not what was committed to: such a holder's
/// other shares are worth no more.
pub(super) fn open<P: Platform>(
    realm: &Realm<P>,
    envelope: Envelope,
    asked: &[KeyShares],
    handed: &HandedOver,
) -> Result<Vec<Option<KeyParts>>, CallError> {
    let info = envelope.info(realm, SealDirection::ToInstance);
    let opened = hpke::open(realm.core.hpke_key(), &info, b"", &handed.shares.0)
        .map_err(|_| CallError::WrongShare)?;
    opened.expose(|bytes| {
        let mut rest = bytes;
        let mut all = Vec::with_capacity(asked.len());
        for (at, shares) in asked.iter().enumerate() {
            if handed
                .missing
                .iter()
                .any(|missing| usize::from(*missing) == at)
            {
                all.push(None);
                continue;
            }
            let mut next = |purpose, commitment| {
                let share = next(&mut rest).ok_or(CallError::WrongShare)?;
                check(
                    realm.verified.id(),
                    shares,
                    envelope.holder,
                    purpose,
                    share,
                    commitment,
                )
            };
            let leaf = next(SharePurpose::LeafKey, &shares.leaf)?;
            let entropy = match &shares.entropy {
                Some(commitment) => Some(next(SharePurpose::Entropy, commitment)?),
                None => None,
            };
            all.push(Some(KeyParts { leaf, entropy }));
        }
        rest.is_empty().then_some(all).ok_or(CallError::WrongShare)
    })
}

/// Takes one share off the front.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (share, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(share)
}

fn check(
    realm: RealmId,
    shares: &KeyShares,
    holder: u8,
    purpose: SharePurpose,
    share: &[u8],
    commitment: &ShareCommitment,
) -> Result<Share, CallError> {
    let (key, generation) = (shares.key, shares.generation);
    let context = key_share_context(realm, &shares.owner, key, purpose, holder, generation);
    CommittedShare::from_bytes(share)
        .ok()
        .and_then(|share| share.open(&context, commitment).ok())
        .ok_or(CallError::WrongShare)
}

/// New shares of one key: what the record is to say, and what each holder gets, in order.
pub(super) struct NewShares {
    pub(super) current: Current,
    /// Encoded as they stand in an envelope; wiped when this is dropped.
    pub(super) parts: Vec<SecretBytes>,
}

/// Makes new shares of a key out of t holders' parts.
///
/// # Security
///
/// Each part matched its commitment, so what they combine to is what the dealer split. It lives in
/// memory that is wiped, for this call, and leaves it as shares alone.
pub(super) fn renew<P: Platform>(
    realm: &Realm<P>,
    was: &Current,
    parts: &[KeyParts],
    generation: u32,
    rng: &mut impl CryptoRng,
) -> Result<NewShares, Problem> {
    let failed = || Problem::internal("a key's shares cannot be made anew");
    let leaf: Vec<&Share> = parts.iter().map(|part| &part.leaf).collect();
    let entropy: Option<Vec<&Share>> = parts.iter().map(|part| part.entropy.as_ref()).collect();
    let total = u8::try_from(was.sharing.leaf.len()).map_err(|_| failed())?;
    let old = Threshold::new(was.threshold, total).map_err(|_| failed())?;
    let dealer = Dealer {
        realm: realm.verified.id(),
        owner: &was.sharing.owner,
        key: was.sharing.key,
        generation,
        threshold: {
            let record = realm.verified.record();
            let total = u8::try_from(record.holders.len()).map_err(|_| failed())?;
            Threshold::new(record.threshold, total).map_err(|_| failed())?
        },
    };
    let renewed = |shares: &[&Share], purpose, rng: &mut _| {
        let secret = combine(old, shares).map_err(|_| failed())?;
        secret
            .expose(|secret| dealer.split(purpose, secret, rng))
            .ok_or_else(failed)
    };
    let (leaf_shares, leaf) = renewed(&leaf, SharePurpose::LeafKey, rng)?;
    let (entropy_shares, entropy) = match entropy {
        Some(shares) if !was.sharing.entropy.is_empty() => {
            renewed(&shares, SharePurpose::Entropy, rng)?
        }
        _ if was.sharing.entropy.is_empty() => (Vec::new(), Vec::new()),
        _ => return Err(failed()),
    };
    let mut entropy_shares = entropy_shares.into_iter();
    let parts = leaf_shares
        .into_iter()
        .map(|leaf| encode(&[Some(leaf), entropy_shares.next()]))
        .collect();
    Ok(NewShares {
        current: Current {
            threshold: realm.verified.record().threshold,
            sharing: Sharing {
                owner: was.sharing.owner.clone(),
                key: was.sharing.key,
                generation,
                leaf,
                entropy,
            },
        },
        parts,
    })
}

/// Who splits one key.
struct Dealer<'a> {
    realm: RealmId,
    owner: &'a AccountRef,
    key: KeyId,
    generation: u32,
    threshold: Threshold,
}

impl Dealer<'_> {
    fn split(
        &self,
        purpose: SharePurpose,
        secret: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Option<(Vec<SecretBytes>, Vec<ShareCommitment>)> {
        let (mut shares, mut commitments) = (Vec::new(), Vec::new());
        for share in split(secret, self.threshold, rng).ok()? {
            let (key, generation) = (self.key, self.generation);
            let index = share.index();
            let context =
                key_share_context(self.realm, self.owner, key, purpose, index, generation);
            let (committed, commitment) = CommittedShare::new(&context, share, rng).ok()?;
            shares.push(committed.to_bytes());
            commitments.push(commitment);
        }
        Some((shares, commitments))
    }
}

/// Shares one after the other, each with its length.
fn encode(shares: &[Option<SecretBytes>]) -> SecretBytes {
    let len = shares.iter().flatten().map(|share| 4 + share.len()).sum();
    SecretBytes::init_with(len, |out| {
        let mut rest = out;
        for share in shares.iter().flatten() {
            share.expose(|bytes| {
                let (head, after) = core::mem::take(&mut rest).split_at_mut(4 + bytes.len());
                // A share has at most 64 KiB.
                head[..4].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
                head[4..].copy_from_slice(bytes);
                rest = after;
            });
        }
    })
}

/// Seals one holder's parts of a batch to it.
pub(super) fn seal<P: Platform>(
    realm: &Realm<P>,
    envelope: Envelope,
    batch: &[NewShares],
    rng: &mut impl CryptoRng,
) -> Result<SealedBatch, Problem> {
    let failed = || Problem::internal("new shares cannot be sealed");
    let at = usize::from(envelope.holder)
        .checked_sub(1)
        .ok_or_else(failed)?;
    let parts: Option<Vec<&SecretBytes>> = batch.iter().map(|new| new.parts.get(at)).collect();
    let parts = parts.ok_or_else(failed)?;
    let len = parts.iter().map(|part| part.len()).sum();
    let plain = SecretBytes::init_with(len, |out| {
        let mut rest = out;
        for part in parts {
            part.expose(|bytes| {
                let (head, after) = core::mem::take(&mut rest).split_at_mut(bytes.len());
                head.copy_from_slice(bytes);
                rest = after;
            });
        }
    });
    let holder = realm.holders.get(envelope.holder).ok_or_else(failed)?;
    let info = envelope.info(realm, SealDirection::ToHolder);
    plain
        .expose(|bytes| hpke::seal(&holder.card.hpke_key, &info, b"", bytes, rng))
        .map(SealedBatch)
        .map_err(|_| failed())
}
