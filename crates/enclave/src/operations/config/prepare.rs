//! The key that is to be a wallet's next owner: made before the change that names it, so that the
//! device signs the very root that follows.

use keyfold_protocol::config::{ConfigChange, OfWallet, PreparedOwner};
use keyfold_protocol::error_code::Code;

use crate::operations::owner_key::{NewKey, store};
use crate::operations::session::check_active;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, WalletRecord};
use crate::request::SessionRequest;

/// Makes the key, or names the one that was made and not used yet.
///
/// Nothing depends on it until the change is signed, so a key whose making was cut off is made
/// again under the same name.
pub(in crate::operations) async fn prepare_owner<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<OfWallet>,
) -> Result<PreparedOwner, Problem> {
    let wallet = request.body().wallet;
    // Every holder must store a share anyway, so every one may be asked for the newest version.
    let account = realm.session_account_of_all(&request).await?.value;
    let record = account.wallets().find(|known| known.address == wallet);
    let record = record.ok_or(Code::WalletUnknown)?;
    if let Some(prepared) = &record.next_owner {
        // Storing shares asks the holders whether the device may act; here nothing else does.
        check_active(realm, &request).await?;
        let owner = prepared.owner;
        return Ok(PreparedOwner { wallet, owner });
    }
    let number = rotations(record);
    let owner = request.owner();
    let name = realm.keys.next_key(&owner, &wallet, number);
    let new = NewKey::draw(realm, &owner, name)?;
    // All n: a missing share could never be replaced without the key.
    store(realm, &request, &new).await?;
    let key = new.key;
    let id = realm.account_id(&owner);
    let owner = realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let record = account.wallets.iter_mut().find(|w| w.address == wallet);
            let record = record.ok_or(Code::WalletUnknown)?;
            if rotations(record) != number {
                return Err(Code::RecordConflict.into());
            }
            // Somebody asked at the same time: theirs is the key.
            if let Some(prepared) = &record.next_owner {
                let owner = prepared.owner;
                return Ok(Change::Keep(owner));
            }
            record.next_owner = Some(key.clone());
            Ok(Change::Write(account, key.owner))
        })
        .await?;
    Ok(PreparedOwner { wallet, owner })
}

/// How many owners the wallet has had, the present one included.
fn rotations(record: &WalletRecord) -> u64 {
    let rotates = |change: &ConfigChange| matches!(change, ConfigChange::RotateOwner { .. });
    let count = record.updates.iter().filter(|u| rotates(&u.change)).count();
    u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1)
}
