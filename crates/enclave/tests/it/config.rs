//! The key machine: changes of a wallet's configuration, and signatures that lead to them.

use alloy_primitives::{Address, B256, U256};
use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::{RecoverableSignature, SigningKey, recover as recover_key};
use keyfold_protocol::client_api::{SignRequest, Signed, WalletInfo, Wallets, path};
use keyfold_protocol::config::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path as holder_path;
use keyfold_protocol::ids::{AddressId, Digest32, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_wallet::checkpointer::RootStatement;
use keyfold_wallet::config::Members;
use keyfold_wallet::payload::ANY_CHAIN;
use keyfold_wallet::signature::{
    Decoded, EncodeError, Header, Parts, RecoverError, Recovered, Request, decode, encode,
    encode_chain, recover,
};
use keyfold_wallet::{EcdsaSignature, Payload, PayloadBody, Recover, SignaturePart};

use crate::app::{
    ANNA, APP, App, BORIS, assert_refused, assert_wallet_accepts, checkpointer_of, message, payment,
};
use crate::device::{Device, Reply};
use crate::world::settle;

/// What is asked about one wallet's configuration with nothing but its address.
const OF_A_WALLET: [(&str, Operation); 3] = [
    (path::CONFIG_SHOW, Operation::ShowConfig),
    (path::CONFIG_ATTEST, Operation::AttestConfig),
    (path::OWNER_PREPARE, Operation::PrepareOwner),
];

impl Device {
    async fn history(&self, wallet: &WalletInfo) -> WalletConfig {
        let of = OfWallet {
            wallet: wallet.address,
        };
        self.in_session(path::CONFIG_SHOW, Operation::ShowConfig, &of)
            .await
            .ok()
    }

    fn update_order(&self, wallet: &WalletInfo, update: &UpdateConfig) -> InnerRequest {
        self.sign(
            path::CONFIG_UPDATE,
            &self.update_intent(wallet, update),
            update,
        )
    }

    fn update_intent(&self, wallet: &WalletInfo, update: &UpdateConfig) -> Intent {
        Intent::UpdateConfig {
            id: RequestId::from_bytes(self.fresh().to_be_bytes()),
            key_use: KeyUse {
                wallet: AddressId::from_bytes(update.wallet.into()),
                key: wallet.key,
                digest: update.digest(),
            },
            previous: Digest32::from_bytes(update.previous.0),
            next: Digest32::from_bytes(update.next.0),
        }
    }

    async fn update(&self, wallet: &WalletInfo, update: &UpdateConfig) -> Reply {
        self.send(&self.update_order(wallet, update)).await
    }

    /// Changes the latest configuration.
    pub(crate) async fn change(&self, wallet: &WalletInfo, change: ConfigChange) -> Reply {
        let latest = latest(&self.history(wallet).await);
        let update = UpdateConfig::new(wallet.address, &latest, change).unwrap();
        self.update(wallet, &update).await
    }
}

/// Replays what was told, and judges each link as the wallet's contract would.
pub(crate) fn states(told: &WalletConfig) -> Vec<ConfigState> {
    let mut states = vec![told.first.clone()];
    for link in &told.updates {
        let before = states.last().unwrap();
        let next = before.after(&link.change).unwrap();
        assert_eq!(next.config().unwrap().image_hash(), link.image_hash);
        let payload = Payload::from(PayloadBody::ConfigUpdate(link.image_hash));
        let request = Request {
            payload: &payload,
            wallet: told.wallet,
            chain_id: ANY_CHAIN,
        };
        let recovered = recover(
            &request,
            &decode(&link.signature).unwrap(),
            &Judge::silent(),
        );
        let root = before.config().unwrap().image_hash();
        assert_eq!(recovered.unwrap().image_hash, root);
        states.push(next);
    }
    states
}

pub(crate) fn latest(told: &WalletConfig) -> ConfigState {
    states(told).pop().unwrap()
}

/// The chain: keys, and a checkpointer that takes the word of one key.
pub(crate) struct Judge {
    trusts: Option<(Address, Address)>,
}

impl Judge {
    pub(crate) fn silent() -> Self {
        Self { trusts: None }
    }
}

fn address_of(hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
    let signature = RecoverableSignature {
        r: signature.r().0,
        s: signature.s().0,
        y_parity: signature.y_parity(),
    };
    recover_key(&hash.0, &signature).ok().map(Address::from)
}

impl Recover for Judge {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        address_of(hash, signature)
    }

    fn snapshot(&self, checkpointer: &Address, proof: &[u8]) -> Option<(B256, U256)> {
        let Some((wallet, key)) = self.trusts else {
            return Some((B256::ZERO, U256::ZERO));
        };
        let (statement, signature) = RootStatement::from_proof(wallet, proof).ok()?;
        let by = address_of(&statement.hash(checkpointer), &signature)?;
        (by == key).then_some((statement.image_hash, U256::from(statement.checkpoint)))
    }
}

