//! Which enclave instances a guard verified, for as long as their documents count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyfold_attest::{Expectations, Nonce};
use keyfold_protocol::holder_api;
use keyfold_protocol::ids::{Digest32, InstanceId};
use keyfold_protocol::registration::{RegistrationError, VerifiedInstance};

use crate::config::Trust;

const NONCE_SECONDS: u64 = 60;
const REGISTRATION_SECONDS: u64 = 3600;
const MAX_NONCES: usize = 1024;
const MAX_INSTANCES: usize = 64;

/// Says why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the nonce was not issued, was used, or is too old")]
    NonceUnknown,
    #[error("too many instances are registered")]
    Full,
    #[error(transparent)]
    Document(#[from] RegistrationError),
}

/// The instances of every realm that this guard serves.
pub(crate) struct Instances {
    trust: Trust,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Nonce to the second it ends.
    nonces: HashMap<Digest32, u64>,
    /// Instance with the second its registration ends.
    instances: HashMap<InstanceId, (VerifiedInstance, u64)>,
}

impl Instances {
    pub(crate) fn new(trust: Trust) -> Self {
        Self {
            trust,
            state: Mutex::default(),
        }
    }

    /// Remembers a nonce that was drawn for a caller; `None` when too many are outstanding.
    pub(crate) fn issue(&self, nonce: Digest32, now: u64) -> Option<Digest32> {
        let mut state = self.lock();
        state.nonces.retain(|_, ends| *ends > now);
        if state.nonces.len() >= MAX_NONCES {
            return None;
        }
        state.nonces.insert(nonce, now + NONCE_SECONDS);
        Some(nonce)
    }

    /// Verifies a document and registers its instance until the document is an hour old.
    pub(crate) fn register(
        &self,
        request: &holder_api::Register,
        now_ms: u64,
    ) -> Result<holder_api::Registered, RegisterError> {
        let now = now_ms / 1000;
        let issued = self.lock().nonces.remove(&request.nonce);
        if issued.is_none_or(|ends| ends <= now) {
            return Err(RegisterError::NonceUnknown);
        }
        let nonce =
            Nonce::new(request.nonce.as_bytes()).map_err(|_| RegisterError::NonceUnknown)?;
        let expect = Expectations::new(&nonce, now_ms, &self.trust.policy);
        let realm = request.attested.binding.realm;
        let verified = request.attested.verify(&self.trust.root, &expect, realm)?;
        let expires = verified.document_timestamp_ms / 1000 + REGISTRATION_SECONDS;

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
