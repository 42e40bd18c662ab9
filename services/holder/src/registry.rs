//! Nonces for attestation documents, and the instances that answered them. In memory: it ends with
//! the process, and instances register again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::{Encoder, Secret};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{Digest32, InstanceId};
use keyfold_protocol::registration::VerifiedInstance;
use rand_core::CryptoRng;

use crate::error::Coded;

/// Most instances at once. The one that would end first makes room: it registers again.
pub(crate) const MAX_INSTANCES: usize = 64;
/// How long a nonce is good for, milliseconds.
pub(crate) const NONCE_LIFE_MS: u64 = 60_000;
/// Most nonces that were used within their life; each cost a genuine document.
const MAX_USED_NONCES: usize = 4_096;
/// Of these, the most that one instance answered: its documents are anybody's for the asking.
const MAX_USED_BY_ONE: usize = 16;
/// While a registration has more time left than this, one with the same keys changes nothing,
/// milliseconds. An instance renews its own ten minutes before the end.
const UNCHANGED_MS: u64 = 600_000;

/// The nonce was not issued by this process, is too old, or was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that nonce was not issued here, was used, or is older than a minute")]
pub(crate) struct NonceUnknown;

impl Coded for NonceUnknown {
    fn code(&self) -> Code {
        Code::NonceUnknown
    }
}

/// A nonce that this process issued within the last minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreshNonce {
    nonce: Digest32,
    issued_ms: u64,
}

impl FreshNonce {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.nonce.as_bytes()
    }
}

struct Registration {
    instance: Arc<VerifiedInstance>,
    expires_ms: u64,
}

#[derive(Default)]
struct Inner {
    instances: HashMap<InstanceId, Registration>,
    /// Used nonces, with the instance that answered and the time until which they would otherwise
    /// be good.
    used: HashMap<Digest32, (InstanceId, u64)>,
}

/// Nonces and registrations.
///
/// # Security
///
/// Anybody may ask for nonces, so issuing keeps nothing: a nonce is its time, 8 random bytes and a
/// MAC under a key of this process. Only used ones, which cost a genuine document, are kept.
pub(crate) struct Registry {
    key: Secret<32>,
    inner: Mutex<Inner>,
}

