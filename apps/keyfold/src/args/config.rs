//! Commands about a wallet's configuration.

use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use clap::{Args, Subcommand};

use super::user::{Wallet, address};

pub(super) const HELP: &str = "\
Examples:
  keyfold wallet config show
  keyfold wallet config history --label savings
  keyfold wallet config verify
  keyfold wallet config add-recovery --signer 0x… --delay-days 7
  keyfold wallet config add-passkey --x 0x… --y 0x… --credential-id …
  keyfold wallet config remove 0x…
  keyfold wallet config change --file change.json
  keyfold wallet config publish --chain 8453

Changes are signed by the configuration before them and cost nothing until the wallet is used on a
chain. A chain that was not told of a change still takes the signatures of whoever was removed by it:
after a key was lost or stolen, publish on every chain where the wallet has something. Keep the output of `keyfold --json wallet config history`: with it a recovery key needs no server
of ours, only the chain (the tool that writes its calls is planned).

add-session and change read JSON, the fields as `keyfold --json wallet config show` prints them:
  { \"kind\": \"add-key\", \"key\": \"0x…\" }
  { \"kind\": \"add-recovery\", \"recovery\": { \"signer\": \"0x…\", \"requiredDeltaSeconds\": \"604800\",
    \"minTimestamp\": \"<Unix seconds, now>\" } }";

/// What to do with a wallet's configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show who may act for the wallet now.
    Show(Wallet),
    /// Show every change since the wallet was made.
    History(Wallet),
    /// Compute every root, recover every signature, and compare the public store of trees.
    Verify(Wallet),
    /// Show the tree of a root; needs no account.
    Tree(Tree),
    /// Let a further key of yours act for the wallet.
    AddKey(AddKey),
    /// Let a passkey act for the wallet.
    AddPasskey(AddPasskey),
    /// Let a key take the wallet over after a delay.
    AddRecovery(AddRecovery),
    /// Let a session key do what a file says.
    AddSession(FromFile),
    /// Remove a key, passkey, session or recovery signer.
    Remove(Remove),
    /// Replace the owner's key by a new one that the key holders keep.
    Rotate(Wallet),
    /// Make the change that a file describes.
    Change(FromFile),
    /// Tell a chain of the latest configuration, by a transaction.
    Publish(Publish),
}

/// Where to publish.
#[derive(Debug, Args)]
pub struct Publish {
    /// The chain; the profile's where absent.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain: Option<u64>,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}

/// Which tree.
#[derive(Debug, Args)]
pub struct Tree {
    /// The root, 0x and 64 hexadecimal digits.
    pub root: B256,
}

/// A key.
#[derive(Debug, Args)]
pub struct AddKey {
    /// Its address.
    #[arg(long, value_parser = address)]
    pub key: Address,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}

/// A passkey.
#[derive(Debug, Args)]
pub struct AddPasskey {
    /// The public key's x coordinate, 32 bytes.
    #[arg(long)]
    pub x: B256,
    /// The public key's y coordinate, 32 bytes.
    #[arg(long)]
    pub y: B256,
    /// Accept signatures for which the authenticator did not verify the person.
    #[arg(long)]
    pub no_user_verification: bool,
    /// Names the passkey for those who look for it.
    #[arg(long)]
    pub credential_id: Option<String>,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}

/// A recovery signer.
#[derive(Debug, Args)]
pub struct AddRecovery {
    /// Its address.
    #[arg(long, value_parser = address)]
    pub signer: Address,
    /// Days that must pass between asking and taking over.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=194))]
    pub delay_days: u32,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}

/// A file.
#[derive(Debug, Args)]
pub struct FromFile {
    /// JSON.
    #[arg(long)]
    pub file: PathBuf,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}

/// What to remove.
#[derive(Debug, Args)]
pub struct Remove {
    /// An address, or the root of a passkey, as `keyfold wallet config show` prints it.
    pub who: String,
    /// Which wallet.
    #[command(flatten)]
    pub wallet: Wallet,
}
