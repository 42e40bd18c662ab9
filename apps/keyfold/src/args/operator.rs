//! Commands of operators.

use std::path::PathBuf;

use alloy_primitives::Address;
use clap::{Args, Subcommand};
use keyfold_gateway_service::Inbound;

use super::user::address;

pub(super) const GATEWAY_HELP: &str = "\
Examples:
  keyfold gateway init --config ./gateway.toml     make folders and TLS key, print its pin
  KEYFOLD_LOG=info keyfold gateway run --config ./gateway.toml";

pub(super) const GUARD_HELP: &str = "\
Examples:
  keyfold guard init --config ./guard.toml
  keyfold guard run --config ./guard.toml --measurements ./measurements.json

Policies are files: <data>/policies/<project>.json, which nobody but their owner may write. What they
do not name is refused:
  { \"version\": 1, \"revision\": 1, \"chains\": [
    { \"ids\": [8453], \"native\": \"anybody\",
      \"allow\": [{ \"address\": \"0x…\", \"calls\": \"erc20-transfer\" }] } ] }

Enclaves of the realms in `realms` of the configuration are answered, and no others. A realm's id is
known after its genesis: make the guard, name its key in the project, and run it once `realms` is set.";

pub(super) const RELAYER_HELP: &str = "\
Examples:
  keyfold relayer init --config ./relayer.toml     print the address to fund
  keyfold relayer deploy --config ./relayer.toml --chain 8453
  keyfold relayer deploy --config ./relayer.toml --chain 8453 --checkpointer-key 0x…
  keyfold relayer run --config ./relayer.toml

Wallets of all contracts that projects may choose are served. Fewer, in the configuration:
  contracts = [\"keyfold\", \"keyfold-4337\"]
What `deploy` puts on a chain is Keyfold's own; Sequence's are on the public chains already.";

pub(super) const REALM_HELP: &str = "\
Examples:
  keyfold realm genesis --enclave ./enclave.sock --threshold 2 h1.card.json h2.card.json h3.card.json
  keyfold realm status --enclave ./enclave.sock

Genesis happens once. Show the realm id to every holder's operator; clients pin it.";

/// Where a service's configuration is.
#[derive(Debug, Args)]
pub struct ServiceConfig {
    /// The configuration, TOML.
    #[arg(long)]
    pub config: PathBuf,
}

/// A service that verifies enclaves.
#[derive(Debug, Args)]
pub struct WithMeasurements {
    /// Where its configuration is.
    #[command(flatten)]
    pub service: ServiceConfig,
    /// JSON list of the enclave images that are trusted.
    #[arg(long)]
    pub measurements: PathBuf,
}

/// What to do with the gateway.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Make folders and TLS key; what exists is kept.
    Init(ServiceConfig),
    /// Run until asked to end (SIGTERM or SIGINT).
    Run(ServiceConfig),
}

/// What to do with the guard.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Make folders, master key and TLS key; what exists is kept.
    Init(ServiceConfig),
    /// Run until asked to end (SIGTERM or SIGINT).
    Run(WithMeasurements),
}

/// What to do with the relayer.
#[derive(Debug, Subcommand)]
pub enum RelayerCommand {
    /// Make folders, master key and TLS key; what exists is kept.
    Init(ServiceConfig),
    /// Deploy the wallet contracts that a chain lacks.
    Deploy(RelayerDeploy),
    /// Run until asked to end (SIGTERM or SIGINT).
    Run(ServiceConfig),
}

/// Where to deploy.
#[derive(Debug, Args)]
pub struct RelayerDeploy {
    /// Where the relayer's configuration is.
    #[command(flatten)]
    pub service: ServiceConfig,
    /// The chain.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub chain: u64,
    /// The realm's checkpointer key, as `realm genesis` tells it: deploys its checkpointer too, for
    /// projects made with `--checkpointer`.
    #[arg(long, value_parser = address)]
    pub checkpointer_key: Option<Address>,
}

/// What to do with the realm.
#[derive(Debug, Subcommand)]
pub enum RealmCommand {
    /// Have an enclave without a realm make one with these holders.
    Genesis(RealmGenesis),
    /// Ask an enclave how it is.
    Status(EnclaveSocket),
}

/// Which enclave.
#[derive(Debug, Args)]
pub struct EnclaveSocket {
    /// The enclave's inbound socket, or `vsock:CID`.
    #[arg(long)]
    pub enclave: Inbound,
}

/// Who is to hold keys.
#[derive(Debug, Args)]
pub struct RealmGenesis {
    /// The enclave's inbound socket, or `vsock:CID`.
    #[arg(long)]
    pub enclave: Inbound,
    /// How many holders must agree: at least two, and more than half.
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..))]
    pub threshold: u8,
    /// The holders' cards, as `keyfold-holder init` printed them; the order is theirs for good.
    #[arg(required = true)]
    pub cards: Vec<PathBuf>,
}
