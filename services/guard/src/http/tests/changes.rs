//! Changes of a configuration, and telling a chain of them.

use alloy_primitives::FixedBytes;
use keyfold_protocol::config::publication;

use super::*;

fn change(key: Address) -> CosignUpdate {
    let state = ConfigState {
        context: keyfold_wallet::ContextName::Keyfold,
        members: Members::new(Address::repeat_byte(1), Some(Address::repeat_byte(2))),
        checkpoint: 0,
        checkpointer: None,
    };
    let wallet = Address::repeat_byte(0xaa);
    let update = UpdateConfig::new(wallet, &state, ConfigChange::AddKey { key }).unwrap();
    CosignUpdate {
        project: "app.example".parse().unwrap(),
        request: RequestId::from_bytes([1; 16]),
        state,
        update,
    }
}

#[tokio::test]
async fn a_change_of_a_configuration_is_signed_where_the_policy_names_its_kind() {
    let world = world();
    world.register().await;
    let asked = change(FRIEND);
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
    let mut lie = change(FRIEND);
    lie.update.next = change(Address::repeat_byte(9)).update.next;
    let mut other_state = change(FRIEND);
    other_state.state.members.owner = Address::repeat_byte(9);
    for asked in [lie, other_state] {
        let (status, body) = world.cosign_update(&asked).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (422, Some("config_invalid"))
        );
    }
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
        agreed: Some(FixedBytes::from_slice(&agreed.signature)),
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
    let asked = change(FRIEND);
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
    let asked = change(FRIEND);
    let genuine = telling(&asked, &agreed(&world, &asked).await);
    let with_calls = |change: &dyn Fn(&mut Vec<WireCall>)| {
        let mut altered = genuine.clone();
        if let WirePayload::Transaction { calls, .. } = &mut altered.sign.payload {
            change(calls);
        }
        altered
    };
    let mut without = genuine.clone();
    without.agreed = None;
    let mut of_another_key = genuine.clone();
    let stranger = keyfold_crypto::secp256k1::SigningKey::from_secret(
        &keyfold_crypto::Secret::from_array([9; 32]),
    );
    let forged = stranger
        .unwrap()
        .sign_prehash(asked.update.digest().as_bytes());
    let mut bytes = forged.to_rs().to_vec();
    bytes.push(u8::from(forged.y_parity));
    of_another_key.agreed = Some(FixedBytes::from_slice(&bytes));
    let mut other_project = genuine.clone();
    other_project.project = "other.example".parse().unwrap();
    let mut other_wallet = genuine.clone();
    other_wallet.sign.wallet = Address::repeat_byte(0xab);
    let mut other_chain = genuine.clone();
    other_chain.sign.chain_id = 1;
    let own = asked.update.wallet;
    let other_root = change(Address::repeat_byte(9)).update.next;
    for (what, refused) in [
        ("the guard's word is not shown", without),
        ("somebody else's word", of_another_key),
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
        assert_eq!(
            (status, body["code"].as_str()),
            (403, Some("guard_denied")),
            "{what}: {body}"
        );
    }
    assert_eq!(world.cosign(&genuine).await.0, 200);
}