pub(crate) fn judged(
    request: &SignRequest,
    signature: &[u8],
    judge: &Judge,
) -> Result<Recovered, RecoverError> {
    let (payload, _) = request.digest().unwrap();
    let asked = Request {
        payload: &payload,
        wallet: request.wallet,
        chain_id: request.chain_id,
    };
    recover(&asked, &decode(signature).unwrap(), judge)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap()
}

pub(crate) fn add_key(seed: u8) -> ConfigChange {
    ConfigChange::AddKey {
        key: key(seed).address().into(),
    }
}

pub(crate) fn remove_key(seed: u8) -> ConfigChange {
    ConfigChange::RemoveKey {
        key: key(seed).address().into(),
    }
}

fn passkey() -> PasskeyPublicKey {
    PasskeyPublicKey {
        x: B256::repeat_byte(1),
        y: B256::repeat_byte(2),
        require_user_verification: true,
        metadata: None,
    }
}

fn add_recovery() -> ConfigChange {
    ConfigChange::AddRecovery {
        recovery: RecoveryLeaf {
            signer: Address::repeat_byte(6),
            required_delta_seconds: MIN_RECOVERY_DELAY_SECONDS,
            min_timestamp: 4_000_000_000,
        },
    }
}

fn add_session() -> ConfigChange {
    ConfigChange::AddSession {
        session: SessionPermissions {
            signer: Address::repeat_byte(7),
            chain_id: 1,
            value_limit: U256::from(1),
            deadline: 2_000_000_000,
            permissions: vec![keyfold_wallet::session::Permission {
                target: Address::repeat_byte(8),
                rules: Vec::new(),
            }],
        },
    }
}

/// A signature of one key in a configuration.
fn sign_as(
    seed: u8,
    state: &ConfigState,
    request: &SignRequest,
    header: &Header,
) -> Result<alloy_primitives::Bytes, EncodeError> {
    let (parts, config) = (parts_of(seed, request), state.config().unwrap());
    encode(&config, &parts, header)
}

fn parts_of(seed: u8, request: &SignRequest) -> Parts {
    let (_, digest) = request.digest().unwrap();
    let signature = key(seed).sign_prehash(digest.as_bytes()).to_rsv();
    let signature = EcdsaSignature::from_rsv(&signature).unwrap();
    let address = Address::from(key(seed).address());
    Parts::from([(address, SignaturePart::EcdsaHash(signature))])
}

#[tokio::test]
async fn changes_cost_nothing_and_later_signatures_lead_from_the_first_root_to_the_latest() {
    for app in [App::new().await, App::guarded().await] {
        let (device, wallet) = app.with_wallet().await;
        let changes = [
            ConfigChange::AddPasskey { passkey: passkey() },
            add_recovery(),
            add_session(),
            add_key(9),
            ConfigChange::RemovePasskey {
                root: passkey().root(),
            },
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let told: WalletConfig = device.change(&wallet, change.clone()).await.ok();
            assert_eq!(told, device.history(&wallet).await);
            assert_eq!(told.updates.len(), at + 1);
            assert_eq!(told.updates[at].change, change);
            let state = latest(&told);
            assert_eq!(state.checkpoint, at as u64 + 1);
            for request in [payment(&wallet, 1), message(&wallet, "hello")] {
                let signed: Signed = device.sign_with(&wallet, &request).await.ok();
                // By the root that is on chain, the first.
                assert_wallet_accepts(&wallet, &request, &signed.signature);
                let Decoded::Chained { chunks, .. } = decode(&signed.signature).unwrap() else {
                    panic!("no chain");
                };
                assert_eq!(chunks.len(), at + 2);
            }
        }
        let listed: Wallets = device.wallets().await.ok();
        assert_eq!(listed.wallets, std::slice::from_ref(&wallet));
        // Whoever knows a root finds what it stands for.
        let trees = app.world.host.lock().unwrap().trees.clone();
        for state in states(&device.history(&wallet).await) {
            for tree in StoredTree::all_of(&state).unwrap() {
                assert_eq!(trees.get(&tree.root().unwrap()), Some(&tree));
            }
        }
    }
}

