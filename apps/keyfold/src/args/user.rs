//! Commands of users and of projects' administrators.

use alloy_primitives::{Address, Bytes, U256};
use clap::{Args, Subcommand};
use keyfold_client::ids::{RequestId, SessionId};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_wallet::ContextName;

use crate::amount::parse_value;

pub(super) const WALLET_HELP: &str = "\
Examples:
  keyfold wallet create --label savings
  keyfold wallet list
  keyfold wallet address --label savings

Creating twice under one label returns the same wallet. Addresses are recomputed from the wallet's
configuration before they are shown.";

pub(super) const SIGN_HELP: &str = "\
Examples:
  keyfold sign message \"I agree\"
  keyfold sign message 0x4920616772656521 --hex --wallet savings";

pub(super) const SEND_HELP: &str = "\
Examples:
  keyfold send --to 0x… --value 0.1ether
  keyfold send --to 0x… --token 0x… --amount 2500000
  keyfold send --to 0x… --value 0 --data 0xa9059cbb…

Units of --value: ether, gwei, wei; a number without unit is wei. --amount is in the token's
smallest unit. The wallet is deployed with its first transaction.

What is signed is stored and its id told before anybody gets it. Where it is not known what became
of it (exit code 7), do not send it anew, ask: keyfold transaction ID. Or repeat the command with
--id ID: under its id a transaction is sent once. A program that must not pay twice draws the id
itself (32 random hex digits, lower case) and repeats its command with it until it is answered.";

pub(super) const TRANSACTION_HELP: &str = "\
Examples:
  keyfold transaction 7f0c…                 where it stands now
  keyfold transaction 7f0c… --wait 120      wait for its block
  keyfold transactions                      the ids of all that was sent from here";

pub(super) const TRANSACTIONS_HELP: &str = "\
Example:
  keyfold transactions

Asks nobody: it shows what this device signed, and what it was last told of it.";

pub(super) const DEVICES_HELP: &str = "\
Examples:
  keyfold devices
  keyfold devices approve 3Yk6…
  keyfold devices revoke 3Yk6…
  keyfold devices revoke --all-others

A revoked device is gone for good: its key never comes back to the account, and its sessions end.
It counts once enough key holders have stored it. Until then (code revocation_pending, exit code 5)
repeat the command.";

pub(super) const SESSIONS_HELP: &str = "\
Examples:
  keyfold sessions
  keyfold sessions revoke 000102030405060708090a0b0c0d0e0f

The device of an ended session stays on the account and can sign in again; keyfold devices revoke
takes it off.";

pub(super) const PROFILE_HELP: &str = "\
Example:
  keyfold profile show

A profile is a file, ~/.config/keyfold/default.toml unless --profile names another:

  gateway = \"https://gateway.example\"
  # gateway_ca = \"gateway-ca.pem\"        the system's roots where absent
  realm = \"…64 hex digits, from the operator and by another way than the gateway\"
  kind = \"aws-nitro\"
  project = \"app.example\"
  chain = 8453
  # guard = \"0x…\"                        the signer that every wallet must have, or \"none\"
  # checkpointer = \"0x…\"                 the checkpointer that wallets may have
  # contracts = \"sequence-rc5\"          what addresses come from; \"keyfold\" where absent
  [[measurements]]
  pcr0 = \"…96 hex digits\"
  pcr1 = \"…\"
  pcr2 = \"…\"";

/// What to do with wallets.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a wallet, or show the one that has this label already.
    Create(Wallet),
    /// List the account's wallets.
    List,
    /// Print a wallet's address.
    Address(Wallet),
    /// Who may act for a wallet: show, verify, change.
    #[command(subcommand, after_help = super::config::HELP)]
    Config(super::config::ConfigCommand),
}

/// Which wallet.
#[derive(Debug, Args)]
pub struct Wallet {
    /// Label of the wallet.
    #[arg(long, default_value = "main")]
    pub label: String,
}

/// What to sign.
#[derive(Debug, Subcommand)]
pub enum SignCommand {
    /// A text or bytes, under the EIP-191 prefix.
    Message(SignMessage),
}

