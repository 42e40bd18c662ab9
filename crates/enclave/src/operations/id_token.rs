//! ID tokens: what a signed-in person's app brings its own server.

use futures_util::future::join;
use keyfold_protocol::app_server::{IdToken, IssueIdToken};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::session::id_token::ID_TOKEN_SECONDS;
use keyfold_protocol::session::{IdTokenClaims, Issuer};
use rand_core::Rng;

use super::session::check_active;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::request::SessionRequest;

/// Signs an ID token for a session that stands.
///
/// # Security
///
/// None for a device that waits: an app that looks at signature and audience alone, as libraries do,
/// would take whoever reads the mailbox for the owner.
pub(super) async fn issue<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<IssueIdToken>,
) -> Result<IdToken, Problem> {
    let project = realm.project(request.project()).await?;
    let settings = project.sign_in.id_tokens.as_ref();
    let settings = settings.ok_or(Code::IdTokensOff)?;
    let issuer: Issuer = settings
        .issuer
        .parse()
        .map_err(|_| Problem::internal("a stored project has no usable issuer"))?;
    let standing = join(
        realm.session_account(&request),
        check_active(realm, &request),
    );
    let (account, active) = standing.await;
    let account = account?.value;
    active?;
    let session = account
        .session(&request.session().claims().sid)
        .ok_or(Code::SessionRevoked)?;
    let now = realm.now();
    let seconds = settings
        .seconds
        .clamp(*ID_TOKEN_SECONDS.start(), *ID_TOKEN_SECONDS.end());
    let expires = now.saturating_add(seconds).min(session.ends);
    if expires <= now {
        return Err(Code::SessionExpired.into());
    }
    let mut jti = [0; 16];
    realm.core.rng()?.fill_bytes(&mut jti);
    let claims = IdTokenClaims {
        iss: issuer,
        aud: account.project.clone(),
        sub: account.account,
        nonce: request.body().nonce.clone(),
        auth_time: session.auth_time,
        amr: session.amr.clone(),
        acr: session.acr.clone(),
        sid: session.sid,
        iat: now,
        exp: expires,
        jti: keyfold_crypto::b64::encode(&jti),
    };
    Ok(IdToken {
        id_token: realm.sign_id_token(&claims)?,
        expires,
    })
}
