//! Device lists: sign-in, approval, catching up, listing.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    DeviceAck, DeviceEnrol, DeviceList, DeviceState, DeviceStatement, DeviceSync, InSession,
};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::log_entry::Event;

use super::identities::{self, Presented};
use super::{Moment, occasion, verify_session};
use crate::core::devices::{
    Change, VerifiedSync, approve as decide_approval, enrol as decide_enrolment, settled,
    vouch as decide_vouched,
};
use crate::core::operation::{EvidenceRefusal, SignInOperation};
use crate::core::standing::StandingRefusal;
use crate::error::ApiError;
use crate::holder::Holder;
use crate::ledger::Occasion;
use crate::member::Member;
use crate::store;

/// States what stands on this holder's list.
pub(super) fn statement(
    holder: &Holder,
    member: &Member,
    owner: &AccountRef,
    device: Thumbprint,
    state: DeviceState,
    now: Moment,
) -> DeviceAck {
    DeviceStatement {
        realm: member.realm().id(),
        holder: member.index(),
        owner,
        device,
        state,
        issued: now.seconds,
    }
    .sign(holder.keys().signing())
}

/// Makes the entry about a change of a list; what is kept as it was leaves none.
fn entry_of(
    at: Occasion,
    owner: &AccountRef,
    device: Thumbprint,
    change: Change,
) -> Result<Option<keyfold_log::LogEntry>, ApiError> {
    match change {
        Change::Keep(_) => Ok(None),
        Change::Add(state) | Change::AddInsteadOf(_, state) | Change::Set(state) => at
            .entry(Event::Device {
                owner,
                device,
                state,
            })
            .map(Some),
    }
}

/// A device signed in: it gets onto the list, or stays there as it is.
pub(crate) async fn enrol(
    holder: &Holder,
    member: Member,
    message: DeviceEnrol,
) -> Result<DeviceAck, ApiError> {
    let now = Moment::now(holder);
    let (account, ends) = (message.account, Operation::SignInFinish);
    let sign_in = SignInOperation::verify(&member, ends, account, &message.evidence, now.seconds)?;
    let (owner, device) = (sign_in.owner.clone(), sign_in.jwk.thumbprint());
    let presented = Presented::read(holder, &sign_in, now.seconds).await;
    let (vouching, candidates) = (presented.vouching, presented.candidates);
    let named = sign_in.named;
    let first_device = message.first_device;
    let delay = holder.config().new_device_delay_seconds;
    let at = occasion(&member, now.ms);
    let change = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let SignInOperation {
                    owner, jwk, nonce, ..
                } = sign_in;
                if !store::sessions::spend(connection, &nonce).await? {
                    return Err(StandingRefusal::NonceReused.into());
                }
                let facts = store::devices::facts(connection, &owner, device).await?;
                let is_active = facts.is_active(now.seconds);
                let vouched = vouching.accept(connection, &owner, is_active, now.seconds);
                let change = if vouched.await? {
                    decide_vouched(&facts)?
                } else {
                    decide_enrolment(&facts, first_device, now.seconds, delay)?
                };
                store::devices::apply(connection, &owner, &jwk, change, now.seconds).await?;
                Ok((change, entry_of(at, &owner, device, change)?))
            })
        })
        .await?;
    let state = change.state();
    if state == DeviceState::Active {
        identities::keep(holder, at, &owner, device, named, candidates).await?;
    }
    Ok(statement(holder, &member, &owner, device, state, now))
}

/// A device that is active lets another one of its account in.
pub(crate) async fn approve(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<DeviceAck, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::ApproveDevice];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let Intent::ApproveDevice { device: target, .. } = *operation.intent() else {
        return Err(EvidenceRefusal::WrongOperation.into());
    };
    let owner = operation.owner().clone();
    let at = occasion(&member, now.ms);
    let change = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let owner = operation.owner();
                let standing = store::sessions::standing(connection, &operation).await?;
                let _good = standing.check(now.seconds)?;
                let facts = store::devices::facts(connection, owner, target).await?;
                let change = decide_approval(&facts)?;
                if let Change::Set(state) = change {
                    store::devices::set(connection, owner, target, state).await?;
                }
                store::devices::touch(connection, owner, operation.device(), now.seconds).await?;
                let entry = entry_of(at, owner, target, change)?;
                Ok((change, entry))
            })
        })
        .await?;
    let state = change.state();
    Ok(statement(holder, &member, &owner, target, state, now))
}

/// Learns of a device from the statements of t holders.
pub(crate) async fn sync(
    holder: &Holder,
    member: Member,
    message: DeviceSync,
) -> Result<DeviceAck, ApiError> {
    let now = Moment::now(holder);
    let known = VerifiedSync::verify(member.realm(), &message, now.seconds)?;
    let (owner, device) = (known.owner.clone(), known.device);
    let delay = holder.config().new_device_delay_seconds;
    let at = occasion(&member, now.ms);
    let change = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let owner = &known.owner;
                let facts = store::devices::facts(connection, owner, known.device).await?;
                let change = known.apply(&facts, now.seconds, delay)?;
                store::devices::apply(connection, owner, &message.jwk, change, now.seconds).await?;
                let entry = entry_of(at, owner, known.device, change)?;
                Ok((change, entry))
            })
        })
        .await?;
    let state = change.state();
    Ok(statement(holder, &member, &owner, device, state, now))
}

/// Lists the devices of the account that asks.
pub(crate) async fn list(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<DeviceList, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::ListDevices];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let mut list = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let standing = store::sessions::standing(connection, &operation).await?;
                let _good = standing.check(now.seconds)?;
                let owner = operation.owner();
                store::devices::touch(connection, owner, operation.device(), now.seconds).await?;
                let devices = store::devices::list(connection, owner).await?;
                Ok((DeviceList { devices }, None))
            })
        })
        .await?;
    for entry in &mut list.devices {
        entry.state = settled(entry.state, now.seconds);
    }
    Ok(list)
}