/// A message to sign.
#[derive(Debug, Args)]
pub struct SignMessage {
    /// The text.
    pub message: String,
    /// The message is bytes in hexadecimal.
    #[arg(long)]
    pub hex: bool,
    /// Label of the wallet.
    #[arg(long, default_value = "main")]
    pub wallet: String,
    /// The chain; the profile's where absent.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain: Option<u64>,
}

/// What to send.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["value", "data", "token"]))]
pub struct Send {
    /// Who receives, or the contract to call.
    #[arg(long, value_parser = address)]
    pub to: Address,
    /// Native coin.
    #[arg(long, value_parser = parse_value)]
    pub value: Option<U256>,
    /// Call data, 0x and hexadecimal.
    #[arg(long)]
    pub data: Option<Bytes>,
    /// An ERC-20 token to send in place of native coin.
    #[arg(long, value_parser = address, requires = "amount", conflicts_with_all = ["value", "data"])]
    pub token: Option<Address>,
    /// How much of the token, in its smallest unit.
    // The conflicts are named here too: what conflicts with what is required lifts the requirement.
    #[arg(long, requires = "token", conflicts_with_all = ["value", "data"])]
    pub amount: Option<U256>,
    /// Label of the wallet.
    #[arg(long, default_value = "main")]
    pub wallet: String,
    /// The chain; the profile's where absent.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain: Option<u64>,
    /// Seconds to wait for the block.
    #[arg(long, default_value_t = 120)]
    pub wait: u64,
    /// Names the transaction: what was signed here under this id is handed over again, not anew.
    #[arg(long)]
    pub id: Option<RequestId>,
}

/// Which transaction.
#[derive(Debug, Args)]
pub struct Transaction {
    /// Its id, as it was told when it was sent.
    pub id: RequestId,
    /// Seconds to wait for the block.
    #[arg(long, default_value_t = 0)]
    pub wait: u64,
}

/// Reads `0x` and 40 digits; where the digits have a case, it must be the checksum's (EIP-55).
/// Reads the name of contracts that a project may choose.
///
/// # Errors
///
/// A sentence for people.
pub(super) fn contracts(text: &str) -> Result<ContextName, String> {
    let known = text.parse::<ContextName>().ok();
    known.filter(|name| name.is_choice()).ok_or_else(|| {
        let choices = ContextName::CHOICES.map(ContextName::as_str).join(", ");
        format!("contracts are one of {choices}")
    })
}

pub(super) fn address(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").ok_or("an address begins with 0x")?;
    let parsed: Address = text
        .parse()
        .map_err(|_| "an address has 40 hexadecimal digits")?;
    let one_case = digits == digits.to_lowercase() || digits == digits.to_uppercase();
    if one_case || parsed.to_checksum(None) == text {
        Ok(parsed)
    } else {
        Err("the address's checksum is wrong: a digit was mistyped".to_owned())
    }
}

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub enum DevicesCommand {
    /// List the account's devices.
    List,
    /// Let a pending device act for the account.
    Approve(DeviceApprove),
    /// Take a device off the account for good, or every other one.
    Revoke(DeviceRevoke),
}

/// Which devices go.
#[derive(Debug, Args)]
pub struct DeviceRevoke {
    /// Thumbprint of the device's key, as the list shows it. It may begin with a hyphen.
    #[arg(
        allow_hyphen_values = true,
        required_unless_present = "all_others",
        conflicts_with = "all_others"
    )]
    pub device: Option<Thumbprint>,
    /// Every device but this one.
    #[arg(long)]
    pub all_others: bool,
    /// Also a device that is not listed, such as one whose end is stored in part.
    #[arg(long, conflicts_with = "all_others")]
    pub unlisted: bool,
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List the account's sessions.
    List,
    /// End a session.
    Revoke(SessionRevoke),
}

/// Which session.
#[derive(Debug, Args)]
pub struct SessionRevoke {
    /// Its id, as the list shows it.
    pub session: SessionId,
}

/// Which device.
#[derive(Debug, Args)]
pub struct DeviceApprove {
    /// Thumbprint of the device's key, as the list shows it. It may begin with a hyphen.
    #[arg(allow_hyphen_values = true)]
    pub device: Thumbprint,
}

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Show the profile in use.
    Show,
}
