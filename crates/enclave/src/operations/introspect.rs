//! Whether the session of a token still stands, asked by a server of its project.

use keyfold_protocol::app_server::{ActiveToken, Introspect, Introspection};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::session::{
    Expired, SessionExpectation, VerifiedSession, verify, verify_id_token,
};

use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Project};
use crate::request::SignInRequest;

/// Verifies a token and reads in the account's current record whether its session stands.
///
/// # Security
///
/// What is no token of this project's realm, project and time, or is of a session that was ended, is
/// inactive without a reason: whoever finds a token learns nothing by having a server ask. What keeps
/// the record from being read is an error, never `inactive`.
pub(super) async fn introspect<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<Introspect>,
) -> Result<Introspection, Problem> {
    let project = realm.project(request.project()).await?;
    let asker = request.thumbprint();
    let servers = &project.sign_in.servers;
    if !servers.iter().any(|server| server.thumbprint() == asker) {
        return Err(Code::ServerUnknown.into());
    }
    let Some(token) = read(realm, &project, &request.body().token) else {
        return Ok(Introspection::Inactive);
    };
    let owner = AccountRef {
        project: token.aud.clone(),
        account: token.sub,
    };
    let id = realm.account_id(&owner);
    let Some(account) = realm.records.read::<Account>(id).await? else {
        return Ok(Introspection::Inactive);
    };
    let account = account.value;
    let stands = account.session(&token.sid).is_some_and(|session| {
        let device = token.cnf.as_ref();
        let lasts = session.ends > realm.now() && !account.revoked.contains(&session.jkt);
        let ended = &project.sign_in.ended;
        let lasts = lasts && !ended.has(&account.account, session.auth_time);
        lasts && device.is_none_or(|device| device.jkt == session.jkt)
    });
    Ok(if stands {
        Introspection::Active(Box::new(token))
    } else {
        Introspection::Inactive
    })
}

/// What a genuine token of the project says.
fn read<P: Platform>(realm: &Realm<P>, project: &Project, token: &str) -> Option<ActiveToken> {
    let keys = &realm.verifier.keys;
    let expect = SessionExpectation {
        realm: &realm.verifier.realm,
        project: &project.project,
        now_unix_seconds: realm.now(),
        expired: Expired::Refused,
    };
    if let Ok(session) = verify(token, keys, &expect) {
        return Some(of_attestation(&session));
    }
    let issuer = project.sign_in.id_tokens.as_ref()?.issuer.parse().ok()?;
    let claims = verify_id_token(token, keys, &issuer, &project.project, realm.now()).ok()?;
    Some(ActiveToken {
        iss: claims.iss.to_string(),
        client_id: claims.aud.clone(),
        aud: claims.aud,
        sub: claims.sub,
        sid: claims.sid,
        auth_time: claims.auth_time,
        amr: claims.amr,
        acr: claims.acr,
        iat: claims.iat,
        exp: claims.exp,
        jti: claims.jti,
        cnf: None,
    })
}

fn of_attestation(session: &VerifiedSession) -> ActiveToken {
    let claims = session.claims().clone();
    ActiveToken {
        iss: claims.iss.to_string(),
        client_id: claims.aud.clone(),
        aud: claims.aud,
        sub: claims.sub,
        sid: claims.sid,
        auth_time: claims.auth_time,
        amr: claims.amr,
        acr: claims.acr,
        iat: claims.iat,
        exp: claims.exp,
        jti: claims.jti,
        cnf: Some(claims.cnf),
    }
}
