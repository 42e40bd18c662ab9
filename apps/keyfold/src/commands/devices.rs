//! Devices.

use keyfold_client::client_api::DeviceInfo;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::json;

use crate::args::DevicesCommand;
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
            let devices = user.keep(&session, user.client.devices(&session).await)?;
            if !devices.iter().any(|known| known.device == which.device) {
                return Err(CliError::new(
                    CliCode::DeviceNotListed,
                    format!("{} is on no list of the account's devices", which.device),
                    "Compare it with what the new device printed. Sign in on it first; then \
                     keyfold devices lists it.",
                ));
            }
            let approved = user.client.approve_device(&session, which.device).await;
            user.keep(&session, approved)?;
            Ok(Report::new(
                format!("{} may act for the account now.", which.device),
                json!({ "device": which.device }),
            ))
        }
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
