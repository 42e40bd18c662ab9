//! Sending.

use alloy_primitives::{Bytes, U256};
use keyfold_client::client_api::WireCall;
use keyfold_client::{ClientError, Reading, WaitLimit, read_call};
use serde_json::json;

use crate::amount::in_coin;
use crate::args::Send;
use crate::commands::User;
use crate::error::CliError;
use crate::output::Report;

/// ERC-20 `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

pub(crate) async fn run(user: User, arguments: Send) -> Result<Report, CliError> {
    let session = user.session()?;
    let chain = user.chain(arguments.chain)?;
    let limit = WaitLimit {
        milliseconds: arguments.wait.saturating_mul(1000),
    };
    let call = call(&arguments);
    let what = in_words(&call);
    let wallet = {
        let _step = user.output.step("Asking for the wallet");
        user.wallet(&session, &arguments.wallet).await?
    };
    user.output.say(&format!(
        "{what}, from {} on chain {chain}.",
        wallet.address()
    ));
    let outcome = {
        let _step = user
            .output
            .step("Signing, sending, and waiting for the block");
        user.client
            .send(&session, &wallet, chain, vec![call], limit)
            .await
    };
    if let Err(ClientError::NotMined { id, hash }) = &outcome {
        user.output
            .say(&format!("Sent as {hash}; the relayer knows it as {id}."));
    }
    let sent = user.keep(&session, outcome)?;
    let relayed = &sent.relayed;
    let block = relayed
        .block
        .map(|block| format!(" in block {block}"))
        .unwrap_or_default();
    Ok(Report::new(
        format!("{}{block}", relayed.hash),
        json!({
            "tx": relayed.hash,
            "id": relayed.id,
            "chain_id": relayed.chain_id,
            "block": relayed.block,
            "gas_used": relayed.gas_used,
            "wallet": wallet.address(),
            "deployed": relayed.deployed,
        }),
    ))
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
fn in_words(call: &WireCall) -> String {
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
