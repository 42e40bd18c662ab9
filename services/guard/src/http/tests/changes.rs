//! Changes of a configuration, and telling a chain of them.

use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::{RecoverableSignature, SigningKey};
use keyfold_protocol::config::{
    ConfigLink, MIN_RECOVERY_DELAY_SECONDS, RECOVERY_SKEW_SECONDS, RecoveryLeaf, Replayed,
    WalletConfig, publication,
};
use keyfold_wallet::signature::{Header, Parts, encode};
use keyfold_wallet::{ContextName, EcdsaSignature, SignaturePart, wallet_address};

use super::*;

/// The owner's key, which only the enclave has for a moment.
fn owner() -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([0x0e; 32])).unwrap()
}

/// A new wallet of the project's, of which a signer is the guard.
fn wallet_with(guard: Option<Address>) -> WalletConfig {
    let first = ConfigState {
        context: ContextName::Keyfold,
        members: Members::new(owner().address().into(), guard),
        checkpoint: 0,
        checkpointer: None,
    };
    let root = first.config().unwrap().image_hash();
    WalletConfig {
        wallet: wallet_address(&root, &first.context.context()),
        first,
        updates: Vec::new(),
    }
}

fn asking(history: WalletConfig, change: ConfigChange) -> CosignUpdate {
    let replayed = Replayed::of(&history).unwrap();
    let update = UpdateConfig::new(history.wallet, replayed.latest(), change).unwrap();
    CosignUpdate {
        project: "app.example".parse().unwrap(),
        request: RequestId::from_bytes([1; 16]),
        history,
        update,
    }
}

fn change(world: &World, key: Address) -> CosignUpdate {
    let signer = world.guard.keys.signer(&"app.example".parse().unwrap());
    asking(wallet_with(Some(signer)), ConfigChange::AddKey { key })
}

fn part(signature: &RecoverableSignature) -> SignaturePart {
    let (r, s) = (signature.r.into(), signature.s.into());
    SignaturePart::EcdsaHash(EcdsaSignature::new(r, s, signature.y_parity).unwrap())
}

/// What the wallet's configurations are once owner and guard have signed.
fn after(asked: &CosignUpdate, by_guard: &RecoverableSignature) -> WalletConfig {
    let mut history = asked.history.clone();
    let latest = Replayed::of(&history).unwrap().latest().clone();
    let digest = asked.update.digest();
    let by_owner = owner().sign_prehash(digest.as_bytes());
    let mut parts = Parts::from([(latest.members.owner, part(&by_owner))]);
    parts.extend(latest.members.guard.map(|guard| (guard, part(by_guard))));
    let header = Header {
        no_chain_id: true,
        ..Header::default()
    };
    history.updates.push(ConfigLink {
        change: asked.update.change.clone(),
        image_hash: asked.update.next,
        signed_at: 0,
        signature: encode(&latest.config().unwrap(), &parts, &header).unwrap(),
    });
    history
}

fn signature_of(answer: &Cosigned) -> RecoverableSignature {
    let rs: [u8; 64] = answer.signature[..64].try_into().unwrap();
    RecoverableSignature::from_rs(&rs, answer.signature[64] == 1)
}

#[tokio::test]
async fn a_change_of_a_configuration_is_signed_where_the_policy_names_its_kind() {
    let world = world();
    world.register().await;
    let asked = change(&world, FRIEND);
    world.policy("app.example", FRIENDS_ONLY);
    let (status, body) = world.cosign_update(&asked).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("guard_denied")));
    world.policy(
        "app.example",
        r#"{"version":1,"revision":4,"config_changes":["add-key"],"chains":[]}"#,
    );
    let (status, body) = world.cosign_update(&asked).await;
    assert_eq!(status, 200, "{body}");
    let answer: Cosigned = serde_json::from_value(body).unwrap();
    assert_eq!(answer.digest, asked.update.digest());
    let rs: [u8; 64] = answer.signature[..64].try_into().unwrap();
    let signature =
        keyfold_crypto::secp256k1::RecoverableSignature::from_rs(&rs, answer.signature[64] == 1);
    let by = keyfold_crypto::secp256k1::recover(answer.digest.as_bytes(), &signature).unwrap();
    let signer = world.guard.keys.signer(&asked.project);
    assert_eq!(Address::from(by), signer);
}

