//! Attempts at secrets, counted before they are compared.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AttemptReserve, Empty};

use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;
use crate::store;
use crate::store::attempts::AttemptCounts;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Counts one more attempt, if that is within the limits; durable before it is answered.
///
/// # Security
///
/// There is nothing that takes a count back: neither a success, which a thief could have as well,
/// nor the enclave, whose host may start it again.
pub(crate) async fn reserve(
    holder: &Holder,
    _member: Member,
    message: AttemptReserve,
) -> Result<Empty, ApiError> {
    let now = holder.now();
    let limit = holder.config().attempts.of(message.kind);
    holder
        .ledger()
        .commit(move |connection| {
            Box::pin(async move {
                let counts = store::attempts::find(connection, &message).await?;
                let hour = counts.hour.count_one(now, HOUR, limit.per_hour);
                let day = counts.day.count_one(now, DAY, limit.per_day);
                let (Some(hour), Some(day)) = (hour, day) else {
                    return Err(ApiError::code(Code::AttemptLimit));
                };
                let counts = AttemptCounts { hour, day };
                store::attempts::set(connection, &message, &counts).await?;
                Ok((Empty {}, None))
            })
        })
        .await
}
