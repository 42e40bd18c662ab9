//! New shares of keys under a warrant: what enclave and holders say to each other.
//!
//! ```text
//! hand over   t holders   the shares of a key, sealed to the enclave, under the warrant
//! take over   all n       shares of the same key, of the warrant's generation, beside the old ones
//!             (the account's record is changed: from now on the new ones are asked for)
//! confirm     all n       a signed statement that they are on disk
//! retire      all n       shown the statements of all n: the old ones end
//! ```
//!
//! Whoever is killed anywhere leaves either the old shares in use, or the new ones, and both where it
//! is not known which. Each step may be repeated. Keys go in batches of at most [`MAX_BATCH`], and
//! the shares of a batch in one envelope.

use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::{Canonical, Encoder, ed25519};
use serde::{Deserialize, Serialize};

use crate::evidence::AccountRef;
use crate::holder_api::{LogPosition, SealDirection};
use crate::ids::{Digest32, InstanceId, KeyId, RealmId, Signature64};
use crate::realm::VerifiedRealm;
use crate::warrant::SignedWarrant;

/// Most keys of one call.
pub const MAX_BATCH: usize = 32;
/// How long shares that were retired are still released to who read an older record, seconds.
pub const RETIRED_SECONDS: u64 = 120;

/// Asks which keys a holder has whose shares are older than a generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// Keys whose settled generation is below this.
    pub below: u32,
    /// The last key that is known already; ids ascend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyId>,
    /// At most [`MAX_BATCH`].
    pub limit: u16,
}

/// A page of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyPage {
    /// In ascending order of ids.
    pub keys: Vec<KeyEntry>,
    /// How many there are, this page and before and after it.
    pub total: u64,
}

/// A key that a holder has shares of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The key.
    pub key: KeyId,
    /// Whose.
    pub owner: AccountRef,
    /// The generation below which no share is left.
    pub generation: u32,
}

/// The shares of keys of one holder, in one HPKE envelope: leaf key, then entropy where the key has
/// one, of one key after the other, each with its length before it (`u32`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedBatch(#[serde(with = "keyfold_crypto::b64::Bounded::<65536>")] pub Vec<u8>);

/// HPKE `info` of a batch.
#[derive(Debug)]
pub struct BatchSeal {
    /// Which way it goes.
    pub direction: SealDirection,
    /// The realm.
    pub realm: RealmId,
    /// The warrant.
    pub warrant: Digest32,
    /// The instance at the one end.
    pub instance: InstanceId,
    /// The holder at the other.
    pub holder: u8,
}

impl Canonical for BatchSeal {
    const LABEL: &'static str = "keyfold/batch-seal/v1";

    fn encode(&self, out: &mut Encoder) {
        out.u8(match self.direction {
            SealDirection::ToHolder => 1,
            SealDirection::ToInstance => 2,
        });
        out.bytes(self.realm.as_bytes());
        out.bytes(self.warrant.as_bytes());
        out.bytes(self.instance.as_bytes());
        out.u8(self.holder);
    }
}

/// One key's shares of one generation at one holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyShares {
    /// Whose.
    pub owner: AccountRef,
    /// The key.
    pub key: KeyId,
    /// Their generation.
    pub generation: u32,
    /// What the leaf key's share must match.
    pub leaf: ShareCommitment,
    /// What the entropy's share must match, where the key has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<ShareCommitment>,
}

/// Asks for the shares of keys, for new ones to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// By what right.
    pub warrant: SignedWarrant,
    /// At most [`MAX_BATCH`], each of a generation below the warrant's.
    pub keys: Vec<KeyShares>,
}

/// Shares for new ones to be made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandedOver {
    /// Places in the list of keys whose shares this holder does not have; ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<u16>,
    /// The shares of the others.
    pub shares: SealedBatch,
    /// Where the last entry about it stands in the holder's log; each key has one.
    pub entry: LogPosition,
}

/// Hands a holder its new shares of keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// By what right.
    pub warrant: SignedWarrant,
    /// At most [`MAX_BATCH`].
    pub keys: Vec<Sharing>,
    /// This holder's share of each.
    pub shares: SealedBatch,
}

/// One splitting of one key over all holders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// Whose.
    pub owner: AccountRef,
    /// The key.
    pub key: KeyId,
    /// Its generation.
    pub generation: u32,
    /// What each holder's share of the leaf key must match; entry i is of index i + 1.
    pub leaf: Vec<ShareCommitment>,
    /// The same of the entropy; empty where the key has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entropy: Vec<ShareCommitment>,
}

impl Canonical for Sharing {
    const LABEL: &'static str = "keyfold/sharing/v1";

    fn encode(&self, out: &mut Encoder) {
        out.str(self.owner.project.as_str());
        out.bytes(self.owner.account.as_bytes());
        out.bytes(self.key.as_bytes());
        out.u32(self.generation);
        for list in [&self.leaf, &self.entropy] {
            out.list(list.len());
            for commitment in list {
                out.bytes(&commitment.0);
            }
        }
    }
}

