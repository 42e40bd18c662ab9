//! Node, proxy, relayer, and a client that speaks to it as any other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{ClientLimits, HttpClient, Problem, Shutdown, ShutdownTrigger};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{
    IDEMPOTENCY_HEADER, Relay, RelayState, Relayed, WalletOnChain,
};
use keyfold_relayer_service::{
    ChainConfig, Identity, RelayerConfig, RelayerError, deploy_contracts, init, run,
};
use keyfold_wallet::ContextName;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::anvil::{Anvil, CHAIN};
use crate::proxy::Proxy;
use crate::wallet::TestWallet;

pub(crate) const COIN: u64 = 1_000_000_000_000_000_000;

pub(crate) struct World {
    pub(crate) node: Proxy,
    pub(crate) config: RelayerConfig,
    pub(crate) identity: Identity,
    pub(crate) relayer: Running,
    _anvil: Anvil,
    _dir: TempDir,
}

pub(crate) struct Running {
    client: HttpClient,
    address: SocketAddr,
    trigger: ShutdownTrigger,
    task: JoinHandle<Result<(), RelayerError>>,
}

pub(crate) fn config(dir: &Path, node: SocketAddr) -> RelayerConfig {
    RelayerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        names: vec!["localhost".to_owned()],
        data: dir.join("relayer"),
        chains: vec![ChainConfig::new(
            CHAIN,
            format!("http://{node}").parse().unwrap(),
        )],
        contracts: ContextName::CHOICES.to_vec(),
        limits: Default::default(),
    }
}

impl World {
    /// A node with contracts, and a relayer with money.
    pub(crate) async fn start() -> Self {
        let mut world = Self::empty().await;
        world.fund(world.identity.address, 18 * COIN).await;
        let deployed = deploy_contracts(&world.config, CHAIN, None).await.unwrap();
        assert!(deployed.iter().all(|contract| contract.new));
        world.restart().await;
        world
    }

    /// A node without contracts, and a relayer without money.
    pub(crate) async fn empty() -> Self {
        let anvil = Anvil::start();
        let dir = tempfile::tempdir().unwrap();
        let (node, _) = Proxy::start(anvil.port).await;
        let config = config(dir.path(), node.address);
        let identity = init(&config).unwrap();
        let relayer = Running::start(&config, identity).await;
        Self {
            node,
            config,
            identity,
            relayer,
            _anvil: anvil,
            _dir: dir,
        }
    }

    pub(crate) async fn restart(&mut self) {
        let next = Running::start(&self.config, self.identity).await;
        std::mem::replace(&mut self.relayer, next).stop().await;
    }

    /// Stops the relayer, does something, starts it again.
    pub(crate) async fn restart_after(&mut self, meanwhile: impl AsyncFnOnce(&Proxy)) {
        self.relayer.trigger.trigger();
        (&mut self.relayer.task).await.unwrap().unwrap();
        meanwhile(&self.node).await;
        self.relayer = Running::start(&self.config, self.identity).await;
    }

    /// A funded wallet that is not deployed.
    pub(crate) async fn wallet(&self, seed: u8) -> TestWallet {
        let wallet = TestWallet::new(seed);
        self.fund(wallet.address, 10 * COIN).await;
        wallet
    }

    /// The same where no block is made meanwhile.
    pub(crate) async fn wallet_unmined(&self, seed: u8) -> TestWallet {
        let wallet = TestWallet::new(seed);
        let balance = json!([wallet.address, format!("{COIN:#x}")]);
        self.node.ask("anvil_setBalance", balance).await;
        wallet
    }

