//! Sending: sign, store, tell the id, hand over, wait. In this order, so that whatever fails, what
//! was signed can be asked for and handed over again, and nobody has to sign it anew.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Bytes, U256};
use keyfold_client::client_api::WireCall;
use keyfold_client::ids::RequestId;
use keyfold_client::relayer_api::Relayed;
use keyfold_client::{ClientError, Environment as _, Reading, WaitLimit, read_call};
use serde_json::{Value, json};

use crate::amount::in_coin;
use crate::args::Send;
use crate::code::CliCode;
use crate::commands::User;
use crate::error::CliError;
use crate::outbox::{Outgoing, Seen};
use crate::output::Report;
use crate::transport::SystemEnvironment;

/// ERC-20 `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

pub(crate) async fn run(user: User, arguments: Send) -> Result<Report, CliError> {
    let limit = WaitLimit {
        milliseconds: arguments.wait.saturating_mul(1000),
    };
    let signed = match arguments.id {
        Some(id) => user.state.transaction(id)?,
        None => None,
    };
    let transaction = match signed {
        Some(before) => same(&user, &arguments, before)?,
        None => sign(&user, &arguments).await?,
    };
    hand_over(&user, transaction, limit).await
}

/// Signs with the wallet's next nonce, and stores what was signed.
async fn sign(user: &User, arguments: &Send) -> Result<Outgoing, CliError> {
    let session = user.session()?;
    let chain = user.chain(arguments.chain)?;
    let call = call(arguments);
    let wallet = {
        let _step = user.output.step("Asking for the wallet");
        user.wallet(&session, &arguments.wallet).await?
    };
    let address = wallet.address();
    user.output.say(&format!(
        "{}, from {address} on chain {chain}.",
        in_words(&call)
    ));
    let _step = user.output.step("Signing");
    let state = user.client.wallet_on_chain(chain, &address).await?;
    let (nonce, wallet) = (state.nonce, wallet.as_known(&state));
    let calls = vec![call];
    let signed = user
        .client
        .sign_transaction(&session, &wallet, chain, U160::ZERO, nonce, calls.clone())
        .await;
    let signed = user.keep(&session, signed)?;
    let transaction = Outgoing {
        id: arguments.id.unwrap_or(signed.id),
        at: SystemEnvironment.now_unix_ms() / 1000,
        account: session.account(),
        label: arguments.wallet.clone(),
        nonce,
        calls,
        digest: signed.digest,
        relay: signed.relay,
        seen: None,
    };
    // Nobody has it yet, so this is the last moment to give up without a trace.
    user.state.store_transaction(&transaction)?;
    Ok(transaction)
}

/// Takes what was signed under an id before, if the same is wanted now.
fn same(user: &User, arguments: &Send, before: Outgoing) -> Result<Outgoing, CliError> {
    let session = user.state.session()?;
    let is_same = before.calls == [call(arguments)]
        && before.label == arguments.wallet
        && before.relay.chain_id == user.chain(arguments.chain)?
        && session.is_none_or(|session| session.account() == before.account);
    if is_same {
        Ok(before)
    } else {
        let words: Vec<_> = before.calls.iter().map(in_words).collect();
        Err(CliError::new(
            CliCode::IdTaken,
            format!(
                "the id {} names another transaction: {}, from {} on chain {}",
                before.id,
                words.join("; "),
                before.relay.wallet,
                before.relay.chain_id
            ),
            "Repeat it with what it was signed for, or leave --id out to sign another one.",
        ))
    }
}

async fn hand_over(
    user: &User,
    transaction: Outgoing,
    limit: WaitLimit,
) -> Result<Report, CliError> {
    let id = transaction.id;
    user.output.tell(&format!(
        "Handing it over as {id}, nonce {}. If this is cut off: keyfold transaction {id}",
        transaction.nonce
    ));
    let outcome = {
        let _step = user.output.step("Sending, and waiting for the block");
        let signed = transaction.signed();
        user.client.relay_and_wait(&signed, limit).await
    };
    settle(user, id, Some(transaction), outcome)
}

/// Remembers what became of a transaction, and tells it.
pub(super) fn settle(
    user: &User,
    id: RequestId,
    transaction: Option<Outgoing>,
    outcome: Result<Relayed, ClientError>,
) -> Result<Report, CliError> {
    let seen = Seen::of(&outcome);
    let transaction = transaction.map(|mut transaction| {
        if let Some(seen) = seen
            && transaction.seen != Some(seen)
        {
            transaction.seen = Some(seen);
            if let Err(error) = user.state.store_transaction(&transaction) {
                user.warn(&error.into());
            }
        }
        transaction
    });
    let known = || match (&transaction, seen) {
        (Some(transaction), _) => transaction.to_json(),
        (None, Some(Seen { hash, state, .. })) => json!({ "id": id, "hash": hash, "state": state }),
        (None, None) => json!({ "id": id }),
    };
    match outcome {
        Ok(relayed) => Ok(report(&relayed, transaction.as_ref())),
        Err(error) => Err(explain(id, &error, known(), transaction.is_some())),
    }
}

