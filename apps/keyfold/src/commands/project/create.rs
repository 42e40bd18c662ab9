//! Makes a project.

use keyfold_client::NewProject;
use keyfold_client::client_api::{GuardSettings, MailSettings};
use keyfold_client::project_settings::ProjectSettings;
use serde_json::json;

use super::{secret, settings};
use crate::args::{CreateProject, SecretSource};
use crate::commands::User;
use crate::error::CliError;
use crate::files::read;
use crate::output::Report;

pub(super) async fn create(user: User, arguments: CreateProject) -> Result<Report, CliError> {
    let project = user.project(arguments.project.clone())?;
    let ProjectSettings {
        display_name,
        mut mail,
        sign_in,
    } = match &arguments.settings {
        Some(path) => settings::from_file(path)?,
        None => stated(&arguments)?,
    };
    if let Some(path) = &arguments.mail_password_file {
        mail.password = Some(secret(&SecretSource {
            from_file: Some(path.clone()),
        })?);
    }
    let new = NewProject {
        project,
        display_name,
        mail,
        guard: guard(&arguments),
        checkpointer: arguments.checkpointer,
        contracts: arguments.contracts,
        sign_in,
    };
    let _step = user
        .output
        .step("Verifying the enclave and making the project");
    let info = user.client.create_project(new).await?;
    Ok(Report::new(
        format!(
            "Made the project {}; this device administers it. Its wallets are of the contracts {}.",
            info.project, info.contracts
        ),
        json!({
            "project": info.project,
            "guard_signer": info.guard_signer,
            "contracts": info.contracts,
        }),
    ))
}

/// What the command line says; it was checked to say all of it.
fn stated(arguments: &CreateProject) -> Result<ProjectSettings, CliError> {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let (security, port) = arguments.mail_security();
    Ok(ProjectSettings {
        display_name: of(&arguments.name),
        mail: MailSettings {
            host: of(&arguments.mail_host),
            port,
            security,
            from: of(&arguments.mail_from),
            username: arguments.mail_username.clone(),
            password: None,
            roots_pem: arguments.mail_roots.as_deref().map(read).transpose()?,
        },
        sign_in: Default::default(),
    })
}

fn guard(arguments: &CreateProject) -> Option<GuardSettings> {
    Some(GuardSettings {
        address: arguments.guard_address.clone()?,
        tls_spki_sha256: arguments.guard_spki?,
        signer: arguments.guard_signer?,
    })
}
