//! Commands about the realm's holders.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keyfold_gateway_service::Inbound;

use super::operator::EnclaveSocket;

pub(super) const HOLDERS_HELP: &str = "\
Examples:
  keyfold holders list --enclave ./enclave.sock
  keyfold holders drill --enclave ./enclave.sock
  keyfold holders warrant --enclave ./enclave.sock --image <PCR0> --out warrant.json
  keyfold holders refresh --enclave ./enclave.sock --warrant warrant.json

A refresh gives every holder new shares of every key and lets the old ones end, so that what was
stolen of fewer than t holders is worth nothing afterwards. Wallets go on signing meanwhile, and a
refresh that was cut off goes on when it is run again. It needs a warrant:
  1. make one with `warrant`;
  2. the operators of at least t holders sign it, one after the other, each on its own machine:
       keyfold-holder warrant sign --dir <its folder> warrant.json
  3. run `refresh` with it.
A drill releases nothing: each holder checks its shares and signs what it found.";

/// What to do with the holders.
#[derive(Debug, Subcommand)]
pub enum HoldersCommand {
    /// The holders, and whether they answer.
    List(EnclaveSocket),
    /// Have every holder check its shares of every key; names what could not be recovered.
    Drill(EnclaveSocket),
    /// Make a warrant for the holders' operators to sign.
    Warrant(MakeWarrant),
    /// Give every holder new shares of every key, under a warrant.
    Refresh(Refresh),
}

/// What is to be allowed.
#[derive(Debug, Args)]
pub struct MakeWarrant {
    /// The enclave's inbound socket, or `vsock:CID`.
    #[arg(long)]
    pub enclave: Inbound,
    /// PCR0 of the image that may do it: 96 hexadecimal digits.
    #[arg(long)]
    pub image: String,
    /// The generation that keys have afterwards; today's number of days since 1970 where absent, so
    /// that each later day leads further.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    pub generation: Option<u32>,
    /// How long it holds, days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=30))]
    pub days: u8,
    /// Where to write it; it must not exist.
    #[arg(long)]
    pub out: PathBuf,
}

/// By what right.
#[derive(Debug, Args)]
pub struct Refresh {
    /// The enclave's inbound socket, or `vsock:CID`.
    #[arg(long)]
    pub enclave: Inbound,
    /// The warrant, signed by the operators of at least t holders.
    #[arg(long)]
    pub warrant: PathBuf,
}
