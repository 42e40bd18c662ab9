//! Projects: an app's configuration, sealed, changed only by its administrators.

mod change;
mod create;
mod show;

use keyfold_protocol::error_code::Code;

pub(super) use self::change::change;
pub(super) use self::create::create;
pub(super) use self::show::show;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::Project;
use crate::request::{NamesDevice, SignInRequest};

/// The current record of a project that whoever asks administers.
///
/// Read anew: who was an administrator a minute ago may be none now.
///
/// # Errors
///
/// `project_unknown`, whether there is none of that name or it is somebody else's.
async fn administered<P: Platform, B: NamesDevice>(
    realm: &Realm<P>,
    request: &SignInRequest<B>,
) -> Result<Project, Problem> {
    let id = realm.project_id(request.project());
    let held = realm.records.read::<Project>(id).await?;
    held.map(|held| held.value)
        .filter(|project| project.administrators.contains(request.device()))
        .ok_or_else(|| Code::ProjectUnknown.into())
}