    pub(crate) async fn fund(&self, address: Address, wei: u64) {
        let accounts = self.node.ask("eth_accounts", json!([])).await;
        let value = format!("{wei:#x}");
        let transfer = json!([{"from": accounts[0], "to": address, "value": value}]);
        let hash = self.node.ask("eth_sendTransaction", transfer).await;
        // The node answers before its miner has run.
        for _ in 0..500 {
            let receipt = self
                .node
                .ask("eth_getTransactionReceipt", json!([hash]))
                .await;
            if !receipt.is_null() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the funding transaction was not mined");
    }

    pub(crate) async fn balance(&self, address: Address) -> U256 {
        let answer = self
            .node
            .ask("eth_getBalance", json!([address, "latest"]))
            .await;
        serde_json::from_value(answer).unwrap()
    }

    /// How many of the relayer's transactions are on the chain.
    pub(crate) async fn sent_on_chain(&self) -> u64 {
        let params = json!([self.identity.address, "latest"]);
        let answer = self.node.ask("eth_getTransactionCount", params).await;
        serde_json::from_value::<U256>(answer).unwrap().to()
    }

    pub(crate) async fn automine(&self, on: bool) {
        self.node.ask("evm_setAutomine", json!([on])).await;
    }

    pub(crate) async fn mine(&self) {
        self.node.ask("evm_mine", json!([])).await;
    }
}

impl Running {
    pub(crate) async fn start(config: &RelayerConfig, identity: Identity) -> Self {
        let (trigger, shutdown) = Shutdown::manual();
        let (ready, address) = tokio::sync::oneshot::channel();
        let config = config.clone();
        let task = tokio::spawn(run(config, move |at| ready.send(at).unwrap(), shutdown));
        let address = address.await.expect("the relayer did not start");
        let tls = client_config_pinned(identity.pin).unwrap();
        let client = HttpClient::new(
            TlsConnector::new(TcpConnector, tls),
            ClientLimits::default(),
        );
        Self {
            client,
            address,
            trigger,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.trigger.trigger();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Response<Bytes> {
        let request = Request::get(format!("https://{}{path}", self.address));
        self.client
            .send(request.body(Bytes::new()).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, key: Option<&str>, body: Bytes) -> Response<Bytes> {
        let mut request = Request::post(format!("https://{}/v1/transactions", self.address));
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_HEADER, key);
        }
        self.client.send(request.body(body).unwrap()).await.unwrap()
    }

    /// Sends a request that is no good, in somebody's name.
    pub(crate) async fn post_for(&self, client: &str) -> Response<Bytes> {
        let request = Request::post(format!("https://{}/v1/transactions", self.address))
            .header("x-forwarded-for", client);
        self.client
            .send(request.body(Bytes::new()).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn relay(&self, id: RequestId, relay: &Relay) -> Result<Relayed, Problem> {
        let body = serde_json::to_vec(relay).unwrap();
        answer(&self.post(Some(&id.to_string()), body.into()).await)
    }

    pub(crate) async fn status(&self, id: RequestId) -> Result<Relayed, Problem> {
        answer(&self.get(&format!("/v1/transactions/{id}")).await)
    }

    pub(crate) async fn wallet(
        &self,
        chain: u64,
        wallet: Address,
    ) -> Result<WalletOnChain, Problem> {
        answer(
            &self
                .get(&format!("/v1/chains/{chain}/wallets/{wallet}"))
                .await,
        )
    }

    /// Waits until a request is in the given state.
    pub(crate) async fn wait_for(&self, id: RequestId, state: RelayState) -> Relayed {
        until(async || {
            let relayed = self.status(id).await.ok()?;
            (relayed.state == state).then_some(relayed)
        })
        .await
    }

    pub(crate) async fn relay_and_wait(&self, id: RequestId, relay: &Relay) -> Relayed {
        self.relay(id, relay).await.unwrap();
        self.wait_for(id, RelayState::Mined).await
    }
}

pub(crate) fn answer<T: serde::de::DeserializeOwned>(
    response: &Response<Bytes>,
) -> Result<T, Problem> {
    if response.status() == StatusCode::OK {
        return Ok(serde_json::from_slice(response.body()).unwrap());
    }
    Err(Problem::from_response(response).expect("an error that is no problem document"))
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Problem>, code: Code) -> Problem {
    let problem = answer.expect_err("was not refused");
    assert_eq!(problem.code, code.as_str(), "{problem}");
    assert_eq!(problem.status, code.status());
    problem
}

pub(crate) fn id(number: u8) -> RequestId {
    RequestId::from_bytes([number; 16])
}

/// Asks again and again until there is an answer; gives up after half a minute.
pub(crate) async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not happen");
}
