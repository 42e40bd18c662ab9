//! Signing in and out.

use keyfold_client::ClientError;
use keyfold_client::client_api::Revocation;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::json;

use crate::args::SignIn;
use crate::code::CliCode;
use crate::commands::User;
use crate::commands::proof::{Sources, Way};
use crate::error::{CliError, Exit};
use crate::output::{Report, utc};

pub(crate) async fn sign_in(user: User, arguments: SignIn) -> Result<Report, CliError> {
    let project = user.project(arguments.project)?;
    // Here, too, so that no mail is sent for a sign-in that would be refused.
    let name = &arguments.device_name;
    if !name.is_empty() && !keyfold_protocol::text::is_name(name) {
        return Err(CliError::usage(
            "the device's name is not acceptable",
            "Give --device-name up to 64 characters that are seen as they are.",
        ));
    }
    let from = Sources::of(&arguments.identity);
    let way = Way::of(&user, arguments.identity, arguments.set_password)?;
    let session = way
        .prove(&user, &project, from, async |pending, proof| {
            user.client.finish_sign_in(pending, proof, name).await
        })
        .await?;
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
