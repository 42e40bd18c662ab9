//! Shares at rest: envelopes bound to their cell.

use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_crypto::envelope::{Aad, KeyRing};
use keyfold_crypto::{Encoder, SecretBytes};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::RealmId;
use keyfold_storage::StorageError;
use rand_core::CryptoRng;

use super::keys::Sharing;

/// The cell of a sealed share.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    table: &'static str,
    row: Vec<u8>,
    version: u64,
}

impl Place {
    /// The cell of a share of a user's key.
    pub(crate) fn of_key(owner: &AccountRef, sharing: &Sharing, purpose: SharePurpose) -> Self {
        let row = Encoder::new("keyfold/holder-share-row/v1")
            .str(owner.project.as_str())
            .bytes(owner.account.as_bytes())
            .bytes(sharing.key.as_bytes())
            .bytes(&sharing.leaf.0)
            .u8(super::keys::purpose_code(purpose))
            .finish();
        Self {
            table: "shares",
            row,
            version: u64::from(sharing.generation),
        }
    }

    /// The cell of the share of a realm's seed.
    pub(crate) fn of_seed(realm: RealmId) -> Self {
        Self {
            table: "seed_share",
            row: realm.as_bytes().to_vec(),
            version: 0,
        }
    }

    fn aad(&self) -> Aad<'_> {
        Aad {
            table: self.table,
            row: &self.row,
            column: "sealed",
            version: self.version,
        }
    }

    /// Seals a committed share's bytes for this cell.
    pub(crate) fn seal(
        &self,
        ring: &KeyRing,
        bytes: &SecretBytes,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, StorageError> {
        bytes
            .expose(|bytes| ring.seal(&self.aad(), bytes, rng))
            .map_err(|_| StorageError::Inconsistent("a share is too long to be sealed"))
    }

    /// Opens what was sealed for this cell.
    pub(crate) fn open(
        &self,
        ring: &KeyRing,
        sealed: &[u8],
    ) -> Result<CommittedShare, StorageError> {
        ring.open(&self.aad(), sealed)
            .map_err(|_| StorageError::Inconsistent("a stored share does not open"))?
            .expose(CommittedShare::from_bytes)
            .map_err(|_| StorageError::Inconsistent("a stored share is malformed"))
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use keyfold_crypto::Secret;
    use keyfold_crypto::commitment::ShareCommitment;
    use keyfold_crypto::envelope::MasterKey;
    use keyfold_crypto::shamir::Share;
    use keyfold_protocol::ids::{AccountId, KeyId};
    use rand_core::UnwrapErr;

    use super::*;

    fn owner(account: u8) -> AccountRef {
        AccountRef {
            project: "app.example".parse().unwrap(),
            account: AccountId::from_bytes([account; 16]),
        }
    }

    #[test]
    fn a_share_moved_to_another_row_does_not_open() {
        let mut rng = UnwrapErr(SysRng);
        let ring = KeyRing::new(MasterKey::generate(&mut rng));
        let share = Share::new(1, SecretBytes::from_slice(&[7; 32])).unwrap();
        let bytes = CommittedShare {
            share,
            opening: Secret::random(&mut rng),
        }
        .to_bytes();
        let place = |account, key, purpose, generation, leaf| {
            let sharing = Sharing {
                key: KeyId::from_bytes([key; 16]),
                generation,
                leaf: ShareCommitment([leaf; 32]),
            };
            Place::of_key(&owner(account), &sharing, purpose)
        };
        let home = place(1, 1, SharePurpose::LeafKey, 1, 1);
        let sealed = home.seal(&ring, &bytes, &mut rng).unwrap();
        assert!(home.open(&ring, &sealed).is_ok());
        for elsewhere in [
            place(2, 1, SharePurpose::LeafKey, 1, 1),
            place(1, 2, SharePurpose::LeafKey, 1, 1),
            place(1, 1, SharePurpose::Entropy, 1, 1),
            place(1, 1, SharePurpose::LeafKey, 2, 1),
            place(1, 1, SharePurpose::LeafKey, 1, 2),
            Place::of_seed(RealmId::from_bytes([1; 32])),
        ] {
            assert!(elsewhere.open(&ring, &sealed).is_err(), "{elsewhere:?}");
        }
    }
}
