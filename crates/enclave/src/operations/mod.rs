//! What a device can ask for. Each handler takes a verified request and nothing else from outside.

mod config;
mod devices;
mod id_token;
mod identities;
mod introspect;
mod notices;
mod owner_key;
mod projects;
mod release;
mod revocation;
mod session;
mod sign;
pub(crate) mod sign_in;
mod step_up;
mod totp;
mod wallets;

use futures_util::future::BoxFuture;
use keyfold_protocol::client_api::path;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::ohttp::InnerRequest;

use crate::delivery::{Answer, Delivered};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::request::{Body, SessionRequest, SignInRequest};

/// Answers an opened request: verifies it for its route, then runs the route's handler. `beside` is
/// what the host passed with it: the session from the client's cookie.
pub(crate) async fn answer<P: Platform>(
    realm: &Realm<P>,
    request: &InnerRequest,
    beside: Option<&str>,
) -> Result<Delivered<Vec<u8>>, Problem> {
    let verifier = &realm.verifier;
    let now = realm.now();
    macro_rules! verify {
        ($operation:ident) => {
            SessionRequest::verify(verifier, Operation::$operation, request, beside, now)?
        };
    }
    macro_rules! in_session {
        ($operation:ident, $handler:path) => {
            run_in_session(realm, verify!($operation), false, $handler).await
        };
    }
    // Ends what it can where records cannot be read.
    macro_rules! ending {
        ($operation:ident, $handler:path) => {
            run_in_session(realm, verify!($operation), true, $handler).await
        };
    }
    macro_rules! before_session {
        ($operation:ident, $handler:path) => {
            $handler(
                realm,
                SignInRequest::verify(verifier, Operation::$operation, request, now)?,
            )
            .await?
            .write()
        };
    }
    let path = request.path_and_query.split('?').next().unwrap_or_default();
    match path {
        path::SIGN_IN_START => before_session!(SignInStart, sign_in::start),
        path::SIGN_IN_FINISH => before_session!(SignInFinish, sign_in::finish),
        path::PROJECT_CREATE => before_session!(CreateProject, projects::create),
        path::STEP_UP => in_session!(StepUp, step_up::step_up),
        path::STEP_UP_RULES => in_session!(SetStepUpRules, step_up::set_rules),
        path::IDENTITY_LIST => in_session!(ListIdentities, identities::list),
        path::IDENTITY_LINK => in_session!(LinkIdentity, identities::link),
        path::IDENTITY_UNLINK => in_session!(UnlinkIdentity, identities::unlink),
        path::TOTP_BEGIN => in_session!(BeginTotp, totp::begin),
        path::TOTP_CONFIRM => in_session!(ConfirmTotp, totp::confirm),
        path::TOTP_REMOVE => in_session!(RemoveTotp, totp::remove),
        path::PROJECT_CHANGE => before_session!(ChangeProject, projects::change),
        path::PROJECT_SHOW => before_session!(ShowProject, projects::show),
        path::RENEW => in_session!(Renew, session::renew),
        path::ID_TOKEN => in_session!(IssueIdToken, id_token::issue),
        path::INTROSPECT => before_session!(Introspect, introspect::introspect),
        path::SIGN_OUT => ending!(SignOut, session::sign_out),
        path::WALLET_CREATE => in_session!(CreateWallet, wallets::create),
        path::WALLET_LIST => in_session!(ListWallets, wallets::list),
        path::DEVICE_LIST => in_session!(ListDevices, devices::list),
        path::DEVICE_APPROVE => in_session!(ApproveDevice, devices::approve),
        path::DEVICE_REVOKE => ending!(RevokeDevice, revocation::device),
        path::DEVICE_REVOKE_OTHERS => ending!(RevokeDevices, revocation::other_devices),
        path::SESSION_LIST => in_session!(ListSessions, revocation::sessions),
        path::SESSION_REVOKE => ending!(RevokeSession, revocation::session),
        path::CONFIG_SHOW => in_session!(ShowConfig, config::show),
        path::CONFIG_UPDATE => in_session!(UpdateConfig, config::update),
        path::CONFIG_ATTEST => in_session!(AttestConfig, config::attest),
        path::OWNER_PREPARE => in_session!(PrepareOwner, config::prepare_owner),
        path::SIGN_TRANSACTION => in_session!(SignTransaction, sign::transaction),
        path::SIGN_MESSAGE => in_session!(SignMessage, sign::message),
        _ => Err(Code::NotFound.into()),
    }
}

/// Runs the handler of a request whose session the project's administrators did not end.
///
/// On the heap: all handlers together would be too much for a stack.
fn run_in_session<'a, P, B, T, F>(
    realm: &'a Realm<P>,
    request: SessionRequest<B>,
    without_records: bool,
    handler: impl FnOnce(&'a Realm<P>, SessionRequest<B>) -> F + Send + 'a,
) -> BoxFuture<'a, Result<Delivered<Vec<u8>>, Problem>>
where
    P: Platform,
    B: Body + 'a,
    SessionRequest<B>: Send + Sync,
    T: Answer,
    F: Future<Output = Result<T, Problem>> + Send + 'a,
{
    Box::pin(async move {
        match realm.check_not_ended(&request).await {
            Err(problem) if !without_records || problem.code == Code::SessionRevoked => {
                return Err(problem);
            }
            Ok(()) | Err(_) => {}
        }
        handler(realm, request).await?.write()
    })
}
