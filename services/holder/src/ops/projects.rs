//! Projects: what their administrators changed, for the log.

use keyfold_protocol::holder_api::{Empty, ProjectNotice};
use keyfold_protocol::log_entry::Event;

use super::{Moment, occasion};
use crate::error::ApiError;
use crate::holder::Holder;
use crate::member::Member;

/// Notes that a project is about to be changed; answers once that is in the log.
///
/// Holders keep nothing of projects but the anchors of their records, so there is nothing to compare
/// it with: the entry says what an instance said, and whose signatures were under it is the
/// instance's to verify.
pub(crate) async fn changed(
    holder: &Holder,
    member: Member,
    message: ProjectNotice,
) -> Result<Empty, ApiError> {
    let at = occasion(&member, Moment::now(holder).ms);
    let entry = at.entry(Event::ProjectChanged {
        project: &message.project,
        version: message.version,
        command: message.command,
    })?;
    holder
        .ledger()
        .commit(move |_| Box::pin(async move { Ok((Empty {}, Some(entry))) }))
        .await
}