#[tokio::test]
async fn a_root_that_does_not_follow_from_the_change_is_not_signed() {
    let world = world();
    world.register().await;
    world.policy(
        "app.example",
        r#"{"version":1,"revision":4,"config_changes":["add-key"],"chains":[]}"#,
    );
    // It says that a friend's key is added; the root has somebody else's.
    let mut lie = change(&world, FRIEND);
    lie.update.next = change(&world, Address::repeat_byte(9)).update.next;
    let (status, body) = world.cosign_update(&lie).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("config_invalid"))
    );
}

/// An enclave that lies about the configuration that is changed would have any root signed.
#[tokio::test]
async fn a_configuration_that_the_wallet_never_had_is_not_changed() {
    let world = world();
    world.register().await;
    world.policy("app.example", KEYS_TO_BE_ADDED);
    let genuine = change(&world, FRIEND);
    let thief = Address::repeat_byte(0x7e);
    // The thief's own members, under the victim's address.
    let mut invented = change(&world, FRIEND);
    invented.history.first.members.owner = thief;
    let mut without_guard = change(&world, FRIEND);
    without_guard.history.first.members.guard = None;
    // A wallet of the thief's own, of which this guard is no signer.
    let change_of = || ConfigChange::AddKey { key: FRIEND };
    let own = asking(wallet_with(None), change_of());
    let elsewhere = asking(wallet_with(Some(thief)), change_of());
    // Its history, for the victim's wallet.
    let mut exchanged = genuine.clone();
    exchanged.history = elsewhere.history.clone();
    // A link that the guard did not sign.
    let stranger = SigningKey::from_secret(&Secret::from_array([9; 32])).unwrap();
    let forged = stranger.sign_prehash(genuine.update.digest().as_bytes());
    let mut forged_link = genuine.clone();
    forged_link.history = after(&genuine, &forged);
    let key = Address::repeat_byte(3);
    let latest = forged_link.history.first.after(&genuine.update.change);
    forged_link.update = UpdateConfig::new(
        genuine.update.wallet,
        &latest.unwrap(),
        ConfigChange::AddKey { key },
    )
    .unwrap();
    for (what, lie) in [
        ("invented members", invented),
        ("no guard", without_guard),
        ("a wallet without a guard", own),
        ("another guard's wallet", elsewhere),
        ("another wallet's history", exchanged),
        ("a link by somebody else", forged_link),
    ] {
        let (status, body) = world.cosign_update(&lie).await;
        let code = body["code"].as_str();
        assert!(
            [(422, Some("config_invalid")), (403, Some("guard_denied"))].contains(&(status, code)),
            "{what}: {status} {body}"
        );
    }
    assert_eq!(world.cosign_update(&genuine).await.0, 200);
}

#[tokio::test]
async fn what_a_recovery_signer_queued_before_it_was_one_must_not_count() {
    let world = world();
    world.register().await;
    world.policy(
        "app.example",
        r#"{"version":1,"revision":4,"config_changes":["add-recovery"],"chains":[]}"#,
    );
    let signer = world.guard.keys.signer(&"app.example".parse().unwrap());
    let from = |min_timestamp| {
        let recovery = RecoveryLeaf {
            signer: FRIEND,
            required_delta_seconds: MIN_RECOVERY_DELAY_SECONDS,
            min_timestamp,
        };
        asking(
            wallet_with(Some(signer)),
            ConfigChange::AddRecovery { recovery },
        )
    };
    let now = now_ms() / 1000;
    for early in [0, now - RECOVERY_SKEW_SECONDS - 10] {
        let (status, body) = world.cosign_update(&from(early)).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (422, Some("config_invalid"))
        );
    }
    assert_eq!(world.cosign_update(&from(now)).await.0, 200);
}

const KEYS_TO_BE_ADDED: &str = r#"{"version":1,"revision":4,"config_changes":["add-key"],
    "chains":[{"ids":[31337]}]}"#;

