//! What an app's own server gets and asks.

use std::io::Read as _;
use std::path::Path;

use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::app_server::Introspection;
use keyfold_protocol::session::MAX_ATTESTATION_LEN;
use serde_json::json;

use crate::args::{IdToken, Introspect, ServerKey};
use crate::commands::User;
use crate::connect::connect_as;
use crate::error::CliError;
use crate::files::read;
use crate::output::{Output, Report, utc};
use crate::profile::Profile;
use crate::roots::Roots;
use crate::state::StateDir;

pub(crate) async fn id_token(user: User, arguments: IdToken) -> Result<Report, CliError> {
    let session = user.session()?;
    let issued = {
        let _step = user.output.step("Asking for the ID token");
        user.client.id_token(&session, arguments.nonce).await
    };
    let issued = user.keep(&session, issued)?;
    Ok(Report::new(
        issued.id_token.clone(),
        json!({ "id_token": issued.id_token, "expires": issued.expires }),
    ))
}

pub(crate) async fn introspect(
    profile: Profile,
    roots: &Roots,
    output: Output,
    arguments: Introspect,
) -> Result<Report, CliError> {
    let project = arguments.project.or_else(|| profile.file.project.clone());
    let project = project.ok_or_else(|| {
        CliError::usage(
            "no project is named",
            "Use --project, or set project in the profile.",
        )
    })?;
    if !arguments.key.exists() {
        return Err(CliError::usage(
            format!("there is no {}", arguments.key.display()),
            "Make the server's key (keyfold server-key FILE) and have the project list it.",
        ));
    }
    let token = token(&arguments.token_file)?;
    let client = connect_as(&profile, roots, key(&arguments.key)?)?;
    let _step = output.step("Asking whether the session stands");
    let told = client.introspect(&project, token.trim()).await?;
    let text = match &told {
        Introspection::Inactive => "inactive".to_owned(),
        Introspection::Active(token) => format!(
            "active: account {}, session {}, {} until {}",
            token.sub,
            token.sid,
            token.acr,
            utc(token.exp)
        ),
    };
    Ok(Report::new(text, json!({ "introspection": told })))
}

pub(crate) fn server_key(arguments: &ServerKey) -> Result<Report, CliError> {
    let public = key(&arguments.file)?.public_jwk();
    let text = serde_json::to_string(&public).unwrap_or_default();
    Ok(Report::new(
        text,
        json!({ "server": public, "thumbprint": public.thumbprint() }),
    ))
}

fn key(file: &Path) -> Result<DeviceSigningKey, CliError> {
    let (folder, name) = StateDir::around(file)
        .ok_or_else(|| CliError::usage("the key's file has no name", "Name a file."))?;
    Ok(folder.key(name)?)
}

/// Reads a token from a file, or from standard input.
pub(super) fn token(file: &Path) -> Result<String, CliError> {
    if file != Path::new("-") {
        return read(file);
    }
    let mut text = String::new();
    // White space behind it is no reason to refuse a token; more than that is none.
    let most = MAX_ATTESTATION_LEN as u64 + 1024;
    std::io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| {
            CliError::usage(
                format!("cannot read standard input: {error}"),
                "Pass the token there.",
            )
        })?;
    Ok(text)
}
