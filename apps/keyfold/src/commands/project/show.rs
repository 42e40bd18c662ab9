//! Shows a project to its administrator.

use keyfold_client::project_command::ProjectShown;
use serde_json::{Value, json};

use super::settings::to_toml;
use crate::args::ShowProject;
use crate::commands::User;
use crate::error::CliError;
use crate::output::{Report, printable, utc};

pub(super) async fn show(user: &User, arguments: ShowProject) -> Result<Report, CliError> {
    let shown = current(user, arguments.which.project).await?;
    let settings = to_toml(&shown.settings);
    // As JSON there is always a form.
    let text = match (arguments.toml, settings) {
        (true, Ok(settings)) => settings,
        (false, Ok(settings)) => format!("{}\n\n{settings}", words(&shown)),
        (_, Err(error)) if !user.output.is_json() => return Err(error),
        (_, Err(_)) => String::new(),
    };
    let json = to_json(&shown);
    Ok(Report::new(text.trim_end().to_owned(), json))
}

/// The project as it is now.
pub(super) async fn current(
    user: &User,
    project: Option<keyfold_client::ids::ProjectId>,
) -> Result<ProjectShown, CliError> {
    let project = user.project(project)?;
    let _step = user
        .output
        .step("Verifying the enclave and asking for the project");
    Ok(user.client.show_project(&project).await?)
}

pub(super) fn to_json(shown: &ProjectShown) -> Value {
    json!({
        "project": shown.project,
        "version": shown.version,
        "settings": shown.settings,
        "secrets": shown.secrets,
        "wanting": shown.wanting,
        "administrators": administrators(shown),
        "threshold": shown.threshold,
        "guard": shown.guard,
        "contracts": shown.contracts,
        "created": shown.created,
    })
}

pub(super) fn administrators(shown: &ProjectShown) -> Value {
    let named = shown.administrators.iter();
    let named = named.map(|key| json!({ "thumbprint": key.thumbprint(), "key": key }));
    named.collect()
}

fn words(shown: &ProjectShown) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => printable(&names.join(", ")),
    };
    let guard = shown.guard.as_ref();
    let guard = guard.map_or("none".to_owned(), |guard| guard.signer.to_string());
    let mut lines = vec![
        format!("project         {}", shown.project),
        format!("version         {}", shown.version),
        format!("made            {}", utc(shown.created)),
        format!("contracts       {}", shown.contracts),
        format!("guard           {guard}"),
        format!("secrets         {}", list(&shown.secrets)),
    ];
    if !shown.wanting.is_empty() {
        let wanting = list(&shown.wanting);
        lines.push(format!(
            "missing         {wanting}: enter with keyfold project secret set NAME"
        ));
    }
    lines.extend(people(shown));
    lines.join("\n")
}

/// Who administers it, a line each.
pub(super) fn people(shown: &ProjectShown) -> Vec<String> {
    let count = shown.administrators.len();
    let mut lines = vec![format!(
        "administrators  {} of {count} must sign a change",
        shown.threshold
    )];
    let keys = shown.administrators.iter();
    lines.extend(keys.map(|key| format!("                {}", key.thumbprint())));
    lines
}
