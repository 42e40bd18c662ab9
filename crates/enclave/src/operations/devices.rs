//! Devices: list and approve.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::{ApproveDevice, DeviceInfo, Devices, Nothing};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceAck, DeviceEntry, DeviceList, DeviceState, path};
use keyfold_protocol::project::StepUp;

use super::session::in_session;
use super::step_up::require;
use crate::holders::first;
use crate::peers::CallError;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change};
use crate::request::SessionRequest;

/// Most devices that one holder may list.
const MAX_LISTED: usize = 64;

/// Lists the account's devices as t holders know them, with the names of the account's record.
pub(super) async fn list<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Devices, Problem> {
    let asked = realm
        .holders
        .ask_same::<DeviceList>(path::DEVICE_LIST, in_session(&request)?);
    let needed = realm.holders.threshold();
    let (account, gathered) = join(realm.session_account(&request), first(needed, asked)).await;
    let account = account?.value;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    let lists = gathered.let_rest_finish(&realm.core);
    let mut devices: Vec<DeviceInfo> = merge(lists.into_iter().map(|(_, list)| list))
        .into_values()
        // A holder that missed the end of a device still lists it.
        .filter(|entry| !account.revoked.contains(&entry.device))
        .map(|entry| {
            let known = account
                .devices
                .iter()
                .find(|device| device.jkt == entry.device);
            DeviceInfo {
                device: entry.device,
                name: known.map(|device| device.name.clone()).unwrap_or_default(),
                added: known.map_or(entry.added, |device| device.added),
                last_used: entry.last_used,
                state: entry.state,
                this: entry.device == request.thumbprint(),
            }
        })
        .collect();
    devices.sort_by_key(|device| device.added);
    Ok(Devices { devices })
}

/// One list of several: a device may act as soon as one holder lets it, since the others learn it
/// at its next renewal; the first use counts as the first, the last as the last.
fn merge(lists: impl Iterator<Item = DeviceList>) -> BTreeMap<Thumbprint, DeviceEntry> {
    let mut merged: BTreeMap<Thumbprint, DeviceEntry> = BTreeMap::new();
    for entry in lists.flat_map(|list| list.devices.into_iter().take(MAX_LISTED)) {
        let known = merged.entry(entry.device).or_insert_with(|| entry.clone());
        known.added = known.added.min(entry.added);
        known.last_used = known.last_used.max(entry.last_used);
        known.state = match (known.state, entry.state) {
            (DeviceState::Pending { active_at: a }, DeviceState::Pending { active_at: b }) => {
                DeviceState::Pending {
                    active_at: a.min(b),
                }
            }
            _ => DeviceState::Active,
        };
    }
    merged
}

/// Lets a pending device act, on the word of a device that the holders know.
pub(super) async fn approve<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<ApproveDevice>,
) -> Result<Nothing, Problem> {
    let account = realm.session_account(&request).await?.value;
    let project = realm.project(request.project()).await?;
    let mut shown = None;
    require(realm, &project, &account, &request, |rules| {
        shown = rules.new_device;
        shown
    })?;
    let body: Arc<[u8]> = in_session(&request)?.into();
    let (owner, device) = (request.owner(), request.body().device);
    let asked = realm.holders.ask(|holder| {
        let (verified, body) = (Arc::clone(&realm.verified), Arc::clone(&body));
        let owner = owner.clone();
        async move {
            let ack: DeviceAck = holder.link.call(path::DEVICE_APPROVE, &body).await?;
            let right = ack.holder == holder.index && ack.owner == owner && ack.device == device;
            if !right || ack.state != DeviceState::Active || !ack.verify(&verified) {
                return Err(CallError::Wrong("did not confirm the approval"));
            }
            Ok(())
        }
    });
    let needed = realm.holders.threshold();
    let gathered = first(needed, asked).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    if let Some(shown) = shown {
        note_let_in(realm, &request, shown).await;
    }
    Ok(Nothing {})
}

/// Notes that a device was let in by one that had shown what the rules ask for.
async fn note_let_in<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<ApproveDevice>,
    shown: StepUp,
) {
    let device = request.body().device;
    let id = realm.account_id(&request.owner());
    let noted = realm.records.change(id, |current: Option<Account>| {
        let mut account = current.ok_or(Code::SessionInvalid)?;
        Ok(match account.let_in(device, shown) {
            true => Change::Write(account, ()),
            false => Change::Keep(()),
        })
    });
    if let Err(problem) = noted.await {
        // The device is asked for a proof of its own, or is approved again.
        tracing::warn!(code = %problem.code, "what let a device in is not in its record");
    }
}
