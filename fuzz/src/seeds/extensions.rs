//! What the wallet's extensions and the changes of a configuration begin with.

use alloy_primitives::{Address, B256, U256};
use keyfold_protocol::config::{ConfigChange, ConfigState, StoredTree};
use keyfold_wallet::checkpointer::RootStatement;
use keyfold_wallet::passkey::{PasskeyPublicKey, PasskeySignature};
use keyfold_wallet::payload::abi_encode;
use keyfold_wallet::recovery::{RecoveryLeaf, RecoveryTree};
use keyfold_wallet::session::{
    Attestation, CallSignature, Comparison, Permission, Rule, SessionPermissions, SessionSignature,
    SessionTopology, SignedAttestation,
};
use keyfold_wallet::{Call, EcdsaSignature, Encoding, Payload, PayloadBody};

use super::{Add, json};
use crate::{protocol, wallet};

pub(super) fn of_extensions(add: Add<'_>) {
    let address = Address::repeat_byte;
    let signature = EcdsaSignature::new(B256::repeat_byte(0x11), B256::repeat_byte(0x22), true);
    let signature = signature.expect("in range");
    let rule = Rule {
        cumulative: true,
        comparison: Comparison::AtMost,
        value: B256::repeat_byte(3),
        offset: U256::from(36),
        mask: B256::repeat_byte(0xff),
    };
    let session = SessionPermissions {
        signer: address(5),
        chain_id: 8453,
        value_limit: U256::from(7),
        deadline: 2_000_000_000,
        permissions: vec![Permission {
            target: address(6),
            rules: vec![rule],
        }],
    };
    let tree = SessionTopology::empty(address(4))
        .and_then(|tree| tree.with_session(session))
        .and_then(|tree| tree.with_blacklisted(address(8)))
        .expect("a tree");
    let bytes = tree.encode(Encoding::Shortest).expect("expressible");
    add("wallet_session", "explicit", bytes);
    let attestation = Attestation {
        approved_signer: address(5),
        identity_type: [1, 2, 3, 4].into(),
        issuer_hash: B256::repeat_byte(1),
        audience_hash: B256::repeat_byte(2),
        application_data: vec![9, 9].into(),
        redirect_url: "https://app.example".into(),
        issued_at: 1_800_000_000,
    };
    let packed = attestation.pack(Encoding::Shortest).expect("short");
    add("wallet_session_signature", "attestation", packed);
    let signed = SessionSignature {
        topology: tree,
        attestations: vec![SignedAttestation {
            attestation,
            signature,
        }],
        calls: vec![
            CallSignature::Explicit {
                permission: 0,
                signature,
            },
            CallSignature::Implicit {
                attestation: 0,
                signature,
            },
        ],
    };
    let bytes = signed.encode(Encoding::Shortest).expect("expressible");
    add(
        "wallet_session_signature",
        "both",
        [vec![2], bytes].concat(),
    );

    let leaf = |byte, delta| RecoveryLeaf {
        signer: address(byte),
        required_delta_seconds: delta,
        min_timestamp: 0,
    };
    let leaves = [leaf(1, 86_400), leaf(2, 1), leaf(3, 0xff_ffff)];
    let tree = RecoveryTree::balanced(&leaves).expect("a tree");
    let bytes = tree.encode(Encoding::Shortest).expect("expressible");
    add("wallet_recovery", "three", bytes);
    let trimmed = tree.trimmed(&address(2)).expect("its signer");
    let bytes = trimmed.encode(Encoding::Shortest).expect("expressible");
    add("wallet_recovery", "trimmed", bytes);

    let client_data =
        r#"{"type":"webauthn.get","challenge":"AAECAwQFBgcICQ","origin":"https://app.example"}"#;
    let passkey = PasskeySignature {
        public_key: PasskeyPublicKey {
            x: B256::repeat_byte(1),
            y: B256::repeat_byte(2),
            require_user_verification: true,
            metadata: Some(B256::repeat_byte(3)),
        },
        embed_metadata: true,
        authenticator_data: vec![7; 37].into(),
        client_data_json: client_data.into(),
        challenge_index: 23,
        type_index: 1,
        r: B256::repeat_byte(4),
        s: B256::repeat_byte(5),
    };
    let packed = passkey.encode(Encoding::Shortest).expect("short");
    add("wallet_passkey", "packed", packed);
    add("wallet_passkey", "abi", passkey.encode_abi());

    let payload = Payload {
        parent_wallets: vec![address(1)],
        ..Payload::calls(
            alloy_primitives::aliases::U160::from(5),
            300,
            vec![Call::new(address(2), U256::from(1), vec![1, 2, 3])],
        )
    };
    add("wallet_payload_abi", "calls", abi_encode(&payload, false));
    for (name, body) in [
        ("message", PayloadBody::Message(b"text".into())),
        ("update", PayloadBody::ConfigUpdate(B256::repeat_byte(1))),
        ("digest", PayloadBody::Digest(B256::repeat_byte(2))),
    ] {
        add("wallet_payload_abi", name, abi_encode(&body.into(), true));
    }

    let statement = RootStatement {
        wallet: wallet::WALLET,
        image_hash: B256::repeat_byte(1),
        checkpoint: 7,
        issued: 1_800_000_000,
        expires: 1_800_003_600,
    };
    let proof = statement.to_proof(&signature).expect("a checkpoint");
    add("wallet_proof", "genuine", proof.to_vec());
}

pub(super) fn of_config(add: Add<'_>) {
    let address = Address::repeat_byte;
    let recovery = RecoveryLeaf {
        signer: address(1),
        required_delta_seconds: 86_400,
        min_timestamp: 0,
    };
    let key = ConfigChange::AddKey { key: address(3) };
    add("protocol_config", "add-key", json(&key));
    let change = ConfigChange::AddRecovery { recovery };
    add("protocol_config", "add-recovery", json(&change));
    let owner = ConfigChange::RotateOwner { owner: address(5) };
    add("protocol_config", "rotate-owner", json(&owner));
    let state: ConfigState = serde_json::from_str(protocol::CONFIG).expect("a configuration");
    let trees = state
        .after(&change)
        .and_then(|state| StoredTree::all_of(&state))
        .expect("it fits");
    for (tree, name) in trees.iter().zip(["tree", "recovery-tree"]) {
        add("protocol_config", name, json(tree));
    }
}
