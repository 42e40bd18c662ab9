//! What an instance has from its first moment: platform, time, keys of its own.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use keyfold_crypto::ed25519;
use keyfold_crypto::hpke::{HpkePrivateKey, HpkePublicKey};
use keyfold_protocol::ids::{Digest32, InstanceId, RealmId};
use keyfold_protocol::ohttp::{GatewayKeys, InnerRequest, OpenError, ResponseSealer};
use keyfold_protocol::registration::{AttestedBinding, InstanceBinding};
use rand_core::Rng;
use zeroize::Zeroize;

use crate::BootError;
use crate::background::Background;
use crate::clock::Clock;
use crate::platform::{AttestRequest, Platform, PlatformError};
use crate::problem::Problem;
use crate::rng::OperationRng;
use crate::webhooks::Webhooks;

/// Platform, time, and the keys that live and die with the process.
pub(crate) struct Core<P> {
    platform: Arc<P>,
    clock: Clock,
    signing: ed25519::SigningKey,
    hpke: HpkePrivateKey,
    hpke_public: HpkePublicKey,
    instance: InstanceId,
    ohttp: RwLock<GatewayKeys>,
    realm: OnceLock<RealmId>,
    pub(crate) background: Background,
    pub(crate) webhooks: Webhooks,
}

impl<P: Platform> Core<P> {
    /// Draws the instance's keys and learns the time from a document of its own.
    pub(crate) fn start(platform: Arc<P>) -> Result<Self, BootError> {
        let mut rng = OperationRng::draw(&*platform)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let document = platform.attest(AttestRequest {
            nonce: &nonce,
            user_data: &[],
            public_key: &[0; 32],
        })?;
        let monotonic = platform.monotonic();
        // The document comes from the own security module and is only asked for the time.
        let document =
            keyfold_attest::danger::inspect(&document).map_err(|_| PlatformError::Attest)?;
        let clock = Clock::new(document.timestamp_ms(), monotonic);

        let signing = ed25519::SigningKey::generate(&mut rng);
        let hpke = HpkePrivateKey::generate(&mut rng);
        let mut first = [0; 33];
        rng.fill_bytes(&mut first);
        let [key_id, ref material @ ..] = first;
        let ohttp = GatewayKeys::new(*material, key_id);
        first.zeroize();
        let ohttp = ohttp.map_err(|_| BootError::Keys)?;
        let instance = InstanceBinding {
            version: 1,
            signing_key: signing.verifying_key(),
            ohttp_config: Vec::new(),
            realm: None,
        }
        .instance();
        Ok(Self {
            platform,
            clock,
            hpke_public: hpke.public_key(),
            signing,
            hpke,
            instance,
            ohttp: RwLock::new(ohttp),
            realm: OnceLock::new(),
            background: Background::new(),
            webhooks: Webhooks::new(),
        })
    }

    pub(crate) fn platform(&self) -> &P {
        &self.platform
    }

    pub(crate) fn instance(&self) -> InstanceId {
        self.instance
    }

    pub(crate) fn signing_key(&self) -> &ed25519::SigningKey {
        &self.signing
    }

    pub(crate) fn hpke_key(&self) -> &HpkePrivateKey {
        &self.hpke
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        self.clock.unix_ms(self.platform.monotonic())
    }

    pub(crate) fn now(&self) -> u64 {
        self.unix_ms() / 1000
    }

    /// Draws the randomness of one operation.
    pub(crate) fn rng(&self) -> Result<OperationRng, PlatformError> {
        OperationRng::draw(&*self.platform)
    }

    /// Extends PCR16 with the realm and locks it; repeatable for the same realm.
    pub(crate) fn enter_realm(&self, realm: RealmId) -> Result<(), BootError> {
        match self.realm.get() {
            Some(entered) if *entered == realm => Ok(()),
            Some(_) => Err(BootError::OtherRealm),
            None => {
                self.platform.extend_pcr16_and_lock(realm.as_bytes())?;
                self.realm.set(realm).map_err(|_| BootError::OtherRealm)
            }
        }
    }

    /// Asks for a document that binds the instance's keys as they are now.
    pub(crate) fn attest(&self, nonce: &Digest32) -> Result<AttestedBinding, PlatformError> {
        let binding = InstanceBinding {
            version: 1,
            signing_key: self.signing.verifying_key(),
            ohttp_config: self
                .ohttp
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .encoded_config()
                .as_bytes()
                .to_vec(),
            realm: self.realm.get().copied(),
        };
        let document = self.platform.attest(AttestRequest {
            nonce: nonce.as_bytes(),
            user_data: &binding.user_data(),
            public_key: &self.hpke_public.0,
        })?;
        Ok(AttestedBinding { document, binding })
    }

    /// Opens a sealed request.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<(InnerRequest, ResponseSealer), OpenError> {
        let now = self.now();
        self.ohttp
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .open(sealed, now)
    }

    /// Makes a new OHTTP key the current one.
    pub(crate) fn rotate_ohttp(&self) -> Result<(), Problem> {
        let mut material = [0; 32];
        self.rng()?.fill_bytes(&mut material);
        let now = self.now();
        let rotated = self
            .ohttp
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .rotate(material, now);
        material.zeroize();
        rotated.map_err(|_| Problem::internal("the OHTTP key was not rotated"))
    }

    /// Erases the OHTTP key before the current one when its time is over.
    pub(crate) fn expire_ohttp(&self) {
        let now = self.now();
        self.ohttp
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .expire(now);
    }
}
