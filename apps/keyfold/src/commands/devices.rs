//! Devices.

use keyfold_client::Session;
use keyfold_client::client_api::DeviceInfo;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::json;

use keyfold_client::client_api::Revocation;

use crate::args::{DeviceRevoke, DevicesCommand};
use crate::code::CliCode;
use crate::commands::User;
use crate::error::CliError;
use crate::output::{Report, printable, utc};

pub(crate) async fn run(user: User, command: Option<DevicesCommand>) -> Result<Report, CliError> {
    let session = user.session()?;
    match command.unwrap_or(DevicesCommand::List) {
        DevicesCommand::List => {
            let _step = user.output.step("Asking for the devices");
            let devices = user.keep(&session, user.client.devices(&session).await)?;
            let lines: Vec<_> = devices.iter().map(line).collect();
            Ok(Report::new(lines.join("\n"), json!({ "devices": devices })))
        }
        DevicesCommand::Approve(which) => {
            let _step = user.output.step("Approving the device");
            let advice = "Compare it with what the new device printed. Sign in on it first; then \
                          keyfold devices lists it.";
            check_listed(&user, &session, which.device, advice).await?;
            let approved = user.client.approve_device(&session, which.device).await;
            user.keep(&session, approved)?;
            Ok(Report::new(
                format!("{} may act for the account now.", which.device),
                json!({ "device": which.device }),
            ))
        }
        DevicesCommand::Revoke(which) => revoke(user, session, which).await,
    }
}

/// Refuses a thumbprint that is on no list: most likely it was mistyped.
async fn check_listed(
    user: &User,
    session: &Session,
    device: Thumbprint,
    advice: &str,
) -> Result<(), CliError> {
    let devices = user.keep(session, user.client.devices(session).await)?;
    if devices.iter().any(|known| known.device == device) {
        return Ok(());
    }
    Err(CliError::new(
        CliCode::DeviceNotListed,
        format!("{device} is on no list of the account's devices"),
        advice,
    ))
}

async fn revoke(user: User, session: Session, which: DeviceRevoke) -> Result<Report, CliError> {
    let _step = user.output.step("Asking the key holders");
    let Some(device) = which.device else {
        let state = user.client.revoke_other_devices(&session).await;
        done(
            user.keep(&session, state)?,
            "keyfold devices revoke --all-others",
        )?;
        return Ok(Report::new(
            "No other device has anything to do with the account any more.",
            json!({ "devices": "all-others", "state": "done" }),
        ));
    };
    let this = device == session.device();
    if !which.unlisted && !this {
        let advice = "Compare it with keyfold devices. Where its end is stored in part already, \
                      add --unlisted.";
        check_listed(&user, &session, device, advice).await?;
    }
    let state = user.client.revoke_device(&session, device).await;
    let again = format!("keyfold devices revoke {device} --unlisted");
    done(user.keep(&session, state)?, &again)?;
    if this && let Err(error) = user.state.forget_session() {
        user.warn(&error.into());
    }
    Ok(Report::new(
        format!("{device} has nothing to do with the account any more."),
        json!({ "device": device, "state": "done" }),
    ))
}

/// Says that it does not count yet, where it does not.
pub(super) fn done(state: Revocation, again: &str) -> Result<(), CliError> {
    match state {
        Revocation::Done => Ok(()),
        Revocation::Pending => Err(CliError::new(
            CliCode::RevocationPending,
            "too few key holders have stored it yet, so it does not count",
            format!("Repeat: {again}"),
        )),
    }
}

fn line(device: &DeviceInfo) -> String {
    let state = match device.state {
        DeviceState::Active => "active".to_owned(),
        DeviceState::Pending { active_at } => format!("pending until {}", utc(active_at)),
    };
    let this = if device.this { ", this device" } else { "" };
    let name = printable(&device.name);
    format!(
        "{}  {name} ({state}, since {}{this})",
        device.device,
        utc(device.added)
    )
}
