//! A wallet's configuration through every real process: changes that cost nothing, the chain of
//! signatures on a real node, the public store of trees, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use common::keys::{guard_key, owner_key, parts};
use common::storage::all_uses;
use common::{Cases, Person, device, refused, told};
use keyfold_client::client_api::WireCall;
use keyfold_client::config_api::{
    ConfigChange, MIN_RECOVERY_DELAY_SECONDS, PasskeyPublicKey, RecoveryLeaf, StoredTree,
};
use keyfold_client::{ConfigRefused, History, WaitLimit, Wallet};
use keyfold_testkit::system::{CHAIN_ID, ProjectOptions, System, new_key, open_policy};
use keyfold_wallet::abi;
use keyfold_wallet::payload::{eip191, pack};
use keyfold_wallet::signature::{Header, encode};
use keyfold_wallet::{Encoding, Payload};

const COIN: u128 = 1_000_000_000_000_000_000;
/// A signature that a wallet takes for its own (ERC-1271).
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

struct World {
    system: System,
    alice: Person,
    wallet: Wallet,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_changes_for_nothing_and_the_chain_follows() {
    let system = common::start(|options| {
        let mut policy = open_policy();
        policy.config_changes.clear();
        options
            .projects
            .push(ProjectOptions::new("closed.example", Some(policy)));
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let wallet = alice.wallet("main").await;
    let funded = system.chain().fund(wallet.address(), U256::from(COIN));
    funded.await.unwrap();
    let world = World {
        system,
        alice,
        wallet,
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_recovery_key_and_a_passkey_are_added_and_the_next_transaction_brings_the_chain,
            whoever_knows_a_root_reads_its_trees_without_an_account,
            a_stale_change_is_refused_and_uses_no_key,
            what_the_guard_does_not_name_changes_nothing,
            a_rotated_owner_sends_and_what_was_removed_is_gone,
            a_chain_that_is_told_refuses_who_was_removed,
        ]
    );
    cases.end(world.system).await;
}

fn recovery() -> RecoveryLeaf {
    RecoveryLeaf {
        signer: Address::repeat_byte(0x61),
        required_delta_seconds: MIN_RECOVERY_DELAY_SECONDS,
        min_timestamp: 4_000_000_000,
    }
}

fn passkey() -> PasskeyPublicKey {
    PasskeyPublicKey {
        x: B256::repeat_byte(0x71),
        y: B256::repeat_byte(0x72),
        require_user_verification: true,
        metadata: None,
    }
}

impl World {
    async fn history(&self) -> History {
        let World { alice, wallet, .. } = self;
        let told_history = alice.device.history(&alice.session, wallet).await;
        told_history.unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    async fn change(&self, wallet: &Wallet, change: ConfigChange) -> History {
        let (alice, before) = (&self.alice, self.history().await);
        let changed = alice
            .device
            .change_config(&alice.session, wallet, &before, change);
        changed
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// Sends a coin's worth to somebody, who must have it afterwards.
    async fn pays(&self, wallet: &Wallet, to: Address) {
        let call = WireCall {
            to,
            value: U256::from(7),
            data: Bytes::new(),
            gas_limit: U256::ZERO,
            ignore_error: false,
        };
        let (alice, limit) = (&self.alice, WaitLimit::default());
        let sent = alice
            .device
            .send(&alice.session, wallet, CHAIN_ID, vec![call], limit);
        sent.await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        let has = self.system.chain().balance(to).await.unwrap();
        assert_eq!(has, U256::from(7));
    }

    /// Signs a text, which the deployed wallet must take.
    async fn says(&self, wallet: &Wallet, text: &str) {
        let alice = &self.alice;
        let signed = alice
            .device
            .sign_message(&alice.session, wallet, CHAIN_ID, text.as_bytes());
        let signed = signed
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        let hash = keccak256(eip191(text.as_bytes()));
        let asked = abi::is_valid_signature(&hash, &signed.signature);
        let said = self.system.chain().view(wallet.address(), asked).await;
        assert_eq!(said.unwrap().get(..4), Some(&MAGIC[..]));
    }
}

async fn a_recovery_key_and_a_passkey_are_added_and_the_next_transaction_brings_the_chain(
    world: &World,
) {
    let wallet = &world.wallet;
    assert!(world.history().await.links().is_empty());
    let recovery = recovery();
    world
        .change(wallet, ConfigChange::AddRecovery { recovery })
        .await;
    let passkey = passkey();
    let changed = world
        .change(wallet, ConfigChange::AddPasskey { passkey })
        .await;
    assert_eq!(changed.links().len(), 2);
    assert_eq!(changed.latest().members.recovery, [recovery]);
    assert_eq!(changed.latest().members.passkeys, [passkey]);
    assert_eq!(changed, world.history().await);
    // Not deployed yet: the factory makes it by its first root, and the chain leads from there.
    world.pays(wallet, Address::repeat_byte(0x81)).await;
    world.pays(wallet, Address::repeat_byte(0x82)).await;
    world.says(wallet, "by the latest configuration").await;
    let World { system, alice, .. } = world;
    let trees = alice.device.verify_trees(&changed).await;
    // Three configurations, a recovery tree, a passkey.
    assert_eq!(trees.unwrap_or_else(|error| panic!("{}", told(&error))), 5);
    // The same after every enclave's memory is gone.
    system.process(common::Part::Enclave).kill().await;
    system.start_again(common::Part::Enclave).await.unwrap();
    assert_eq!(changed, world.history().await);
}

async fn whoever_knows_a_root_reads_its_trees_without_an_account(world: &World) {
    let World { system, alice, .. } = world;
    let stranger = device(system, &alice.project, &new_key());
    let history = world.history().await;
    let root = history.latest_root();
    let tree = stranger.tree(&root).await;
    let StoredTree::Config { config } = tree.unwrap_or_else(|error| panic!("{}", told(&error)))
    else {
        panic!("not a configuration");
    };
    assert_eq!(config.image_hash(), root);
    let passkey = passkey();
    assert_eq!(
        stranger.tree(&passkey.root()).await.unwrap(),
        StoredTree::Passkey { passkey }
    );
    let unknown = B256::repeat_byte(9);
    let said = refused(stranger.tree(&unknown).await, "config_unverified");
    assert!(
        said.contains(&ConfigRefused::NoTree(unknown).to_string()),
        "{said}"
    );
}

async fn a_stale_change_is_refused_and_uses_no_key(world: &World) {
    let World {
        system,
        alice,
        wallet,
    } = world;
    let old = world.history().await;
    let key = Address::repeat_byte(0x91);
    world.change(wallet, ConfigChange::AddKey { key }).await;
    let before = all_uses(system).await;
    let other = ConfigChange::AddKey {
        key: Address::repeat_byte(0x92),
    };
    let late = alice
        .device
        .change_config(&alice.session, wallet, &old, other);
    refused(late.await, "config_stale");
    assert_eq!(all_uses(system).await, before, "a share was released");
}

async fn what_the_guard_does_not_name_changes_nothing(world: &World) {
    let system = &world.system;
    let closed = system.projects().last().unwrap();
    let bob = Person::sign_in(system, closed, "bob@mail.example").await;
    let wallet = bob.wallet("main").await;
    let history = bob.device.history(&bob.session, &wallet).await.unwrap();
    let before = all_uses(system).await;
    let recovery = recovery();
    let denied = bob.device.change_config(
        &bob.session,
        &wallet,
        &history,
        ConfigChange::AddRecovery { recovery },
    );
    let said = refused(denied.await, "guard_denied");
    assert!(said.contains("add-recovery"), "{said}");
    assert_eq!(all_uses(system).await, before, "a share was released");
    let still = bob.device.history(&bob.session, &wallet).await.unwrap();
    assert_eq!(still, history);
}

async fn a_rotated_owner_sends_and_what_was_removed_is_gone(world: &World) {
    let World { alice, wallet, .. } = world;
    let root = passkey().root();
    world
        .change(wallet, ConfigChange::RemovePasskey { root })
        .await;
    let prepared = alice.device.prepare_owner(&alice.session, wallet).await;
    let owner = prepared.unwrap_or_else(|error| panic!("{}", told(&error)));
    let rotated = world
        .change(wallet, ConfigChange::RotateOwner { owner })
        .await;
    assert_eq!(rotated.latest().members.owner, owner);
    assert!(rotated.latest().members.passkeys.is_empty());
    refused(
        alice.sign(wallet, "by the old key").await,
        "intent_mismatch",
    );
    let wallets = alice.device.wallets(&alice.session).await.unwrap();
    let now = wallets.iter().find(|one| one.label() == "main").unwrap();
    assert_eq!(now.address(), wallet.address());
    world.pays(now, Address::repeat_byte(0x83)).await;
    world.says(now, "by the new key").await;
}

async fn a_chain_that_is_told_refuses_who_was_removed(world: &World) {
    let World { system, alice, .. } = world;
    let wallets = alice.device.wallets(&alice.session).await.unwrap();
    let wallet = wallets.iter().find(|one| one.label() == "main").unwrap();
    // The first configuration's: the owner's key was replaced since, and no chain knows.
    let history = world.history().await;
    let (first, _) = history.states().next().unwrap();
    let (old, guard) = (
        owner_key(system, alice, &world.wallet).await,
        guard_key(system, alice),
    );
    let nothing = Payload::calls(U160::from(77), 0, vec![]);
    let hash = nothing.op_hash(&wallet.address(), CHAIN_ID);
    let by_the_first = encode(
        &first.config().unwrap(),
        &parts(&[&old, &guard], &hash),
        &Header::default(),
    );
    let packed = pack(&nothing, Some(&wallet.address()), Encoding::Shortest).unwrap();
    let stolen = abi::execute(&packed, &by_the_first.unwrap());
    let taken = system.chain().view(wallet.address(), stolen.clone()).await;
    assert!(taken.is_ok(), "the attack itself is wrong: {taken:?}");

    let publish = async || {
        let limit = WaitLimit::default();
        let told = alice
            .device
            .publish_config(&alice.session, wallet, &history, CHAIN_ID, limit);
        told.await
            .unwrap_or_else(|error| panic!("{}", self::told(&error)))
    };
    assert!(publish().await.is_some());
    assert!(publish().await.is_none(), "it was told twice");
    let refused = system.chain().view(wallet.address(), stolen).await;
    assert!(refused.is_err(), "{refused:?}");
    let state = alice
        .device
        .wallet_on_chain(CHAIN_ID, &wallet.address())
        .await
        .unwrap();
    assert_eq!(state.image_hash, Some(history.latest_root()));
    // Whoever is in it goes on, also after the next change, of which no chain knows.
    world.pays(wallet, Address::repeat_byte(0x84)).await;
    world
        .says(&wallet.as_known(&state), "from the root that was told")
        .await;
    let key = Address::repeat_byte(0x93);
    world.change(wallet, ConfigChange::AddKey { key }).await;
    world.pays(wallet, Address::repeat_byte(0x85)).await;
    world
        .says(&wallet.as_known(&state), "and from there on")
        .await;
}