#[tokio::test]
async fn a_stale_previous_root_is_refused_and_no_share_is_asked_for() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    let first = device.history(&wallet).await.first;
    let stale = UpdateConfig::new(wallet.address, &first, add_key(9)).unwrap();
    let done: WalletConfig = device.change(&wallet, add_recovery()).await.ok();
    let (released, cosigns) = (
        app.world.calls(holder_path::SHARE_RELEASE),
        app.world.guard.lock().unwrap().cosigns,
    );
    assert_refused(&device.update(&wallet, &stale).await, Code::ConfigStale);
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), released);
    assert_eq!(app.world.guard.lock().unwrap().cosigns, cosigns);
    assert_eq!(device.history(&wallet).await, done);
}

#[tokio::test]
async fn two_changes_at_once_leave_one_and_the_other_hears_that_it_is_stale() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let first = device.history(&wallet).await.first;
    let of = |seed| UpdateConfig::new(wallet.address, &first, add_key(seed)).unwrap();
    let (one, two) = (of(9), of(10));
    let (a, b) = tokio::join!(device.update(&wallet, &one), device.update(&wallet, &two));
    let mut codes = [a.code(), b.code()];
    codes.sort_by_key(Option::is_some);
    assert_eq!(codes, [None, Some(Code::ConfigStale)]);
    assert_eq!(device.history(&wallet).await.updates.len(), 1);
}

#[tokio::test]
async fn a_change_that_was_made_is_answered_again_without_the_key() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let first = device.history(&wallet).await.first;
    let update = UpdateConfig::new(wallet.address, &first, add_key(9)).unwrap();
    let done: WalletConfig = device.update(&wallet, &update).await.ok();
    settle().await;
    let released = app.world.calls(holder_path::SHARE_RELEASE);
    let again: WalletConfig = device.update(&wallet, &update).await.ok();
    assert_eq!(again, done);
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), released);
}

#[tokio::test]
async fn a_guard_that_denies_a_change_blocks_it() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.guard.lock().unwrap().denies = true;
    assert_refused(&device.change(&wallet, add_key(9)).await, Code::GuardDenied);
    {
        let mut guard = app.world.guard.lock().unwrap();
        (guard.denies, guard.signs_with_another_key) = (false, true);
    }
    assert_refused(
        &device.change(&wallet, add_key(9)).await,
        Code::GuardUnavailable,
    );
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
    assert!(device.history(&wallet).await.updates.is_empty());
}

