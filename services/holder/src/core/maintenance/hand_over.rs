//! What leaves the holder under a warrant: shares sealed to the instance, after their log entry.

use keyfold_crypto::{Canonical as _, SecretBytes, hpke};
use keyfold_protocol::holder_api::SealDirection;
use keyfold_protocol::log_entry::Event;
use keyfold_protocol::maintenance::{HandOver, HandedOver, KeyShares, SealedBatch};
use rand_core::CryptoRng;

use super::{MaintenanceRefusal, Opened, Warranted, check_batch, place};
use crate::error::ApiError;
use crate::ledger::{Durable, Logged};
use crate::member::Member;

/// A request that a warrant covers. The tables were not asked yet.
#[derive(Debug)]
pub(crate) struct Asked {
    warrant: Warranted,
    keys: Vec<KeyShares>,
}

impl Asked {
    /// Verifies the warrant, and that every key is of an earlier generation than it leads to.
    pub(crate) fn verify(
        member: &Member,
        message: HandOver,
        now: u64,
    ) -> Result<Self, MaintenanceRefusal> {
        let warrant = Warranted::verify(member, &message.warrant, now)?;
        let keys = message.keys;
        check_batch(keys.iter().map(|shares| shares.key))?;
        let late = |shares: &KeyShares| shares.generation >= warrant.generation;
        match keys.iter().position(late) {
            Some(at) => Err(MaintenanceRefusal::WrongGeneration(at)),
            None => Ok(Self { warrant, keys }),
        }
    }

    pub(crate) fn keys(&self) -> &[KeyShares] {
        &self.keys
    }

    /// Goes on with the keys at these places, of which the tables have shares.
    pub(crate) fn admit(self, found: &[bool]) -> HandingOver {
        let total = self.keys.len();
        let keys = self.keys.into_iter().enumerate().zip(found);
        let (places, keys) = keys.filter_map(|(key, found)| found.then_some(key)).unzip();
        HandingOver {
            warrant: self.warrant,
            total,
            places,
            keys,
        }
    }
}

/// A handing over that was decided. It is worth nothing until it is [`Durable`].
#[derive(Debug)]
pub(crate) struct HandingOver {
    warrant: Warranted,
    /// How many keys were asked for.
    total: usize,
    /// Of the keys, in the list that was asked for.
    places: Vec<usize>,
    keys: Vec<KeyShares>,
}

impl HandingOver {
    /// The keys of which there are shares.
    pub(crate) fn keys(&self) -> &[KeyShares] {
        &self.keys
    }
}

impl Logged for HandingOver {
    fn event(&self) -> Event<'_> {
        Event::KeysHandedOver {
            warrant: self.warrant.id,
            keys: &self.keys,
        }
    }
}

impl Durable<HandingOver> {
    /// Seals the shares to the instance that asked: those that opened and match what it asked for.
    ///
    /// The others count as missing, although the log has them: it may say more than left, never less.
    ///
    /// # Security
    ///
    /// The plaintext is wiped when this returns.
    pub(crate) fn seal(
        self,
        member: &Member,
        opened: Vec<Option<Opened>>,
        rng: &mut impl CryptoRng,
    ) -> Result<HandedOver, ApiError> {
        let handing = self.value();
        let mut missing: Vec<bool> = vec![true; handing.total];
        let mut parts: Vec<SecretBytes> = Vec::new();
        let places = handing.places.iter().zip(&handing.keys);
        for ((at, key), opened) in places.zip(opened) {
            match (
                opened.filter(|shares| shares.are_good(member, key)),
                missing.get_mut(*at),
            ) {
                (Some(shares), Some(missing)) => {
                    *missing = false;
                    parts.push(shares.leaf.to_bytes());
                    parts.extend(shares.entropy.map(|share| share.to_bytes()));
                }
                _ => tracing::error!(
                    key = %key.key, generation = key.generation,
                    "a stored share is damaged: it does not open, or does not match its commitment"
                ),
            }
        }
        let info = handing.warrant.seal(member, SealDirection::ToInstance);
        let sealed = join(&parts).expose(|bytes| {
            let (to, info) = (&member.instance().hpke_key, info.to_signed_bytes());
            hpke::seal(to, &info, b"", bytes, rng)
        });
        let missing = missing.into_iter().enumerate().filter(|(_, is)| *is);
        Ok(HandedOver {
            missing: missing.map(|(at, _)| place(at)).collect(),
            shares: sealed
                .map(SealedBatch)
                .map_err(|_| ApiError::Broken("shares cannot be sealed to an instance"))?,
            entry: self.position(),
        })
    }
}

/// Shares one after the other, each with its length before it.
fn join(parts: &[SecretBytes]) -> SecretBytes {
    let len = parts.iter().map(|part| 4 + part.len()).sum();
    SecretBytes::init_with(len, |mut rest| {
        for part in parts {
            let (head, after) = rest.split_at_mut(4 + part.len());
            let (len, bytes) = head.split_at_mut(4);
            // A share has at most 64 KiB.
            len.copy_from_slice(&(part.len() as u32).to_be_bytes());
            part.expose(|part| bytes.copy_from_slice(part));
            rest = after;
        }
    })
}
