//! What a token endpoint answers.
//!
//! RFC 6749 sections 5.1 and 5.2, OpenID Connect Core section 3.1.3.3.

use core::fmt;

use keyfold_crypto::SecretBytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::authorization::ProviderRefusal;
use super::json::{self, JsonError};
use super::jws::MAX_JWS_LEN;

/// Most bytes of an answer.
pub const MAX_TOKEN_RESPONSE_LEN: usize = 64 * 1024;
/// Most bytes of an access token.
const MAX_ACCESS_TOKEN_LEN: usize = 8 * 1024;

/// Says why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenResponseError {
    /// Not an answer of a token endpoint, or larger than [`MAX_TOKEN_RESPONSE_LEN`].
    #[error(transparent)]
    Document(#[from] JsonError),
    /// The access token is no bearer token, or of impossible characters.
    #[error("the provider's access token is unusable")]
    AccessToken,
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Refused(ProviderRefusal),
}

/// A token endpoint's answer; nothing of it is verified.
///
/// # Security
///
/// The access token is wiped on drop. Refresh tokens are not kept.
pub struct TokenResponse {
    access_token: SecretBytes,
    id_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Success {
    access_token: String,
    token_type: String,
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

impl TokenResponse {
    /// Reads an answer by its HTTP status and body.
    ///
    /// # Errors
    ///
    /// [`TokenResponseError`].
    ///
    /// # Security
    ///
    /// For untrusted bytes; bounded.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, TokenResponseError> {
        if status != 200 {
            let failure: Failure = json::from_slice(body, MAX_TOKEN_RESPONSE_LEN)?;
            let refusal = ProviderRefusal::from_code(&failure.error);
            return Err(TokenResponseError::Refused(refusal));
        }
        let answer: Success = json::from_slice(body, MAX_TOKEN_RESPONSE_LEN)?;
        let token = Zeroizing::new(answer.access_token);
        let id_token = answer.id_token.map(Zeroizing::new);
        if !answer.token_type.eq_ignore_ascii_case("bearer")
            || !(1..=MAX_ACCESS_TOKEN_LEN).contains(&token.len())
            // It becomes a header.
            || !token.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(TokenResponseError::AccessToken);
        }
        if id_token
            .as_ref()
            .is_some_and(|token| token.len() > MAX_JWS_LEN)
        {
            return Err(TokenResponseError::Document(JsonError::TooLarge));
        }
        Ok(Self {
            access_token: SecretBytes::from_slice(token.as_bytes()),
            id_token,
        })
    }

    /// Returns the ID token: to verify, and as evidence for others who verify it.
    pub fn id_token(&self) -> Option<&str> {
        self.id_token.as_ref().map(|token| token.as_str())
    }

    pub(super) fn bearer(&self) -> SecretBytes {
        self.access_token
            .expose(|token| SecretBytes::from_vec([b"Bearer ", token].concat()))
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenResponse([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(status: u16, body: &str) -> Result<TokenResponse, TokenResponseError> {
        TokenResponse::parse(status, body.as_bytes())
    }

    /// OpenID Connect Core section 3.1.3.3, its ID token shortened.
    #[test]
    fn the_example_of_openid_connect_core_section_3_1_3_3() {
        let body = r#"{"access_token": "SlAV32hkKG", "token_type": "Bearer",
            "refresh_token": "8xLOxBtZp8", "expires_in": 3600, "id_token": "eyJhbGciOiJ.eyJ.x"}"#;
        let response = parse(200, body).unwrap();
        assert_eq!(response.id_token(), Some("eyJhbGciOiJ.eyJ.x"));
        response
            .bearer()
            .expose(|header| assert_eq!(header, b"Bearer SlAV32hkKG"));
        assert!(!format!("{response:?}").contains("SlAV"));
        assert_eq!(
            parse(200, &body.replace("id_token", "other"))
                .unwrap()
                .id_token(),
            None
        );
        assert!(parse(200, &body.replace("Bearer", "bearer")).is_ok());
    }

    #[test]
    fn refusals_are_told_apart_and_nothing_else_of_them_is_kept() {
        for (code, refusal) in [
            ("invalid_grant", ProviderRefusal::InvalidGrant),
            ("invalid_client", ProviderRefusal::InvalidClient),
            ("temporarily_unavailable", ProviderRefusal::Unavailable),
            ("<script>", ProviderRefusal::Other),
        ] {
            let body = format!(r#"{{"error":"{code}","error_description":"x"}}"#);
            assert_eq!(
                parse(400, &body).unwrap_err(),
                TokenResponseError::Refused(refusal)
            );
        }
        let success = r#"{"access_token":"a","token_type":"Bearer"}"#;
        for status in [0, 201, 302, 400, 500] {
            let malformed = TokenResponseError::Document(JsonError::Malformed);
            assert_eq!(parse(status, success).unwrap_err(), malformed);
        }
    }

    #[test]
    fn access_tokens_that_could_not_be_a_header_are_refused() {
        let long = "a".repeat(MAX_ACCESS_TOKEN_LEN + 1);
        for token in ["", "a\\r\\nHost: evil.example", "a b", "\u{e4}", &long] {
            let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
            assert_eq!(
                parse(200, &body).unwrap_err(),
                TokenResponseError::AccessToken
            );
        }
        for kind in ["mac", "DPoP", ""] {
            let body = format!(r#"{{"access_token":"a","token_type":"{kind}"}}"#);
            assert_eq!(
                parse(200, &body).unwrap_err(),
                TokenResponseError::AccessToken
            );
        }
    }

    #[test]
    fn answers_are_bounded_and_say_nothing_twice() {
        let pad = "x".repeat(MAX_TOKEN_RESPONSE_LEN);
        for (body, error) in [
            (
                format!(r#"{{"access_token":"a","token_type":"Bearer","x":"{pad}"}}"#),
                JsonError::TooLarge,
            ),
            (
                format!(
                    r#"{{"access_token":"a","token_type":"Bearer","id_token":"{}"}}"#,
                    &pad[..MAX_JWS_LEN + 1]
                ),
                JsonError::TooLarge,
            ),
            (
                r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#.into(),
                JsonError::Malformed,
            ),
            (r#"{"token_type":"Bearer"}"#.into(), JsonError::Malformed),
            (
                "access_token=a&token_type=bearer".into(),
                JsonError::Malformed,
            ),
        ] {
            assert_eq!(
                parse(200, &body).unwrap_err(),
                TokenResponseError::Document(error)
            );
        }
    }
}
