//! Sessions: whether one still stands, and its end.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceAck, DeviceState, Empty, InSession};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::log_entry::Event;

use super::devices::statement;
use super::{Moment, occasion, verify_session};
use crate::core::devices::settled;
use crate::core::standing::StandingRefusal;
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;

/// Ended sessions of one account, from which on one ends its own only: ids that no session ever had
/// could be ended too, and each is kept for a month.
const MAX_ENDED_BY_OTHERS: u64 = 4_096;

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
        Operation::StepUp,
        Operation::LinkIdentity,
        Operation::UnlinkIdentity,
        Operation::ListIdentities,
        Operation::BeginTotp,
        Operation::ConfirmTotp,
        Operation::RemoveTotp,
        Operation::SetStepUpRules,
        Operation::IssueIdToken,
        Operation::ListSessions,
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

/// Ends the session of the request, or another one of its account.
///
/// To end its own asks nothing of the device list: it only takes away, and a holder that missed the
/// device must still be able to learn that its session is over. To end another one takes a device
/// that may act. The very same evidence is good again once the session is over, for the answer may
/// have been lost.
pub(crate) async fn revoke(
    holder: &Holder,
    member: Member,
    message: InSession,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder);
    let allowed = [Operation::SignOut, Operation::RevokeSession];
    let operation = verify_session(holder, &member, &message.evidence, &allowed, now)?;
    let at = occasion(&member, now.ms);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let owner = operation.owner();
                let session = match operation.intent() {
                    Intent::RevokeSession { session, .. } => *session,
                    _ => operation.session(),
                };
                let standing = store::sessions::standing(connection, &operation).await?;
                if store::sessions::is_revoked(connection, owner, session).await? {
                    return Ok((Empty {}, None));
                }
                if !standing.nonce_is_new {
                    return Err(StandingRefusal::NonceReused.into());
                }
                if session != operation.session() {
                    let _good = standing.check(now.seconds)?;
                    let ended = store::sessions::count_revoked(connection, owner).await?;
                    if ended >= MAX_ENDED_BY_OTHERS {
                        return Err(ApiError::code(Code::RateLimited));
                    }
                    let device = operation.device();
                    store::devices::touch(connection, owner, device, now.seconds).await?;
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
