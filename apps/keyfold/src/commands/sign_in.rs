//! Signing in and out.

use std::io::BufRead as _;

use keyfold_client::ClientError;
use keyfold_client::client_api::Revocation;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::json;

use crate::args::SignIn;
use crate::code::CliCode;
use crate::commands::User;
use crate::error::{CliError, Exit};
use crate::output::{Report, utc};

/// How often a person may correct the code here; the enclave counts for itself.
const ATTEMPTS: u32 = 3;
/// Longest line that is taken for a code.
const MAX_LINE: u64 = 256;

pub(crate) async fn sign_in(user: User, arguments: SignIn) -> Result<Report, CliError> {
    let project = user.project(arguments.project)?;
    if !arguments.code_from_stdin && !user.output.can_ask() {
        return Err(CliError::usage(
            "there is no terminal to ask for the code",
            "Give it on standard input with --code-from-stdin.",
        ));
    }
    // Here, too, so that no mail is sent for a sign-in that would be refused.
    let name = &arguments.device_name;
    if !name.is_empty() && !keyfold_protocol::text::is_name(name) {
        return Err(CliError::usage(
            "the device's name is not acceptable",
            "Give --device-name up to 64 characters that are seen as they are.",
        ));
    }
    let pending = {
        let _step = user
            .output
            .step("Verifying the enclave and asking for a code");
        user.client.start_email(&project, &arguments.email).await?
    };
    user.output.say(&format!(
        "A code was sent to {}. It is valid until {}.",
        crate::output::printable(&arguments.email),
        utc(pending.expires())
    ));
    let attempts = if arguments.code_from_stdin {
        1
    } else {
        ATTEMPTS
    };
    let mut attempt = 1;
    let session = loop {
        let code = read_code(&user, arguments.code_from_stdin)?;
        let _step = user.output.step("Signing in");
        match user
            .client
            .finish_email(&pending, &code, &arguments.device_name)
            .await
        {
            Err(error) if attempt < attempts && error.is(Code::SignInRefused) => {
                attempt += 1;
                drop(_step);
                user.output.say("That was not the code; try again.");
            }
            outcome => break outcome?,
        }
    };
    user.store(&session)?;
    let (device, note) = match session.device_state() {
        DeviceState::Active => (json!("active"), String::new()),
        DeviceState::Pending { active_at } => (
            json!({ "pending_until": active_at }),
            format!(
                "\nThis device is new to the account and can act from {}, or as soon as one of your \
                 devices approves it:\n  keyfold devices approve {}",
                utc(active_at),
                session.device()
            ),
        ),
    };
    Ok(Report::new(
        format!(
            "Signed in to {} as account {} until {}.{note}",
            session.project(),
            session.account(),
            utc(session.ends())
        ),
        json!({
            "project": session.project(),
            "account": session.account(),
            "session_ends": session.ends(),
            "device": { "thumbprint": session.device().to_string(), "state": device },
        }),
    ))
}

fn read_code(user: &User, quietly: bool) -> Result<String, CliError> {
    use std::io::Read as _;
    if !quietly {
        user.output.say("Code:");
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_LINE).read_line(&mut line);
    let code = line.trim();
    match read {
        Ok(_) if !code.is_empty() => Ok(code.to_owned()),
        _ => Err(CliError::usage(
            "no code was given",
            "Sign in again and type the code.",
        )),
    }
}

/// Whether the enclave itself says, or the clock does, that there is no session any more. The
/// gateway's word is not enough: it could keep a session alive that the user wants to end.
fn is_over(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(_) | ClientError::SessionEnded)
        && Exit::of(error) == Exit::SignIn
}

pub(crate) async fn sign_out(user: User) -> Result<Report, CliError> {
    let session = user.session()?;
    let outcome = {
        let _step = user.output.step("Ending the session");
        user.client.sign_out(&session).await
    };
    let state = match outcome {
        Ok(state) => state,
        // It has ended already, so there is nothing to revoke.
        Err(error) if is_over(&error) => Revocation::Done,
        Err(error) => return Err(error.into()),
    };
    match state {
        Revocation::Done => {
            if let Err(error) = user.state.forget_session() {
                user.warn(&error.into());
            }
            Ok(Report::new("Signed out.", json!({ "state": "done" })))
        }
        Revocation::Pending => Err(CliError::new(
            CliCode::SignOutPending,
            "too few key holders have stored the end of the session yet",
            "Repeat: keyfold sign-out",
        )),
    }
}
