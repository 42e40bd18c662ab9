//! Whom a holder or a guard knows: the nonces that it issued, and the instances whose documents
//! answered them. In memory: it ends with the process, and instances register again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfold_attest::{DEFAULT_MAX_AGE_MS, Expectations, MeasurementPolicy, Nonce, TrustRoot};
use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::{Encoder, Secret};
use rand_core::CryptoRng;

use crate::error_code::Code;
use crate::holder_api::INSTANCE_HEADER;
use crate::ids::{Digest32, InstanceId, RealmId};
use crate::registration::{AttestedBinding, RegistrationError, VerifiedInstance};
use crate::signed_request::{
    Components, SignatureError, SignedComponents, check_body, verify_instance,
};

/// Most instances of one realm at once, and most outside every realm. The one that would end first
/// makes room: it registers again.
pub const MAX_INSTANCES: usize = 64;
/// How long a nonce is good for, milliseconds.
pub const NONCE_LIFE_MS: u64 = 60_000;
/// Most nonces that one instance may use within their life. It needs one in fifty minutes; what
/// others bring of it counts only where it changes its registration.
const MAX_USED_NONCES: usize = 16;
/// While a registration has more time left than this, one with the same keys changes nothing,
/// milliseconds.
const UNCHANGED_MS: u64 = 600_000;

/// The nonce was not issued by this process, is too old, or was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that nonce was not issued here, was used, or is older than a minute")]
pub struct NonceUnknown;

