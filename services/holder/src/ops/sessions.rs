//! Sessions: whether one still stands, and its end; and the count of mails before there is one.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceAck, DeviceState, Empty, InSession, MailReserve};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::log_entry::Event;

use super::devices::statement;
use super::{Moment, occasion, verify_session};
use crate::core::devices::settled;
use crate::core::standing::StandingRefusal;
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;
use crate::store::mail::MailCounts;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Confirms that the session stands and says whether its device may act yet.
///
/// A device that waits keeps its session: nothing is released here. It does not count as used by
/// that, or whoever reads the mail could keep a place on the list by asking.
pub(crate) async fn check(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<DeviceAck, ApiError> {
    let now = Moment::now(holder);
    // To make a wallet that is there already, an enclave stores nothing and asks only this.
    let allowed = [
        Operation::Renew,
        Operation::ListWallets,
        Operation::CreateWallet,
        Operation::ShowConfig,
        Operation::AttestConfig,
        Operation::PrepareOwner,
        Operation::UpdateConfig,
        Operation::IssueIdToken,
    ];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let (owner, device) = (operation.owner().clone(), operation.device());
    let state = holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let standing = store::sessions::standing(connection, &operation).await?;
                let state = settled(standing.check_listed()?, now.seconds);
                if state == DeviceState::Active {
                    let (owner, device) = (operation.owner(), operation.device());
                    store::devices::touch(connection, owner, device, now.seconds).await?;
                }
                Ok((state, None))
            })
        })
        .await?;
    Ok(statement(holder, &member, &owner, device, state, now))
}

/// Ends the session of the request.
///
/// The one operation that asks nothing of the device list and may be repeated: it only takes away,
/// and a holder that missed the device must still be able to learn that its session is over. The
/// very same evidence is good again once the session is over, for the answer may have been lost.
pub(crate) async fn revoke(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::SignOut];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let (owner, session) = (operation.owner(), operation.session());
                if !store::sessions::spend(connection, operation.nonce()).await? {
                    return match store::sessions::is_revoked(connection, owner, session).await? {
                        true => Ok((Empty {}, None)),
                        false => Err(StandingRefusal::NonceReused.into()),
                    };
                }
                let new = store::sessions::revoke(connection, owner, session, now.seconds).await?;
                let entry = new
                    .then(|| at.entry(Event::Revoked { owner, session }))
                    .transpose()?;
                Ok((Empty {}, entry))
            })
        })
        .await
}

/// Counts one more mail to an address, if that is within the limits.
///
/// Each project has its own count, so that a foreign one cannot lock a person out of this one with
/// a few mails; and all of them together have a larger one, since they flood one mailbox.
pub(crate) async fn reserve_mail(
    holder: &Holder,
    _member: Member,
    message: MailReserve,
) -> Result<Empty, ApiError> {
    let now = holder.now();
    let per_hour = holder.config().mails_per_address_per_hour;
    let per_day = holder.config().mails_per_address_per_day;
    let total_per_day = holder.config().mails_per_address_total_per_day();
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let MailReserve { project, address } = message;
                let counts = store::mail::find(connection, &project, address).await?;
                let hour = counts.hour.count_one(now, HOUR, per_hour);
                let day = counts.day.count_one(now, DAY, per_day);
                let total = counts.total.count_one(now, DAY, total_per_day);
                let (Some(hour), Some(day), Some(total)) = (hour, day, total) else {
                    return Err(ApiError::code(Code::MailLimit));
                };
                let counts = MailCounts { hour, day, total };
                store::mail::set(connection, &project, address, &counts).await?;
                Ok((Empty {}, None))
            })
        })
        .await
}
