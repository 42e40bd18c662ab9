//! Requests that are not what they should be.

use alloy_primitives::{Address, B256, Bytes};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::relayer_api::{MAX_BODY, Relay, Relayed};
use keyfold_relayer_service::{RelayerError, deploy_contracts, init};
use serde_json::json;

use crate::anvil::CHAIN;
use crate::wallet::TestWallet;
use crate::world::{World, answer, config, id, refused, until};

fn request() -> Relay {
    TestWallet::new(1).transfer(0, Address::repeat_byte(0x77), 5)
}

/// A relayer whose node is never there: whatever is refused here, is refused before it is asked.
async fn relayer() -> (crate::world::Running, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    let identity = init(&config).unwrap();
    (crate::world::Running::start(&config, identity).await, dir)
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_next_good_one_works() {
    let (relayer, _dir) = relayer().await;
    let key = id(1).to_string();
    let good = serde_json::to_string(&request()).unwrap();
    let unknown_field = good.replacen('{', "{\"extra\":1,", 1);
    let negative = good.replacen("31337", "-1", 1);
    let short = good.replacen("\"wallet\":\"0x", "\"wallet\":\"0x00", 1);
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        &unknown_field,
        &negative,
        &short,
        &deep,
    ] {
        let response = relayer
            .post(Some(&key), Bytes::copy_from_slice(body.as_bytes()).into())
            .await;
        let problem = refused(answer::<Relayed>(&response), Code::MalformedRequest);
        assert!(problem.detail.len() < 300, "{problem}");
    }
    for key in [
        None,
        Some(""),
        Some("x"),
        Some("0123456789ABCDEF0123456789abcdef"),
        Some("00"),
    ] {
        let response = relayer.post(key, good.clone().into()).await;
        refused(answer::<Relayed>(&response), Code::MalformedRequest);
    }
    // Reaches the node, which is not there.
    refused(
        relayer.relay(id(1), &request()).await,
        Code::ChainUnavailable,
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let (relayer, _dir) = relayer().await;
    for size in [MAX_BODY + 1, 10 * 1024 * 1024] {
        let response = relayer
            .post(Some(&id(1).to_string()), vec![b' '; size].into())
            .await;
        refused(answer::<Relayed>(&response), Code::BodyTooLarge);
    }
    refused(
        relayer.relay(id(1), &request()).await,
        Code::ChainUnavailable,
    );
}

#[tokio::test]
async fn a_chain_that_is_not_served_is_unknown() {
    let (relayer, _dir) = relayer().await;
    for chain_id in [0, 1, u64::MAX] {
        let other = Relay {
            chain_id,
            ..request()
        };
        refused(relayer.relay(id(1), &other).await, Code::ChainUnknown);
        refused(
            relayer.wallet(chain_id, other.wallet).await,
            Code::ChainUnknown,
        );
    }
}

#[tokio::test]
async fn a_wallet_must_belong_to_its_image_hash() {
    let (relayer, _dir) = relayer().await;
    let other_wallet = Relay {
        wallet: Address::repeat_byte(1),
        ..request()
    };
    refused(
        relayer.relay(id(1), &other_wallet).await,
        Code::MalformedRequest,
    );
    let other_image = Relay {
        image_hash: B256::repeat_byte(1),
        ..request()
    };
    refused(
        relayer.relay(id(1), &other_image).await,
        Code::MalformedRequest,
    );
}

#[tokio::test]
async fn a_payload_that_is_no_packed_calls_is_refused() {
    let (relayer, _dir) = relayer().await;
    let good = request().payload.to_vec();
    let cut = good.get(..good.len() - 1).unwrap().to_vec();
    let longer = [good, vec![0]].concat();
    for payload in [vec![], vec![0xff; 40], cut, longer] {
        let bad = Relay {
            payload: payload.into(),
            ..request()
        };
        refused(relayer.relay(id(1), &bad).await, Code::PayloadInvalid);
    }
}

#[tokio::test]
async fn paths_that_name_nothing_are_problems() {
    let (relayer, _dir) = relayer().await;
    refused(relayer.status(id(9)).await, Code::TransactionUnknown);
    for (path, code) in [
        ("/v1/transactions/abc", Code::MalformedRequest),
        ("/v1/chains/x/wallets/0x00", Code::MalformedRequest),
        ("/v1/chains/31337/wallets/0x00", Code::MalformedRequest),
        (
            "/v1/chains/-1/wallets/0x0000000000000000000000000000000000000001",
            Code::MalformedRequest,
        ),
        ("/v1/transactions", Code::MethodNotAllowed),
        ("/v2/transactions", Code::NotFound),
    ] {
        refused(answer::<Relayed>(&relayer.get(path).await), code);
    }
    assert_eq!(relayer.get("/healthz").await.status(), 204);
    assert_eq!(relayer.get("/readyz").await.status(), 204);
}

#[tokio::test]
async fn one_client_cannot_ask_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    config.limits.requests_per_minute = std::num::NonZeroU32::MIN;
    let identity = init(&config).unwrap();
    let relayer = crate::world::Running::start(&config, identity).await;
    refused(
        relayer.relay(id(1), &request()).await,
        Code::ChainUnavailable,
    );
    refused(relayer.relay(id(1), &request()).await, Code::RateLimited);
    // Asking what became of something has a limit of its own.
    refused(relayer.status(id(1)).await, Code::TransactionUnknown);
}

