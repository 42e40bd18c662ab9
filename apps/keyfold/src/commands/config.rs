//! A wallet's configuration: show, verify, change.

use std::path::Path;

use alloy_primitives::{Address, B256};
use keyfold_client::config_api::{
    ConfigChange, ConfigState, PasskeyPublicKey, RecoveryLeaf, SessionPermissions,
    credential_metadata,
};
use keyfold_client::{Environment as _, History, Session, WaitLimit};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::SystemEnvironment;
use crate::args::{ConfigCommand, Wallet as Which};
use crate::commands::User;
use crate::error::CliError;
use crate::output::{Report, utc};

/// Largest file of a change.
const MAX_FILE: u64 = 64 * 1024;
const SECONDS_OF_A_DAY: u32 = 86_400;

pub(crate) async fn run(user: User, command: ConfigCommand) -> Result<Report, CliError> {
    if let ConfigCommand::Tree(which) = &command {
        let tree = user.client.tree(&which.root).await?;
        let json = serde_json::to_value(&tree).unwrap_or_default();
        let text = serde_json::to_string_pretty(&tree).unwrap_or_default();
        return Ok(Report::new(
            text,
            json!({ "root": which.root, "tree": json }),
        ));
    }
    let session = user.session()?;
    match command {
        ConfigCommand::Show(which) => {
            let history = history(&user, &session, &which).await?;
            Ok(Report::new(words(&history), to_json(&history)))
        }
        ConfigCommand::History(which) => {
            let history = history(&user, &session, &which).await?;
            Ok(Report::new(lines(&history), history_json(&history)))
        }
        ConfigCommand::Verify(which) => verify(&user, &session, &which).await,
        ConfigCommand::Tree(_) => Err(CliError::usage("no wallet is named", "Use --label.")),
        ConfigCommand::AddKey(new) => {
            let change = ConfigChange::AddKey { key: new.key };
            change_to(&user, &session, &new.wallet, |_| Ok(change)).await
        }
        ConfigCommand::AddPasskey(new) => {
            let passkey = PasskeyPublicKey {
                x: new.x,
                y: new.y,
                require_user_verification: !new.no_user_verification,
                metadata: new.credential_id.as_deref().map(credential_metadata),
            };
            let change = ConfigChange::AddPasskey { passkey };
            change_to(&user, &session, &new.wallet, |_| Ok(change)).await
        }
        ConfigCommand::AddRecovery(new) => {
            let recovery = RecoveryLeaf {
                signer: new.signer,
                required_delta_seconds: new.delay_days.saturating_mul(SECONDS_OF_A_DAY),
                // What it queued before must not count.
                min_timestamp: SystemEnvironment.now_unix_ms() / 1000,
            };
            let change = ConfigChange::AddRecovery { recovery };
            change_to(&user, &session, &new.wallet, |_| Ok(change)).await
        }
        ConfigCommand::AddSession(from) => {
            let session_key: SessionPermissions = read(&from.file)?;
            let change = ConfigChange::AddSession {
                session: session_key,
            };
            change_to(&user, &session, &from.wallet, |_| Ok(change)).await
        }
        ConfigCommand::Change(from) => {
            let change: ConfigChange = read(&from.file)?;
            change_to(&user, &session, &from.wallet, |_| Ok(change)).await
        }
        ConfigCommand::Remove(which) => {
            change_to(&user, &session, &which.wallet, |state| {
                removal(state, &which.who)
            })
            .await
        }
        ConfigCommand::Rotate(which) => {
            let wallet = user.wallet(&session, &which.label).await?;
            let _step = user.output.step("Making the new owner's key");
            let prepared = user.client.prepare_owner(&session, &wallet).await;
            let owner = user.keep(&session, prepared)?;
            let change = ConfigChange::RotateOwner { owner };
            change_to(&user, &session, &which, |_| Ok(change)).await
        }
        ConfigCommand::Publish(publish) => {
            let chain = user.chain(publish.chain)?;
            publish_on(&user, &session, &publish.wallet, chain).await
        }
    }
}

