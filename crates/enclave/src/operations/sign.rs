//! The signer: from a verified order to a wallet's signature.

use alloy_primitives::B256;
use futures_util::future::join;
use keyfold_protocol::client_api::{GuardSettings, SignRequest, Signed, WirePayload};
use keyfold_protocol::config::WalletConfig;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::{Cosign, path as guard_path};
use keyfold_wallet::EcdsaSignature;

use super::config::{Chain, root_proof};
use super::release::{Approved, check_named, cosign, find_wallet, release, wallet_in};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::request::{Order, SessionRequest};

/// Signs a transaction.
pub(super) async fn transaction<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    match request.body().request.payload {
        WirePayload::Transaction { .. } => sign(realm, request).await,
        WirePayload::Message { .. } => Err(Code::PayloadInvalid.into()),
    }
}

/// Signs a message.
pub(super) async fn message<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    match request.body().request.payload {
        WirePayload::Message { .. } => sign(realm, request).await,
        WirePayload::Transaction { .. } => Err(Code::PayloadInvalid.into()),
    }
}

async fn sign<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    let approved = match request.body().publishes {
        Some(root) => approve_publication(realm, &request, root).await?,
        None => approve(realm, &request).await?,
    };
    let signed = release(realm, &request, approved).await?.sign()?;
    let chain = Chain::of(&signed.wallet)?;
    let order = request.body();
    if let Some(root) = order.publishes {
        // The record may be newer than the one that was looked at first.
        check_latest(&chain, root)?;
    }
    let proof = root_proof(realm, &signed.wallet, &chain)?;
    let signature = chain.signature(
        signed.owner,
        signed.guard,
        proof,
        order.request.on_chain.as_ref(),
    )?;
    Ok(Signed {
        digest: signed.digest,
        signature,
    })
}

/// Approves that a chain is told of the wallet's latest root. The guard is shown its own word for
/// that root, so it is asked after the record was read.
async fn approve_publication<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
    root: B256,
) -> Result<Approved, Problem> {
    check_named(realm, request).await?;
    // What is the latest depends on what is there, so nothing that may be old will do.
    let id = realm.account_id(&request.owner());
    let held = realm.session_account(request).await?;
    let wallet = wallet_in(realm, request, &realm.records.remember(id, held)).await?;
    let chain = Chain::of(&wallet.record)?;
    check_latest(&chain, root)?;
    let project = realm.project(request.project()).await?;
    let settings = project.guard.as_ref();
    let cosigned = match settings {
        Some(settings) => {
            let history = chain.describe(&wallet.record)?;
            Some(ask_guard(realm, settings, request, Some(history)).await)
        }
        None => None,
    };
    Approved::new(wallet, settings, cosigned)
}

/// Refuses to tell a chain of any root but the latest: with one that the record does not know, the
/// wallet's signatures would be worth nothing there.
fn check_latest(chain: &Chain, root: B256) -> Result<(), Problem> {
    if chain.len() == 0 {
        return Err(Problem::new(
            Code::ConfigInvalid,
            "every chain knows the first configuration already",
        ));
    }
    if chain.latest_root() != root {
        return Err(Code::ConfigStale.into());
    }
    Ok(())
}

async fn approve<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
) -> Result<Approved, Problem> {
    check_named(realm, request).await?;
    let project = realm.project(request.project()).await?;
    let settings = project.guard.as_ref();
    // The attestation says whose wallet it is, so the guard need not wait for the record.
    let (wallet, cosigned) = match settings {
        Some(settings) => {
            let (wallet, cosigned) = join(
                find_wallet(realm, request),
                ask_guard(realm, settings, request, None),
            )
            .await;
            (wallet?, Some(cosigned))
        }
        None => (find_wallet(realm, request).await?, None),
    };
    Approved::new(wallet, settings, cosigned)
}

async fn ask_guard<P: Platform>(
    realm: &Realm<P>,
    settings: &GuardSettings,
    request: &SessionRequest<SignRequest>,
    history: Option<WalletConfig>,
) -> Result<EcdsaSignature, Problem> {
    let order = request.body();
    let question = Cosign {
        project: request.project().clone(),
        request: request.request_id(),
        sign: order.request.clone(),
        history,
    };
    cosign(
        realm,
        settings,
        guard_path::COSIGN,
        &question,
        order.digest(),
    )
    .await
}