#[tokio::test]
async fn a_root_that_does_not_follow_and_an_intent_that_says_otherwise_are_refused() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let first = device.history(&wallet).await.first;
    let good = UpdateConfig::new(wallet.address, &first, add_key(9)).unwrap();
    let other = UpdateConfig::new(wallet.address, &first, add_key(10)).unwrap();
    // It says one key, its root has another.
    let lie = UpdateConfig {
        change: other.change.clone(),
        ..good.clone()
    };
    assert_refused(&device.update(&wallet, &lie).await, Code::ConfigInvalid);
    let unprepared = UpdateConfig::new(
        wallet.address,
        &first,
        ConfigChange::RotateOwner {
            owner: key(9).address().into(),
        },
    );
    let refused = device.update(&wallet, &unprepared.unwrap()).await;
    assert_refused(&refused, Code::ConfigInvalid);

    let honest = device.update_intent(&wallet, &good);
    let Intent::UpdateConfig {
        id, key_use, next, ..
    } = honest.clone()
    else {
        panic!("not an update");
    };
    let zero = Digest32::from_bytes([0; 32]);
    let field = honest.to_field();
    for (what, intent) in [
        (
            "another next root",
            device.update_intent(&wallet, &other).to_field(),
        ),
        (
            "another previous root",
            Intent::UpdateConfig {
                id,
                key_use,
                previous: zero,
                next,
            }
            .to_field(),
        ),
        (
            "the digest of something else",
            field.replace(&key_use.digest.to_string(), &zero.to_string()),
        ),
        (
            "a message of that digest",
            Intent::Sign {
                operation: Operation::SignMessage,
                id,
                key_use,
            }
            .to_field(),
        ),
    ] {
        let body = serde_json::to_vec(&good).unwrap();
        let order = device.sign_bytes(path::CONFIG_UPDATE, &intent, false, body);
        let reply = device.send(&order).await;
        assert_eq!(
            reply.code(),
            Some(Code::IntentMismatch),
            "{what}: {reply:?}"
        );
    }
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
    let _: WalletConfig = device.update(&wallet, &good).await.ok();
}

#[tokio::test]
async fn a_stranger_changes_and_sees_nothing() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let first = device.history(&wallet).await.first;
    let update = UpdateConfig::new(wallet.address, &first, add_key(9)).unwrap();
    let stranger = app.signed_in(APP, BORIS).await;
    assert_refused(
        &stranger.update(&wallet, &update).await,
        Code::WalletUnknown,
    );
    let of = OfWallet {
        wallet: wallet.address,
    };
    for (path, operation) in OF_A_WALLET {
        let refused = stranger.in_session(path, operation, &of).await;
        assert_refused(&refused, Code::WalletUnknown);
    }
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
}

#[tokio::test]
async fn without_the_tree_store_nothing_is_changed_and_no_wallet_is_told_of() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    app.world.host.lock().unwrap().keeps_no_trees = true;
    assert_refused(&device.change(&wallet, add_key(9)).await, Code::Unavailable);
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
    assert_refused(&device.create_wallet("second").await, Code::Unavailable);
    let listed: Wallets = device.wallets().await.ok();
    assert_eq!(listed.wallets.len(), 1);
    app.world.host.lock().unwrap().keeps_no_trees = false;
    let _: WalletConfig = device.change(&wallet, add_key(9)).await.ok();
    let _: WalletInfo = device.create_wallet("second").await.ok();
}

#[tokio::test]
async fn updates_are_bounded_and_what_was_added_can_be_removed_at_the_bound() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let mut state = device.history(&wallet).await.first;
    // Ten keys, and seven more that come and go.
    let first = (1..=10).map(add_key);
    let later = (11..=17).flat_map(|seed| [add_key(seed), remove_key(seed)]);
    let removals = (1..=8).map(remove_key);
    for (at, change) in first.chain(later).chain(removals).enumerate() {
        if at == MAX_UPDATES_TO_ADD {
            let more = UpdateConfig::new(wallet.address, &state, add_key(20)).unwrap();
            assert_refused(&device.update(&wallet, &more).await, Code::ConfigLimit);
        }
        let update = UpdateConfig::new(wallet.address, &state, change.clone()).unwrap();
        let _: WalletConfig = device.update(&wallet, &update).await.ok();
        state = state.after(&change).unwrap();
    }
    assert_eq!(state.checkpoint, MAX_UPDATES as u64);
    let one_more = UpdateConfig::new(wallet.address, &state, remove_key(9)).unwrap();
    assert_refused(&device.update(&wallet, &one_more).await, Code::ConfigLimit);
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

