//! Commands in files: shown, signed, handed in.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::Path;

use keyfold_client::project_command::{ProjectChange, ProjectShown, SecretReveal, SignedCommand};
use keyfold_protocol::error_code::Code;
use serde_json::json;

use super::show::current;
use super::{diff, secret};
use crate::args::{Approve, Submit};
use crate::commands::User;
use crate::error::CliError;
use crate::files::read;
use crate::output::{Report, utc};

/// Longest answer that is read.
const MAX_LINE: u64 = 64;

pub(super) async fn approve(user: &User, arguments: Approve) -> Result<Report, CliError> {
    let signed = read_command(&arguments.file)?;
    let shown = standing(user, &signed).await?;
    let lines = diff::lines(&shown, &signed.command.change)?;
    let told = format!(
        "{} from version {}, until {}:\n{}",
        shown.project,
        signed.command.follows,
        utc(signed.command.expires),
        lines.join("\n")
    );
    if arguments.look {
        return Ok(report(&told, &shown, &signed, &lines));
    }
    if !arguments.yes {
        confirm(user, &told)?;
    }
    let signed = user.client.approve_command(signed).await?;
    write(&arguments.file, &signed)?;
    let count = signed.approved_by(&shown.administrators).len();
    let next = if count < usize::from(shown.threshold) {
        "Hand it to the next one."
    } else {
        "That is enough: keyfold project submit"
    };
    let text = format!(
        "{told}\nSigned by {count}, and {} must. {next}",
        shown.threshold
    );
    Ok(report(&text, &shown, &signed, &lines))
}

fn report(text: &str, shown: &ProjectShown, signed: &SignedCommand, lines: &[String]) -> Report {
    Report::new(
        text,
        json!({
            "project": shown.project,
            "version": shown.version,
            "command": signed.command.digest(),
            "changes": lines,
            "approved_by": signed.approved_by(&shown.administrators),
            "threshold": shown.threshold,
            "expires": signed.command.expires,
        }),
    )
}

/// Asks the person at the terminal.
fn confirm(user: &User, told: &str) -> Result<(), CliError> {
    if !user.output.can_ask() {
        return Err(CliError::usage(
            "there is no terminal to ask whether to sign this",
            "Look at it with --look, then sign it with --yes.",
        ));
    }
    user.output.tell(told);
    user.output.tell("Sign this? Type yes:");
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_LINE).read_line(&mut line);
    match read {
        Ok(_) if line.trim() == "yes" => Ok(()),
        _ => Err(CliError::usage("nothing was signed", "Type yes to sign.")),
    }
}

pub(super) async fn submit(user: &User, arguments: Submit) -> Result<Report, CliError> {
    let signed = read_command(&arguments.file)?;
    let digest = signed.command.digest();
    let reveal = match &signed.command.change {
        ProjectChange::Secret { .. } => {
            let salt = user.state.salt(&digest)?.ok_or_else(|| {
                CliError::usage(
                    "this device did not make this command, so it cannot enter its secret",
                    "Submit it on the device that made it, or set the secret anew.",
                )
            })?;
            let value = secret(&arguments.source)?;
            Some(SecretReveal { value, salt })
        }
        _ => None,
    };
    let shown = current(user, Some(signed.command.project.clone())).await?;
    // After an answer that was lost, the version is the next one already, and asking again is right.
    let lines = match shown.version == signed.command.follows {
        true => diff::lines(&shown, &signed.command.change)?,
        false => Vec::new(),
    };
    hand_in(user, &signed, reveal, &lines).await
}

/// Submits a command.
pub(super) async fn hand_in(
    user: &User,
    signed: &SignedCommand,
    reveal: Option<SecretReveal>,
    lines: &[String],
) -> Result<Report, CliError> {
    let changed = {
        let _step = user.output.step("Changing the project");
        user.client.change_project(signed, reveal).await?
    };
    user.state.forget_salt(&signed.command.digest());
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!(
        "{} is at version {} now. Every enclave uses it within a minute.",
        signed.command.project, changed.version
    ));
    Ok(Report::new(
        text,
        json!({
            "project": signed.command.project,
            "version": changed.version,
            "changed": true,
            "command": signed.command.digest(),
            "changes": lines,
        }),
    ))
}

/// The project, if the command is one for it as it is.
async fn standing(user: &User, signed: &SignedCommand) -> Result<ProjectShown, CliError> {
    if signed.command.realm != user.client.pin().realm {
        return Err(CliError::refused(
            Code::WrongRealm,
            "the command is for another realm",
            "Use the profile of its realm.",
        ));
    }
    let shown = current(user, Some(signed.command.project.clone())).await?;
    if shown.version != signed.command.follows {
        return Err(CliError::refused(
            Code::ProjectStale,
            format!(
                "the command follows version {}, and the project is at version {}",
                signed.command.follows, shown.version
            ),
            "Make it anew: keyfold project set",
        ));
    }
    Ok(shown)
}

fn read_command(path: &Path) -> Result<SignedCommand, CliError> {
    serde_json::from_str(&read(path)?).map_err(|_| {
        CliError::usage(
            format!("{} is no command", path.display()),
            "Give the file that `keyfold project set`, `admins` or `secret` wrote.",
        )
    })
}

/// Writes a command, all of it or nothing.
pub(super) fn write(path: &Path, signed: &SignedCommand) -> Result<(), CliError> {
    let written = || -> std::io::Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder
            .unwrap_or(Path::new("."))
            .join(format!(".{name}.{}", std::process::id()));
        let mut text = serde_json::to_string_pretty(signed)?;
        text.push('\n');
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)?;
        let done = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&beside, path));
        if done.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        done
    };
    written().map_err(|error| {
        CliError::usage(
            format!("cannot write {}: {error}", path.display()),
            "Check the path and its permissions.",
        )
    })
}
