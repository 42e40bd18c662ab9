//! The count of mails before there is a session.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceMailReserve, Empty, MailReserve};
use keyfold_protocol::intent::Operation;
use sqlx::SqliteConnection;

use super::Moment;
use crate::config::HolderConfig;
use crate::core::operation::SignInOperation;
use crate::core::standing::Standing;
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;
use crate::store::mail::{Counted, MailCounts};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// How many mails are counted for one [`Counted`].
#[derive(Debug, Clone, Copy)]
struct MailLimits {
    per_hour: u32,
    per_day: u32,
    total_per_day: u32,
}

impl MailLimits {
    fn of(config: &HolderConfig) -> Self {
        Self {
            per_hour: config.mails_per_address_per_hour,
            per_day: config.mails_per_address_per_day,
            total_per_day: config.mails_per_address_total_per_day(),
        }
    }
}

/// Counts one more mail to an address, if that is within the limits.
///
/// Each project has its own count, so that a foreign one cannot lock a person out of this one with
/// a few mails; and all of them together have a larger one, since they flood one mailbox.
pub(crate) async fn reserve(
    holder: &Holder,
    _member: Member,
    message: MailReserve,
) -> Result<Empty, ApiError> {
    let (now, limits) = (holder.now(), MailLimits::of(holder.config()));
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let counted = Counted::address(message.project, message.address);
                count(connection, &counted, limits, now).await?;
                Ok((Empty {}, None))
            })
        })
        .await
}

/// Counts one more mail for a device that may act for its account, if that is within the limits.
///
/// Each device has its own count, and all of an account's have a larger one together.
///
/// # Security
///
/// What strangers ask for is not counted here, so they cannot use it up; and who may act is what
/// this holder's own list says, of the device that signed the request. The request counts once.
pub(crate) async fn reserve_for_device(
    holder: &Holder,
    member: Member,
    message: DeviceMailReserve,
) -> Result<Empty, ApiError> {
    let now = Moment::now(holder).seconds;
    let (account, begins) = (message.account, Operation::SignInStart);
    let sign_in = SignInOperation::verify(&member, begins, account, &message.evidence, now)?;
    let limits = MailLimits::of(holder.config());
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let (owner, device) = (&sign_in.owner, sign_in.jwk.thumbprint());
                let standing = Standing {
                    nonce_is_new: store::sessions::spend(connection, &sign_in.nonce).await?,
                    session_revoked: false,
                    device: store::devices::place(connection, owner, device).await?,
                };
                let _good = standing.check(now)?;
                let counted = Counted::device(owner, device);
                count(connection, &counted, limits, now).await?;
                Ok((Empty {}, None))
            })
        })
        .await
}

async fn count(
    connection: &mut SqliteConnection,
    counted: &Counted,
    limits: MailLimits,
    now: u64,
) -> Result<(), ApiError> {
    let counts = store::mail::find(connection, counted).await?;
    let hour = counts.hour.count_one(now, HOUR, limits.per_hour);
    let day = counts.day.count_one(now, DAY, limits.per_day);
    let total = counts.total.count_one(now, DAY, limits.total_per_day);
    let (Some(hour), Some(day), Some(total)) = (hour, day, total) else {
        return Err(ApiError::code(Code::MailLimit));
    };
    let counts = MailCounts { hour, day, total };
    store::mail::set(connection, counted, &counts).await?;
    Ok(())
}
