//! Sessions.

use keyfold_client::client_api::SessionInfo;
use serde_json::json;

use super::devices::done;
use crate::args::SessionsCommand;
use crate::code::CliCode;
use crate::commands::User;
use crate::error::CliError;
use crate::output::{Report, printable, utc};

pub(crate) async fn run(user: User, command: Option<SessionsCommand>) -> Result<Report, CliError> {
    let session = user.session()?;
    let _step = user.output.step("Asking for the sessions");
    let sessions = user.keep(&session, user.client.sessions(&session).await)?;
    let Some(SessionsCommand::Revoke(which)) = command else {
        let lines: Vec<_> = sessions.iter().map(line).collect();
        let shown = json!({ "sessions": sessions });
        return Ok(Report::new(lines.join("\n"), shown));
    };
    if !sessions.iter().any(|known| known.session == which.session) {
        return Err(CliError::new(
            CliCode::SessionNotListed,
            format!("{} is none of the account's sessions", which.session),
            "Compare it with keyfold sessions; it may have ended already.",
        ));
    }
    let state = user.client.revoke_session(&session, which.session).await;
    let again = format!("keyfold sessions revoke {}", which.session);
    done(user.keep(&session, state)?, &again)?;
    if which.session == session.id()
        && let Err(error) = user.state.forget_session()
    {
        user.warn(&error.into());
    }
    Ok(Report::new(
        format!("{} has ended.", which.session),
        json!({ "session": which.session, "state": "done" }),
    ))
}

fn line(session: &SessionInfo) -> String {
    let this = if session.this { ", this one" } else { "" };
    format!(
        "{}  {} ({}, since {}, until {}{this})",
        session.session,
        printable(&session.device_name),
        printable(&session.acr),
        utc(session.started),
        utc(session.ends)
    )
}