/// Says why an instance is not to be registered.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// The nonce.
    #[error(transparent)]
    Nonce(#[from] NonceUnknown),
    /// The document, or what is beside it.
    #[error("the attestation document was refused: {0}")]
    Document(#[from] RegistrationError),
}

/// A nonce that this process issued within the last minute.
#[derive(Debug, Clone, Copy)]
pub struct FreshNonce {
    nonce: Digest32,
    issued_ms: u64,
}

/// Nonces and registrations.
///
/// # Security
///
/// Anybody may ask for nonces, so issuing keeps nothing: a nonce is its time, 8 random bytes and a
/// MAC under a key of this process. Only used ones, which cost a genuine document that changed a
/// registration, are kept.
///
/// Who registers chooses its realm, so each realm has its own places. How many realms there are is
/// for the caller to bound, before [`Registry::verify`].
pub struct Registry {
    key: Secret<32>,
    /// Used nonces, with the time until which they would otherwise be good, and who used them.
    used: Mutex<HashMap<Digest32, (u64, InstanceId)>>,
    instances: Mutex<Places<Arc<VerifiedInstance>>>,
}

impl Registry {
    /// Makes an empty one, with a fresh key.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            key: Secret::random(rng),
            used: Mutex::default(),
            instances: Mutex::default(),
        }
    }

    /// Issues a nonce.
    pub fn issue(&self, now_ms: u64, rng: &mut impl CryptoRng) -> Digest32 {
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
        let message = Encoder::new("keyfold/registration-nonce/v1")
            .bytes(head)
            .finish();
        let mac = self.key.expose(|key| hmac_sha256(key, &message));
        let mut half = [0; 16];
        for (target, byte) in half.iter_mut().zip(mac) {
            *target = byte;
        }
        half
    }

    /// Checks that a nonce was issued here and may still be answered.
    ///
    /// # Errors
    ///
    /// [`NonceUnknown`].
    pub fn check(&self, nonce: Digest32, now_ms: u64) -> Result<FreshNonce, NonceUnknown> {
        let (head, mac) = nonce.as_bytes().split_at(16);
        let issued_ms = head
            .first_chunk::<8>()
            .copied()
            .map(u64::from_be_bytes)
            .unwrap_or_default();
        let fresh = issued_ms <= now_ms && now_ms - issued_ms < NONCE_LIFE_MS;
        if !constant_time_eq(mac, &self.mac(head))
            || !fresh
            || lock(&self.used).contains_key(&nonce)
        {
            return Err(NonceUnknown);
        }
        Ok(FreshNonce { nonce, issued_ms })
    }

    /// Verifies that a document answers our nonce, comes from approved code under the root, is
    /// fresh, and binds the keys that travel beside it and the realm that they name, and spends the
    /// nonce. Of two documents for one nonce, one is refused; but where [`Registry::unchanged`]
    /// has an answer already, nothing is spent.
    ///
    /// Whether that realm is one to serve is for the caller to decide, before the document costs
    /// anything. This takes as long as a chain of P-384 signatures.
    ///
    /// # Errors
    ///
    /// [`NotVerified`].
    pub fn verify(
        &self,
        fresh: FreshNonce,
        attested: &AttestedBinding,
        root: &TrustRoot,
        policy: &MeasurementPolicy,
        now_ms: u64,
    ) -> Result<VerifiedInstance, NotVerified> {
        let nonce = Nonce::new(fresh.nonce.as_bytes()).map_err(|_| NonceUnknown)?;
        let expect = Expectations::new(&nonce, now_ms, policy);
        let instance = attested.verify(root, &expect, attested.binding.realm)?;
        if self.unchanged(&instance, now_ms).is_none() {
            self.spend(fresh, instance.id, now_ms)?;
        }
        Ok(instance)
    }

    /// Tells until when these very keys of an instance are registered already, Unix milliseconds,
    /// if that is a while yet.
    ///
    /// # Security
    ///
    /// Anybody can have an instance answer our nonce, at its gateway, and bring us the document. So
    /// a registration that would change nothing is to cost nothing: no nonce of the instance's, and
    /// no entry in a log.
    pub fn unchanged(&self, instance: &VerifiedInstance, now_ms: u64) -> Option<u64> {
        let known = self.find(instance.id, now_ms)?;
        let same = known.hpke_key == instance.hpke_key
            && known.ohttp_config == instance.ohttp_config
            && known.realm == instance.realm;
        let ends = expires_ms(&known);
        (same && ends.saturating_sub(now_ms) > UNCHANGED_MS).then_some(ends)
    }

    fn spend(&self, nonce: FreshNonce, by: InstanceId, now_ms: u64) -> Result<(), NonceUnknown> {
        let mut used = lock(&self.used);
        used.retain(|_, (until, _)| *until > now_ms);
        if used.values().filter(|(_, of)| *of == by).count() >= MAX_USED_NONCES {
            return Err(NonceUnknown);
        }
        let until = nonce.issued_ms.saturating_add(NONCE_LIFE_MS);
        match used.insert(nonce.nonce, (until, by)) {
            None => Ok(()),
            Some(_) => Err(NonceUnknown),
        }
    }

    /// Registers a verified instance until its document is an hour old, or a certificate of its
    /// chain ends. Returns that time, Unix milliseconds.
    pub fn insert(&self, instance: VerifiedInstance, now_ms: u64) -> u64 {
        let expires_ms = expires_ms(&instance);
        let (id, realm) = (instance.id, instance.realm);
        lock(&self.instances).insert(id, realm, Arc::new(instance), expires_ms, now_ms);
        expires_ms
    }

    /// Finds an instance whose registration has not ended.
    pub fn find(&self, id: InstanceId, now_ms: u64) -> Option<Arc<VerifiedInstance>> {
        lock(&self.instances).find(&id, now_ms).cloned()
    }
}

/// The head of a call, without its headers.
#[derive(Debug, Clone, Copy)]
pub struct CallHead<'a> {
    /// HTTP method, upper case.
    pub method: &'a str,
    /// The authority that must have been signed.
    pub authority: &'a str,
    /// Path.
    pub path: &'a str,
    /// Query, without its question mark.
    pub query: &'a str,
}

