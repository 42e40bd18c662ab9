//! Makes commands; submits them where this device's signature is enough.

use keyfold_client::project_command::{ProjectChange, ProjectShown, SecretReveal, SignedCommand};
use keyfold_crypto::jwk::PublicJwk;
use serde_json::json;

use super::show::{administrators as listed, current, people};
use super::{approve, diff, secret, settings};
use crate::args::{Administrators, Proposal, RemoveSecret, SetProject, SetSecret};
use crate::commands::User;
use crate::error::CliError;
use crate::files::read;
use crate::output::Report;

const SECONDS_OF_A_DAY: u64 = 86_400;

pub(super) async fn set(user: &User, arguments: SetProject) -> Result<Report, CliError> {
    let next = settings::from_file(&arguments.file)?;
    let shown = current(user, arguments.which.project).await?;
    let settings = serde_json::to_string(&next).map_err(|error| {
        CliError::usage(
            format!("these settings cannot be written: {error}"),
            "Correct them.",
        )
    })?;
    let change = ProjectChange::Settings { settings };
    propose(user, &shown, change, None, &arguments.proposal).await
}

pub(super) async fn set_secret(user: &User, arguments: SetSecret) -> Result<Report, CliError> {
    let value = secret(&arguments.source)?;
    let shown = current(user, arguments.which.project).await?;
    let reveal = user.client.hide_secret(value)?;
    let change = ProjectChange::Secret {
        commitment: reveal.commitment(&shown.project, &arguments.name),
        name: arguments.name,
    };
    propose(user, &shown, change, Some(reveal), &arguments.proposal).await
}

pub(super) async fn remove_secret(
    user: &User,
    arguments: RemoveSecret,
) -> Result<Report, CliError> {
    let shown = current(user, arguments.which.project).await?;
    let name = arguments.name;
    let change = ProjectChange::RemoveSecret { name };
    propose(user, &shown, change, None, &arguments.proposal).await
}

pub(super) async fn administrators(
    user: &User,
    arguments: Administrators,
) -> Result<Report, CliError> {
    let mut keys = Vec::new();
    for path in &arguments.add {
        let key: PublicJwk = serde_json::from_str(&read(path)?).map_err(|_| {
            CliError::usage(
                format!("{} is no public key", path.display()),
                "Give the file that `keyfold project key` wrote on the other device.",
            )
        })?;
        keys.push(key);
    }
    let shown = current(user, arguments.which.project.clone()).await?;
    if keys.is_empty() && arguments.remove.is_empty() && arguments.threshold.is_none() {
        return Ok(Report::new(
            people(&shown).join("\n"),
            json!({
                "project": shown.project,
                "administrators": listed(&shown),
                "threshold": shown.threshold,
            }),
        ));
    }
    let mut next = shown.administrators.clone();
    for gone in &arguments.remove {
        let before = next.len();
        next.retain(|key| key.thumbprint() != *gone);
        if next.len() == before {
            return Err(CliError::usage(
                format!("{gone} is no administrator"),
                "List them: keyfold project admins",
            ));
        }
    }
    for key in keys {
        if !next.contains(&key) {
            next.push(key);
        }
    }
    let threshold = arguments.threshold.unwrap_or(shown.threshold);
    if usize::from(threshold) > next.len() {
        return Err(CliError::usage(
            format!(
                "{threshold} must sign, and there would be {} administrators",
                next.len()
            ),
            "Lower --threshold, or add more.",
        ));
    }
    let change = ProjectChange::Administrators {
        keys: next,
        threshold,
    };
    propose(user, &shown, change, None, &arguments.proposal).await
}

/// Signs a command; submits it where that is enough, and writes it to a file where it is not.
async fn propose(
    user: &User,
    shown: &ProjectShown,
    change: ProjectChange,
    reveal: Option<SecretReveal>,
    proposal: &Proposal,
) -> Result<Report, CliError> {
    let lines = diff::lines(shown, &change)?;
    if lines.is_empty() {
        return Ok(Report::new(
            "Nothing would change.",
            json!({ "project": shown.project, "version": shown.version, "changed": false }),
        ));
    }
    let seconds = proposal.days.saturating_mul(SECONDS_OF_A_DAY);
    let signed = user
        .client
        .propose(&shown.project, shown.version, seconds, change)
        .await?;
    if shown.threshold <= 1 {
        return approve::hand_in(user, &signed, reveal, &lines).await;
    }
    keep(user, shown, &signed, reveal.as_ref(), proposal, &lines)
}

fn keep(
    user: &User,
    shown: &ProjectShown,
    signed: &SignedCommand,
    reveal: Option<&SecretReveal>,
    proposal: &Proposal,
    lines: &[String],
) -> Result<Report, CliError> {
    let name = format!("{}-{}.json", shown.project, signed.command.follows);
    let path = proposal.out.clone().unwrap_or_else(|| name.into());
    if path.exists() {
        return Err(CliError::usage(
            format!("{} exists already", path.display()),
            "Name another file with --out, or remove it.",
        ));
    }
    if let Some(reveal) = reveal {
        user.state
            .store_salt(&signed.command.digest(), &reveal.salt)?;
    }
    approve::write(&path, signed)?;
    let path = path.display();
    let submit = match reveal {
        Some(_) => format!("keyfold project submit {path} --from-file SECRET, on this device"),
        None => format!("keyfold project submit {path}"),
    };
    let threshold = shown.threshold;
    let text = format!(
        "{}\nNothing was changed yet: {threshold} administrators must sign, and this device has.\n\
         On the others:  keyfold project approve {path}\nThen:           {submit}",
        lines.join("\n")
    );
    Ok(Report::new(
        text,
        json!({
            "project": shown.project,
            "version": shown.version,
            "changed": false,
            "command": signed.command.digest(),
            "file": path.to_string(),
            "changes": lines,
            "approved_by": signed.approved_by(&shown.administrators),
            "threshold": threshold,
            "expires": signed.command.expires,
        }),
    ))
}