/// A wallet whose owner's key nobody keeps could never sign again.
#[tokio::test]
async fn no_owner_but_the_one_that_was_prepared_comes_next() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let of = OfWallet {
        wallet: wallet.address,
    };
    let rotate = |owner| ConfigChange::RotateOwner { owner };
    let stranger = Address::from(key(9).address());
    assert_refused(
        &device.change(&wallet, rotate(stranger)).await,
        Code::ConfigInvalid,
    );
    let prepared: PreparedOwner = device
        .in_session(path::OWNER_PREPARE, Operation::PrepareOwner, &of)
        .await
        .ok();
    assert_refused(
        &device.change(&wallet, rotate(stranger)).await,
        Code::ConfigInvalid,
    );
    let _: WalletConfig = device.change(&wallet, rotate(prepared.owner)).await.ok();
}

/// Whoever reads the mailbox signs in, and waits: it learns of no wallet and prepares nothing.
#[tokio::test]
async fn a_device_that_waits_sees_no_configuration_and_makes_no_key() {
    let app = App::new().await;
    let (_, wallet) = app.with_wallet().await;
    let mut waiting = app.device(APP);
    waiting.sign_in(ANNA).await;
    let of = OfWallet {
        wallet: wallet.address,
    };
    for (path, operation) in OF_A_WALLET {
        let refused = waiting.in_session(path, operation, &of).await;
        assert_refused(&refused, Code::DevicePending);
    }
}

/// Anybody can queue a recovery at any time.
#[tokio::test]
async fn what_a_recovery_signer_queued_before_it_was_one_must_not_count() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let ConfigChange::AddRecovery { mut recovery } = add_recovery() else {
        panic!("another change");
    };
    recovery.min_timestamp = 0;
    let early = ConfigChange::AddRecovery { recovery };
    assert_refused(&device.change(&wallet, early).await, Code::ConfigInvalid);
}

#[tokio::test]
async fn an_instance_that_remembers_the_old_record_signs_for_the_latest_configuration() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
    let second = app.world.instance().await;
    let mut elsewhere = Device::new(app.world.clone(), second, APP);
    let key = device.key.to_secret_bytes().expose(<[u8]>::to_vec);
    elsewhere.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(&key).unwrap();
    elsewhere.attestation = device.attestation.clone();
    let _: WalletConfig = elsewhere.change(&wallet, add_recovery()).await.ok();
    settle().await;
    let request = payment(&wallet, 2);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
    assert!(matches!(
        decode(&signed.signature).unwrap(),
        Decoded::Chained { chunks, .. } if chunks.len() == 2
    ));
}

#[tokio::test]
async fn a_rotated_owner_signs_with_a_new_key_and_the_old_one_is_asked_for_no_more() {
    let app = App::guarded().await;
    let (device, wallet) = app.with_wallet().await;
    let of = OfWallet {
        wallet: wallet.address,
    };
    let prepare = async || -> PreparedOwner {
        let reply = device
            .in_session(path::OWNER_PREPARE, Operation::PrepareOwner, &of)
            .await;
        reply.ok()
    };
    let mut before = wallet.clone();
    for round in 1..=2 {
        let prepared = prepare().await;
        assert_eq!(prepare().await, prepared, "another key each time");
        let owner = prepared.owner;
        let rotate = ConfigChange::RotateOwner { owner };
        let told: WalletConfig = device.change(&before, rotate).await.ok();
        assert_eq!(latest(&told).members.owner, owner);
        let now = device.wallets().await.ok::<Wallets>().wallets.remove(0);
        assert_ne!(now.key, before.key);
        assert_eq!(
            (now.address, now.image_hash),
            (wallet.address, wallet.image_hash)
        );
        let request = payment(&wallet, round);
        let signed: Signed = device.sign_with(&now, &request).await.ok();
        assert_wallet_accepts(&wallet, &request, &signed.signature);
        assert_refused(
            &device.sign_with(&before, &request).await,
            Code::IntentMismatch,
        );
        before = now;
    }
    // The third key is another again.
    let third = prepare().await.owner;
    let told = device.history(&wallet).await;
    let owners: Vec<Address> = states(&told).iter().map(|s| s.members.owner).collect();
    assert!(!owners.contains(&third));
}

#[tokio::test]
async fn a_wallet_without_a_checkpointer_has_no_root_attested() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let of = OfWallet {
        wallet: wallet.address,
    };
    let refused = device
        .in_session(path::CONFIG_ATTEST, Operation::AttestConfig, &of)
        .await;
    assert_refused(&refused, Code::ConfigInvalid);
}

