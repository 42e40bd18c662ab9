//! Nonces that were used: each works once.

use std::collections::{BTreeSet, HashMap, HashSet};

use keyfold_crypto::jwk::Thumbprint;

/// Says why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonceError {
    /// It was used.
    Reused,
    /// There is no room to remember it, so the request is refused; nothing is ever forgotten
    /// before it expires.
    Full,
}

/// The nonces of the last minute or so, in memory, bounded.
#[derive(Debug)]
pub(crate) struct NonceWindow {
    capacity: usize,
    per_device: usize,
    used: HashMap<Thumbprint, HashSet<String>>,
    ends: BTreeSet<(u64, Thumbprint, String)>,
}

impl NonceWindow {
    pub(crate) fn new(capacity: usize, per_device: usize) -> Self {
        Self {
            capacity,
            per_device,
            used: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Uses a nonce of a device up. It must have been checked that `expires` is still to come.
    pub(crate) fn use_up(
        &mut self,
        device: Thumbprint,
        nonce: &str,
        expires: u64,
        now_unix_seconds: u64,
    ) -> Result<(), NonceError> {
        self.forget_expired(now_unix_seconds);
        let of_device = self.used.get(&device);
        if of_device.is_some_and(|nonces| nonces.contains(nonce)) {
            return Err(NonceError::Reused);
        }
        if self.ends.len() >= self.capacity
            || of_device.is_some_and(|nonces| nonces.len() >= self.per_device)
        {
            return Err(NonceError::Full);
        }
        self.used
            .entry(device)
            .or_default()
            .insert(nonce.to_owned());
        self.ends.insert((expires, device, nonce.to_owned()));
        Ok(())
    }

    pub(crate) fn forget_expired(&mut self, now_unix_seconds: u64) {
        while self
            .ends
            .first()
            .is_some_and(|(expires, ..)| *expires <= now_unix_seconds)
        {
            let Some((_, device, nonce)) = self.ends.pop_first() else {
                return;
            };
            if let Some(nonces) = self.used.get_mut(&device) {
                nonces.remove(&nonce);
                if nonces.is_empty() {
                    self.used.remove(&device);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Thumbprint = Thumbprint([1; 32]);
    const B: Thumbprint = Thumbprint([2; 32]);

    #[test]
    fn a_nonce_works_once_for_its_device_until_it_expires() {
        let mut window = NonceWindow::new(10, 10);
        assert_eq!(window.use_up(A, "n", 160, 100), Ok(()));
        assert_eq!(window.use_up(A, "n", 160, 159), Err(NonceError::Reused));
        assert_eq!(window.use_up(B, "n", 160, 159), Ok(()));
        // From its end on the signature itself is refused, so the nonce may be forgotten.
        assert_eq!(window.use_up(A, "n", 220, 160), Ok(()));
    }

    #[test]
    fn a_full_window_refuses_and_forgets_nothing() {
        let mut window = NonceWindow::new(3, 2);
        assert_eq!(window.use_up(A, "1", 160, 100), Ok(()));
        assert_eq!(window.use_up(A, "2", 160, 100), Ok(()));
        assert_eq!(window.use_up(A, "3", 160, 100), Err(NonceError::Full));
        assert_eq!(window.use_up(B, "1", 170, 100), Ok(()));
        assert_eq!(window.use_up(B, "2", 170, 100), Err(NonceError::Full));
        assert_eq!(window.use_up(A, "1", 160, 100), Err(NonceError::Reused));
        window.forget_expired(165);
        assert_eq!((window.ends.len(), window.used.len()), (1, 1));
    }
}
