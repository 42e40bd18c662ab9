//! Which enclave instances a guard verified, for as long as their documents count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyfold_attest::{Expectations, Nonce};
use keyfold_protocol::holder_api;
use keyfold_protocol::ids::{Digest32, InstanceId};
use keyfold_protocol::registration::{RegistrationError, VerifiedInstance};
use rand_core::CryptoRng;

use crate::config::Trust;
use crate::nonces::Nonces;

const REGISTRATION_SECONDS: u64 = 3600;
const MAX_INSTANCES: usize = 64;

/// Says why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the nonce was not issued, was used, or is too old")]
    NonceUnknown,
    #[error("too many instances are registered")]
    Full,
    #[error("an instance outside every realm has nothing to ask a guard")]
    NoRealm,
    #[error(transparent)]
    Document(#[from] RegistrationError),
}

/// The instances of every realm that this guard serves.
pub(crate) struct Instances {
    trust: Trust,
    nonces: Nonces,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Instance with the second its registration ends.
    instances: HashMap<InstanceId, (VerifiedInstance, u64)>,
}

impl Instances {
    pub(crate) fn new(trust: Trust, rng: &mut impl CryptoRng) -> Self {
        Self {
            trust,
            nonces: Nonces::new(rng),
            state: Mutex::default(),
        }
    }

    /// Issues a nonce; keeps nothing of it.
    pub(crate) fn issue(&self, now: u64, rng: &mut impl CryptoRng) -> Digest32 {
        self.nonces.issue(now, rng)
    }

    /// Verifies a document and registers its instance until the document is an hour old.
    pub(crate) fn register(
        &self,
        request: &holder_api::Register,
        now_ms: u64,
    ) -> Result<holder_api::Registered, RegisterError> {
        let now = now_ms / 1000;
        if !self.nonces.is_good(&request.nonce, now) {
            return Err(RegisterError::NonceUnknown);
        }
        if request.attested.binding.realm.is_none() {
            return Err(RegisterError::NoRealm);
        }
        let nonce =
            Nonce::new(request.nonce.as_bytes()).map_err(|_| RegisterError::NonceUnknown)?;
        let expect = Expectations::new(&nonce, now_ms, &self.trust.policy);
        let realm = request.attested.binding.realm;
        let verified = request.attested.verify(&self.trust.root, &expect, realm)?;
        // Only what cost a genuine document is remembered.
        if !self.nonces.spend(request.nonce, now) {
            return Err(RegisterError::NonceUnknown);
        }
        let hour = verified.document_timestamp_ms / 1000 + REGISTRATION_SECONDS;
        let expires = hour.min(verified.valid_until_ms / 1000);

        let mut state = self.lock();
        state.instances.retain(|_, (_, ends)| *ends > now);
        if state.instances.len() >= MAX_INSTANCES && !state.instances.contains_key(&verified.id) {
            return Err(RegisterError::Full);
        }
        let instance = verified.id;
        state.instances.insert(instance, (verified, expires));
        Ok(holder_api::Registered { instance, expires })
    }

    /// Returns a registered instance.
    pub(crate) fn get(&self, id: &InstanceId, now: u64) -> Option<VerifiedInstance> {
        let state = self.lock();
        let (instance, ends) = state.instances.get(id)?;
        (*ends > now).then(|| instance.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
