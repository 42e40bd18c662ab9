//! The signer: from a verified order to a wallet's signature.

use futures_util::future::join;
use keyfold_protocol::client_api::{GuardSettings, SignRequest, Signed, WirePayload};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::{Cosign, path as guard_path};
use keyfold_wallet::EcdsaSignature;

use super::config::{Chain, root_proof};
use super::release::{Approved, check_named, cosign, find_wallet, release};
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
    let approved = approve(realm, &request).await?;
    let signed = release(realm, &request, approved).await?.sign()?;
    let chain = Chain::of(&signed.wallet)?;
    let proof = root_proof(realm, &signed.wallet, &chain)?;
    Ok(Signed {
        digest: signed.digest,
        signature: chain.signature(signed.owner, signed.guard, proof)?,
    })
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
                ask_guard(realm, settings, request),
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
) -> Result<EcdsaSignature, Problem> {
    let order = request.body();
    let question = Cosign {
        project: request.project().clone(),
        request: request.request_id(),
        sign: order.request.clone(),
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
