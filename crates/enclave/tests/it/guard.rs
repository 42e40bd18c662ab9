//! A guard that decides as the test says.

use std::collections::HashSet;

use alloy_primitives::{Address, Bytes};
use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_enclave::{PeerError, PeerRequest};
use keyfold_protocol::client_api::GuardSettings;
use keyfold_protocol::config::{Replayed, published_root};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::{Cosign, CosignUpdate, Cosigned, path};
use keyfold_protocol::holder_api::{INSTANCE_HEADER, Nonce, Register, Registered};
use keyfold_protocol::ids::Digest32;

use crate::world::{Answer, ok, refuse};

pub(crate) struct SimGuard {
    pub(crate) spki: [u8; 32],
    key: SigningKey,
    registered: HashSet<String>,
    pub(crate) down: bool,
    pub(crate) denies: bool,
    pub(crate) signs_with_another_key: bool,
    pub(crate) cosigns: usize,
}

impl SimGuard {
    pub(crate) fn new() -> Self {
        Self {
            spki: [0x77; 32],
            key: SigningKey::from_secret(&Secret::from_array([0x42; 32])).unwrap(),
            registered: HashSet::new(),
            down: false,
            denies: false,
            signs_with_another_key: false,
            cosigns: 0,
        }
    }

    pub(crate) fn settings(&self) -> GuardSettings {
        GuardSettings {
            address: "guard.example:443".to_owned(),
            tls_spki_sha256: Digest32::from_bytes(self.spki),
            signer: Address::from(self.key.address()),
        }
    }

    pub(crate) fn handle(&mut self, request: &PeerRequest) -> Result<Answer, PeerError> {
        if self.down {
            return Err(PeerError::Unreachable);
        }
        Ok(match request.path.as_str() {
            path::NONCE => ok(Nonce {
                nonce: Digest32::from_bytes([5; 32]),
            }),
            path::REGISTER => {
                let register: Register = serde_json::from_slice(&request.body).unwrap();
                let instance = register.attested.binding.instance();
                self.registered.insert(instance.to_string());
                ok(Registered {
                    instance,
                    expires: u64::MAX,
                })
            }
            path::COSIGN => self.cosign(request),
            path::COSIGN_UPDATE => self.cosign_update(request),
            other => panic!("the guard has no {other}"),
        })
    }

    fn cosign(&mut self, request: &PeerRequest) -> Answer {
        self.admit(request)?;
        let cosign: Cosign = serde_json::from_slice(&request.body).unwrap();
        let (payload, digest) = cosign.sign.digest().unwrap();
        let published = published_root(&cosign.sign.wallet, &payload);
        assert_eq!(published.is_some(), cosign.history.is_some());
        if let (Some(root), Some(history)) = (published, cosign.history) {
            assert_eq!(Replayed::of(&history).unwrap().latest_root(), root);
            assert_eq!(history.wallet, cosign.sign.wallet);
        }
        self.sign(digest)
    }

    fn cosign_update(&mut self, request: &PeerRequest) -> Answer {
        self.admit(request)?;
        let cosign: CosignUpdate = serde_json::from_slice(&request.body).unwrap();
        let replayed = Replayed::of(&cosign.history).unwrap();
        cosign.update.check(replayed.latest()).unwrap();
        assert_eq!(cosign.history.wallet, cosign.update.wallet);
        self.sign(cosign.update.digest())
    }

    fn admit(&mut self, request: &PeerRequest) -> Result<(), (Code, &'static str)> {
        let instance = request
            .headers
            .iter()
            .find(|(name, _)| name == INSTANCE_HEADER)
            .unwrap();
        if !self.registered.contains(&instance.1) {
            return refuse(Code::NotRegistered);
        }
        self.cosigns += 1;
        if self.denies {
            return Err((Code::GuardDenied, "the contract is not on the allow-list"));
        }
        Ok(())
    }

    fn sign(&self, digest: Digest32) -> Answer {
        let other = SigningKey::from_secret(&Secret::from_array([0x43; 32])).unwrap();
        let key = if self.signs_with_another_key {
            &other
        } else {
            &self.key
        };
        let mut signature = key.sign_prehash(digest.as_bytes()).to_rsv();
        signature[64] -= 27;
        ok(Cosigned {
            digest,
            signature: Bytes::copy_from_slice(&signature),
            policy_version: 1,
        })
    }
}
