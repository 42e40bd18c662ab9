//! How many connections each peer has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::limit::IpKey;

/// Counts of connections by peer. It has as many entries as there are connections, at most.
#[derive(Clone)]
pub(super) struct PeerPlaces {
    limit: usize,
    unlimited: Arc<[IpNet]>,
    taken: Arc<Mutex<HashMap<IpKey, usize>>>,
}

/// A place of one peer, given back when dropped.
pub(super) struct PeerPlace {
    places: PeerPlaces,
    peer: IpKey,
}

impl PeerPlaces {
    pub(super) fn new(limit: usize, unlimited: &[IpNet]) -> Self {
        Self {
            limit,
            unlimited: unlimited.into(),
            taken: Arc::default(),
        }
    }

    /// Takes a place, unless the peer has as many as it may have.
    pub(super) fn take(&self, address: IpAddr) -> Option<PeerPlace> {
        let peer = IpKey::of(address);
        let address = address.to_canonical();
        let unlimited = self.unlimited.iter().any(|net| net.contains(&address));
        let mut taken = self.lock();
        let count = taken.get(&peer).copied().unwrap_or_default();
        if count >= self.limit && !unlimited {
            return None;
        }
        taken.insert(peer, count + 1);
        drop(taken);
        Some(PeerPlace {
            places: self.clone(),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpKey, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_gets_its_places_back_and_leaves_nothing_behind() {
        let places = PeerPlaces::new(2, &[]);
        let [one, other] = ["198.51.100.7", "203.0.113.9"].map(|ip| ip.parse().unwrap());
        let first = places.take(one).unwrap();
        let second = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        let elsewhere = places.take(other).unwrap();
        drop(first);
        let third = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        drop((second, third, elsewhere));
        assert!(places.lock().is_empty());
    }

    #[test]
    fn a_network_of_64_bits_is_one_peer() {
        let places = PeerPlaces::new(1, &[]);
        let _held = places.take("2001:db8:1:2::1".parse().unwrap()).unwrap();
        assert!(
            places
                .take("2001:db8:1:2:ffff::".parse().unwrap())
                .is_none()
        );
        assert!(places.take("2001:db8:1:3::1".parse().unwrap()).is_some());
    }
}
