//! Challenges: what a proof must contain so that it proves something *here*, *now*, *once*.
//!
//! A challenge is a hash over method, project, the thumbprint of the device credential that began
//! the sign-in, the time, and 256 random bits. Whoever signs it signs for that device alone: a
//! proof that is seen on its way is of no use to another device, another project, or another
//! method. A holder that is shown the parts computes the same hash with [`challenge_hash`] and so
//! checks for itself which device a passkey vouched for.
//!
//! # Once
//!
//! A [`Challenge`] has no `Clone`, and every verification takes it by value: to look at a proof is
//! to use up its challenge, whether the proof was good or not. [`PendingChallenges`] gives each out
//! at most once, and only to the project, device and method it was made for; to anybody else it
//! does not exist, and asking takes nothing from its owner.
//!
//! # What a flood does
//!
//! Memory is bounded by [`ChallengeLimits`]. A device has one challenge for each method: beginning
//! again replaces its own. When there is no room, what is *new* is refused, and nothing that waits
//! is pushed out. Limits by network address stand in front of this.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{Encoder, binding};
use rand_core::CryptoRng;

use crate::room::may_take;

/// Seconds for which a challenge can be answered: what WebAuthn recommends for a ceremony.
pub const CHALLENGE_SECONDS: u64 = 300;

/// What a challenge may be answered with. A proof of one method is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChallengeMethod {
    /// Making a passkey.
    PasskeyRegistration,
    /// Signing in, or stepping up, with a passkey.
    PasskeyAssertion,
    /// Sign-In with Ethereum.
    Ethereum,
    /// Sign-In With Solana.
    Solana,
    /// Sign In With Farcaster.
    Farcaster,
}

impl ChallengeMethod {
    const fn tag(self) -> u8 {
        match self {
            Self::PasskeyRegistration => 1,
            Self::PasskeyAssertion => 2,
            Self::Ethereum => 3,
            Self::Solana => 4,
            Self::Farcaster => 5,
        }
    }
}

/// Computes the 32 bytes that are signed, from their parts.
///
/// `device` is the SHA-256 thumbprint of the device's key (RFC 7638).
#[must_use]
pub fn challenge_hash(
    method: ChallengeMethod,
    project: &str,
    device: &[u8; 32],
    issued_at_unix_seconds: u64,
    random: &[u8; 32],
) -> [u8; 32] {
    let device = Thumbprint(*device);
    binding::challenge(
        method.tag(),
        project,
        &device,
        issued_at_unix_seconds,
        random,
    )
}

/// A challenge that waits for its answer.
///
/// # Security
///
/// Not a secret, and not to be duplicated: see the [module](self).
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    method: ChallengeMethod,
    project: String,
    device: [u8; 32],
    issued_at: u64,
    random: [u8; 32],
}

/// Says why a challenge cannot be answered: it is another method's, or its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// It was made for another method.
    #[error("the challenge is one of another method")]
    OtherMethod,
    /// It is older than [`CHALLENGE_SECONDS`], or from the future.
    #[error("the challenge is too old")]
    Expired,
}

impl Challenge {
    /// Draws a challenge for the device whose key signed the request to begin.
    pub fn new(
        method: ChallengeMethod,
        project: &str,
        device: [u8; 32],
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut random = [0; 32];
        rng.fill_bytes(&mut random);
        Self {
            method,
            project: project.to_owned(),
            device,
            issued_at: now_unix_seconds,
            random,
        }
    }

    /// Returns the bytes that a passkey signs.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        challenge_hash(
            self.method,
            &self.project,
            &self.device,
            self.issued_at,
            &self.random,
        )
    }

    /// Returns the same as 64 hexadecimal digits: the nonce of a message that a wallet signs.
    ///
    /// EIP-4361 wants letters and digits only, which base64url is not.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.bytes()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                text.push(hex_digit(byte >> 4));
                text.push(hex_digit(byte & 15));
                text
            })
    }

    /// Returns the random part, which a holder needs to compute the hash.
    #[must_use]
    pub fn random(&self) -> &[u8; 32] {
        &self.random
    }

    /// Returns the method that it was made for.
    #[must_use]
    pub fn method(&self) -> ChallengeMethod {
        self.method
    }

    /// Returns the project that it was made for.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the thumbprint of the device that it was made for.
    #[must_use]
    pub fn device(&self) -> &[u8; 32] {
        &self.device
    }

    /// Returns when it was made, in Unix seconds.
    #[must_use]
    pub fn issued_at_unix_seconds(&self) -> u64 {
        self.issued_at
    }

    /// Says whether it may be answered now, with a proof of this method.
    pub(crate) fn check(
        &self,
        method: ChallengeMethod,
        now_unix_seconds: u64,
    ) -> Result<(), ChallengeError> {
        if self.method != method {
            return Err(ChallengeError::OtherMethod);
        }
        match now_unix_seconds.checked_sub(self.issued_at) {
            Some(age) if age < CHALLENGE_SECONDS => Ok(()),
            _ => Err(ChallengeError::Expired),
        }
    }

    pub(crate) fn bound(&self, now_unix_seconds: u64) -> Bound {
        Bound {
            project: self.project.clone(),
            device: self.device,
            proven_at: now_unix_seconds,
        }
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    })
}

