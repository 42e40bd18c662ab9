//! Asking what became of transactions.

use keyfold_client::{ClientError, WaitLimit};
use serde_json::{Value, json};

use crate::args::Transaction;
use crate::commands::{User, send};
use crate::error::CliError;
use crate::outbox::Outgoing;
use crate::output::{Report, utc};

/// Asks the relayer.
pub(crate) async fn one(user: User, arguments: Transaction) -> Result<Report, CliError> {
    let limit = WaitLimit {
        milliseconds: arguments.wait.saturating_mul(1000),
    };
    let ours = user.state.transaction(arguments.id)?;
    let outcome = {
        let _step = user.output.step("Asking for the transaction");
        user.client.wait_for(arguments.id, limit).await
    };
    let outcome = outcome.and_then(|relayed| match &ours {
        Some(ours) if ours.relay.chain_id != relayed.chain_id => Err(ClientError::OtherTransaction),
        _ => Ok(relayed),
    });
    send::settle(&user, arguments.id, ours, outcome)
}

/// Lists what this device signed and stored. Asks nobody, so it works where nobody answers.
pub(crate) fn all(user: &User) -> Result<Report, CliError> {
    let transactions = user.state.transactions()?;
    if transactions.is_empty() {
        let none = "This device has sent nothing yet.";
        return Ok(Report::new(none, json!({ "transactions": [] })));
    }
    let lines: Vec<_> = transactions.iter().map(line).collect();
    let objects: Vec<_> = transactions.iter().map(object).collect();
    Ok(Report::new(
        lines.join("\n"),
        json!({ "transactions": objects }),
    ))
}

fn line(transaction: &Outgoing) -> String {
    let state = match transaction.seen {
        None => "nobody said yet what became of it".to_owned(),
        Some(seen) => {
            let state = json!(seen.state);
            let state = state.as_str().unwrap_or_default();
            let block = seen.block.map(|block| format!(" in block {block}"));
            format!("{state}{}", block.unwrap_or_default())
        }
    };
    format!(
        "{}  {}  {}, chain {}, nonce {}: {state}",
        transaction.id,
        utc(transaction.at),
        words(transaction),
        transaction.relay.chain_id,
        transaction.nonce,
    )
}

fn object(transaction: &Outgoing) -> Value {
    let mut object = transaction.to_json();
    if let Some(map) = object.as_object_mut() {
        map.insert("does".to_owned(), json!(words(transaction)));
    }
    object
}

fn words(transaction: &Outgoing) -> String {
    let calls: Vec<_> = transaction.calls.iter().map(send::in_words).collect();
    calls.join("; ")
}
