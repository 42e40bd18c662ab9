//! Profiles.

use serde_json::json;

use crate::error::CliError;
use crate::output::Report;
use crate::profile::{Gateway, Guard, Kind, Profile};

pub(crate) fn show(profile: &Profile) -> Result<Report, CliError> {
    let file = &profile.file;
    let kind = match file.kind {
        Kind::AwsNitro => "AWS Nitro",
        Kind::Development => "development (keyfold-dev alone uses it)",
    };
    let tls = match &profile.gateway {
        Gateway::Pinned(pin) => format!("key {pin}"),
        Gateway::Roots(path) => format!("roots {}", path.display()),
        Gateway::SystemRoots => "the system's roots".to_owned(),
    };
    let guard = match profile.guard {
        Guard::Any => "any or none".to_owned(),
        Guard::Without => "none".to_owned(),
        Guard::Exactly(address) => address.to_string(),
    };
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "not set".to_owned());
    let text = [
        format!("profile   {}", profile.path.display()),
        format!("gateway   {} ({tls})", profile.authority),
        format!("realm     {}", file.realm),
        format!("root      {kind}"),
        format!("images    {} trusted", file.measurements.len()),
        format!(
            "project   {}",
            or_none(file.project.as_ref().map(ToString::to_string))
        ),
        format!(
            "chain     {}",
            or_none(file.chain.map(|chain| chain.to_string()))
        ),
        format!("guard     {guard}"),
        format!("contracts {}", file.contracts),
        format!("state     {}", profile.state.display()),
    ];
    Ok(Report::new(
        text.join("\n"),
        json!({ "path": profile.path, "state": profile.state, "profile": file }),
    ))
}
