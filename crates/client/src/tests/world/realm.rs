//! The realm's record, and its enclaves.

use keyfold_attest::{Measurements, TrustRoot};
use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::hpke::HpkePrivateKey;
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Canonical as _, ed25519};
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::ids::{AddressId, Digest32, InstanceId, RealmId, Signature64};
use keyfold_protocol::ohttp::GatewayKeys;
use keyfold_protocol::realm::{HolderCard, RealmRecord, RootKind, SignedRealmRecord};
use keyfold_protocol::registration::{InstanceBinding, realm_pcr16};

use super::NOW_MS;

pub(crate) fn image() -> Measurements {
    Measurements::of_image([0xa0; 48], [0xa1; 48], [0xa2; 48])
}

/// One enclave.
pub(crate) struct Enclave {
    pub(crate) binding: InstanceBinding,
    pub(crate) hpke: HpkePrivateKey,
    pub(crate) ohttp: GatewayKeys,
    pub(crate) pcr0: [u8; 48],
    pub(crate) pcr16: [u8; 48],
}

impl Enclave {
    pub(crate) fn new(seed: u64, realm: RealmId) -> Self {
        let mut rng = SeededRng::new(seed);
        let ohttp = GatewayKeys::new([seed as u8; 32], seed as u8).unwrap();
        Self {
            binding: InstanceBinding {
                version: 1,
                signing_key: ed25519::SigningKey::generate(&mut rng).verifying_key(),
                ohttp_config: ohttp.encoded_config().as_bytes().to_vec(),
                realm: Some(realm),
            },
            hpke: HpkePrivateKey::generate(&mut rng),
            ohttp,
            pcr0: image().pcr0,
            pcr16: realm_pcr16(Some(realm)),
        }
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.binding.instance()
    }

    /// Starts over with another OHTTP key, as after the hourly rotation and ten minutes.
    pub(crate) fn rotate(&mut self, seed: u8) {
        self.ohttp = GatewayKeys::new([seed; 32], seed).unwrap();
        self.binding.ohttp_config = self.ohttp.encoded_config().as_bytes().to_vec();
    }
}

/// Makes a record of a realm with two holders, signed.
pub(crate) fn realm_record(issuer: &DevIssuer, nonce: u8) -> SignedRealmRecord {
    let mut rng = SeededRng::new(99);
    let keys = [1, 2].map(|_| ed25519::SigningKey::generate(&mut rng));
    let holders = keys.iter().zip(1_u8..).map(|(key, index)| HolderCard {
        name: format!("h{index}"),
        party: "p".into(),
        region: "r".into(),
        address: format!("h{index}.example:1"),
        signing_key: key.verifying_key(),
        hpke_key: HpkePrivateKey::generate(&mut rng).public_key(),
        tls_spki_sha256: Digest32::from_bytes([index; 32]),
    });
    let root = TrustRoot::from_der(issuer.root_der()).unwrap();
    let record = RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::from_bytes([nonce; 32]),
        created: NOW_MS / 1000,
        threshold: 2,
        holders: holders.collect(),
        root: RootKind::Development {
            certificate_sha256: Digest32::from_bytes(root.fingerprint()),
        },
        policy_keys: Vec::new(),
        checkpointer: AddressId::from_bytes([2; 20]),
        seed_commitments: vec![ShareCommitment([3; 32]), ShareCommitment([4; 32])],
    };
    let bytes = record.to_signed_bytes();
    SignedRealmRecord {
        record,
        signatures: keys.map(|key| Signature64(key.sign(&bytes))).to_vec(),
    }
}
