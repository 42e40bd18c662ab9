//! What was verified, who is signed in, which wallets there are.

use keyfold_client::ClientError;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::{Value, json};

use crate::commands::{User, wallet};
use crate::error::CliError;
use crate::output::{Report, utc};

/// Most instances that are verified one by one.
const MAX_INSTANCES: usize = 8;

/// Reports everything it can find out. What could not be verified makes the whole report `ok: false`.
pub(crate) async fn run(user: User) -> Result<Report, CliError> {
    let _step = user.output.step("Verifying");
    let mut lines = vec![format!("profile    {}", user.profile.path.display())];
    let realm = realm(&user, &mut lines).await;
    let (instances, any_verified) = instances(&user, &mut lines).await;
    let session = user.state.session()?;
    let mut wallets = Value::Null;
    let session_json = match &session {
        None => {
            lines.push("session    nobody is signed in".to_owned());
            Value::Null
        }
        Some(session) => {
            let device = match session.device_state() {
                DeviceState::Active => "active".to_owned(),
                DeviceState::Pending { active_at } => format!("pending until {}", utc(active_at)),
            };
            lines.push(format!(
                "session    {} as {} until {}; device {} ({device})",
                session.project(),
                session.account(),
                utc(session.ends()),
                session.device(),
            ));
            if let Some(key) = session.attestation_key() {
                lines.push(format!("           attested by key {key}"));
            }
            if any_verified {
                wallets = wallets_of(&user, session, &mut lines).await?;
            }
            json!({
                "project": session.project(),
                "account": session.account(),
                "ends": session.ends(),
                "device": session.device().to_string(),
                "device_state": session.device_state(),
                "attestation_key": session.attestation_key().map(|key| key.to_string()),
            })
        }
    };
    let ok = realm.get("verified") == Some(&json!(true)) && any_verified;
    Ok(Report::new(
        lines.join("\n"),
        json!({
            "ok": ok,
            "profile": user.profile.path,
            "gateway": user.profile.authority.as_str(),
            "realm": realm,
            "instances": instances,
            "session": session_json,
            "wallets": wallets,
        }),
    ))
}

fn failure(error: ClientError) -> (String, Value) {
    let error = CliError::from(error);
    let words = format!("{} [{}] {}", error.message, error.code, error.what_to_do);
    (
        words,
        json!({ "code": error.code, "message": error.message, "what_to_do": error.what_to_do }),
    )
}

async fn realm(user: &User, lines: &mut Vec<String>) -> Value {
    let id = user.profile.file.realm;
    match user.client.realm().await {
        Ok(realm) => {
            let record = realm.record();
            let (t, n) = (record.threshold, record.holders.len());
            lines.push(format!("realm      {id} verified: {t} of {n} holders"));
            let warnings = record.concentration_warnings();
            for warning in &warnings {
                lines.push(format!(
                    "           note: {}",
                    crate::output::printable(warning)
                ));
            }
            let holders: Vec<_> = record
                .holders
                .iter()
                .map(
                    |card| json!({ "name": card.name, "party": card.party, "region": card.region }),
                )
                .collect();
            json!({
                "id": id, "verified": true, "threshold": t, "holders": holders,
                "warnings": warnings,
            })
        }
        Err(error) => {
            let (words, error) = failure(error);
            lines.push(format!("realm      {id} NOT verified: {words}"));
            json!({ "id": id, "verified": false, "error": error })
        }
    }
}

async fn instances(user: &User, lines: &mut Vec<String>) -> (Value, bool) {
    let ids = match user.client.instances().await {
        Ok(ids) => ids,
        Err(error) => {
            let (words, error) = failure(error);
            lines.push(format!("instances  cannot be listed: {words}"));
            return (json!({ "error": error }), false);
        }
    };
    if ids.is_empty() {
        lines.push("instances  none is running".to_owned());
    }
    let mut any = false;
    let mut list = Vec::new();
    for id in ids.into_iter().take(MAX_INSTANCES) {
        list.push(match user.client.verify_instance(id).await {
            Ok(report) => {
                any = true;
                lines.push(format!("instance   {id} verified"));
                let at = report.document_timestamp_ms;
                json!({ "id": id, "verified": true, "document_timestamp_ms": at })
            }
            Err(error) => {
                let (words, error) = failure(error);
                lines.push(format!("instance   {id} NOT verified: {words}"));
                json!({ "id": id, "verified": false, "error": error })
            }
        });
    }
    (json!(list), any)
}

async fn wallets_of(
    user: &User,
    session: &keyfold_client::Session,
    lines: &mut Vec<String>,
) -> Result<Value, CliError> {
    let outcome = user.client.wallets(session).await;
    user.store(session)?;
    Ok(match outcome {
        Ok(wallets) => {
            for line in wallet::lines(&wallets).lines() {
                lines.push(format!("wallet     {line}"));
            }
            json!(wallets.iter().map(wallet::to_json).collect::<Vec<_>>())
        }
        Err(error) => {
            let (words, error) = failure(error);
            lines.push(format!("wallets    cannot be listed: {words}"));
            json!({ "error": error })
        }
    })
}
