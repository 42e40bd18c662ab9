//! What a program gives to the client: a way to its gateway, a key, a clock and randomness.

use async_trait::async_trait;
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk};

/// What may be used from several tasks: `Send` and `Sync` where there are threads.
#[cfg(not(target_family = "wasm"))]
pub trait Shared: Send + Sync {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + Sync + ?Sized> Shared for T {}

/// What may be used from several tasks. In a browser there is one thread, so anything may.
#[cfg(target_family = "wasm")]
pub trait Shared {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> Shared for T {}

/// Method of a request to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`, without a body.
    Get,
    /// `POST`.
    Post,
}

impl Method {
    /// Returns the method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to the gateway, outside the sealed channel.
#[derive(Debug, Clone)]
pub struct OuterRequest {
    /// Method.
    pub method: Method,
    /// Path, beginning with `/`; without a query.
    pub path: String,
    /// Further header fields: lower-case name, value.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the gateway's cookies go with it and are kept from the answer: in browsers `fetch` with
    /// `credentials: "include"`, otherwise `"omit"`. Only where [`Delivery::Cookie`] was chosen.
    ///
    /// [`Delivery::Cookie`]: keyfold_protocol::delivery::Delivery::Cookie
    pub with_cookies: bool,
    /// Media type of the body, where there is one.
    pub content_type: Option<&'static str>,
    /// Body; empty for `GET`.
    pub body: Vec<u8>,
    /// Most bytes of the answer's body that are of use. A transport may stop reading there.
    pub max_response: usize,
}

/// What the gateway answered, whatever its status.
#[derive(Debug, Clone)]
pub struct OuterResponse {
    /// HTTP status.
    pub status: u16,
    /// Media type without parameters, lower-case, where there is one.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

/// Says why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("the gateway cannot be reached: {reason}")]
pub struct TransportError {
    /// What happened, for people.
    pub reason: String,
    /// Whether the gateway may have acted on the request all the same.
    pub may_have_been_sent: bool,
    /// Whether somebody answered who could not show to be the gateway.
    pub unverified: bool,
}

/// The way to a gateway. It is trusted with nothing: what it carries is sealed, or verified.
#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
pub trait Transport: Shared {
    /// Sends one request and returns the whole answer, whatever its status. Follows no redirects.
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError>;
}

/// The credential could not sign: the person refused, or the device did.
#[derive(Debug, thiserror::Error)]
#[error("the device's key did not sign: {0}")]
pub struct CredentialError(pub String);

/// The device's key, wherever it is kept.
#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
pub trait Credential: Shared {
    /// Returns the public key.
    fn public_jwk(&self) -> PublicJwk;

    /// Signs bytes: ES256 (`r || s`) or Ed25519, as the public key says.
    async fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], CredentialError>;
}

#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
impl Credential for DeviceSigningKey {
    fn public_jwk(&self) -> PublicJwk {
        DeviceSigningKey::public_jwk(self)
    }

    async fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], CredentialError> {
        Ok(DeviceSigningKey::sign(self, bytes))
    }
}

/// There is no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct EnvironmentError;

/// Clock, randomness and patience.
#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
pub trait Environment: Shared {
    /// Returns the time, in milliseconds since 1970.
    fn now_unix_ms(&self) -> u64;

    /// Fills a buffer with bytes that nobody can predict.
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EnvironmentError>;

    /// Waits about so many milliseconds.
    async fn sleep_ms(&self, milliseconds: u64);
}

macro_rules! through {
    ($($pointer:ident)*) => {$(
        #[cfg_attr(not(target_family = "wasm"), async_trait)]
        #[cfg_attr(target_family = "wasm", async_trait(?Send))]
        impl<T: Transport + ?Sized> Transport for std::sync::$pointer<T> {
            async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
                (**self).send(request).await
            }
        }

        #[cfg_attr(not(target_family = "wasm"), async_trait)]
        #[cfg_attr(target_family = "wasm", async_trait(?Send))]
        impl<C: Credential + ?Sized> Credential for std::sync::$pointer<C> {
            fn public_jwk(&self) -> PublicJwk {
                (**self).public_jwk()
            }

            async fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], CredentialError> {
                (**self).sign(bytes).await
            }
        }

        #[cfg_attr(not(target_family = "wasm"), async_trait)]
        #[cfg_attr(target_family = "wasm", async_trait(?Send))]
        impl<E: Environment + ?Sized> Environment for std::sync::$pointer<E> {
            fn now_unix_ms(&self) -> u64 {
                (**self).now_unix_ms()
            }

            fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EnvironmentError> {
                (**self).fill_random(bytes)
            }

            async fn sleep_ms(&self, milliseconds: u64) {
                (**self).sleep_ms(milliseconds).await;
            }
        }
    )*};
}

through!(Arc);
