//! One wallet on two chains: configured once, for both. The checkpointer refuses what is out of date
//! on each; with every server gone, or lying, a recovery signer silences it and moves the wallet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use common::keys::{checkpointer_key, guard_key, owner_key, parts, sign};
use common::{Cases, Part, Person, told};
use keyfold_client::client_api::WireCall;
use keyfold_client::config_api::{ConfigChange, MIN_RECOVERY_DELAY_SECONDS, RecoveryLeaf};
use keyfold_client::{History, WaitLimit, Wallet};
use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_testkit::system::{CHAIN_ID, Chain, RpcError, System};
use keyfold_wallet::checkpointer::{DISTRUST_DELAY_SECONDS, RootStatement, distrust_hash};
use keyfold_wallet::context::Extensions;
use keyfold_wallet::payload::pack;
use keyfold_wallet::signature::{Header, Parts, concat, encode_minimal};
use keyfold_wallet::{Call, ContextName, Encoding, Payload, PayloadBody, SignaturePart, abi};
use serde_json::json;

const OTHER_CHAIN: u64 = 31_338;
const COIN: u128 = 1_000_000_000_000_000_000;
const SENT: u64 = 7;
/// What the contracts say: the checkpointer knows of a later configuration; there is no word; it has
/// run out; nothing that was queued is ready; no signer's, and not the recovery signer's signature.
const UNUSED_SNAPSHOT: [u8; 4] = [0xcc, 0xbb, 0x53, 0x4f];
const TRUNCATED: [u8; 4] = [0xcd, 0xda, 0x5c, 0x84];
const OUT_OF_TIME: [u8; 4] = [0x7f, 0xbf, 0x4c, 0x37];
const QUEUE_NOT_READY: [u8; 4] = [0x90, 0x46, 0x89, 0xfc];
const NOT_A_SIGNER: [u8; 4] = [0xa0, 0x29, 0x60, 0x92];
const NOT_SIGNED: [u8; 4] = [0xd1, 0xf0, 0xa3, 0x8f];