/// Says why a call is not one of a registered instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallerRefusal {
    /// A header is absent, there twice, or not text.
    #[error("the call lacks the header {0}")]
    Missing(&'static str),
    /// The instance is not registered.
    #[error("the instance has no registration here; register again")]
    NotRegistered,
    /// The signature, or the body.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl CallerRefusal {
    /// Returns the code that answers it.
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::SignatureMissing,
            Self::NotRegistered => Code::NotRegistered,
            Self::Signature(SignatureError::Expired) => Code::SignatureExpired,
            Self::Signature(SignatureError::DigestMismatch) => Code::DigestMismatch,
            Self::Signature(_) => Code::SignatureInvalid,
        }
    }
}

/// A registered instance that signed the head of a call; whether the body is what it signed is not
/// known yet.
#[derive(Debug)]
#[must_use = "the body is not checked yet"]
pub struct SignedHead {
    instance: Arc<VerifiedInstance>,
    components: Components,
}

impl SignedHead {
    /// Checks that the body is the one that was signed, and returns who signed it.
    ///
    /// # Errors
    ///
    /// [`CallerRefusal`].
    pub fn with_body(self, body: &[u8]) -> Result<Arc<VerifiedInstance>, CallerRefusal> {
        check_body(&self.components, body)?;
        Ok(self.instance)
    }
}

impl Registry {
    /// Verifies who makes a call (RFC 9421, profile
    /// [`Instance`](crate::signed_request::Profile::Instance)), so that a stranger's body is never
    /// read. `header` returns a header that is there once.
    ///
    /// # Errors
    ///
    /// [`CallerRefusal`].
    pub fn authenticate<'h>(
        &self,
        head: CallHead<'_>,
        header: impl Fn(&'static str) -> Option<&'h str>,
        now_ms: u64,
    ) -> Result<SignedHead, CallerRefusal> {
        let header = |name| header(name).ok_or(CallerRefusal::Missing(name));
        let id: InstanceId = header(INSTANCE_HEADER)?
            .parse()
            .map_err(|_| CallerRefusal::NotRegistered)?;
        let instance = self.find(id, now_ms).ok_or(CallerRefusal::NotRegistered)?;
        let signed = SignedComponents {
            components: Components {
                method: head.method.to_owned(),
                authority: head.authority.to_owned(),
                path: head.path.to_owned(),
                query: format!("?{}", head.query),
                content_digest: header("content-digest")?.to_owned(),
                device: None,
            },
            signature_input: header("signature-input")?.to_owned(),
            signature: header("signature")?.to_owned(),
        };
        let (key, now) = (&instance.signing_key, now_ms / 1000);
        verify_instance(&signed, &id.to_string(), key, now)?;
        Ok(SignedHead {
            instance,
            components: signed.components,
        })
    }
}

fn expires_ms(instance: &VerifiedInstance) -> u64 {
    let an_hour_old = instance
        .document_timestamp_ms
        .saturating_add(DEFAULT_MAX_AGE_MS);
    an_hour_old.min(instance.valid_until_ms)
}

impl core::fmt::Debug for Registry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many places for each realm.
struct Places<T>(HashMap<InstanceId, Taken<T>>);

