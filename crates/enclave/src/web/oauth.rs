//! Token endpoints and user-info documents.

use keyfold_crypto::SecretBytes;
use keyfold_identity::oidc::authorization::{FORM_CONTENT_TYPE, TokenRequest, UserInfoRequest};
use keyfold_identity::oidc::provider::MAX_USER_INFO_LEN;
use keyfold_identity::oidc::token::{MAX_TOKEN_RESPONSE_LEN, TokenResponse};
use zeroize::Zeroizing;

use crate::platform::Platform;
use crate::web::{Ask, Roots, WebError, ask};

/// Redeems a code at its provider's token endpoint, once.
///
/// # Errors
///
/// [`WebError`]; the code may be used up then too.
///
/// # Security
///
/// The answer's body is wiped; what the platform's HTTP library copied of it and of the request is
/// not.
pub async fn redeem(
    platform: &impl Platform,
    request: TokenRequest,
    roots: Roots<'_>,
) -> Result<TokenResponse, WebError> {
    let mut headers = vec![("content-type", FORM_CONTENT_TYPE.to_owned())];
    if let Some(authorization) = &request.authorization {
        headers.push(("authorization", header(authorization)));
    }
    let post = Ask {
        method: "POST",
        headers,
        body: request.body.expose(<[u8]>::to_vec),
        max_response: MAX_TOKEN_RESPONSE_LEN,
    };
    let response = ask(platform, &request.url, roots, post).await?;
    let body = Zeroizing::new(response.body);
    Ok(TokenResponse::parse(response.status, &body)?)
}

/// Fetches the document that says whose an access token is.
///
/// # Errors
///
/// [`WebError`].
pub async fn user_info(
    platform: &impl Platform,
    request: UserInfoRequest,
    roots: Roots<'_>,
) -> Result<Zeroizing<Vec<u8>>, WebError> {
    let get = Ask {
        method: "GET",
        headers: vec![("authorization", header(&request.authorization))],
        body: Vec::new(),
        max_response: MAX_USER_INFO_LEN,
    };
    let response = ask(platform, &request.url, roots, get).await?;
    let body = Zeroizing::new(response.body);
    match response.status {
        200 => Ok(body),
        status => Err(WebError::Status(status)),
    }
}

/// Composed of ASCII by the identity crate; anything else becomes a header that is refused.
fn header(value: &SecretBytes) -> String {
    value.expose(|bytes| core::str::from_utf8(bytes).unwrap_or("\n").to_owned())
}
