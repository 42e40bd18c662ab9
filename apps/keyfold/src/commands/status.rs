//! What was verified, who is signed in, which wallets there are.

use keyfold_client::ClientError;
use keyfold_protocol::holder_api::DeviceState;
use serde_json::{Value, json};

use crate::commands::{User, wallet};
use crate::error::{CliError, Exit};
use crate::output::{Report, utc};

/// Most instances that are verified one by one.
const MAX_INSTANCES: usize = 8;

/// What was found so far.
struct Findings {
    lines: Vec<String>,
    /// Of what failed.
    exits: Vec<Exit>,
}

impl Findings {
    fn failed(&mut self, what: &str, error: &ClientError) -> Value {
        let error = CliError::of(error);
        let CliError {
            code,
            message,
            what_to_do,
            exit,
            ..
        } = error;
        self.lines
            .push(format!("{what}: {message} [{code}] {what_to_do}"));
        self.exits.push(exit);
        json!({ "code": code, "message": message, "what_to_do": what_to_do })
    }

    /// What could not be verified counts most: who reads this must not go on.
    fn bad_news(&self) -> Option<Exit> {
        let unverified = self.exits.iter().find(|exit| **exit == Exit::Unverified);
        unverified.or(self.exits.first()).copied()
    }
}

/// Reports everything it can find out. Whatever failed makes the whole report `ok: false`.
pub(crate) async fn run(user: User) -> Result<Report, CliError> {
    let _step = user.output.step("Verifying");
    let mut found = Findings {
        lines: vec![format!("profile    {}", user.profile.path.display())],
        exits: Vec::new(),
    };
    let realm = realm(&user, &mut found).await;
    let (instances, any_verified) = instances(&user, &mut found).await;
    let session = user.state.session()?;
    let mut wallets = Value::Null;
    let session_json = match &session {
        None => {
            found
                .lines
                .push("session    nobody is signed in".to_owned());
            Value::Null
        }
        Some(session) => {
            // It may have been approved since anybody last asked.
            if any_verified
                && session.device_state() != DeviceState::Active
                && let Err(error) = user.client.renew(session).await
            {
                found.failed("device     cannot be asked for", &error);
            }
            let device = match session.device_state() {
                DeviceState::Active => "active".to_owned(),
                DeviceState::Pending { active_at } => format!("pending until {}", utc(active_at)),
            };
            found.lines.push(format!(
                "session    {} as {} until {}; device {} ({device})",
                session.project(),
                session.account(),
                utc(session.ends()),
                session.device(),
            ));
            if let Some(key) = session.attestation_key() {
                found
                    .lines
                    .push(format!("           attested by key {key}"));
            }
            if any_verified {
                wallets = wallets_of(&user, session, &mut found).await;
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
    let bad_news = found.bad_news();
    let report = Report::new(
        found.lines.join("\n"),
        json!({
            "profile": user.profile.path,
            "gateway": user.profile.authority.as_str(),
            "realm": realm,
            "instances": instances,
            "session": session_json,
            "wallets": wallets,
        }),
    );
    Ok(Report { bad_news, ..report })
}

async fn realm(user: &User, found: &mut Findings) -> Value {
    let id = user.profile.file.realm;
    match user.client.realm().await {
        Ok(realm) => {
            let record = realm.record();
            let (t, n) = (record.threshold, record.holders.len());
            found
                .lines
                .push(format!("realm      {id} verified: {t} of {n} holders"));
            let warnings = record.concentration_warnings();
            for warning in &warnings {
                found.lines.push(format!(
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
            let error = found.failed(&format!("realm      {id} NOT verified"), &error);
            json!({ "id": id, "verified": false, "error": error })
        }
    }
}

async fn instances(user: &User, found: &mut Findings) -> (Value, bool) {
    let ids = match user.client.instances().await {
        Ok(ids) => ids,
        Err(error) => {
            let error = found.failed("instances  cannot be listed", &error);
            return (json!({ "error": error }), false);
        }
    };
    if ids.is_empty() {
        let error = found.failed("instances  none", &ClientError::NoInstance);
        return (json!({ "error": error }), false);
    }
    let mut any = false;
    let mut refused = Vec::new();
    let mut list = Vec::new();
    for id in ids.into_iter().take(MAX_INSTANCES) {
        list.push(match user.client.verify_instance(id).await {
            Ok(report) => {
                any = true;
                found.lines.push(format!("instance   {id} verified"));
                let at = report.document_timestamp_ms;
                json!({ "id": id, "verified": true, "document_timestamp_ms": at })
            }
            Err(error) => {
                let error = found.failed(&format!("instance   {id} NOT verified"), &error);
                refused.extend(found.exits.pop());
                json!({ "id": id, "verified": false, "error": error })
            }
        });
    }
    // One that is good is enough: no client speaks to the others.
    if !any {
        found.exits.extend(refused);
    }
    (json!(list), any)
}

async fn wallets_of(user: &User, session: &keyfold_client::Session, found: &mut Findings) -> Value {
    let outcome = user.client.wallets(session).await;
    if let Err(error) = user.store(session) {
        user.warn(&error);
    }
    match outcome {
        Ok(wallets) => {
            for line in wallet::lines(&wallets).lines() {
                found.lines.push(format!("wallet     {line}"));
            }
            json!(wallets.iter().map(wallet::to_json).collect::<Vec<_>>())
        }
        Err(error) => {
            let error = found.failed("wallets    cannot be listed", &error);
            json!({ "error": error })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_verified_counts_more_than_what_does_not_answer() {
        let mut found = Findings {
            lines: Vec::new(),
            exits: Vec::new(),
        };
        assert_eq!(found.bad_news(), None);
        found.failed("instances", &ClientError::NoInstance);
        assert_eq!(found.bad_news(), Some(Exit::Unavailable));
        found.failed("realm", &ClientError::Root);
        assert_eq!(found.bad_news(), Some(Exit::Unverified));
        assert!(
            found.lines[1].starts_with("realm: ") && found.lines[1].contains("[root_mismatch]")
        );
    }
}
