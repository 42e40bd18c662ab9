//! Shows a project to its administrators.

use keyfold_protocol::client_api::MailSettings;
use keyfold_protocol::project::ProjectSettings;
use keyfold_protocol::project_command::{ProjectShown, ShowProject};

use super::administered;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::request::SignInRequest;
use crate::settings::SecretName;
use crate::settings::secrets::wanting;

/// Shows all but the secrets.
pub(crate) async fn show<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<ShowProject>,
) -> Result<ProjectShown, Problem> {
    let project = administered(realm, &request).await?;
    let wanting = wanting(&project);
    let mut secrets: Vec<String> = project.secrets.keys().cloned().collect();
    let mail = SecretName::Mail.to_string();
    // Where an earlier release wrote it.
    if project.mail.password.is_some() && !secrets.contains(&mail) {
        secrets.push(mail);
    }
    Ok(ProjectShown {
        project: project.project,
        version: project.version,
        settings: ProjectSettings {
            display_name: project.display_name,
            mail: MailSettings {
                password: None,
                ..project.mail
            },
            sign_in: project.sign_in,
        },
        secrets,
        wanting,
        administrators: project.administrators,
        threshold: project.threshold,
        guard: project.guard,
        contracts: project.contracts,
        created: project.created,
    })
}