/// What every proof is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) project: String,
    pub(crate) device: [u8; 32],
    pub(crate) proven_at: u64,
}

/// Gives a proven identity the questions that all of them answer.
macro_rules! bound_proof {
    ($proof:ty) => {
        impl $proof {
            /// Returns the project that the proof is for.
            #[must_use]
            pub fn project(&self) -> &str {
                &self.bound.project
            }

            /// Returns the thumbprint of the device that the proof is for.
            #[must_use]
            pub fn device(&self) -> &[u8; 32] {
                &self.bound.device
            }

            /// Returns when it was proven, in Unix seconds.
            #[must_use]
            pub fn proven_at_unix_seconds(&self) -> u64 {
                self.bound.proven_at
            }
        }
    };
}
pub(crate) use bound_proof;

/// Bounds of what waits at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChallengeLimits {
    /// Challenges in all, of which a project takes what [`room`](crate::room) lets it; about 512
    /// bytes of memory each, and the project's name.
    pub total: usize,
}

impl Default for ChallengeLimits {
    fn default() -> Self {
        Self { total: 50_000 }
    }
}

/// There is no room for another challenge: try again later, or at another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins are pending")]
pub struct ChallengesFull;

/// This device has no such challenge in this project: it never had, or it is answered, replaced or
/// too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such sign-in")]
pub struct UnknownChallenge;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key([u8; 32]);

impl Key {
    fn new(method: ChallengeMethod, project: &str, device: &[u8; 32]) -> Self {
        Self(
            Encoder::new("keyfold/challenge/pending/v1")
                .u8(method.tag())
                .str(project)
                .fixed(device)
                .sha256(),
        )
    }
}

/// The challenges that wait for an answer, in memory.
pub struct PendingChallenges {
    limits: ChallengeLimits,
    waiting: BTreeMap<Key, Challenge>,
    ends: BTreeSet<(u64, Key)>,
    by_project: BTreeMap<String, usize>,
}

impl PendingChallenges {
    /// Makes an empty store.
    #[must_use]
    pub fn new(limits: ChallengeLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_project: BTreeMap::new(),
        }
    }

    /// Returns how many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Draws a challenge and keeps it; returns it to be read. Replaces the device's earlier one.
    ///
    /// # Errors
    ///
    /// [`ChallengesFull`]; nothing has changed then.
    pub fn start(
        &mut self,
        method: ChallengeMethod,
        project: &str,
        device: [u8; 32],
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<&Challenge, ChallengesFull> {
        self.forget_old(now_unix_seconds);
        let key = Key::new(method, project, &device);
        if !self.waiting.contains_key(&key) {
            let of_project = self.by_project.get(project).copied().unwrap_or_default();
            if !may_take(of_project, self.waiting.len(), self.limits.total) {
                return Err(ChallengesFull);
            }
        }
        self.remove(&key);
        let challenge = Challenge::new(method, project, device, now_unix_seconds, rng);
        *self.by_project.entry(project.to_owned()).or_default() += 1;
        self.ends.insert((ends_at(&challenge), key));
        Ok(self.waiting.entry(key).or_insert(challenge))
    }

    /// Takes the challenge of this method, project and device out, to check an answer to it.
    ///
    /// # Errors
    ///
    /// [`UnknownChallenge`].
    ///
    /// # Security
    ///
    /// Project and device are those of the signed request, never of its body.
    pub fn take(
        &mut self,
        method: ChallengeMethod,
        project: &str,
        device: &[u8; 32],
        now_unix_seconds: u64,
    ) -> Result<Challenge, UnknownChallenge> {
        self.forget_old(now_unix_seconds);
        self.remove(&Key::new(method, project, device))
            .ok_or(UnknownChallenge)
    }

    /// Erases what is too old. Starting and taking do so too.
    pub fn forget_old(&mut self, now_unix_seconds: u64) {
        while let Some(&(ends_at, key)) = self.ends.first()
            && ends_at <= now_unix_seconds
        {
            self.ends.pop_first();
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Challenge> {
        let removed = self.waiting.remove(key)?;
        self.ends.remove(&(ends_at(&removed), *key));
        if let Some(count) = self.by_project.get_mut(&removed.project) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_project.remove(&removed.project);
            }
        }
        Some(removed)
    }
}

fn ends_at(challenge: &Challenge) -> u64 {
    challenge.issued_at.saturating_add(CHALLENGE_SECONDS)
}