#[tokio::test]
async fn the_latest_root_is_attested_and_a_removed_key_signs_no_more() {
    let app = App::with_checkpointer().await;
    let checkpointer = checkpointer_of(&app.world);
    let (device, wallet) = app.with_wallet().await;
    assert_eq!(wallet.config.checkpointer, Some(checkpointer));
    let realm_key = app.world.holder(1, |holder| {
        let record = holder.realm.as_ref().unwrap().record();
        Address::from(*record.checkpointer.as_bytes())
    });
    let chain = Judge {
        trusts: Some((wallet.address, realm_key)),
    };
    let attest = async || -> AttestedRoot {
        let of = OfWallet {
            wallet: wallet.address,
        };
        device
            .in_session(path::CONFIG_ATTEST, Operation::AttestConfig, &of)
            .await
            .ok()
    };
    let request = payment(&wallet, 1);
    let accepted = async || {
        let signed: Signed = device.sign_with(&wallet, &request).await.ok();
        let recovered = judged(&request, &signed.signature, &chain).unwrap();
        assert_eq!(recovered.image_hash, wallet.image_hash);
    };
    accepted().await;
    let first = attest().await;
    assert_eq!((first.image_hash, first.checkpoint), (wallet.image_hash, 0));
    assert!(first.expires - first.issued <= 3_600);
    assert_eq!(first.issued, app.world.now());

    let with: WalletConfig = device.change(&wallet, add_key(9)).await.ok();
    let _: WalletConfig = device.change(&wallet, remove_key(9)).await.ok();
    accepted().await;
    let told = device.history(&wallet).await;
    let states = states(&told);
    let now = attest().await;
    let latest_root = states[2].config().unwrap().image_hash();
    assert_eq!((now.image_hash, now.checkpoint), (latest_root, 2));
    assert_eq!(
        chain.snapshot(&checkpointer, &now.proof),
        Some((latest_root, U256::from(2)))
    );

    // In the latest configuration the key has no leaf; in the one it was in, it signs for a root
    // that the checkpointer knows to be old.
    assert!(matches!(
        sign_as(9, &states[2], &request, &Header::default()),
        Err(EncodeError::UnknownSigner(_))
    ));
    let proof = |attested: &AttestedRoot| Header {
        no_chain_id: true,
        checkpointer_data: Some(attested.proof.clone()),
        ..Header::default()
    };
    let by_the_removed = |attested: &AttestedRoot| {
        let (configs, parts) = (
            [states[1].config().unwrap(), states[0].config().unwrap()],
            parts_of(9, &request),
        );
        let update = owners_part(&states[0].members, &with.updates[0]);
        let links = [
            (&configs[0], &parts, Header::default()),
            (&configs[1], &update, proof(attested)),
        ];
        judged(&request, &encode_chain(&links).unwrap(), &chain)
    };
    assert_eq!(by_the_removed(&now), Err(RecoverError::UnusedSnapshot));
    // With the word of before it was removed it would count: that word has run out an hour later.
    assert!(by_the_removed(&first).is_ok());
}

/// The owner's part of an update, taken out of its signature.
fn owners_part(members: &Members, link: &ConfigLink) -> Parts {
    // The last 64 bytes: the owner's is the only signature of a wallet without a guard.
    let at = link.signature.len() - 64;
    let compact: [u8; 64] = link.signature[at..].try_into().unwrap();
    let signature = EcdsaSignature::from_compact(&compact).unwrap();
    Parts::from([(members.owner, SignaturePart::EcdsaHash(signature))])
}

#[tokio::test]
async fn a_device_that_signed_in_elsewhere_sees_the_same_history() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let done: WalletConfig = device.change(&wallet, add_recovery()).await.ok();
    let third = app.world.instance().await;
    let mut again = Device::new(app.world.clone(), third, APP);
    let key = device.key.to_secret_bytes().expose(<[u8]>::to_vec);
    again.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(&key).unwrap();
    again.sign_in(ANNA).await;
    assert_eq!(again.history(&wallet).await, done);
}
