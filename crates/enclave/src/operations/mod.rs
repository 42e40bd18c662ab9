//! What a device can ask for. Each handler takes a verified request and nothing else from outside.

mod config;
mod devices;
mod id_token;
mod introspect;
mod owner_key;
mod projects;
mod release;
mod session;
mod sign;
pub(crate) mod sign_in;
mod wallets;

use keyfold_protocol::client_api::path;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::ohttp::InnerRequest;
use serde::Serialize;

use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::request::{SessionRequest, SignInRequest};

/// Answers an opened request: verifies it for its route, then runs the route's handler.
pub(crate) async fn answer<P: Platform>(
    realm: &Realm<P>,
    request: &InnerRequest,
) -> Result<Vec<u8>, Problem> {
    let verifier = &realm.verifier;
    let now = realm.now();
    macro_rules! in_session {
        ($operation:ident, $handler:path) => {
            json(
                $handler(
                    realm,
                    SessionRequest::verify(verifier, Operation::$operation, request, now)?,
                )
                .await?,
            )
        };
    }
    macro_rules! before_session {
        ($operation:ident, $handler:path) => {
            json(
                $handler(
                    realm,
                    SignInRequest::verify(verifier, Operation::$operation, request, now)?,
                )
                .await?,
            )
        };
    }
    let path = request.path_and_query.split('?').next().unwrap_or_default();
    match path {
        path::SIGN_IN_START => before_session!(SignInStart, sign_in::start),
        path::SIGN_IN_FINISH => before_session!(SignInFinish, sign_in::finish),
        path::PROJECT_CREATE => before_session!(CreateProject, projects::create),
        path::RENEW => in_session!(Renew, session::renew),
        path::ID_TOKEN => in_session!(IssueIdToken, id_token::issue),
        path::INTROSPECT => before_session!(Introspect, introspect::introspect),
        path::SIGN_OUT => in_session!(SignOut, session::sign_out),
        path::WALLET_CREATE => in_session!(CreateWallet, wallets::create),
        path::WALLET_LIST => in_session!(ListWallets, wallets::list),
        path::DEVICE_LIST => in_session!(ListDevices, devices::list),
        path::DEVICE_APPROVE => in_session!(ApproveDevice, devices::approve),
        path::CONFIG_SHOW => in_session!(ShowConfig, config::show),
        path::CONFIG_UPDATE => in_session!(UpdateConfig, config::update),
        path::CONFIG_ATTEST => in_session!(AttestConfig, config::attest),
        path::OWNER_PREPARE => in_session!(PrepareOwner, config::prepare_owner),
        path::SIGN_TRANSACTION => in_session!(SignTransaction, sign::transaction),
        path::SIGN_MESSAGE => in_session!(SignMessage, sign::message),
        _ => Err(Code::NotFound.into()),
    }
}

fn json(body: impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(&body).map_err(|_| Problem::internal("an answer cannot be written"))
}
