//! Nonces for attestation documents.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::{Encoder, Secret};
use keyfold_protocol::ids::Digest32;
use rand_core::CryptoRng;

/// How long a nonce is good for, seconds.
const LIFE_SECONDS: u64 = 60;
/// Most nonces that were used within their life.
const MAX_USED: usize = 4_096;

/// Issues nonces and says which are still good.
///
/// # Security
///
/// Anybody may ask for nonces, so issuing keeps nothing and can be exhausted by nobody: a nonce is
/// its time, 8 random bytes, and a MAC under a key of this process. Only used ones are kept.
pub(crate) struct Nonces {
    key: Secret<32>,
    /// Used nonces, with the second from which on they would be too old anyway.
    used: Mutex<HashMap<Digest32, u64>>,
}

impl Nonces {
    pub(crate) fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            key: Secret::random(rng),
            used: Mutex::default(),
        }
    }

    pub(crate) fn issue(&self, now: u64, rng: &mut impl CryptoRng) -> Digest32 {
        let mut nonce = [0; 32];
        let (head, mac) = nonce.split_at_mut(16);
        rng.fill_bytes(head);
        for (to, from) in head.iter_mut().zip(now.to_be_bytes()) {
            *to = from;
        }
        mac.copy_from_slice(&self.mac(head));
        Digest32::from_bytes(nonce)
    }

    /// Tells whether a nonce was issued here within the last minute and not used.
    pub(crate) fn is_good(&self, nonce: &Digest32, now: u64) -> bool {
        let (head, mac) = nonce.as_bytes().split_at(16);
        constant_time_eq(mac, &self.mac(head))
            && issued_at(nonce).is_some_and(|at| at <= now && now - at < LIFE_SECONDS)
            && !self.lock().contains_key(nonce)
    }

    /// Spends a good nonce; of two at once, one is refused.
    pub(crate) fn spend(&self, nonce: Digest32, now: u64) -> bool {
        let Some(issued) = issued_at(&nonce) else {
            return false;
        };
        let mut used = self.lock();
        used.retain(|_, ends| *ends > now);
        used.len() < MAX_USED
            && used
                .insert(nonce, issued.saturating_add(LIFE_SECONDS))
                .is_none()
    }

    fn mac(&self, head: &[u8]) -> [u8; 16] {
        let message = Encoder::new("keyfold/guard-nonce/v1").bytes(head).finish();
        let mac = self.key.expose(|key| hmac_sha256(key, &message));
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(mac) {
            *to = from;
        }
        half
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest32, u64>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn issued_at(nonce: &Digest32) -> Option<u64> {
    nonce
        .as_bytes()
        .first_chunk()
        .copied()
        .map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;

    use super::*;

    const NOW: u64 = 1_000;

    #[test]
    fn a_nonce_is_good_for_a_minute_and_once() {
        let mut rng = SeededRng::new(1);
        let nonces = Nonces::new(&mut rng);
        let nonce = nonces.issue(NOW, &mut rng);
        assert!(!nonces.is_good(&nonce, NOW - 1));
        assert!(nonces.is_good(&nonce, NOW + LIFE_SECONDS - 1));
        assert!(!nonces.is_good(&nonce, NOW + LIFE_SECONDS));
        assert!(nonces.spend(nonce, NOW));
        assert!(!nonces.spend(nonce, NOW));
        assert!(!nonces.is_good(&nonce, NOW));
    }

    #[test]
    fn a_nonce_of_another_process_or_moved_in_time_is_refused() {
        let mut rng = SeededRng::new(2);
        let (nonces, others) = (Nonces::new(&mut rng), Nonces::new(&mut rng));
        let foreign = others.issue(NOW, &mut rng);
        assert!(!nonces.is_good(&foreign, NOW));
        let mut moved = *nonces.issue(NOW, &mut rng).as_bytes();
        moved[..8].copy_from_slice(&(NOW + 60).to_be_bytes());
        assert!(!nonces.is_good(&Digest32::from_bytes(moved), NOW + 60));
    }
}