#[tokio::test]
async fn questions_have_a_limit_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    config.limits.questions_per_minute = std::num::NonZeroU32::MIN;
    let identity = init(&config).unwrap();
    let relayer = crate::world::Running::start(&config, identity).await;
    let wallet = request().wallet;
    refused(relayer.wallet(CHAIN, wallet).await, Code::ChainUnavailable);
    refused(relayer.wallet(CHAIN, wallet).await, Code::RateLimited);
    refused(relayer.status(id(1)).await, Code::RateLimited);
    assert_eq!(relayer.get("/healthz").await.status(), 204);
}

#[tokio::test]
async fn one_client_of_a_gateway_does_not_use_up_what_another_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    config.limits.trusted_proxies = vec!["127.0.0.1".to_owned()];
    let identity = init(&config).unwrap();
    let relayer = crate::world::Running::start(&config, identity).await;
    let ask = async |client| answer::<Relayed>(&relayer.post_for(client).await).unwrap_err();
    let mut limited = false;
    for _ in 0..1_000 {
        limited = ask("198.51.100.7").await.code == Code::RateLimited.as_str();
        if limited {
            break;
        }
    }
    assert!(limited, "no limit");
    let other = ask("198.51.100.8").await;
    assert_eq!(other.code, Code::MalformedRequest.as_str());
}

#[tokio::test]
async fn init_keeps_what_exists() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    assert_eq!(init(&config).unwrap(), init(&config).unwrap());
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = config(dir.path(), "127.0.0.1:1".parse().unwrap());
    init(&good).unwrap();
    let mut twice = good.clone();
    twice.chains.extend(good.chains.clone());
    let mut zero = good.clone();
    let mut unconfirmed = good.clone();
    let mut no_roots = good.clone();
    zero.chains[0].chain_id = 0;
    unconfirmed.chains[0].confirmations = 0;
    no_roots.chains[0].rpc_url = "https://node.example".parse().unwrap();
    let (mut nothing, mut old) = (good.clone(), good.clone());
    nothing.contracts.clear();
    old.contracts.push(keyfold_wallet::ContextName::SequenceRc4);
    for bad in [twice, zero, unconfirmed, no_roots, nothing, old] {
        let refused = deploy_contracts(&bad, CHAIN, None).await;
        assert!(
            matches!(refused, Err(RelayerError::Config(_))),
            "{refused:?}"
        );
    }
    let nobody = deploy_contracts(&good, CHAIN, Some(Address::ZERO)).await;
    assert!(matches!(nobody, Err(RelayerError::Config(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_deployment_that_came_to_nothing_is_tried_again() {
    let world = World::empty().await;
    world.fund(world.identity.address, crate::world::COIN).await;
    let deployer = keyfold_chain::Deployments::embedded().unwrap().calls()[0].to;
    let code = world
        .node
        .ask("eth_getCode", json!([deployer, "latest"]))
        .await;
    world.automine(false).await;
    let config = world.config.clone();
    let first = tokio::spawn(async move { deploy_contracts(&config, CHAIN, None).await });
    until(async || {
        let params = json!([world.identity.address, "pending"]);
        let count = world.node.ask("eth_getTransactionCount", params).await;
        (count == "0x1").then_some(())
    })
    .await;
    // The block runs other code than the one it was tried on.
    let reverts = json!([deployer, "0x60006000fd"]);
    world.node.ask("anvil_setCode", reverts).await;
    world.mine().await;
    until(async || (world.sent_on_chain().await == 1).then_some(())).await;
    first.abort();
    world
        .node
        .ask("anvil_setCode", json!([deployer, code]))
        .await;
    world.automine(true).await;
    let deployed = deploy_contracts(&world.config, CHAIN, None).await.unwrap();
    assert!(deployed.iter().all(|contract| contract.new));
}

#[tokio::test]
async fn an_address_with_foreign_code_is_no_wallet() {
    let world = World::empty().await;
    // The deterministic deployer has code and no nonces.
    let deployer = keyfold_chain::Deployments::embedded().unwrap().calls()[0].to;
    refused(
        world.relayer.wallet(CHAIN, deployer).await,
        Code::WalletUnknown,
    );
}