/// Says which command asks, and never to send it anew where it may be on its way.
fn explain(id: RequestId, error: &ClientError, transaction: Value, is_ours: bool) -> CliError {
    use keyfold_client::ClientCode as Own;
    use keyfold_protocol::error_code::Code;
    let again = format!("repeat the command that sent it with --id {id}: that sends nothing twice");
    let what_to_do = match error.own_code() {
        Some(Own::TransactionPending | Own::TransactionUnconfirmed) if is_ours => Some(format!(
            "Do not send it anew. Ask: keyfold transaction {id} --wait 120. Or {again}."
        )),
        Some(Own::TransactionPending | Own::TransactionUnconfirmed) => Some(format!(
            "Do not send it anew. Ask: keyfold transaction {id} --wait 120."
        )),
        Some(Own::GatewayUnreachable) if is_ours => {
            Some(format!("Check the network, then {again}."))
        }
        _ if error.is(Code::TransactionUnknown) && is_ours => Some(format!(
            "The relayer did not take it over, as it says. To hand it over, {again}."
        )),
        _ if error.is(Code::TransactionUnknown) => Some(
            "Check the id, and whether the profile is the one that it was sent with.".to_owned(),
        ),
        _ if error.is(Code::IdempotencyConflict) => Some(format!(
            "It was sent from elsewhere under this id. Ask: keyfold transaction {id}."
        )),
        _ => None,
    };
    let plain = CliError::of(error);
    CliError {
        what_to_do: what_to_do.unwrap_or(plain.what_to_do),
        transaction: Some(Box::new(transaction)),
        ..plain
    }
}

fn report(relayed: &Relayed, transaction: Option<&Outgoing>) -> Report {
    let block = relayed
        .block
        .map(|block| format!(" in block {block}"))
        .unwrap_or_default();
    let mut object = json!({
        "tx": relayed.hash,
        "id": relayed.id,
        "chain_id": relayed.chain_id,
        "state": relayed.state,
        "block": relayed.block,
        "gas_used": relayed.gas_used,
        "deployed": relayed.deployed,
    });
    if let (Some(transaction), Some(map)) = (transaction, object.as_object_mut()) {
        let wallet = transaction.relay.wallet.to_string();
        map.insert("wallet".to_owned(), json!(wallet));
        map.insert("nonce".to_owned(), json!(transaction.nonce));
    }
    Report::new(format!("{}{block}", relayed.hash), object)
}

fn call(arguments: &Send) -> WireCall {
    let (to, value, data) = match arguments.token {
        Some(token) => (
            token,
            U256::ZERO,
            transfer(arguments.to, arguments.amount.unwrap_or_default()),
        ),
        None => (
            arguments.to,
            arguments.value.unwrap_or_default(),
            arguments.data.clone().unwrap_or_default(),
        ),
    };
    WireCall {
        to,
        value,
        data,
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

fn transfer(to: alloy_primitives::Address, amount: U256) -> Bytes {
    [
        &TRANSFER[..],
        to.into_word().as_slice(),
        &amount.to_be_bytes::<32>(),
    ]
    .concat()
    .into()
}

/// Says what a call does, as far as its bytes tell.
pub(super) fn in_words(call: &WireCall) -> String {
    match read_call(call) {
        Reading::NativeTransfer { to, value } => format!("Sends {} coin to {to}", in_coin(value)),
        Reading::Erc20Transfer { token, to, amount } => {
            format!("Sends {amount} of the token {token} to {to}")
        }
        Reading::Erc20Approve {
            token,
            spender,
            amount,
        } => {
            format!("Lets {spender} spend {amount} of the token {token}")
        }
        Reading::Erc20TransferFrom {
            token,
            from,
            to,
            amount,
        } => {
            format!("Moves {amount} of the token {token} from {from} to {to}")
        }
        Reading::Unknown { to, value, .. } => {
            format!(
                "Calls {to} with {} coin, in a way this program cannot read",
                in_coin(value)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, hex};
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    const TO: &str = "0x0000000000000000000000000000000000000001";
    const TOKEN: &str = "0x0000000000000000000000000000000000000002";

    fn of(line: &str) -> WireCall {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Send(arguments) = cli.command else {
            panic!("not send")
        };
        call(&arguments)
    }

    #[test]
    fn coin_goes_to_whom_it_is_for() {
        let sent = of(&format!("keyfold send --to {TO} --value 0.5ether"));
        assert_eq!(sent.to, TO.parse::<Address>().unwrap());
        assert_eq!(in_words(&sent), format!("Sends 0.5 coin to {TO}"));
    }

    #[test]
    fn a_token_is_sent_by_its_contract() {
        let sent = of(&format!(
            "keyfold send --to {TO} --token {TOKEN} --amount 256"
        ));
        assert_eq!(sent.to, TOKEN.parse::<Address>().unwrap());
        assert_eq!(sent.value, U256::ZERO);
        let expected = hex!(
            "a9059cbb"
            "0000000000000000000000000000000000000000000000000000000000000001"
            "0000000000000000000000000000000000000000000000000000000000000100"
        );
        assert_eq!(sent.data[..], expected);
        assert_eq!(
            in_words(&sent),
            format!("Sends 256 of the token {TOKEN} to {TO}")
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_dressed_up() {
        let sent = of(&format!(
            "keyfold send --to {TO} --value 1 --data 0x12345678"
        ));
        assert!(in_words(&sent).contains("cannot read"));
    }
}
