//! Settings in files: TOML or JSON in, TOML out.

use std::path::Path;

use keyfold_client::project_settings::ProjectSettings;

use crate::error::CliError;
use crate::files::read;

/// Reads settings.
pub(super) fn from_file(path: &Path) -> Result<ProjectSettings, CliError> {
    let text = read(path)?;
    let settings = parse(&text).map_err(|reason| {
        CliError::usage(
            format!("{} has no settings: {reason}", path.display()),
            "Begin with what `keyfold project show --toml` prints.",
        )
    })?;
    if settings.mail.password.is_some() {
        return Err(CliError::usage(
            format!("{} has a password in it", path.display()),
            "Take it out, and enter it: keyfold project secret set mail",
        ));
    }
    Ok(settings)
}

fn parse(text: &str) -> Result<ProjectSettings, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    // By way of JSON, whose numbers may be names: chains are.
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    let value = serde_json::to_value(table).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Writes settings as [`from_file`] reads them.
pub(super) fn to_toml(settings: &ProjectSettings) -> Result<String, CliError> {
    let text = serde_json::to_value(settings)
        .map_err(|error| error.to_string())
        .and_then(|value| toml::to_string_pretty(&value).map_err(|error| error.to_string()));
    text.map_err(|reason| {
        CliError::usage(
            format!("these settings cannot be written as TOML: {reason}"),
            "Use --json: its member `settings` is what set takes.",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_is_what_can_be_set() {
        let node = json!({"url": "https://node.example"});
        let settings: ProjectSettings = serde_json::from_value(json!({
            "display_name": "App",
            "mail": {"host": "smtp.example", "port": 465, "from": "a@app.example"},
            "sign_in": {
                "ethereum": {"chains": [1, 8453], "nodes": {"8453": node}},
                "providers": {"google": {
                    "kind": {"name": "google"},
                    "client_id": "x",
                    "redirect_uris": ["https://app.example/cb"],
                    "client_auth": {"how": "secret-post"},
                }},
                "step_up": {"export": "none", "signing": "passkey"},
                "origins": ["https://app.example"],
            },
        }))
        .unwrap();
        let text = to_toml(&settings).unwrap();
        assert!(text.contains("export = \"none\""), "{text}");
        assert_eq!(parse(&text).unwrap(), settings, "{text}");
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(parse(&json).unwrap(), settings);
    }

    #[test]
    fn the_example_of_the_page_on_signing_in_is_read() {
        let page = include_str!("../../../../../docs/sign-in.md");
        let example = page.split("```toml\n").nth(1).unwrap();
        let settings = parse(example.split("```").next().unwrap()).unwrap();
        assert_eq!(settings.sign_in.providers.len(), 3);
        assert!(settings.sign_in.ethereum.unwrap().nodes.contains_key(&8453));
        assert!(settings.sign_in.passkeys.unwrap().user_verification);
    }

    #[test]
    fn what_no_setting_is_called_is_refused() {
        for bad in [
            "",
            "display_name = 1",
            "display_name = \"A\"\n[mail]\nhost = \"h\"\nport = 1\nfrom = \"f\"\n[sign_im]\n",
            "{\"display_name\":\"A\"}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
