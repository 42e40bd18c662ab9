//! A change: checked, agreed to by the guard, signed under the configuration before, recorded.

use alloy_primitives::FixedBytes;
use keyfold_protocol::client_api::GuardSettings;
use keyfold_protocol::config::{
    ChangeError, ConfigChange, MAX_UPDATES, MAX_UPDATES_TO_ADD, UpdateConfig, WalletConfig,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::MAX_RECORD;
use keyfold_protocol::guard_api::{CosignUpdate, path as guard_path};
use keyfold_wallet::EcdsaSignature;

use super::{Chain, store_trees};
use crate::operations::release::{Approved, OwnerSigned, check_named, cosign, release, wallet_in};
use crate::operations::session::check_active;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, OwnerKey, UpdateRecord, WalletRecord};
use crate::request::{Order, SessionRequest};

/// Room that a record keeps for devices and sessions, bytes.
const RESERVE: usize = 32 * 1024;

/// Changes a wallet's configuration.
///
/// Asked again after it was done, it answers the same and uses no key.
pub(in crate::operations) async fn update<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<UpdateConfig>,
) -> Result<WalletConfig, Problem> {
    check_named(realm, &request).await?;
    let order = request.body();
    // What follows depends on what is there, so nothing that may be old will do.
    let id = realm.account_id(&request.owner());
    let held = realm.session_account(&request).await?;
    if let Some(done) = done_before(&held.value, &order.update)? {
        // The release of shares asks the holders whether the device may act; here nothing else does.
        check_active(realm, &request).await?;
        return Ok(done);
    }
    let wallet = wallet_in(realm, &request, &realm.records.remember(id, held)).await?;
    let chain = Chain::of(&wallet.record)?;
    if chain.latest_root() != order.update.previous {
        return Err(Code::ConfigStale.into());
    }
    let most = if order.update.change.adds() {
        MAX_UPDATES_TO_ADD
    } else {
        MAX_UPDATES
    };
    if chain.len() >= most {
        return Err(Code::ConfigLimit.into());
    }
    let next = order.update.check(chain.latest()).map_err(invalid)?;
    let change = &order.update.change;
    change.check_time(realm.now()).map_err(invalid)?;
    next_owner(&wallet.record, &order.update.change)?;

    let project = realm.project(request.project()).await?;
    let settings = project.guard.as_ref();
    let cosigned = match settings {
        Some(settings) => {
            let history = chain.describe(&wallet.record)?;
            Some(ask_guard(realm, settings, &request, history).await)
        }
        None => None,
    };
    let approved = Approved::new(wallet, settings, cosigned)?;
    store_trees(realm, &next).await?;
    let signed = release(realm, &request, approved).await?.sign()?;
    record(realm, &request, signed).await
}

/// What a change that was made before is answered with.
fn done_before(account: &Account, update: &UpdateConfig) -> Result<Option<WalletConfig>, Problem> {
    let record = account
        .wallets()
        .find(|wallet| wallet.address == update.wallet)
        .ok_or(Code::WalletUnknown)?;
    match record.updates.last() {
        Some(last) if last.image_hash == update.next && last.change == update.change => {
            Chain::of(record)?.describe(record).map(Some)
        }
        _ => Ok(None),
    }
}

/// The key that a rotation makes the owner's: one that was prepared, whose shares all holders keep.
fn next_owner(record: &WalletRecord, change: &ConfigChange) -> Result<Option<OwnerKey>, Problem> {
    let ConfigChange::RotateOwner { owner } = change else {
        return Ok(None);
    };
    let prepared = record.next_owner.as_ref().filter(|key| key.owner == *owner);
    match prepared {
        Some(key) => Ok(Some(key.clone())),
        None => Err(Problem::new(
            Code::ConfigInvalid,
            "the new owner's key was not prepared",
        )),
    }
}

async fn ask_guard<P: Platform>(
    realm: &Realm<P>,
    settings: &GuardSettings,
    request: &SessionRequest<UpdateConfig>,
    history: WalletConfig,
) -> Result<EcdsaSignature, Problem> {
    let order = request.body();
    let question = CosignUpdate {
        project: request.project().clone(),
        request: request.request_id(),
        history,
        update: order.update.clone(),
    };
    cosign(
        realm,
        settings,
        guard_path::COSIGN_UPDATE,
        &question,
        order.digest(),
    )
    .await
}

/// Writes the update to the account's record, if nobody else changed the wallet meanwhile.
async fn record<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<UpdateConfig>,
    signed: OwnerSigned,
) -> Result<WalletConfig, Problem> {
    let update = &request.body().update;
    let entry = UpdateRecord {
        change: update.change.clone(),
        image_hash: update.next,
        signed_at: realm.now(),
        owner: FixedBytes(signed.owner.1.to_compact()),
        guard: signed
            .guard
            .map(|(_, signature)| FixedBytes(signature.to_compact())),
    };
    let id = realm.account_id(&request.owner());
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, request)?;
            if let Some(done) = done_before(&account, update)? {
                return Ok(Change::Keep(done));
            }
            let wallet = account
                .wallets
                .iter_mut()
                .find(|wallet| wallet.address == update.wallet)
                .ok_or(Code::WalletUnknown)?;
            if Chain::of(wallet)?.latest_root() != update.previous
                || wallet.key != signed.wallet.key
            {
                return Err(Code::ConfigStale.into());
            }
            if let Some(key) = next_owner(wallet, &update.change)? {
                wallet.next_owner = None;
                wallet.take_key(key);
            }
            wallet.updates.push(entry.clone());
            // Replayed, so that what cannot be read again is not written.
            let described = Chain::of(wallet)?.describe(wallet)?;
            let size = serde_json::to_vec(&account).map_or(usize::MAX, |json| json.len());
            if size > MAX_RECORD - RESERVE {
                return Err(Code::ConfigLimit.into());
            }
            Ok(Change::Write(account, described))
        })
        .await
}

fn invalid(error: ChangeError) -> Problem {
    Problem::new(Code::ConfigInvalid, error.to_string())
}
