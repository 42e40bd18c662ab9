//! What the browser says about a ceremony: `clientDataJSON`.

use super::{Ceremony, PasskeyError, RelyingParty};

/// Most bytes of the text; browsers write about 250.
pub const MAX_CLIENT_DATA_LEN: usize = 4096;

/// WebAuthn section 5.8.1. Fields that are added in the future are ignored, as it asks; a field
/// that occurs twice is not.
#[derive(serde::Deserialize)]
struct Collected {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<String>,
}

/// Where a ceremony was, as the client says; nothing of it is checked.
pub(super) struct Claimed {
    pub(super) origin: String,
    pub(super) top_origin: Option<String>,
}

impl Claimed {
    /// Reads the origins alone.
    pub(super) fn read(json: &[u8]) -> Result<Self, PasskeyError> {
        let said = Collected::read(json)?;
        Ok(Self {
            origin: said.origin,
            top_origin: said.top_origin,
        })
    }
}

impl Collected {
    fn read(json: &[u8]) -> Result<Self, PasskeyError> {
        if json.len() > MAX_CLIENT_DATA_LEN {
            return Err(PasskeyError::TooLong);
        }
        // A sequence of the fields' values would read as well, and is nothing that a browser writes.
        if json.first() != Some(&b'{') {
            return Err(PasskeyError::MalformedClientData);
        }
        serde_json::from_slice(json).map_err(|_| PasskeyError::MalformedClientData)
    }
}

/// Checks the text against what is expected; WebAuthn sections 7.1 (5 to 11) and 7.2 (9 to 14).
pub(super) fn check(
    json: &[u8],
    ceremony: Ceremony,
    challenge: &[u8; 32],
    party: &RelyingParty,
) -> Result<(), PasskeyError> {
    let said = Collected::read(json)?;
    let kind = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Assertion => "webauthn.get",
    };
    if said.kind != kind {
        return Err(PasskeyError::WrongCeremony);
    }
    if said.challenge != keyfold_crypto::b64::encode(challenge) {
        return Err(PasskeyError::WrongChallenge);
    }
    if !party
        .origins
        .iter()
        .any(|origin| origin.matches(&said.origin))
    {
        return Err(PasskeyError::WrongOrigin);
    }
    match (said.cross_origin, said.top_origin) {
        (false, None) => Ok(()),
        // The page itself is the top one: newer browsers may say so.
        (false, Some(top)) if top == said.origin => Ok(()),
        (true, Some(top))
            if party
                .top_origins
                .iter()
                .any(|listed| listed.as_str() == top) =>
        {
            Ok(())
        }
        _ => Err(PasskeyError::WrongTopOrigin),
    }
}
