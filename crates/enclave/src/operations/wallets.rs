//! The key machine: making wallets, listing them.

use futures_util::future::join;
use keyfold_protocol::client_api::{CreateWallet, Nothing, WalletInfo, Wallets};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::text::is_name;
use keyfold_wallet::config::Members;
use keyfold_wallet::wallet_address;

use super::config::{Chain, store_trees};
use super::owner_key::{NewKey, store};
use super::session::check_active;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Held, Project, WalletRecord};
use crate::request::SessionRequest;

/// Lists the account's wallets, oldest first, to a device that t holders let act.
pub(super) async fn list<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Wallets, Problem> {
    let (account, active) = join(
        realm.session_account(&request),
        check_active(realm, &request),
    )
    .await;
    let account = account?.value;
    active?;
    Ok(Wallets {
        wallets: account.wallets().map(WalletRecord::info).collect(),
    })
}

/// Makes a wallet, or returns the one of that label.
///
/// In three steps, each of which may be cut off and repeated: all n holders store their shares; the
/// account's record names the wallet as staged, and all n holders hold that version; the record
/// names it for good. Whoever asks for wallets is told of it only then, for one that fewer than n
/// hold may still be left behind by a later change of the record ([`Records::read_held_by_all`]).
///
/// [`Records::read_held_by_all`]: crate::records::Records::read_held_by_all
pub(super) async fn create<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<CreateWallet>,
) -> Result<WalletInfo, Problem> {
    let label = request.body().label.as_str();
    if !is_name(label) {
        return Err(Problem::new(
            Code::MalformedRequest,
            "the label is not acceptable",
        ));
    }
    let id = realm.account_id(&request.owner());
    // Every holder must store a share anyway, so every one may be asked for the newest version: a
    // wallet that somebody hides would be made again beside it.
    let account = realm.session_account_of_all(&request).await?.value;
    let wallet = match account.wallet_of(label) {
        // Storing shares asks the holders whether the device may act; here nothing else does.
        Some(known) => {
            check_active(realm, &request).await?;
            known.clone()
        }
        None => stage(realm, &request, &account).await?,
    };
    if !wallet.staged {
        return Ok(wallet.info());
    }
    store_trees(realm, Chain::of(&wallet)?.latest()).await?;
    let held: Held<Account> = realm.records.read_held_by_all(id).await?;
    let same = |held: &WalletRecord| held.leaf == wallet.leaf;
    if !held.value.wallet_of(label).is_some_and(same) {
        return Err(Code::RecordConflict.into());
    }
    let wallet = realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let mut of_label = account.wallets.iter_mut().filter(|w| w.label == label);
            let held = of_label.find(|held| same(held));
            let held = held.ok_or(Code::RecordConflict)?;
            if !core::mem::take(&mut held.staged) {
                return Ok(Change::Keep(held.clone()));
            }
            let wallet = held.clone();
            Ok(Change::Write(account, wallet))
        })
        .await?;
    Ok(wallet.info())
}

/// Draws a key, has the holders store its shares, and names the wallet as staged.
async fn stage<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<CreateWallet>,
    account: &Account,
) -> Result<WalletRecord, Problem> {
    let label = request.body().label.as_str();
    let project = realm.project(request.project()).await?;
    let most = usize::from(project.sign_in.limits.wallets);
    if account.wallets.len() >= most {
        return Err(Code::WalletLimit.into());
    }
    let owner = request.owner();
    let new = NewKey::draw(realm, &owner, realm.keys.wallet_key(&owner, label))?;
    store(realm, request, &new).await?;
    let new = new_wallet(new, &project, label, realm.now())?;

    let id = realm.account_id(&request.owner());
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, request)?;
            // Somebody asked for the same label at the same time: theirs is the wallet.
            if let Some(known) = account.wallet_of(label) {
                return Ok(Change::Keep(known.clone()));
            }
            if account.wallets.len() >= most {
                return Err(Code::WalletLimit.into());
            }
            account.wallets.push(new.clone());
            Ok(Change::Write(account, new.clone()))
        })
        .await
}

/// The record of a wallet that is not told of yet.
fn new_wallet(
    new: NewKey,
    project: &Project,
    label: &str,
    created: u64,
) -> Result<WalletRecord, Problem> {
    let guard = project.guard.as_ref().map(|guard| guard.signer);
    let config = Members::new(new.key.owner, guard)
        .config(0, project.checkpointer, None)
        .map_err(|_| Problem::internal("a wallet's configuration cannot be made"))?;
    let image_hash = config.image_hash();
    let key = new.key;
    Ok(WalletRecord {
        label: label.to_owned(),
        staged: true,
        key: key.key,
        generation: key.generation,
        threshold: key.threshold,
        leaf: key.leaf,
        entropy: key.entropy,
        config: config.into_inner(),
        guard,
        context: project.contracts,
        address: wallet_address(&image_hash, &project.contracts.context()),
        image_hash,
        created,
        updates: Vec::new(),
        next_owner: None,
    })
}
