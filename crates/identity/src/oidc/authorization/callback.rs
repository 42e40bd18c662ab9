//! What a provider sends the browser back with.

use ::url::form_urlencoded;
use keyfold_crypto::SecretBytes;
use keyfold_crypto::hash::constant_time_eq;

/// Most bytes of a callback.
const MAX_CALLBACK_LEN: usize = 8 * 1024;
/// Most bytes of a code.
const MAX_CODE_LEN: usize = 4 * 1024;
const MAX_PARAMETERS: usize = 32;

/// Says why a callback was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// Another device or project than began the sign-in. Tell a client that there is none.
    #[error("the sign-in was begun by another device")]
    WrongDevice,
    /// Too late.
    #[error("the sign-in has expired")]
    Expired,
    /// Too large, a parameter twice, no code, or a code of impossible characters.
    #[error("the callback is malformed")]
    Malformed,
    /// The callback of another sign-in.
    #[error("the callback's state is not that of this sign-in")]
    WrongState,
    /// The callback of another issuer, or of one that does not say who it is and has to.
    #[error("the callback is of another issuer")]
    WrongIssuer,
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Refused(ProviderRefusal),
}

/// Why a provider said no, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderRefusal {
    /// The person did not agree.
    #[error("access denied")]
    AccessDenied,
    /// The provider cannot, now.
    #[error("temporarily unavailable")]
    Unavailable,
    /// The code or the client's proof is not accepted.
    #[error("the code was not accepted")]
    InvalidGrant,
    /// The client's proof is not accepted.
    #[error("the client was not accepted")]
    InvalidClient,
    /// Any other reason: the provider's own words are not passed on.
    #[error("another reason")]
    Other,
}

impl ProviderRefusal {
    /// Reads an error code of RFC 6749 sections 4.1.2.1 and 5.2.
    pub(in crate::oidc) fn from_code(code: &str) -> Self {
        match code {
            // Apple: <https://developer.apple.com/documentation/signinwithapple>
            "access_denied" | "user_cancelled_authorize" => Self::AccessDenied,
            "server_error" | "temporarily_unavailable" => Self::Unavailable,
            "invalid_grant" => Self::InvalidGrant,
            "invalid_client" | "unauthorized_client" => Self::InvalidClient,
            _ => Self::Other,
        }
    }
}

/// Reads a callback: the code, after all that says whose it is.
pub(super) fn read(
    callback: &str,
    state: &str,
    issuer: &str,
    issuer_required: bool,
) -> Result<SecretBytes, CallbackError> {
    if callback.len() > MAX_CALLBACK_LEN {
        return Err(CallbackError::Malformed);
    }
    let mut code = None;
    let mut given_state = None;
    let mut given_issuer = None;
    let mut error = None;
    for (count, (name, value)) in form_urlencoded::parse(callback.as_bytes()).enumerate() {
        let slot = match &*name {
            "code" => &mut code,
            "state" => &mut given_state,
            "iss" => &mut given_issuer,
            "error" => &mut error,
            _ if count < MAX_PARAMETERS => continue,
            _ => return Err(CallbackError::Malformed),
        };
        // RFC 6749 section 3.1: none more than once.
        if slot.replace(value.into_owned()).is_some() {
            return Err(CallbackError::Malformed);
        }
    }
    if !given_state.is_some_and(|given| constant_time_eq(given.as_bytes(), state.as_bytes())) {
        return Err(CallbackError::WrongState);
    }
    // RFC 9207 section 2.4: errors too name their issuer.
    match given_issuer {
        Some(given) if given != issuer => return Err(CallbackError::WrongIssuer),
        None if issuer_required => return Err(CallbackError::WrongIssuer),
        _ => {}
    }
    match (code, error) {
        (None, Some(error)) => Err(CallbackError::Refused(ProviderRefusal::from_code(&error))),
        (Some(code), None)
            if (1..=MAX_CODE_LEN).contains(&code.len())
                && code.bytes().all(|b| (0x20..=0x7e).contains(&b)) =>
        {
            Ok(SecretBytes::from_vec(code.into_bytes()))
        }
        _ => Err(CallbackError::Malformed),
    }
}
