//! The whole job, as an app's user does it: a code by mail, a wallet, a transaction.

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use keyfold_client::client_api::WireCall;
use keyfold_client::{Session, WaitLimit, Wallet};
use keyfold_wallet::payload::eip191;
use serde_json::Value;

use crate::report::Report;
use crate::system::{CHAIN_ID, Device, System, SystemError};

/// Coins the wallet gets: 1.
const FUNDS: u128 = 1_000_000_000_000_000_000;
/// Coins the wallet sends: a thousandth.
const PAYMENT: u128 = 1_000_000_000_000_000;
/// Who gets them.
const RECIPIENT: Address = Address::repeat_byte(0x42);
const EMAIL: &str = "user@mail.example";
const MESSAGE: &[u8] = b"Hello from a wallet that nobody else can move.";
/// What a wallet answers to a signature of its own (ERC-1271).
const ERC1271_MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// A user with a wallet that has sent something.
#[derive(Debug)]
pub struct Journey {
    /// The user's device.
    pub device: Device,
    /// Its session.
    pub session: Session,
    /// The wallet.
    pub wallet: Wallet,
    /// Hash of the transaction.
    pub transaction: B256,
    /// Its block.
    pub block: u64,
}

/// Does the job through the public API, with the client that apps use, and checks the result with
/// programs that are not ours.
///
/// # Errors
///
/// [`SystemError`], which says at what it failed.
pub async fn travel(system: &System, report: &mut Report) -> Result<Journey, SystemError> {
    let project = system.project();
    let device = system.new_device(project)?;
    let pending = report
        .step("a sign-in is asked for, from a verified enclave", async {
            let started = device.start_email(&project.id, EMAIL).await;
            started.map_err(SystemError::step("ask for a code"))
        })
        .await?;
    let mail = report
        .step(
            "the code arrives by mail, over TLS from the enclave",
            async { system.mailbox().wait(EMAIL, 0).await },
        )
        .await?;
    let code = mail.code().unwrap_or_default().to_owned();
    report.detail(&format!("code {code}, in {}", mail.path.display()));
    let session = report
        .step("the code signs this device in, at every holder", async {
            let finished = device.finish_email(&pending, &code, "demo").await;
            finished.map_err(SystemError::step("sign in with the code"))
        })
        .await?;
    let wallet = report
        .step("a wallet is made, its key split over the holders", async {
            let made = device.create_wallet(&session, "main").await;
            made.map_err(SystemError::step("make a wallet"))
        })
        .await?;
    report.detail(&format!("wallet {}", wallet.address()));
    report
        .step(
            "the wallet gets coins from the node's first account",
            async {
                let funded = system.chain().fund(wallet.address(), U256::from(FUNDS));
                funded.await
            },
        )
        .await?;
    let sent = report
        .step(
            "guard, holders, enclave sign; the relayer deploys and sends",
            async {
                let limit = WaitLimit::default();
                let sent = device.send(&session, &wallet, CHAIN_ID, vec![payment()], limit);
                sent.await.map_err(SystemError::step("send a transaction"))
            },
        )
        .await?;
    let transaction = sent.relayed.hash;
    report.detail(&format!("transaction {transaction}"));
    let block = report
        .step(
            "cast, which is not ours, reads it back from the node",
            async { read_back(system, &wallet, transaction).await },
        )
        .await?;
    if sent.relayed.block != Some(block) {
        return Err(different("the relayer's block"));
    }
    report.detail(&format!("block {block}, succeeded"));
    report
        .step(
            "a message is signed, and the wallet's contract accepts it",
            async { message(system, &device, &session, &wallet).await },
        )
        .await?;
    Ok(Journey {
        device,
        session,
        wallet,
        transaction,
        block,
    })
}

/// The payment of the journey.
pub fn payment() -> WireCall {
    WireCall {
        to: RECIPIENT,
        value: U256::from(PAYMENT),
        data: Bytes::new(),
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

/// Compares what the node says of the transaction with what was wanted; returns its block.
async fn read_back(
    system: &System,
    wallet: &Wallet,
    transaction: B256,
) -> Result<u64, SystemError> {
    let (chain, hash) = (system.chain(), transaction.to_string());
    let (ask_tx, ask_receipt) = (["tx", &hash], ["receipt", &hash]);
    let (tx, receipt) = tokio::try_join!(chain.cast(&ask_tx), chain.cast(&ask_receipt))?;
    if text(&tx, "hash") != hash || quantity(&tx, "chainId") != Some(CHAIN_ID) {
        return Err(different("the transaction"));
    }
    if quantity(&receipt, "status") != Some(1) {
        return Err(different("the receipt's status"));
    }
    let block = quantity(&receipt, "blockNumber").ok_or_else(|| different("the block"))?;
    let balance = |address| async move {
        let balance = chain.balance(address).await;
        balance.map_err(SystemError::step("read a balance"))
    };
    if balance(RECIPIENT).await? != U256::from(PAYMENT)
        || balance(wallet.address()).await? != U256::from(FUNDS - PAYMENT)
    {
        return Err(different("the balances"));
    }
    Ok(block)
}

async fn message(
    system: &System,
    device: &Device,
    session: &Session,
    wallet: &Wallet,
) -> Result<(), SystemError> {
    let signed = device
        .sign_message(session, wallet, CHAIN_ID, MESSAGE)
        .await
        .map_err(SystemError::step("sign a message"))?;
    let hash = keccak256(eip191(MESSAGE));
    let answer = system
        .chain()
        .cast(&[
            "call",
            &wallet.address().to_string(),
            "isValidSignature(bytes32,bytes)(bytes4)",
            &hash.to_string(),
            &signed.signature.to_string(),
        ])
        .await?;
    if answer.to_string().contains(&hex::encode(ERC1271_MAGIC)) {
        Ok(())
    } else {
        Err(different("the contract's answer to the signature"))
    }
}

fn different(what: &str) -> SystemError {
    SystemError::Step {
        what: "check the chain".to_owned(),
        problem: format!("{what} is not what was wanted"),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn quantity(value: &Value, field: &str) -> Option<u64> {
    u64::from_str_radix(text(value, field).strip_prefix("0x")?, 16).ok()
}