struct World {
    system: System,
    alice: Person,
    wallet: Wallet,
    /// The recovery signer's, which no server ever saw.
    rescue: SigningKey,
    /// A further key of the owner's, on a device.
    device: SigningKey,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_is_one_on_two_chains_and_no_key_machine_freezes_it() {
    let system = common::start(|options| {
        options.chains.push(OTHER_CHAIN);
        let project = &mut options.projects[0];
        project.checkpointer = true;
        project.policy.as_mut().unwrap().chains[0].ids = vec![CHAIN_ID, OTHER_CHAIN];
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let wallet = alice.wallet("main").await;
    for chain in system.chains() {
        let funded = chain.fund(wallet.address(), U256::from(COIN));
        funded.await.unwrap();
    }
    let world = World {
        system,
        alice,
        wallet,
        rescue: SigningKey::from_secret(&Secret::from_array([0x5e; 32])).unwrap(),
        device: SigningKey::from_secret(&Secret::from_array([0xde; 32])).unwrap(),
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_wallet_has_one_address_on_both_chains,
            a_configuration_that_was_replaced_is_refused_where_nobody_brought_the_next,
            without_any_server_a_recovery_signer_silences_a_lying_key_machine_and_moves_the_wallet,
        ]
    );
    cases.end(world.system).await;
}

impl World {
    fn chain(&self, id: u64) -> &Chain {
        let chains = self.system.chains();
        chains.iter().find(|chain| chain.id() == id).unwrap()
    }

    async fn history(&self) -> History {
        let World { alice, wallet, .. } = self;
        let history = alice.device.history(&alice.session, wallet).await;
        history.unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// Sends coins the usual way, through every server.
    async fn pays(&self, chain_id: u64, to: Address) {
        let World { alice, wallet, .. } = self;
        let call = WireCall {
            to,
            value: U256::from(SENT),
            data: Bytes::new(),
            gas_limit: U256::ZERO,
            ignore_error: false,
        };
        let limit = WaitLimit::default();
        let sent = alice
            .device
            .send(&alice.session, wallet, chain_id, vec![call], limit);
        sent.await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        let has = self.chain(chain_id).balance(to).await.unwrap();
        assert_eq!(has, U256::from(SENT));
    }

    fn transfer(&self, space: u64, to: Address) -> Payload {
        let call = Call::new(to, U256::from(SENT), Bytes::new());
        Payload::calls(U160::from(space), 0, vec![call])
    }

    fn execute(&self, payload: &Payload, signature: &[u8]) -> Bytes {
        let wallet = self.wallet.address();
        let packed = pack(payload, Some(&wallet), Encoding::Shortest).unwrap();
        abi::execute(&packed, signature)
    }
}

async fn a_wallet_has_one_address_on_both_chains(world: &World) {
    let at = world.wallet.address();
    for chain in world.system.chains() {
        assert!(code(chain, at).await.is_empty());
        world.pays(chain.id(), Address::repeat_byte(0x81)).await;
        assert!(!code(chain, at).await.is_empty());
    }
}

async fn a_configuration_that_was_replaced_is_refused_where_nobody_brought_the_next(world: &World) {
    let World {
        system,
        alice,
        wallet,
        rescue,
        device,
    } = world;
    // Whoever once had the keys of the first configuration, and the key machine's word of then.
    let keys = [
        owner_key(system, alice, wallet).await,
        guard_key(system, alice),
    ];
    let word = async || {
        let attested = alice.device.attested_root(&alice.session, wallet).await;
        let attested = attested.unwrap_or_else(|error| panic!("{}", told(&error)));
        attested.proof
    };
    let first = world.history().await.latest().config().unwrap();
    let old_word = word().await;
    let theft = world.transfer(1, Address::repeat_byte(0x99));
    let by_the_first = |chain: &Chain, word: &[u8]| {
        let hash = theft.op_hash(&wallet.address(), chain.id());
        let header = Header {
            checkpointer_data: Some(Bytes::copy_from_slice(word)),
            ..Header::default()
        };
        let signature = encode_minimal(&first, &parts(&keys.each_ref(), &hash), &header);
        world.execute(&theft, &signature.unwrap())
    };
    for chain in system.chains() {
        let run = by_the_first(chain, &old_word);
        assert!(chain.view(wallet.address(), run).await.is_ok());
    }

    let recovery = RecoveryLeaf {
        signer: rescue.address().into(),
        required_delta_seconds: MIN_RECOVERY_DELAY_SECONDS,
        min_timestamp: now(world.chain(OTHER_CHAIN)).await,
    };
    let key = device.address().into();
    let before_the_changes = world.history().await;
    for change in [
        ConfigChange::AddRecovery { recovery },
        ConfigChange::AddKey { key },
    ] {
        let history = world.history().await;
        let changed = alice
            .device
            .change_config(&alice.session, wallet, &history, change);
        let changed = changed
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_ne!(changed.latest_root(), wallet.image_hash());
    }

    let new_word = word().await;
    let latest = world.history().await;
    let device_of = &alice.device;
    let verified = device_of.verify_latest(&alice.session, wallet, &latest);
    assert_eq!(verified.await.unwrap().image_hash, latest.latest_root());
    let cut = device_of.verify_latest(&alice.session, wallet, &before_the_changes);
    common::refused(cut.await, "config_unverified");
    for chain in system.chains() {
        // No chain heard of the change; the key machine did.
        let by = |word: &[u8]| by_the_first(chain, word);
        refuses(chain, wallet.address(), by(&new_word), UNUSED_SNAPSHOT).await;
        refuses(chain, wallet.address(), by(&[]), TRUNCATED).await;
    }
    // What the old word is still worth, it is worth for an hour.
    let other = world.chain(OTHER_CHAIN);
    let before = other.call("evm_snapshot", json!([])).await.unwrap();
    pass(other, 3_601).await;
    let late = by_the_first(other, &old_word);
    refuses(other, wallet.address(), late, OUT_OF_TIME).await;
    other.call("evm_revert", json!([before])).await.unwrap();
    // The latest configuration, on the chain that never heard of it.
    world.pays(OTHER_CHAIN, Address::repeat_byte(0x82)).await;
}

async fn without_any_server_a_recovery_signer_silences_a_lying_key_machine_and_moves_the_wallet(
    world: &World,
) {
    let World {
        system,
        alice,
        wallet,
        rescue,
        device,
    } = world;
    let (at, signer) = (wallet.address(), Address::from(rescue.address()));
    // What a careful person keeps: the history, and the recovery key.
    let history = world.history().await;
    let latest = history.latest();
    let (config, checkpointer) = (latest.config().unwrap(), latest.checkpointer.unwrap());
    let Extensions { recovery, .. } = ContextName::Keyfold.extensions().unwrap();
    let (owner, guard) = (
        owner_key(system, alice, wallet).await,
        guard_key(system, alice),
    );
    let machine = checkpointer_key(system).await;
    for part in [Part::Gateway, Part::Relayer, Part::Enclave, Part::Guard] {
        system.process(part).kill().await;
    }
    for holder in 0..3 {
        system.process(Part::Holder(holder)).kill().await;
    }

    let chain = world.chain(OTHER_CHAIN);
    // Its word, about a configuration that nobody has and none can come after.
    let lie = async |chain: &Chain| {
        let now = now(chain).await;
        let statement = RootStatement {
            wallet: at,
            image_hash: B256::repeat_byte(0xbd),
            checkpoint: (1 << 56) - 1,
            issued: now,
            expires: now + 3_600,
        };
        let signature = sign(&machine, &statement.hash(&checkpointer));
        statement.to_proof(&signature).unwrap()
    };
    let signed_by = |parts: &Parts, word: &[u8]| {
        let newest = encode_minimal(&config, parts, &Header::default()).unwrap();
        let older = history.links().iter().rev();
        let links: Vec<&[u8]> = core::iter::once(&newest[..])
            .chain(older.map(|link| &link.signature[..]))
            .collect();
        with_word(&concat(&links).unwrap(), word)
    };
    // The recovery contract answers for the leaf, once it is shown.
    let tree = latest.members.recovery_tree().unwrap().unwrap();
    let shown = tree.trimmed(&signer).unwrap();
    let shown = shown.encode(Encoding::Shortest).unwrap();
    let shown = Parts::from([(recovery, SignaturePart::SapientCompact(shown.into()))]);

    // Frozen: owner and guard together can do nothing against the key machine.
    let rescued = Address::repeat_byte(0x5a);
    let moved = world.transfer(2, rescued);
    let hash = moved.op_hash(&at, chain.id());
    let both = parts(&[&owner, &guard], &hash);
    let by_both = |word: &[u8]| world.execute(&moved, &signed_by(&both, word));
    let by_rescue = |word: &[u8]| world.execute(&moved, &signed_by(&shown, word));
    refuses(chain, at, by_both(&lie(chain).await), UNUSED_SNAPSHOT).await;
    refuses(chain, at, by_both(&[]), TRUNCATED).await;

    // Any signer can begin, on this chain, with a transaction of anybody's: also one whom it never
    // heard of, and who weighs too little to move anything.
    let distrusted = distrust_hash(&checkpointer, chain.id(), &at, U256::ZERO);
    let digest = Payload::from(PayloadBody::Digest(distrusted)).op_hash(&at, chain.id());
    let by_key = |key: &SigningKey| {
        let signature = signed_by(&parts(&[key], &digest), &[]);
        abi::distrust(&at, &signature)
    };
    assert!(chain.view(checkpointer, by_key(device)).await.is_ok());
    let nobody = parts(&[], &digest);
    let by_nobody = abi::distrust(&at, &signed_by(&nobody, &[]));
    refuses(chain, checkpointer, by_nobody, NOT_A_SIGNER).await;
    // Here it is the recovery signer.
    let proof = signed_by(&shown, &[]);
    let distrust = |key: &SigningKey| {
        let signature = sign(key, &distrusted).to_compact();
        abi::distrust_by_recovery(&at, &recovery, &signer, &proof, &signature)
    };
    refuses(chain, checkpointer, distrust(&owner), NOT_SIGNED).await;
    transact(chain, checkpointer, distrust(rescue)).await;
    let asked = moved.recovery_hash(&at, chain.id());
    let asked = sign(rescue, &asked).to_compact();
    let queue = abi::queue_payload(&at, &signer, &moved, &asked);
    transact(chain, recovery, queue).await;

    // Neither before its delay.
    refuses(chain, at, by_rescue(&lie(chain).await), QUEUE_NOT_READY).await;
    let first_delay = u64::from(MIN_RECOVERY_DELAY_SECONDS);
    pass(chain, first_delay + 1).await;
    refuses(chain, at, by_rescue(&lie(chain).await), UNUSED_SNAPSHOT).await;
    refuses(chain, at, by_rescue(&[]), TRUNCATED).await;
    pass(chain, DISTRUST_DELAY_SECONDS - first_delay).await;
    // Whatever it says now.
    assert!(chain.view(at, by_both(&[])).await.is_ok());
    assert!(chain.view(at, by_rescue(&[])).await.is_ok());
    transact(chain, at, by_rescue(&lie(chain).await)).await;
    assert_eq!(chain.balance(rescued).await.unwrap(), U256::from(SENT));

    // Each chain for itself: nobody asked on the first.
    let first = world.chain(CHAIN_ID);
    let hash = moved.op_hash(&at, first.id());
    let both = parts(&[&owner, &guard], &hash);
    let run = world.execute(&moved, &signed_by(&both, &lie(first).await));
    refuses(first, at, run, UNUSED_SNAPSHOT).await;
}

/// Puts a word for the checkpointer into a signature that has none.
fn with_word(signature: &[u8], word: &[u8]) -> Bytes {
    let (head, rest) = signature.split_at(21);
    assert_eq!(head[0] & 0x40, 0x40, "there is no checkpointer");
    let (length, rest) = rest.split_at(3);
    assert_eq!(length, [0; 3], "there is a word");
    let length = u32::try_from(word.len()).unwrap().to_be_bytes();
    [head, &length[1..], word, rest].concat().into()
}

/// Fails unless a call is refused, with the error that is meant.
async fn refuses(chain: &Chain, to: Address, data: Bytes, error: [u8; 4]) {
    match chain.view(to, data).await {
        Err(RpcError::Refused {
            data: Some(data), ..
        }) => assert_eq!(data.get(..4), Some(&error[..]), "{data}"),
        other => panic!("{other:?}"),
    }
}

async fn transact(chain: &Chain, to: Address, data: Bytes) {
    let sent = chain.transact(to, U256::ZERO, data).await;
    sent.unwrap_or_else(|error| panic!("{error}"));
}

async fn code(chain: &Chain, at: Address) -> Bytes {
    let code = chain.call("eth_getCode", json!([at, "latest"])).await;
    serde_json::from_value(code.unwrap()).unwrap()
}

/// The time of the newest block.
async fn now(chain: &Chain) -> u64 {
    let block = json!(["latest", false]);
    let block = chain.call("eth_getBlockByNumber", block).await.unwrap();
    let time: U256 = serde_json::from_value(block["timestamp"].clone()).unwrap();
    time.to()
}

/// Lets time pass on a chain.
async fn pass(chain: &Chain, seconds: u64) {
    for (method, value) in [
        ("evm_increaseTime", json!([seconds])),
        ("evm_mine", json!([])),
    ] {
        chain.call(method, value).await.unwrap();
    }
}