impl Sharing {
    /// Returns one holder's part; `None` where there is none for it, or the lists differ in length.
    pub fn part(&self, holder: u8) -> Option<KeyShares> {
        let at = usize::from(holder).checked_sub(1)?;
        let even = self.entropy.is_empty() || self.entropy.len() == self.leaf.len();
        Some(KeyShares {
            owner: self.owner.clone(),
            key: self.key,
            generation: self.generation,
            leaf: *self.leaf.get(at).filter(|_| even)?,
            entropy: self.entropy.get(at).copied(),
        })
    }
}

/// Asks a holder to state that it has its shares of these splittings on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// At most [`MAX_BATCH`].
    pub keys: Vec<Sharing>,
}

/// What a [`SharesAck`] signs.
#[derive(Debug)]
pub struct SharesStatement<'a> {
    /// The realm.
    pub realm: RealmId,
    /// The holder's index.
    pub holder: u8,
    /// The splittings, in order.
    pub keys: &'a [Sharing],
}

impl Canonical for SharesStatement<'_> {
    const LABEL: &'static str = "keyfold/shares-ack/v1";

    /// realm (bytes), holder (`u8`), the digest of each splitting (list of bytes).
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.realm.as_bytes());
        out.u8(self.holder);
        out.list(self.keys.len());
        for sharing in self.keys {
            out.bytes(&sharing.digest());
        }
    }
}

impl SharesStatement<'_> {
    /// Signs the statement.
    pub fn sign(&self, key: &ed25519::SigningKey) -> SharesAck {
        SharesAck {
            holder: self.holder,
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }
}

/// A holder's statement that it has its shares of a batch on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharesAck {
    /// Which holder.
    pub holder: u8,
    /// Ed25519 over the [`SharesStatement`].
    pub signature: Signature64,
}

impl SharesAck {
    /// Verifies the statement of one holder of a realm about a batch.
    pub fn verify(&self, realm: &VerifiedRealm, keys: &[Sharing]) -> bool {
        let statement = SharesStatement {
            realm: realm.id(),
            holder: self.holder,
            keys,
        };
        realm.record().holder(self.holder).is_some_and(|card| {
            card.signing_key
                .verify(&statement.to_signed_bytes(), &self.signature.0)
                .is_ok()
        })
    }
}

/// Shows a holder that everybody has the new shares, so that the old ones end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// As they were confirmed.
    pub keys: Vec<Sharing>,
    /// One of every holder.
    pub acks: Vec<SharesAck>,
}

impl Retire {
    /// Tells whether every holder of the realm states that it has its shares of these splittings.
    ///
    /// # Security
    ///
    /// Every one, not t: a wallet that nobody replaced a share of stands still once n-t are gone.
    pub fn is_complete(&self, realm: &VerifiedRealm) -> bool {
        let total = realm.record().holders.len();
        self.acks.len() == total
            && (1..=total).all(|index| {
                let ack = self
                    .acks
                    .iter()
                    .find(|ack| usize::from(ack.holder) == index);
                ack.is_some_and(|ack| ack.verify(realm, &self.keys))
            })
    }
}

/// Asks a holder whether its shares are good; nothing is released.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Drawn anew by who asks.
    pub nonce: Digest32,
    /// At most [`MAX_BATCH`].
    pub keys: Vec<KeyShares>,
}

/// What a [`Drilled`] signs.
#[derive(Debug)]
pub struct DrillStatement<'a> {
    /// The realm.
    pub realm: RealmId,
    /// The holder's index.
    pub holder: u8,
    /// The nonce it was asked with.
    pub nonce: Digest32,
    /// The keys it was asked for.
    pub keys: &'a [KeyShares],
    /// Places of the keys whose shares it does not have, or cannot open, or that do not match.
    pub bad: &'a [u16],
}

impl Canonical for DrillStatement<'_> {
    const LABEL: &'static str = "keyfold/drill/v1";

    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.realm.as_bytes());
        out.u8(self.holder);
        out.bytes(self.nonce.as_bytes());
        out.list(self.keys.len());
        for shares in self.keys {
            out.bytes(shares.key.as_bytes());
            out.u32(shares.generation);
            out.bytes(&shares.leaf.0);
            out.opt_bytes(shares.entropy.as_ref().map(|entropy| &entropy.0[..]));
        }
        out.list(self.bad.len());
        for at in self.bad {
            out.u32(u32::from(*at));
        }
    }
}

impl DrillStatement<'_> {
    /// Signs the statement.
    pub fn sign(&self, key: &ed25519::SigningKey) -> Drilled {
        Drilled {
            holder: self.holder,
            bad: self.bad.to_vec(),
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }
}

/// A holder's word on its shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// Which holder.
    pub holder: u8,
    /// Places in the list of keys whose shares are not good; ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<u16>,
    /// Ed25519 over the [`DrillStatement`].
    pub signature: Signature64,
}

impl Drilled {
    /// Verifies that a holder of the realm says so, to this question.
    pub fn verify(&self, realm: &VerifiedRealm, asked: &Drill) -> bool {
        let statement = DrillStatement {
            realm: realm.id(),
            holder: self.holder,
            nonce: asked.nonce,
            keys: &asked.keys,
            bad: &self.bad,
        };
        realm.record().holder(self.holder).is_some_and(|card| {
            card.signing_key
                .verify(&statement.to_signed_bytes(), &self.signature.0)
                .is_ok()
        })
    }
}