async fn publish_on(
    user: &User,
    session: &Session,
    which: &Which,
    chain: u64,
) -> Result<Report, CliError> {
    let wallet = user.wallet(session, &which.label).await?;
    let history = history(user, session, which).await?;
    let root = history.latest_root();
    let _step = user.output.step("Telling the chain");
    let sent = user
        .client
        .publish_config(session, &wallet, &history, chain, WaitLimit::default())
        .await;
    let sent = user.keep(session, sent)?;
    let text = match &sent {
        Some(sent) => format!(
            "Chain {chain} knows the latest configuration now ({}).",
            sent.relayed.hash
        ),
        None => format!("Chain {chain} knows the latest configuration already."),
    };
    let transaction = sent.as_ref().map(|sent| sent.transaction.id);
    let hash = sent.as_ref().map(|sent| sent.relayed.hash);
    Ok(Report::new(
        text,
        json!({
            "wallet": wallet.address().to_string(),
            "chain_id": chain,
            "image_hash": root,
            "published": sent.is_some(),
            "transaction": transaction,
            "hash": hash,
        }),
    ))
}

async fn history(user: &User, session: &Session, which: &Which) -> Result<History, CliError> {
    let _step = user.output.step("Asking for the configuration");
    let wallet = user.wallet(session, &which.label).await?;
    let told = user.client.history(session, &wallet).await;
    user.keep(session, told)
}

async fn verify(user: &User, session: &Session, which: &Which) -> Result<Report, CliError> {
    let history = history(user, session, which).await?;
    let _step = user.output.step("Comparing the public store of trees");
    let trees = user.client.verify_trees(&history).await?;
    let attested = if history.latest().checkpointer.is_some() {
        let wallet = user.wallet(session, &which.label).await?;
        let attested = user.client.verify_latest(session, &wallet, &history).await;
        Some(user.keep(session, attested)?)
    } else {
        None
    };
    let updates = history.links().len();
    let mut text = format!(
        "{}: the address comes from the first configuration, each of {updates} updates is signed \
         by the configuration before it, and the public store has all {trees} trees.",
        history.wallet()
    );
    if let Some(attested) = &attested {
        let until = utc(attested.expires);
        text.push_str(&format!(
            " The key machine says until {until} that it is the latest."
        ));
    }
    let mut json = to_json(&history);
    if let Some(map) = json.as_object_mut() {
        map.insert("attested_latest".to_owned(), json!(attested.is_some()));
        map.insert("verified_updates".to_owned(), json!(updates));
        map.insert("verified_trees".to_owned(), json!(trees));
    }
    Ok(Report::new(text, json))
}

async fn change_to(
    user: &User,
    session: &Session,
    which: &Which,
    change: impl FnOnce(&ConfigState) -> Result<ConfigChange, CliError>,
) -> Result<Report, CliError> {
    let _step = user.output.step("Changing the configuration");
    let wallet = user.wallet(session, &which.label).await?;
    let told = user.client.history(session, &wallet).await;
    let known = user.keep(session, told)?;
    let change = change(known.latest())?;
    let changed = user
        .client
        .change_config(session, &wallet, &known, change)
        .await;
    let changed = user.keep(session, changed)?;
    Ok(Report::new(words(&changed), to_json(&changed)))
}

/// Finds whom an address or a passkey's root stands for.
fn removal(state: &ConfigState, who: &str) -> Result<ConfigChange, CliError> {
    let members = &state.members;
    if let Ok(root) = who.parse::<B256>() {
        return Ok(ConfigChange::RemovePasskey { root });
    }
    let unknown = || {
        CliError::usage(
            "it is no key, passkey, session or recovery signer of the wallet",
            "Look who there is: keyfold wallet config show",
        )
    };
    let signer: Address = who.parse().map_err(|_| unknown())?;
    if members.keys.contains(&signer) {
        Ok(ConfigChange::RemoveKey { key: signer })
    } else if members.recovery.iter().any(|leaf| leaf.signer == signer) {
        Ok(ConfigChange::RemoveRecovery { signer })
    } else if members.sessions.iter().any(|one| one.signer == signer) {
        Ok(ConfigChange::RemoveSession { signer })
    } else {
        Err(unknown())
    }
}

