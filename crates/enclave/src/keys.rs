//! What is derived from the realm's seed, and the names that hide from the host what they name.

use keyfold_crypto::envelope::{KeyRing, MasterKey};
use keyfold_crypto::hash::{hkdf_sha256, hmac_sha256};
use keyfold_crypto::{Encoder, Secret, secp256k1};
use keyfold_identity::EmailAddress;
use keyfold_protocol::ids::{AddressId, Digest32, ProjectId, RecordId};

/// The realm's keys.
///
/// # Security
///
/// Each wipes itself on drop; the seed is not kept.
pub(crate) struct RealmKeys {
    pub(crate) sealing: KeyRing,
    lookup: Secret<32>,
    checkpointer: AddressId,
}

/// The seed gives no checkpointer key, which happens once in 2^127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seed gives no checkpointer key")]
pub(crate) struct UnusableSeed;

impl RealmKeys {
    /// Derives the keys: HKDF-SHA256 of the seed, one label each.
    pub(crate) fn derive(seed: &Secret<32>) -> Result<Self, UnusableSeed> {
        let derive = |label: &'static str| -> Secret<32> {
            let info = Encoder::new(label).finish();
            seed.expose(|seed| hkdf_sha256(&[], seed, &info))
        };
        // Nothing is attested with the checkpointer key yet, so only its address stays.
        let checkpointer =
            secp256k1::SigningKey::from_secret(&derive("keyfold/realm/checkpointer/v1"))
                .map_err(|_| UnusableSeed)?
                .address();
        Ok(Self {
            sealing: KeyRing::new(MasterKey::new(derive("keyfold/realm/sealing/v1"))),
            lookup: derive("keyfold/realm/look-up/v1"),
            checkpointer: AddressId::from_bytes(checkpointer),
        })
    }

    /// The checkpointer's address, as the realm record names it.
    pub(crate) fn checkpointer(&self) -> AddressId {
        self.checkpointer
    }

    /// Names a record: a keyed hash of its kind, project and name.
    pub(crate) fn record_id(
        &self,
        kind: &str,
        project: Option<&ProjectId>,
        name: &[u8],
    ) -> RecordId {
        let mut encoder = Encoder::new("keyfold/record-name/v1");
        encoder
            .str(kind)
            .opt_bytes(project.map(|p| p.as_str().as_bytes()))
            .bytes(name);
        RecordId::from_bytes(self.mac(&encoder.finish()))
    }

    /// Names a mailbox to holders, which count mails to it; the same in every project, since it is
    /// the mailbox that a flood fills.
    pub(crate) fn mailbox(&self, email: &EmailAddress) -> Digest32 {
        let name = Encoder::new("keyfold/mailbox/v1")
            .bytes(email.lookup_bytes())
            .finish();
        Digest32::from_bytes(self.mac(&name))
    }

    /// Names an identity within an account's record.
    pub(crate) fn identity(&self, project: &ProjectId, method: &str, name: &[u8]) -> Digest32 {
        let mut encoder = Encoder::new("keyfold/identity/v1");
        encoder.str(project.as_str()).str(method).bytes(name);
        Digest32::from_bytes(self.mac(&encoder.finish()))
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.lookup.expose(|key| hmac_sha256(key, message))
    }
}

impl core::fmt::Debug for RealmKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RealmKeys([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> RealmKeys {
        RealmKeys::derive(&Secret::from_array([seed; 32])).unwrap()
    }

    #[test]
    fn record_names_depend_on_seed_kind_project_and_name() {
        let (a, b): (ProjectId, ProjectId) =
            ("a.example".parse().unwrap(), "b.example".parse().unwrap());
        let base = keys(1).record_id("identity", Some(&a), b"x");
        assert_eq!(base, keys(1).record_id("identity", Some(&a), b"x"));
        for other in [
            keys(2).record_id("identity", Some(&a), b"x"),
            keys(1).record_id("account", Some(&a), b"x"),
            keys(1).record_id("identity", Some(&b), b"x"),
            keys(1).record_id("identity", None, b"x"),
            keys(1).record_id("identity", Some(&a), b"y"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn bytes_cannot_move_between_the_parts_of_an_identity() {
        let project: ProjectId = "a.example".parse().unwrap();
        let keys = keys(1);
        assert_ne!(
            keys.identity(&project, "a:b", b"c"),
            keys.identity(&project, "a", b"b:c")
        );
    }

    #[test]
    fn nothing_of_the_keys_is_printed() {
        assert_eq!(format!("{:?}", keys(1)), "RealmKeys([redacted])");
    }
}
