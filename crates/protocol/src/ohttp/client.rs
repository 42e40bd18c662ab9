//! The client's side: seal a request, open its response.

use ohttp::{ClientRequest, ClientResponse};
use zeroize::Zeroizing;

use super::{
    EncodedKeyConfig, InnerRequest, InnerResponse, KeyConfigError, MAX_ENCAPSULATED_LEN,
    MessageError,
};

/// Says why a request could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncapsulateError {
    /// The request itself is malformed or too large.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The key configuration holds no usable key: fetch and verify a new one.
    #[error("the gateway's key configuration cannot be used")]
    KeyConfig,
}

impl From<KeyConfigError> for EncapsulateError {
    fn from(_: KeyConfigError) -> Self {
        Self::KeyConfig
    }
}

/// Says why a response could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// More bytes than any response of this protocol has.
    #[error("the encapsulated response is too large")]
    TooLarge,
    /// Altered, cut short, or the answer to another request: do not use anything of it.
    #[error("the encapsulated response is not an answer to this request")]
    NotAuthentic,
    /// Sealed by the gateway, but not a message this protocol carries.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Seals a request to a gateway's key; returns the bytes to send and what opens the response.
///
/// # Errors
///
/// [`EncapsulateError`].
///
/// # Security
///
/// The caller has verified that `config` belongs to an attested enclave. The ephemeral key is
/// drawn from the platform's generator.
///
/// RFC 9458 section 4.3.
pub fn encapsulate(
    config: &EncodedKeyConfig,
    request: &InnerRequest,
) -> Result<(Vec<u8>, ResponseContext), EncapsulateError> {
    let inner = Zeroizing::new(request.to_bhttp()?);
    let sealer = ClientRequest::from_config(&mut config.decode()?)
        .map_err(|_| EncapsulateError::KeyConfig)?;
    // Fails for public keys of small order, whose shared secret everybody knows.
    let (bytes, context) = sealer
        .encapsulate(&inner)
        .map_err(|_| EncapsulateError::KeyConfig)?;
    Ok((bytes, ResponseContext(context)))
}

/// Opens the response to one request, once.
pub struct ResponseContext(ClientResponse);

impl ResponseContext {
    /// Opens the encapsulated response.
    ///
    /// # Errors
    ///
    /// [`ResponseError`].
    ///
    /// # Security
    ///
    /// What is returned was sealed by whoever opened the request this context belongs to.
    ///
    /// RFC 9458 section 4.4.
    pub fn open(self, response: &[u8]) -> Result<InnerResponse, ResponseError> {
        if response.len() > MAX_ENCAPSULATED_LEN {
            return Err(ResponseError::TooLarge);
        }
        let inner = self
            .0
            .decapsulate(response)
            .map_err(|_| ResponseError::NotAuthentic)?;
        Ok(InnerResponse::from_bhttp(&inner)?)
    }
}

impl core::fmt::Debug for ResponseContext {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ResponseContext([redacted])")
    }
}