fn words(history: &History) -> String {
    let ConfigState {
        context,
        members,
        checkpoint,
        checkpointer,
    } = history.latest();
    let mut lines = vec![
        format!("wallet        {}", history.wallet()),
        format!("contracts     {context}"),
        format!("root          {}", history.latest_root()),
        format!("checkpoint    {checkpoint}"),
        format!("owner         {}", members.owner),
    ];
    lines.extend(members.guard.map(|guard| format!("guard         {guard}")));
    lines.extend(checkpointer.map(|address| format!("checkpointer  {address}")));
    lines.extend(
        members
            .keys
            .iter()
            .map(|key| format!("key           {key}")),
    );
    let passkeys = members.passkeys.iter();
    lines.extend(passkeys.map(|passkey| format!("passkey       {}", passkey.root())));
    let sessions = members.sessions.iter();
    lines.extend(sessions.map(|session| format!("session       {}", session.signer)));
    lines.extend(members.recovery.iter().map(|leaf| {
        let seconds = leaf.required_delta_seconds;
        format!("recovery      {} after {seconds} s", leaf.signer)
    }));
    lines.extend(uncancellable(history.latest()).map(ToOwned::to_owned));
    lines.join("\n")
}

/// What the owner must know of recovery where the contracts are not ours.
fn uncancellable(state: &ConfigState) -> Option<&'static str> {
    (!state.members.recovery.is_empty() && !state.context.is_keyfold()).then_some(
        "With these contracts a queued recovery cannot be cancelled, and it does not run out.",
    )
}

fn lines(history: &History) -> String {
    if history.links().is_empty() {
        return "The configuration is the one the wallet was made with.".to_owned();
    }
    let lines = history.links().iter().zip(1..).map(|(link, number)| {
        let (when, kind) = (utc(link.signed_at), link.change.kind());
        format!("{number}  {when}  {kind}  {}", link.image_hash)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn to_json(history: &History) -> Value {
    json!({
        "wallet": history.wallet().to_string(),
        "root": history.latest_root(),
        "updates": history.links().len(),
        "state": history.latest(),
    })
}

fn history_json(history: &History) -> Value {
    serde_json::to_value(history.to_told()).unwrap_or_default()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let bad = |what: String| CliError::usage(what, "Correct the file and try again.");
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| bad(format!("{shown}: {error}")))?;
    if size.len() > MAX_FILE {
        return Err(bad(format!("{shown} is larger than {MAX_FILE} bytes")));
    }
    let text = std::fs::read(path).map_err(|error| bad(format!("{shown}: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| bad(format!("{shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use keyfold_client::config_api::ChangeKind;

    use super::*;

    fn state() -> ConfigState {
        let state = json!({
            "context": "keyfold",
            "checkpoint": 3,
            "members": {
                "owner": Address::repeat_byte(1),
                "keys": [Address::repeat_byte(2)],
                "recovery": [{
                    "signer": Address::repeat_byte(3).to_string(),
                    "requiredDeltaSeconds": "86400",
                    "minTimestamp": "0",
                }],
            },
        });
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn what_is_removed_is_found_by_what_is_shown() {
        let removed = |who: &str| removal(&state(), who).map(|change| change.kind());
        let of = |byte| Address::repeat_byte(byte).to_string();
        assert_eq!(removed(&of(2)).unwrap(), ChangeKind::RemoveKey);
        assert_eq!(removed(&of(3)).unwrap(), ChangeKind::RemoveRecovery);
        let root = B256::repeat_byte(4).to_string();
        assert_eq!(removed(&root).unwrap(), ChangeKind::RemovePasskey);
        // The owner cannot be removed, only rotated.
        for nobody in [of(1), of(9), "0x12".to_owned(), String::new()] {
            assert_eq!(removed(&nobody).unwrap_err().code, "usage");
        }
    }

    #[test]
    fn recovery_that_cannot_be_cancelled_is_told() {
        let mut state = state();
        assert_eq!(uncancellable(&state), None);
        state.context = keyfold_wallet::ContextName::SequenceRc5;
        assert!(uncancellable(&state).is_some());
        state.members.recovery.clear();
        assert_eq!(uncancellable(&state), None);
    }

    #[test]
    fn a_change_is_read_from_a_file_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("change.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&format!(
            r#"{{"kind":"add-key","key":"{}"}}"#,
            Address::repeat_byte(5)
        ));
        let change: ConfigChange = read(&path).unwrap();
        assert_eq!(change.kind(), ChangeKind::AddKey);
        for bad in ["", "{}", r#"{"kind":"give-away"}"#, r#"{"kind":"add-key"}"#] {
            write(bad);
            assert_eq!(read::<ConfigChange>(&path).unwrap_err().code, "usage");
        }
    }
}