fn telling(asked: &CosignUpdate, agreed: &Cosigned) -> Cosign {
    let update = &asked.update;
    Cosign {
        project: asked.project.clone(),
        request: asked.request,
        sign: SignRequest {
            wallet: update.wallet,
            chain_id: 31337,
            payload: WirePayload::Transaction {
                space: Default::default(),
                nonce: 0,
                calls: vec![publication(update.wallet, &update.next)],
            },
            on_chain: None,
        },
        history: Some(after(asked, &signature_of(agreed))),
    }
}

async fn agreed(world: &World, asked: &CosignUpdate) -> Cosigned {
    let (status, body) = world.cosign_update(asked).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

#[tokio::test]
async fn a_chain_is_told_of_a_root_that_the_guard_agreed_to() {
    let world = world();
    world.register().await;
    world.policy("app.example", KEYS_TO_BE_ADDED);
    let asked = change(&world, FRIEND);
    let telling = telling(&asked, &agreed(&world, &asked).await);
    let (status, body) = world.cosign(&telling).await;
    assert_eq!(status, 200, "{body}");
    let answer: Cosigned = serde_json::from_value(body).unwrap();
    assert_eq!(answer.digest, telling.sign.digest().unwrap().1);
}

#[tokio::test]
async fn a_chain_is_told_of_nothing_else() {
    let world = world();
    world.register().await;
    world.policy("app.example", KEYS_TO_BE_ADDED);
    world.policy("other.example", KEYS_TO_BE_ADDED);
    let asked = change(&world, FRIEND);
    let genuine = telling(&asked, &agreed(&world, &asked).await);
    let with_calls = |change: &dyn Fn(&mut Vec<WireCall>)| {
        let mut altered = genuine.clone();
        if let WirePayload::Transaction { calls, .. } = &mut altered.sign.payload {
            change(calls);
        }
        altered
    };
    let mut without = genuine.clone();
    without.history = None;
    let mut of_another_key = genuine.clone();
    let stranger = SigningKey::from_secret(&Secret::from_array([9; 32])).unwrap();
    let forged = stranger.sign_prehash(asked.update.digest().as_bytes());
    of_another_key.history = Some(after(&asked, &forged));
    let mut never_changed = genuine.clone();
    never_changed.history = Some(asked.history.clone());
    never_changed.sign.payload = WirePayload::Transaction {
        space: Default::default(),
        nonce: 0,
        calls: vec![publication(asked.update.wallet, &asked.update.previous)],
    };
    let mut other_project = genuine.clone();
    other_project.project = "other.example".parse().unwrap();
    let mut other_wallet = genuine.clone();
    other_wallet.sign.wallet = Address::repeat_byte(0xab);
    let mut other_chain = genuine.clone();
    other_chain.sign.chain_id = 1;
    let own = asked.update.wallet;
    let other_root = change(&world, Address::repeat_byte(9)).update.next;
    for (what, refused) in [
        ("the guard's word is not shown", without),
        ("somebody else's word", of_another_key),
        ("the first root", never_changed),
        ("another project's guard", other_project),
        ("another wallet", other_wallet),
        ("a chain outside the policy", other_chain),
        (
            "another root",
            with_calls(&|calls| *calls = vec![publication(own, &other_root)]),
        ),
        (
            "a call more",
            with_calls(&|calls| calls.push(calls[0].clone())),
        ),
        (
            "another function",
            with_calls(&|calls| {
                let mut data = calls[0].data.to_vec();
                data[0] ^= 1;
                calls[0].data = data.into();
            }),
        ),
        (
            "a byte more",
            with_calls(&|calls| calls[0].data = [&calls[0].data[..], &[0]].concat().into()),
        ),
        (
            "with coin",
            with_calls(&|calls| calls[0].value = U256::from(1)),
        ),
        (
            "another contract",
            with_calls(&|calls| calls[0].to = FRIEND),
        ),
    ] {
        let (status, body) = world.cosign(&refused).await;
        let code = body["code"].as_str();
        assert!(
            [(422, Some("config_invalid")), (403, Some("guard_denied"))].contains(&(status, code)),
            "{what}: {status} {body}"
        );
    }
    assert_eq!(world.cosign(&genuine).await.0, 200);
}
