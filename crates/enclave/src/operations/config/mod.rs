//! The key machine: a wallet's configurations, from the first to the latest.
//!
//! A change is signed by the configuration before it and costs nothing on chain: from then on every
//! signature of the wallet is a chain that leads from the first root, which the address comes from,
//! to the latest.

mod chain;
mod prepare;
mod trees;
mod update;

use alloy_primitives::Bytes;
use futures_util::future::join;
use keyfold_protocol::config::{AttestedRoot, OfWallet, WalletConfig};
use keyfold_protocol::error_code::Code;
use keyfold_wallet::checkpointer::RootStatement;

pub(super) use chain::Chain;
pub(super) use prepare::prepare_owner;
pub(super) use trees::store_trees;
pub(super) use update::update;

use super::session::check_active;
use crate::limits::ROOT_SECONDS;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::WalletRecord;
use crate::request::SessionRequest;

/// Shows a wallet's configurations to a device that t holders let act.
pub(super) async fn show<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<OfWallet>,
) -> Result<WalletConfig, Problem> {
    let record = wallet_of(realm, &request).await?;
    Chain::of(&record)?.describe(&record)
}

/// Attests a wallet's latest root, as its checkpointer wants it.
pub(super) async fn attest<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<OfWallet>,
) -> Result<AttestedRoot, Problem> {
    let record = wallet_of(realm, &request).await?;
    let chain = Chain::of(&record)?;
    let checkpointer = record
        .config
        .checkpointer
        .ok_or_else(|| Problem::new(Code::ConfigInvalid, "the wallet has no checkpointer"))?;
    let statement = statement(realm, &record, &chain);
    let proof = realm.keys.attest_root(&statement, &checkpointer);
    let proof = proof.ok_or_else(|| Problem::internal("a root cannot be attested"))?;
    Ok(AttestedRoot {
        wallet: record.address,
        checkpointer,
        image_hash: statement.image_hash,
        checkpoint: statement.checkpoint,
        issued: statement.issued,
        expires: statement.expires,
        proof,
    })
}

/// The current record of the wallet that is asked for.
async fn wallet_of<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<OfWallet>,
) -> Result<WalletRecord, Problem> {
    let (account, active) =
        join(realm.session_account(request), check_active(realm, request)).await;
    let account = account?.value;
    active?;
    let wallet = account
        .wallets()
        .find(|wallet| wallet.address == request.body().wallet);
    Ok(wallet.ok_or(Code::WalletUnknown)?.clone())
}

/// The word about the latest root that goes with a signature, where the wallet has a checkpointer.
pub(super) fn root_proof<P: Platform>(
    realm: &Realm<P>,
    record: &WalletRecord,
    chain: &Chain,
) -> Result<Option<Bytes>, Problem> {
    let Some(checkpointer) = record.config.checkpointer else {
        return Ok(None);
    };
    let statement = statement(realm, record, chain);
    let proof = realm.keys.attest_root(&statement, &checkpointer);
    proof
        .map(Some)
        .ok_or_else(|| Problem::internal("a root cannot be attested"))
}

fn statement<P: Platform>(realm: &Realm<P>, record: &WalletRecord, chain: &Chain) -> RootStatement {
    let issued = realm.now();
    RootStatement {
        wallet: record.address,
        image_hash: chain.latest_root(),
        checkpoint: chain.latest().checkpoint,
        issued,
        expires: issued.saturating_add(ROOT_SECONDS),
    }
}
