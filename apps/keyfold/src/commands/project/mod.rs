//! Projects: made, shown, changed.

mod approve;
mod change;
mod create;
mod diff;
mod settings;
mod show;

use std::io::Read as _;

use keyfold_protocol::project_command::MAX_SECRET_LEN;
use keyfold_protocol::secret_text::SecretText;
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{ProjectCommand, SecretCommand, SecretSource};
use crate::commands::User;
use crate::error::CliError;
use crate::files::read;
use crate::output::Report;

pub(crate) async fn run(user: User, command: ProjectCommand) -> Result<Report, CliError> {
    match command {
        ProjectCommand::Create(arguments) => create::create(user, arguments).await,
        ProjectCommand::Show(arguments) => show::show(&user, arguments).await,
        ProjectCommand::Set(arguments) => change::set(&user, arguments).await,
        ProjectCommand::Admins(arguments) => change::administrators(&user, arguments).await,
        ProjectCommand::Secret(SecretCommand::Set(arguments)) => {
            change::set_secret(&user, arguments).await
        }
        ProjectCommand::Secret(SecretCommand::Remove(arguments)) => {
            change::remove_secret(&user, arguments).await
        }
        ProjectCommand::Approve(arguments) => approve::approve(&user, arguments).await,
        ProjectCommand::Submit(arguments) => approve::submit(&user, arguments).await,
        ProjectCommand::Key => Ok(key(&user)),
    }
}

fn key(user: &User) -> Report {
    let key = user.client.public_key();
    Report::new(
        serde_json::to_string(&key).unwrap_or_default(),
        json!({ "key": key, "thumbprint": key.thumbprint() }),
    )
}

/// Reads a secret from a file, or from standard input; the end of its last line is not part of it.
fn secret(source: &SecretSource) -> Result<SecretText, CliError> {
    let mut text = match &source.from_file {
        Some(path) => Zeroizing::new(read(path)?),
        None => {
            let mut text = Zeroizing::new(String::new());
            let most = MAX_SECRET_LEN as u64 + 3;
            let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
            read.map_err(|error| {
                CliError::usage(
                    format!("cannot read the secret from standard input: {error}"),
                    "Give it there, or in a file with --from-file.",
                )
            })?;
            text
        }
    };
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if !(1..=MAX_SECRET_LEN).contains(&text.len()) {
        return Err(CliError::usage(
            "a secret has 1 to 4096 bytes",
            "Give it on standard input, or in a file with --from-file.",
        ));
    }
    Ok(core::mem::take(&mut *text).into())
}
