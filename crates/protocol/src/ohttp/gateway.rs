//! The enclave's side: hold the keys, open requests, seal responses.

use ohttp::{KeyConfig, Server, ServerResponse};
use zeroize::Zeroizing;

use super::key_config::{KEM, SUITE, encode_list};
use super::{
    EncodedKeyConfig, InnerRequest, InnerResponse, KeyConfigError, MAX_ENCAPSULATED_LEN,
    MessageError, PREVIOUS_KEY_SECONDS,
};

/// Says why a request could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed to a key that this instance does not hold, or no longer: the client is to verify
    /// the enclave again and repeat the request.
    #[error("the request was sealed to a key that this instance does not hold")]
    UnknownKey,
    /// More bytes than any request of this protocol has.
    #[error("the encapsulated request is too large")]
    TooLarge,
    /// Altered, cut short, or in another suite.
    #[error("the encapsulated request cannot be opened")]
    NotAuthentic,
    /// Sealed to this instance, but not a message this protocol carries.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Says why a response could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The response itself is malformed or too large.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The AEAD refused.
    #[error("the response could not be sealed")]
    Aead,
}

/// The gateway keys of one instance: the current one, and for ten minutes the one before.
///
/// # Security
///
/// The private keys are X25519 scalars inside the `ohttp` library, which wipes them on drop;
/// they have no accessor and do not print. The caller rotates hourly and calls
/// [`GatewayKeys::expire`] often enough that "ten minutes" stays true of memory; whether a key
/// still opens requests depends on `now` alone.
pub struct GatewayKeys {
    current: GatewayKey,
    previous: Option<Retiring>,
}

struct Retiring {
    key: GatewayKey,
    erase_at_unix_seconds: u64,
}

struct GatewayKey {
    server: Server,
    encoded: EncodedKeyConfig,
}

impl GatewayKey {
    fn derive(ikm: [u8; 32], key_id: u8) -> Result<Self, KeyConfigError> {
        let ikm = Zeroizing::new(ikm);
        let config =
            KeyConfig::derive(key_id, KEM, vec![SUITE], &*ikm).map_err(|_| KeyConfigError)?;
        let encoded = encode_list(&config)?;
        let server = Server::new(config).map_err(|_| KeyConfigError)?;
        Ok(Self { server, encoded })
    }

    fn id(&self) -> u8 {
        self.encoded.key_id()
    }
}

impl GatewayKeys {
    /// Makes the first key from 32 bytes of fresh randomness.
    ///
    /// `key_id` is best drawn at random too, so that a client that comes back after a restart
    /// finds an unknown key rather than a wrong one.
    ///
    /// # Errors
    ///
    /// [`KeyConfigError`] if the library refuses the suite, which no input causes.
    ///
    /// # Security
    ///
    /// `ikm` is the private key. It is wiped here; the caller's copy is the caller's to wipe.
    ///
    /// RFC 9180 section 7.1.3 (DeriveKeyPair).
    pub fn new(ikm: [u8; 32], key_id: u8) -> Result<Self, KeyConfigError> {
        Ok(Self {
            current: GatewayKey::derive(ikm, key_id)?,
            previous: None,
        })
    }

    /// Makes a new current key; the one before opens requests for ten minutes more.
    ///
    /// # Errors
    ///
    /// As [`GatewayKeys::new`]; nothing has changed then.
    pub fn rotate(&mut self, ikm: [u8; 32], now_unix_seconds: u64) -> Result<(), KeyConfigError> {
        let next = GatewayKey::derive(ikm, self.current.id().wrapping_add(1))?;
        let retired = core::mem::replace(&mut self.current, next);
        self.previous = Some(Retiring {
            key: retired,
            erase_at_unix_seconds: now_unix_seconds.saturating_add(PREVIOUS_KEY_SECONDS),
        });
        Ok(())
    }

    /// Erases the previous key once its ten minutes are over.
    pub fn expire(&mut self, now_unix_seconds: u64) {
        if self
            .previous
            .as_ref()
            .is_some_and(|p| now_unix_seconds >= p.erase_at_unix_seconds)
        {
            self.previous = None;
        }
    }

    /// Returns the configuration of the current key, to be bound into the attestation document.
    pub fn encoded_config(&self) -> &EncodedKeyConfig {
        &self.current.encoded
    }

    /// Opens an encapsulated request; returns it with what seals its response.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; `UnknownKey` is the one that a client repairs by itself.
    ///
    /// # Security
    ///
    /// For untrusted bytes. Opening proves that the sender knew the public key, nothing more: the
    /// request is authenticated by its own signature. The same bytes open every time.
    ///
    /// RFC 9458 section 4.3.
    pub fn open(
        &self,
        encapsulated: &[u8],
        now_unix_seconds: u64,
    ) -> Result<(InnerRequest, ResponseSealer), OpenError> {
        if encapsulated.len() > MAX_ENCAPSULATED_LEN {
            return Err(OpenError::TooLarge);
        }
        let key_id = *encapsulated.first().ok_or(OpenError::NotAuthentic)?;
        let key = self
            .key(key_id, now_unix_seconds)
            .ok_or(OpenError::UnknownKey)?;
        let (inner, sealer) = key
            .server
            .decapsulate(encapsulated)
            .map_err(|_| OpenError::NotAuthentic)?;
        let inner = Zeroizing::new(inner);
        Ok((InnerRequest::from_bhttp(&inner)?, ResponseSealer(sealer)))
    }

    fn key(&self, id: u8, now_unix_seconds: u64) -> Option<&GatewayKey> {
        if self.current.id() == id {
            return Some(&self.current);
        }
        self.previous
            .as_ref()
            .filter(|p| p.key.id() == id && now_unix_seconds < p.erase_at_unix_seconds)
            .map(|p| &p.key)
    }
}

impl core::fmt::Debug for GatewayKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GatewayKeys")
            .field("current", &self.current.id())
            .field("previous", &self.previous.as_ref().map(|p| p.key.id()))
            .finish()
    }
}

/// Seals the response to one request, once.
#[derive(Debug)]
pub struct ResponseSealer(ServerResponse);

impl ResponseSealer {
    /// Seals a response, padded.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the response is malformed or too large.
    ///
    /// RFC 9458 section 4.4.
    pub fn seal(self, response: &InnerResponse) -> Result<Vec<u8>, SealError> {
        let inner = response.to_bhttp()?;
        self.0.encapsulate(&inner).map_err(|_| SealError::Aead)
    }
}
