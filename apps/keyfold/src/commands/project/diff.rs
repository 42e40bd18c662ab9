//! What a command changes, in words: what somebody reads before they sign it.

use std::collections::BTreeMap;

use keyfold_client::project_command::{ProjectChange, ProjectShown, ReadChange};
use keyfold_client::project_settings::ProjectSettings;
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::PublicJwk;
use serde_json::Value;

use crate::error::CliError;
use crate::output::printable;

/// Longest value that is shown as it is, characters.
const MAX_SHOWN: usize = 200;

/// One line for everything that becomes different: `-` for what was, `+` for what will be.
pub(super) fn lines(shown: &ProjectShown, change: &ProjectChange) -> Result<Vec<String>, CliError> {
    let read = change
        .read()
        .map_err(|error| CliError::usage(error, "Make the command anew."))?;
    Ok(match read {
        ReadChange::Settings(next) => settings(&shown.settings, &next),
        ReadChange::Secret { name, .. } if shown.secrets.contains(&name) => {
            vec![format!("another value for the secret {name}")]
        }
        ReadChange::Secret { name, .. } => vec![format!("+ secret {name}")],
        ReadChange::RemoveSecret { name } => vec![format!("- secret {name}")],
        ReadChange::Administrators { keys, threshold } => {
            let names = |keys: &[PublicJwk], sign: char, others: &[PublicJwk]| {
                let only = keys.iter().filter(|key| !others.contains(key));
                only.map(|key| format!("{sign} administrator {}", key.thumbprint()))
                    .collect::<Vec<_>>()
            };
            let mut lines = names(&shown.administrators, '-', &keys);
            lines.extend(names(&keys, '+', &shown.administrators));
            if threshold != shown.threshold {
                lines.push(format!("- {} must sign", shown.threshold));
                lines.push(format!("+ {threshold} must sign"));
            }
            lines
        }
    })
}

fn settings(before: &ProjectSettings, after: &ProjectSettings) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let mut lines = Vec::new();
    for name in names {
        let (was, will) = (before.get(name), after.get(name));
        if was != will {
            let line = |sign, value: &Value| format!("{sign} {name} = {}", value_of(value));
            lines.extend(was.map(|value| line('-', value)));
            lines.extend(will.map(|value| line('+', value)));
        }
    }
    lines
}

/// Every value with its place, such as `sign_in.providers.google.client_id`.
fn leaves(settings: &ProjectSettings) -> BTreeMap<String, Value> {
    fn walk(place: &str, value: Value, found: &mut BTreeMap<String, Value>) {
        let inner = |name: &str| match place {
            "" => printable(name),
            _ => format!("{place}.{}", printable(name)),
        };
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    walk(&inner(&name), value, found);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (at, value) in items.into_iter().enumerate() {
                    walk(&inner(&at.to_string()), value, found);
                }
            }
            value => {
                found.insert(place.to_owned(), value);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(
        "",
        serde_json::to_value(settings).unwrap_or_default(),
        &mut found,
    );
    found
}

/// A value as JSON writes it, so that line ends and quotes are seen; a long one by its hash, for a
/// part of it would look the same as another.
fn value_of(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= MAX_SHOWN {
        return printable(&text);
    }
    let hash: String = sha256(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let begin: String = text.chars().take(40).collect();
    format!(
        "{}… ({} bytes, SHA-256 {hash})",
        printable(&begin),
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(sign_in: &Value) -> ProjectSettings {
        serde_json::from_value(json!({
            "display_name": "App",
            "mail": {"host": "smtp.example", "port": 465, "from": "a@app.example"},
            "sign_in": sign_in,
        }))
        .unwrap()
    }

    #[test]
    fn every_difference_is_a_line_and_nothing_else_is() {
        let before = with(&json!({"origins": ["https://app.example"]}));
        assert!(settings(&before, &before).is_empty());
        let after = with(&json!({
            "origins": ["https://app.example", "https://evil.example"],
            "email_code": false,
            "solana": {},
        }));
        assert_eq!(
            settings(&before, &after),
            [
                "- sign_in.email_code = true",
                "+ sign_in.email_code = false",
                "+ sign_in.origins.1 = \"https://evil.example\"",
                "+ sign_in.solana = {}",
            ]
        );
    }

    #[test]
    fn what_would_not_be_seen_is_and_long_values_differ_by_their_hash() {
        let hidden = with(&json!({"origins": ["https://a\u{202e}\n- nothing"]}));
        let lines = settings(&with(&json!({})), &hidden);
        assert_eq!(lines, ["+ sign_in.origins.0 = \"https://a\\n- nothing\""]);
        let long = |end: &str| with(&json!({"origins": [format!("{}{end}", "x".repeat(500))]}));
        let lines = settings(&long("a"), &long("b"));
        assert_eq!(lines.len(), 2);
        assert_ne!(lines[0][2..], lines[1][2..]);
        assert!(lines.iter().all(|line| line.len() < 300));
    }
}
