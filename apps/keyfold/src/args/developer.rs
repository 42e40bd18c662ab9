//! Commands of developers.

use std::net::SocketAddr;

use clap::Args;

pub(super) const RPC_HELP: &str = "\
Examples:
  keyfold rpc --listen 127.0.0.1:9999
  curl http://127.0.0.1:9999/rpc -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session_empty\",
    \"params\":{\"identitySigner\":\"0x1111111111111111111111111111111111111111\"}}'

It answers as the server of Sequence's tools does, so that tests of wallet contracts can be pointed at
it. Results that are JSON come as hex of their text. It writes down whatever it is asked to, trees open
to everybody included: no wallet may use it. It holds no keys and stores nothing.";

/// Where to serve the conformance oracle.
#[derive(Debug, Args)]
pub struct Rpc {
    /// Address and port; port 0 takes a free one and says which.
    #[arg(long, default_value = "127.0.0.1:9999")]
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach. There is no TLS and no sign-in.
    #[arg(long)]
    pub anywhere: bool,
}