impl fmt::Debug for PendingChallenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingChallenges")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;

    use super::ChallengeMethod::{Ethereum, PasskeyAssertion, Solana};
    use super::*;

    const DEVICE: [u8; 32] = [7; 32];
    const NOW: u64 = 1_800_000_000;

    fn store(total: usize) -> PendingChallenges {
        PendingChallenges::new(ChallengeLimits { total })
    }

    #[test]
    fn another_method_project_device_or_time_has_another_challenge() {
        let base = challenge_hash(Ethereum, "app", &DEVICE, NOW, &[1; 32]);
        for other in [
            challenge_hash(Solana, "app", &DEVICE, NOW, &[1; 32]),
            challenge_hash(Ethereum, "apq", &DEVICE, NOW, &[1; 32]),
            challenge_hash(Ethereum, "app", &[8; 32], NOW, &[1; 32]),
            challenge_hash(Ethereum, "app", &DEVICE, NOW + 1, &[1; 32]),
            challenge_hash(Ethereum, "app", &DEVICE, NOW, &[2; 32]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_nonce_is_the_hash_in_letters_and_digits() {
        let challenge = Challenge::new(Ethereum, "app", DEVICE, NOW, &mut SeededRng::new(1));
        assert_eq!(challenge.nonce(), hex::encode(challenge.bytes()));
    }

    #[test]
    fn a_challenge_is_given_out_once_and_to_its_owner_only() {
        let mut rng = SeededRng::new(2);
        let mut store = store(10);
        let hash = store
            .start(Ethereum, "app", DEVICE, NOW, &mut rng)
            .unwrap()
            .bytes();
        assert!(store.take(Solana, "app", &DEVICE, NOW).is_err());
        assert!(store.take(Ethereum, "other", &DEVICE, NOW).is_err());
        assert!(store.take(Ethereum, "app", &[8; 32], NOW).is_err());
        let taken = store.take(Ethereum, "app", &DEVICE, NOW).unwrap();
        assert_eq!(taken.bytes(), hash);
        assert!(store.take(Ethereum, "app", &DEVICE, NOW).is_err());
        assert!(store.is_empty() && store.by_project.is_empty() && store.ends.is_empty());
    }

    #[test]
    fn beginning_again_makes_the_earlier_challenge_useless() {
        let mut rng = SeededRng::new(3);
        let mut store = store(1);
        let first = store
            .start(PasskeyAssertion, "app", DEVICE, NOW, &mut rng)
            .unwrap()
            .bytes();
        let second = store
            .start(PasskeyAssertion, "app", DEVICE, NOW + 1, &mut rng)
            .unwrap()
            .bytes();
        assert_ne!(first, second);
        let taken = store.take(PasskeyAssertion, "app", &DEVICE, NOW + 1);
        assert_eq!(taken.unwrap().bytes(), second);
    }

    #[test]
    fn a_challenge_ends_after_five_minutes_in_the_store_and_outside() {
        let mut rng = SeededRng::new(4);
        let mut store = store(10);
        for (after, there) in [(CHALLENGE_SECONDS - 1, true), (CHALLENGE_SECONDS, false)] {
            let _ = store.start(Ethereum, "app", DEVICE, NOW, &mut rng);
            let taken = store.take(Ethereum, "app", &DEVICE, NOW + after);
            assert_eq!(taken.is_ok(), there, "{after}");
        }
        let challenge = Challenge::new(Ethereum, "app", DEVICE, NOW, &mut rng);
        let at = |now| challenge.check(Ethereum, now);
        assert_eq!(at(NOW + CHALLENGE_SECONDS - 1), Ok(()));
        assert_eq!(at(NOW + CHALLENGE_SECONDS), Err(ChallengeError::Expired));
        assert_eq!(at(NOW - 1), Err(ChallengeError::Expired));
        assert_eq!(
            challenge.check(Solana, NOW),
            Err(ChallengeError::OtherMethod)
        );
    }

    #[test]
    fn a_flood_refuses_what_is_new_and_keeps_what_waits() {
        let mut rng = SeededRng::new(5);
        let mut store = store(7);
        let mut start = |store: &mut PendingChallenges, project: &str, device: u8| {
            store
                .start(Ethereum, project, [device; 32], NOW, &mut rng)
                .is_ok()
        };
        assert!(start(&mut store, "a", 1) && start(&mut store, "a", 2));
        assert!(!start(&mut store, "a", 3), "one project's room is used up");
        assert!(start(&mut store, "b", 3) && start(&mut store, "c", 4));
        assert!(!start(&mut store, "b", 4) && !start(&mut store, "c", 3));
        assert!(["d", "e", "f"].iter().all(|new| start(&mut store, new, 1)));
        assert!(!start(&mut store, "g", 1), "the instance is full");
        assert!(start(&mut store, "a", 1), "beginning again needs no room");
        for (project, device) in [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("d", 1)] {
            assert!(store.take(Ethereum, project, &[device; 32], NOW).is_ok());
        }
    }
}
