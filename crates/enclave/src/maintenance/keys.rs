//! Where a key stands in its account's record.

use keyfold_crypto::commitment::ShareCommitment;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::{KeyShares, Sharing};

use crate::records::Account;

/// The shares of a key that its account's record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) sharing: Sharing,
    pub(super) threshold: u8,
}

/// What a record says of a key's shares, to be read or replaced.
struct Place<'a> {
    generation: &'a mut u32,
    threshold: &'a mut u8,
    leaf: &'a mut Vec<ShareCommitment>,
    entropy: &'a mut Vec<ShareCommitment>,
}

/// Finds a key: a wallet's, or one that is prepared for its next owner. A wallet that nobody was told
/// of has none yet, since it may be made again.
fn place(account: &mut Account, key: KeyId) -> Option<Place<'_>> {
    let told = account.wallets.iter_mut().filter(|wallet| !wallet.staged);
    for wallet in told {
        if wallet.key == key {
            return Some(Place {
                generation: &mut wallet.generation,
                threshold: &mut wallet.threshold,
                leaf: &mut wallet.leaf,
                entropy: &mut wallet.entropy,
            });
        }
        if let Some(next) = wallet.next_owner.as_mut().filter(|next| next.key == key) {
            return Some(Place {
                generation: &mut next.generation,
                threshold: &mut next.threshold,
                leaf: &mut next.leaf,
                entropy: &mut next.entropy,
            });
        }
    }
    None
}

impl Current {
    /// Reads what an account's record says of a key; `None` where no wallet has it.
    pub(super) fn of(mut account: Account, key: KeyId) -> Option<Self> {
        let owner = AccountRef {
            project: account.project.clone(),
            account: account.account,
        };
        let place = place(&mut account, key)?;
        Some(Self {
            threshold: *place.threshold,
            sharing: Sharing {
                owner,
                key,
                generation: *place.generation,
                leaf: core::mem::take(place.leaf),
                entropy: core::mem::take(place.entropy),
            },
        })
    }

    /// What a holder is asked for.
    pub(super) fn part(&self, holder: u8) -> Option<KeyShares> {
        self.sharing.part(holder)
    }
}

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The new shares stand in the record.
    Done,
    /// They stood there already.
    Before,
    /// The record says of the key what neither of them does.
    Otherwise,
}

/// Puts new shares of a key in the place of the ones that were read.
pub(super) fn replace(account: &mut Account, was: &Current, new: &Current) -> Replaced {
    let Some(place) = place(account, was.sharing.key) else {
        return Replaced::Otherwise;
    };
    let is = |what: &Current| {
        let sharing = &what.sharing;
        *place.generation == sharing.generation
            && *place.leaf == sharing.leaf
            && *place.entropy == sharing.entropy
    };
    if is(new) {
        return Replaced::Before;
    }
    if !is(was) {
        return Replaced::Otherwise;
    }
    *place.generation = new.sharing.generation;
    *place.threshold = new.threshold;
    place.leaf.clone_from(&new.sharing.leaf);
    place.entropy.clone_from(&new.sharing.entropy);
    Replaced::Done
}