struct Taken<T> {
    realm: Option<RealmId>,
    by: T,
    expires_ms: u64,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Places<T> {
    fn insert(
        &mut self,
        id: InstanceId,
        realm: Option<RealmId>,
        by: T,
        expires_ms: u64,
        now_ms: u64,
    ) {
        self.0.retain(|_, taken| taken.expires_ms > now_ms);
        let others = || {
            let of_realm = move |(other, taken): &(&InstanceId, &Taken<T>)| {
                taken.realm == realm && **other != id
            };
            self.0.iter().filter(of_realm)
        };
        if others().count() >= MAX_INSTANCES {
            let first = others().min_by_key(|(_, taken)| taken.expires_ms);
            if let Some(first) = first.map(|(id, _)| *id) {
                self.0.remove(&first);
            }
        }
        let taken = Taken {
            realm,
            by,
            expires_ms,
        };
        self.0.insert(id, taken);
    }

    fn find(&self, id: &InstanceId, now_ms: u64) -> Option<&T> {
        let taken = self.0.get(id).filter(|taken| taken.expires_ms > now_ms)?;
        Some(&taken.by)
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;

    use super::*;

    const NOW: u64 = 1_000_000;

    #[test]
    fn a_nonce_is_good_for_a_minute_and_once() {
        let mut rng = SeededRng::new(1);
        let registry = Registry::new(&mut rng);
        let nonce = registry.issue(NOW, &mut rng);
        assert!(registry.check(nonce, NOW - 1).is_err());
        assert!(registry.check(nonce, NOW + NONCE_LIFE_MS).is_err());
        let fresh = registry.check(nonce, NOW + NONCE_LIFE_MS - 1).unwrap();
        let again = registry.check(nonce, NOW).unwrap();
        let by = InstanceId::from_bytes([1; 16]);
        registry.spend(fresh, by, NOW).unwrap();
        assert_eq!(registry.spend(again, by, NOW), Err(NonceUnknown));
        assert!(registry.check(nonce, NOW).is_err());
    }

    #[test]
    fn a_nonce_of_another_process_or_with_a_later_time_is_refused() {
        let mut rng = SeededRng::new(2);
        let (registry, other) = (Registry::new(&mut rng), Registry::new(&mut rng));
        let foreign = other.issue(NOW, &mut rng);
        assert!(registry.check(foreign, NOW).is_err());
        let own = registry.issue(NOW, &mut rng);
        let mut moved = *own.as_bytes();
        moved[..8].copy_from_slice(&(NOW + 60_000).to_be_bytes());
        let moved = Digest32::from_bytes(moved);
        assert!(registry.check(moved, NOW + 60_000).is_err());
    }

    #[test]
    fn one_instance_uses_up_no_nonces_of_another() {
        let mut rng = SeededRng::new(3);
        let registry = Registry::new(&mut rng);
        let mut spend = |by: u8, now| {
            let nonce = registry.issue(now, &mut rng);
            let fresh = registry.check(nonce, now).unwrap();
            registry.spend(fresh, InstanceId::from_bytes([by; 16]), now)
        };
        for _ in 0..MAX_USED_NONCES {
            spend(1, NOW).unwrap();
        }
        assert_eq!(spend(1, NOW), Err(NonceUnknown));
        assert_eq!(spend(2, NOW), Ok(()));
        assert_eq!(spend(1, NOW + NONCE_LIFE_MS), Ok(()));
    }

    #[test]
    fn many_instances_of_one_realm_take_no_place_of_anothers() {
        let realm = |byte| Some(RealmId::from_bytes([byte; 32]));
        let id = |number: usize| {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            InstanceId::from_bytes(bytes)
        };
        let honest = InstanceId::from_bytes([0xff; 16]);
        let mut places = Places::default();
        places.insert(honest, realm(1), "honest", NOW + 1, NOW);
        for number in 0..2 * MAX_INSTANCES {
            let ends = NOW + 2 + number as u64;
            places.insert(id(number), realm(2), "crowd", ends, NOW);
        }
        assert_eq!(places.find(&honest, NOW), Some(&"honest"));
        assert_eq!(places.0.len(), MAX_INSTANCES + 1);
        // Of the crowd, those that would end last are left.
        assert_eq!(places.find(&id(MAX_INSTANCES - 1), NOW), None);
        assert_eq!(places.find(&id(MAX_INSTANCES), NOW), Some(&"crowd"));
        // Who is there already takes nobody's place.
        places.insert(id(MAX_INSTANCES + 1), realm(2), "again", NOW + 500, NOW);
        assert_eq!(places.find(&id(MAX_INSTANCES), NOW), Some(&"crowd"));
        // What has ended is gone.
        assert_eq!(places.find(&honest, NOW + 1), None);
        places.insert(id(0), realm(1), "later", NOW + 1_000, NOW + 500);
        assert_eq!(places.0.len(), 1);
    }
}
