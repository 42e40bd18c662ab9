//! The EVM node of the run, asked directly: by us to prepare it, by `cast` to check what we say.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use http::Request;
use http::header::CONTENT_TYPE;
use keyfold_chain::rpc::{decode_answer, encode_call};
use keyfold_chain::{Node, Rpc, RpcError};
use keyfold_net::client::TcpConnector;
use keyfold_net::{ClientLimits, HttpClient};
use serde_json::{Value, json};

use crate::system::SystemError;

/// The id of the first chain.
pub const CHAIN_ID: u64 = 31_337;
const POLL: Duration = Duration::from_millis(20);
const MINED_WITHIN: Duration = Duration::from_secs(20);

/// A node, by JSON-RPC.
#[derive(Debug, Clone)]
pub struct Chain {
    id: u64,
    url: String,
    cast: PathBuf,
    node: std::sync::Arc<Node<HttpRpc>>,
    rpc: HttpRpc,
}

#[derive(Debug, Clone)]
struct HttpRpc {
    client: HttpClient,
    url: String,
    next: std::sync::Arc<AtomicU64>,
}

impl Rpc for HttpRpc {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let unreachable =
            |error: Box<dyn std::error::Error + Send + Sync>| RpcError::Unreachable(error);
        let request = Request::post(self.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(bytes::Bytes::from(encode_call(id, method, &params)))
            .map_err(|error| unreachable(Box::new(error)))?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|error| unreachable(Box::new(error)))?;
        decode_answer(id, answer.body())
    }
}

impl Chain {
    pub(crate) fn new(id: u64, url: String, cast: PathBuf) -> Self {
        let rpc = HttpRpc {
            client: HttpClient::new(TcpConnector, ClientLimits::default()),
            url: url.clone(),
            next: std::sync::Arc::new(AtomicU64::new(1)),
        };
        Self {
            id,
            url,
            cast,
            node: std::sync::Arc::new(Node::new(rpc.clone())),
            rpc,
        }
    }

    /// Returns the chain's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the node's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns where `cast` is.
    pub fn cast_path(&self) -> &std::path::Path {
        &self.cast
    }

    /// Makes any JSON-RPC call.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.rpc.call(method, params).await
    }

    /// Returns an address's coins, in wei.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn balance(&self, address: Address) -> Result<U256, RpcError> {
        self.node.balance(address).await
    }

    /// Returns the node's own first account, which has coins and signs what it is asked to.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn rich_account(&self) -> Result<Address, RpcError> {
        let accounts = self.call("eth_accounts", json!([])).await?;
        serde_json::from_value::<Vec<Address>>(accounts)
            .ok()
            .and_then(|accounts| accounts.first().copied())
            .ok_or(RpcError::Malformed("no accounts"))
    }

    /// Sends coins from the node's first account, and waits for the block.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub async fn fund(&self, to: Address, wei: U256) -> Result<B256, SystemError> {
        self.transact(to, wei, Bytes::new()).await
    }

    /// Calls a contract from the node's first account, with coins, and waits for the block.
    ///
    /// # Errors
    ///
    /// [`SystemError`], also where the call reverted.
    pub async fn transact(&self, to: Address, wei: U256, data: Bytes) -> Result<B256, SystemError> {
        let failed = || SystemError::step(format!("send a transaction to {to}"));
        let not = |problem: &str| SystemError::Step {
            what: format!("send a transaction to {to}"),
            problem: problem.to_owned(),
        };
        let from = self.rich_account().await.map_err(failed())?;
        let transaction = json!([{ "from": from, "to": to, "value": wei, "data": data }]);
        let hash = self.call("eth_sendTransaction", transaction).await;
        let hash: B256 = hash
            .and_then(|hash| {
                serde_json::from_value(hash).map_err(|_| RpcError::Malformed("no hash"))
            })
            .map_err(failed())?;
        let mined = async {
            loop {
                if let Some(receipt) = self.node.receipt(hash).await.map_err(failed())? {
                    return if receipt.succeeded {
                        Ok(hash)
                    } else {
                        Err(not("it reverted"))
                    };
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(MINED_WITHIN, mined)
            .await
            .unwrap_or_else(|_| Err(not("it is in no block")))
    }

    /// Calls a contract without a transaction (`eth_call`).
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn view(&self, to: Address, data: Bytes) -> Result<Bytes, RpcError> {
        let result = self
            .call("eth_call", json!([{ "to": to, "data": data }, "latest"]))
            .await?;
        serde_json::from_value(result).map_err(|_| RpcError::Malformed("no bytes"))
    }

    /// Runs `cast`, which is not ours, against the node, and returns the JSON it prints.
    ///
    /// # Errors
    ///
    /// [`SystemError`], with what it said.
    pub async fn cast(&self, arguments: &[&str]) -> Result<Value, SystemError> {
        let what = || format!("run cast {}", arguments.join(" "));
        let output = tokio::process::Command::new(&self.cast)
            .args(arguments)
            .args(["--json", "--rpc-url", &self.url])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(SystemError::io(what()))?;
        if !output.status.success() {
            return Err(SystemError::Step {
                what: what(),
                problem: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        serde_json::from_slice(&output.stdout).map_err(SystemError::step(what()))
    }
}
