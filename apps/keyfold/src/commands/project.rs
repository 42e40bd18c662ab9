//! Projects.

use keyfold_client::NewProject;
use keyfold_client::client_api::{GuardSettings, MailSettings};
use serde_json::json;

use crate::args::{CreateProject, ProjectCommand};
use crate::commands::User;
use crate::error::CliError;
use crate::files::read;
use crate::output::Report;

pub(crate) async fn run(user: User, command: ProjectCommand) -> Result<Report, CliError> {
    let ProjectCommand::Create(arguments) = command;
    let project = user.project(arguments.project.clone())?;
    let password = arguments
        .mail_password_file
        .as_deref()
        .map(read)
        .transpose()?;
    let (security, port) = arguments.mail_security();
    let new = NewProject {
        project,
        display_name: arguments.name.clone(),
        mail: MailSettings {
            host: arguments.mail_host.clone(),
            port,
            security,
            from: arguments.mail_from.clone(),
            username: arguments.mail_username.clone(),
            password: password.map(|text| text.trim_end_matches(['\r', '\n']).to_owned().into()),
            roots_pem: arguments.mail_roots.as_deref().map(read).transpose()?,
        },
        guard: guard(&arguments),
        checkpointer: arguments.checkpointer,
        contracts: arguments.contracts,
        sign_in: Default::default(),
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

fn guard(arguments: &CreateProject) -> Option<GuardSettings> {
    Some(GuardSettings {
        address: arguments.guard_address.clone()?,
        tls_spki_sha256: arguments.guard_spki?,
        signer: arguments.guard_signer?,
    })
}