impl Registry {
    pub(crate) fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            key: Secret::random(rng),
            inner: Mutex::default(),
        }
    }

    /// Issues a nonce.
    pub(crate) fn issue(&self, now_ms: u64, rng: &mut impl CryptoRng) -> Digest32 {
        let mut head = [0; 16];
        rng.fill_bytes(&mut head);
        let (time, _random) = head.split_at_mut(8);
        time.copy_from_slice(&now_ms.to_be_bytes());
        let mut nonce = [0; 32];
        let (first, second) = nonce.split_at_mut(16);
        first.copy_from_slice(&head);
        second.copy_from_slice(&self.mac(&head));
        Digest32::from_bytes(nonce)
    }

    fn mac(&self, head: &[u8]) -> [u8; 16] {
        let message = Encoder::new("keyfold/holder-nonce/v1").bytes(head).finish();
        let mac = self.key.expose(|key| hmac_sha256(key, &message));
        let mut half = [0; 16];
        for (target, byte) in half.iter_mut().zip(mac) {
            *target = byte;
        }
        half
    }

    /// Checks that a nonce was issued here and may still be answered.
    pub(crate) fn check(&self, nonce: Digest32, now_ms: u64) -> Result<FreshNonce, NonceUnknown> {
        let (head, mac) = nonce.as_bytes().split_at(16);
        let issued = head
            .first_chunk::<8>()
            .copied()
            .map(u64::from_be_bytes)
            .unwrap_or_default();
        let fresh = issued <= now_ms && now_ms - issued < NONCE_LIFE_MS;
        if !constant_time_eq(mac, &self.mac(head))
            || !fresh
            || self.lock().used.contains_key(&nonce)
        {
            return Err(NonceUnknown);
        }
        Ok(FreshNonce {
            nonce,
            issued_ms: issued,
        })
    }

    /// Spends the nonce that a verified document of an instance answered. Of two at once, one is
    /// refused.
    pub(crate) fn spend(
        &self,
        nonce: FreshNonce,
        by: InstanceId,
        now_ms: u64,
    ) -> Result<(), NonceUnknown> {
        let mut inner = self.lock();
        inner.used.retain(|_, (_, until)| *until > now_ms);
        let by_one = inner.used.values().filter(|(who, _)| *who == by).count();
        if inner.used.len() >= MAX_USED_NONCES || by_one >= MAX_USED_BY_ONE {
            return Err(NonceUnknown);
        }
        let until = nonce.issued_ms.saturating_add(NONCE_LIFE_MS);
        match inner.used.insert(nonce.nonce, (by, until)) {
            None => Ok(()),
            Some(_) => Err(NonceUnknown),
        }
    }

    /// Returns the end of a registration with the same keys and realm, where there is one that has
    /// more than [`UNCHANGED_MS`] left.
    pub(crate) fn unchanged(&self, instance: &VerifiedInstance, now_ms: u64) -> Option<u64> {
        let inner = self.lock();
        let known = inner.instances.get(&instance.id)?;
        let VerifiedInstance {
            signing_key,
            hpke_key,
            ohttp_config,
            realm,
            ..
        } = known.instance.as_ref();
        let same = *signing_key == instance.signing_key
            && hpke_key.0 == instance.hpke_key.0
            && *ohttp_config == instance.ohttp_config
            && *realm == instance.realm;
        let left = known.expires_ms.saturating_sub(now_ms);
        (same && left > UNCHANGED_MS).then_some(known.expires_ms)
    }

    /// Remembers a verified instance until its document is too old.
    pub(crate) fn insert(&self, instance: VerifiedInstance, expires_ms: u64, now_ms: u64) {
        let mut inner = self.lock();
        inner.instances.retain(|_, known| known.expires_ms > now_ms);
        if inner.instances.len() >= MAX_INSTANCES && !inner.instances.contains_key(&instance.id) {
            let first = inner
                .instances
                .iter()
                .min_by_key(|(_, known)| known.expires_ms);
            if let Some(id) = first.map(|(id, _)| *id) {
                inner.instances.remove(&id);
            }
        }
        let id = instance.id;
        let registration = Registration {
            instance: Arc::new(instance),
            expires_ms,
        };
        inner.instances.insert(id, registration);
    }

    /// Finds an instance whose registration has not ended.
    pub(crate) fn find(&self, id: InstanceId, now_ms: u64) -> Option<Arc<VerifiedInstance>> {
        let inner = self.lock();
        let known = inner
            .instances
            .get(&id)
            .filter(|known| known.expires_ms > now_ms)?;
        Some(Arc::clone(&known.instance))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    const NOW: u64 = 1_000_000;
    const INSTANCE: InstanceId = InstanceId::from_bytes([1; 16]);

    fn registry() -> Registry {
        Registry::new(&mut UnwrapErr(SysRng))
    }

    #[test]
    fn a_nonce_is_good_for_a_minute_and_once() {
        let registry = registry();
        let nonce = registry.issue(NOW, &mut UnwrapErr(SysRng));
        assert!(registry.check(nonce, NOW - 1).is_err());
        assert!(registry.check(nonce, NOW + NONCE_LIFE_MS).is_err());
        let fresh = registry.check(nonce, NOW + NONCE_LIFE_MS - 1).unwrap();
        let again = registry.check(nonce, NOW).unwrap();
        registry.spend(fresh, INSTANCE, NOW).unwrap();
        assert_eq!(registry.spend(again, INSTANCE, NOW), Err(NonceUnknown));
        assert!(registry.check(nonce, NOW).is_err());
    }

    #[test]
    fn a_nonce_of_another_process_or_with_a_later_time_is_refused() {
        let registry = registry();
        let foreign = self::registry().issue(NOW, &mut UnwrapErr(SysRng));
        assert!(registry.check(foreign, NOW).is_err());
        let own = registry.issue(NOW, &mut UnwrapErr(SysRng));
        let mut moved = *own.as_bytes();
        moved[..8].copy_from_slice(&(NOW + 60_000).to_be_bytes());
        assert!(
            registry
                .check(Digest32::from_bytes(moved), NOW + 60_000)
                .is_err()
        );
    }

    #[test]
    fn documents_of_one_instance_use_up_no_nonce_of_anothers() {
        let registry = registry();
        let spend = |by| {
            let nonce = registry.issue(NOW, &mut UnwrapErr(SysRng));
            registry.spend(registry.check(nonce, NOW).unwrap(), by, NOW)
        };
        for _ in 0..MAX_USED_BY_ONE {
            spend(INSTANCE).unwrap();
        }
        assert_eq!(spend(INSTANCE), Err(NonceUnknown));
        spend(InstanceId::from_bytes([2; 16])).unwrap();
    }
}
