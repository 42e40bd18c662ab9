//! The first inputs of each target: genuine ones, so that the fuzzer begins behind the door.
//!
//! `cargo run --example seeds` writes them to `seeds/`, beside the inputs that once broke
//! something, which it leaves alone.

mod extensions;

use alloy_primitives::{Address, B256, U256};
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, ShareContext, SharePurpose};
use keyfold_crypto::hash::sha256;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk};
use keyfold_crypto::mnemonic::Entropy;
use keyfold_crypto::secret::SecretBytes;
use keyfold_crypto::shamir::Share;
use keyfold_crypto::testing::SeededRng;
use keyfold_identity::challenge::ChallengeMethod;
use keyfold_log::{Frontier, leaf_hash};
use keyfold_protocol::delivery::{CookieChange, SEALED_LEN, SealedSession};
use keyfold_protocol::evidence::{Evidence, Item};
use keyfold_protocol::ids::{AddressId, CookieSlot, Digest32};
use keyfold_protocol::ohttp::encapsulate;
use keyfold_protocol::realm::{HolderCard, RealmRecord, RootKind, SignedRealmRecord};
use keyfold_protocol::session::AttestationSigner;
use keyfold_protocol::signed_request::Profile;
use keyfold_wallet::abi::erc6492_wrap;
use keyfold_wallet::payload::{eip191, pack};
use keyfold_wallet::signature::{Header, Parts, encode, encode_chain};
use keyfold_wallet::{
    Call, Config, Context, EcdsaSignature, Encoding, Payload, SignaturePart, Topology, ValidConfig,
};

use crate::{attest, crypto, fixtures, guard, identity, log, oidc, protocol, wallet};

/// One input.
pub struct Seed {
    /// For which target.
    pub target: &'static str,
    /// Its file's name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Every seed that is made rather than found.
///
/// # Panics
///
/// If a fixed fixture cannot be made, which is a defect of this crate.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name, bytes: Vec<u8>| {
        seeds.push(Seed {
            target,
            name,
            bytes,
        });
    };
    of_attest(&mut add);
    of_crypto(&mut add);
    of_protocol(&mut add);
    of_wallet(&mut add);
    extensions::of_extensions(&mut add);
    extensions::of_config(&mut add);
    of_guard(&mut add);
    of_log(&mut add);
    of_oidc(&mut add);
    for (name, text) in [
        ("address", "Anna.B+tag@mail.example"),
        ("code", "00123456"),
        ("name", "Bank & Co. (Test)"),
    ] {
        add("identity_email", name, text.into());
    }
    of_identity(&mut add);
    for (name, text) in [
        ("accept", "CONNECT 7000\nrest"),
        ("answer", "OK 1073741824\nrest"),
        ("dial", "OK\nrest"),
        ("egress", "CONNECT mail.example:587\nrest"),
        ("refused", "ERR not_allowed\n"),
        ("target", "holder-1.example:7400"),
        ("target-v6", "[2001:db8::1]:443"),
    ] {
        add("net_pipe", name, text.into());
    }
    for (name, text) in [
        ("forwarded", "198.51.100.7, 10.0.0.9,  ::ffff:203.0.113.9"),
        (
            "problem",
            r#"{"status":429,"code":"rate_limited","title":"Too Many Requests","detail":"Wait.","request_id":"r","retry_after_seconds":3}"#,
        ),
        (
            "pin",
            "0101010101010101010101010101010101010101010101010101010101010101",
        ),
    ] {
        add("net_http", name, text.into());
    }
    seeds
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &'static str, Vec<u8>);

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

fn of_identity(add: Add<'_>) {
    let bytes = identity::ethereum_message().into_bytes();
    add("identity_message", "ethereum", bytes);
    let bytes = identity::solana_message().into_bytes();
    add("identity_message", "solana", bytes);

    let cose = identity::passkey_cose();
    let point = DeviceSigningKey::generate_p256(&mut SeededRng::new(21));
    let p256 = match point.public_jwk() {
        PublicJwk::P256 { x, y } => {
            let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
            [&head[..], &x, &[0x22, 0x58, 32], &y].concat()
        }
        PublicJwk::Ed25519 { .. } => unreachable!("a P-256 key"),
    };
    let rsa_head = [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0];
    let rsa = [&rsa_head[..], &[0xff; 256], &[0x21, 0x43, 1, 0, 1]].concat();
    let rp = sha256(b"app.example");
    let auth_data = |flags: u8, tail: &[u8]| [&rp[..], &[flags, 0, 0, 0, 1], tail].concat();
    let attested = [&[9; 16][..], &[0, 32], &identity::CREDENTIAL_ID, &cose].concat();
    let made = auth_data(0x45, &attested);
    let head = [0x68, b'a', b'u', b't', b'h', b'D', b'a', b't', b'a', 0x58];
    let data = [&head[..], &[made.len() as u8], &made].concat();
    let none = [&b"\xa3\x63fmt\x64none\x67attStmt\xa0"[..], &data].concat();
    let challenge = identity::challenge(ChallengeMethod::PasskeyRegistration).bytes();
    let json = identity::client_data("create", &challenge);
    let signature = identity::passkey_key().sign(&[&made[..], &sha256(&json)].concat());
    let packed = b"\xa3\x63fmt\x66packed\x67attStmt\xa2\x63alg\x27\x63sig\x58\x40";
    let packed = [&packed[..], &signature, &data].concat();
    let challenge = identity::challenge(ChallengeMethod::PasskeyAssertion).bytes();
    for (name, kind, bytes) in [
        ("cose-ed25519", 0, cose),
        ("cose-p256", 0, p256),
        ("cose-rsa", 0, rsa),
        ("none", 1, none),
        ("packed", 1, packed),
        ("auth-data", 2, auth_data(0x05, &[])),
        ("extensions", 2, auth_data(0x9d, b"\xa1\x63key\xf5")),
        ("client-data", 3, identity::client_data("get", &challenge)),
    ] {
        add("identity_passkey", name, [&[kind][..], &bytes].concat());
    }

    for (name, text) in [
        ("password", "cafe\u{301} au\u{a0}lait"),
        (
            "stored",
            "$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAQ$AQEBAQEBAQEBAQEBAQEBAQ$\
             AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI",
        ),
        ("recovery-code", "ol23-4567-89ab-CDEF"),
        ("totp", "012345"),
    ] {
        add("identity_password", name, text.into());
    }
}

fn of_attest(add: Add<'_>) {
    let genuine = attest::genuine();
    let mut tagged = genuine.certified.clone();
    tagged.tag = Some(18);
    tagged.indefinite = false;
    for target in ["attest_inspect", "attest_verify"] {
        add(target, "genuine", genuine.certified.seal());
        add(target, "tagged-definite", tagged.seal());
    }
    add("attest_inspect", "root", genuine.root_der().to_vec());
    add("attest_payload", "genuine", genuine.certified.payload());
    add("attest_payload", "definite", tagged.payload());
}

fn of_crypto(add: Add<'_>) {
    let mut rng = SeededRng::new(20);
    let context = ShareContext {
        realm: [1; 32],
        project: String::new(),
        account: String::new(),
        key: String::new(),
        purpose: SharePurpose::Seed,
        index: 2,
        generation: 1,
    };
    let share = Share::new(2, SecretBytes::from_slice(&[5; 32])).expect("a share");
    let (held, _) = CommittedShare::new(&context, share, &mut rng).expect("the same index");
    add(
        "crypto_share",
        "genuine",
        held.to_bytes().expose(<[u8]>::to_vec),
    );
    let (envelope, message) = crypto::genuine_sealed();
    add("crypto_sealed", "envelope", envelope.clone());
    add("crypto_sealed", "hpke", message.clone());
    let ed25519 = DeviceSigningKey::generate_ed25519(&mut rng);
    add("crypto_jwk", "p256", json(&fixtures::device().public_jwk()));
    add("crypto_jwk", "ed25519", json(&ed25519.public_jwk()));
    add("crypto_jwk", "base64url", b"AAECAwQFBgcICQ".to_vec());
    for (name, key) in [
        ("device-p256", fixtures::device()),
        ("device-ed25519", &ed25519),
    ] {
        add(
            "crypto_jwk",
            name,
            key.to_secret_bytes().expose(<[u8]>::to_vec),
        );
    }
    for (name, len) in [("words-12", 16), ("words-24", 32)] {
        let entropy = Entropy::from_bytes(SecretBytes::from_slice(&vec![0x5a; len]));
        let words = entropy.expect("a length").to_mnemonic().expect("words");
        add(
            "crypto_mnemonic",
            name,
            words.expose(|text| text.as_bytes().to_vec()),
        );
    }
}

fn of_protocol(add: Add<'_>) {
    for (name, intent) in ["renew", "sign", "approve-device", "sign-in-start"]
        .into_iter()
        .zip(fixtures::intents())
    {
        add("protocol_intent", name, intent.to_field().into_bytes());
    }
    let slot = CookieSlot::from_bytes([0xa5; 8]);
    let sealed = SealedSession::from_bytes(&[7; SEALED_LEN]).expect("of its length");
    for (name, change) in [
        ("clear", CookieChange::Clear { slot }),
        (
            "set",
            CookieChange::Set {
                slot,
                seconds: 604_800,
                sealed,
            },
        ),
    ] {
        add("protocol_cookie", name, change.to_string().into_bytes());
    }
    for (name, profile) in [("request", Profile::Request), ("sign-in", Profile::SignIn)] {
        let components = fixtures::components(profile);
        add("protocol_components", name, json(&components));
        let signed = fixtures::sign(profile, components).expect("good components");
        add("protocol_signed_request", name, json(&signed));
        let mut items = vec![Item::Request {
            signed,
            jwk: fixtures::device().public_jwk(),
        }];
        if profile == Profile::Request {
            items.push(Item::Session {
                attestation: fixtures::attestation().to_owned(),
            });
        }
        add("protocol_evidence", name, json(&Evidence::new(items)));
    }
    let instance = fixtures::components(Profile::Instance);
    add("protocol_components", "instance", json(&instance));
    let acks =
        br#"{"version":1,"items":[{"type":"holder-acks","acks":[]},{"type":"later","x":1}]}"#;
    add("protocol_evidence", "acks", acks.to_vec());

    let (request, response) = (protocol::inner_request(), protocol::inner_response());
    let target = "protocol_inner_message";
    add(target, "request", request.to_bhttp().expect("good"));
    add(target, "response", response.to_bhttp().expect("good"));
    let config = protocol::gateway().encoded_config();
    let (sealed, _) = encapsulate(config, &request).expect("good");
    add("protocol_ohttp", "request", sealed);
    add("protocol_ohttp", "config", config.as_bytes().to_vec());

    add(
        "protocol_session",
        "genuine",
        fixtures::attestation().into(),
    );
    add(
        "protocol_session_claims",
        "genuine",
        json(&fixtures::claims()),
    );
    let target = "protocol_attestation_keys";
    add(target, "es256", json(fixtures::attestation_keys()));
    let rsa = AttestationSigner::generate_rs256().expect("a key");
    let set = format!(
        r#"{{"keys":[{}]}}"#,
        serde_json::to_string(rsa.public_jwk()).expect("JSON")
    );
    add(target, "rs256", set.into_bytes());

    add(
        "protocol_realm",
        "genuine",
        json(&realm(RootKind::AwsNitro)),
    );
    let certificate_sha256 = Digest32::from_bytes([4; 32]);
    let development = RootKind::Development { certificate_sha256 };
    add("protocol_realm", "development", json(&realm(development)));
    let mut impossible = realm(RootKind::AwsNitro);
    impossible.record.threshold = 200;
    add(
        "protocol_realm",
        "threshold-above-holders",
        json(&impossible),
    );
}

fn realm(root: RootKind) -> SignedRealmRecord {
    let holder = |i: u8| HolderCard {
        name: format!("h{i}"),
        party: format!("p{i}"),
        region: "r".to_owned(),
        address: format!("h{i}.example:7400"),
        signing_key: protocol::holder_key(i).verifying_key(),
        hpke_key: HpkePublicKey([i; 32]),
        tls_spki_sha256: Digest32::from_bytes([i; 32]),
    };
    SignedRealmRecord {
        record: RealmRecord {
            version: 1,
            serial: 1,
            previous: None,
            genesis_nonce: Digest32::from_bytes([1; 32]),
            created: fixtures::NOW,
            threshold: 2,
            holders: (1..=3).map(holder).collect(),
            root,
            policy_keys: vec![protocol::holder_key(9).verifying_key()],
            checkpointer: AddressId::from_bytes([2; 20]),
            seed_commitments: (1..=3).map(|i| ShareCommitment([i; 32])).collect(),
        },
        signatures: Vec::new(),
    }
}

fn of_wallet(add: Add<'_>) {
    let address = Address::repeat_byte;
    let call = |to, value: u64, data: &[u8]| Call::new(to, U256::from(value), data.to_vec());
    let mut last = call(address(3), 0, &[]);
    last.gas_limit = U256::from(50_000);
    last.only_fallback = true;
    let many = Payload::calls(
        alloy_primitives::aliases::U160::from(5),
        300,
        vec![
            call(wallet::WALLET, 0, b"self"),
            call(address(2), 1, b""),
            last,
        ],
    );
    let one = Payload::calls(Default::default(), 0, vec![call(address(2), 1, b"")]);
    for (name, payload) in [("one", &one), ("many", &many)] {
        let packed = pack(payload, Some(&wallet::WALLET), Encoding::Shortest);
        add("wallet_payload", name, packed.expect("expressible"));
    }

    let signer = |byte, weight| Topology::Signer {
        address: address(byte),
        weight,
    };
    let config = Config {
        threshold: 2,
        checkpoint: 300,
        checkpointer: Some(address(9)),
        topology: Topology::branch(
            Topology::branch(signer(1, 1), signer(2, 20)),
            Topology::branch(
                Topology::Nested {
                    tree: Box::new(Topology::branch(signer(3, 1), signer(4, 1))),
                    weight: 1,
                    threshold: 1,
                },
                Topology::branch(
                    Topology::Sapient {
                        address: address(5),
                        weight: 1,
                        image_hash: B256::repeat_byte(6),
                    },
                    Topology::branch(
                        Topology::Subdigest(B256::repeat_byte(7)),
                        Topology::AnyAddressSubdigest(B256::repeat_byte(8)),
                    ),
                ),
            ),
        ),
    };
    add("wallet_config", "tree", json(&config));
    let simple = Config {
        threshold: 2,
        checkpoint: 0,
        checkpointer: None,
        topology: Topology::branch(signer(1, 1), signer(2, 1)),
    };
    add("wallet_config", "simple", json(&simple));

    let valid = ValidConfig::new(config).expect("a valid configuration");
    let simple = ValidConfig::new(simple).expect("a valid configuration");
    let ecdsa = |byte| {
        let r = address(byte).into_word();
        EcdsaSignature::new(r, B256::with_last_byte(1), true).expect("in range")
    };
    let parts = Parts::from([
        (address(1), SignaturePart::EcdsaHash(ecdsa(1))),
        (address(2), SignaturePart::EthSign(ecdsa(2))),
        (
            address(3),
            SignaturePart::Erc1271(b"contract".to_vec().into()),
        ),
        (
            address(5),
            SignaturePart::Sapient(b"sapient".to_vec().into()),
        ),
    ]);
    let header = Header::default();
    let bytes = encode(&valid, &parts, &header).expect("expressible");
    add("wallet_signature", "tree", bytes.to_vec());
    let both = Parts::from([1, 2].map(|i| (address(i), SignaturePart::EcdsaHash(ecdsa(i)))));
    let bytes = encode(&simple, &both, &header).expect("expressible");
    add("wallet_signature", "simple", bytes.to_vec());
    let links = [(&valid, &parts, header.clone()), (&simple, &both, header)];
    let bytes = encode_chain(&links).expect("expressible");
    add("wallet_signature", "chain", bytes.to_vec());
    add("wallet_signature", "static", vec![0x82]);
    add("wallet_signature", "rsv", ecdsa(1).to_rsv().to_vec());

    let wrapped = erc6492_wrap(&Context::keyfold(), &B256::repeat_byte(1), &bytes);
    add("wallet_erc6492", "wrapped", wrapped.to_vec());
}

fn of_guard(add: Add<'_>) {
    add("guard_policy", "written", json(&guard::written()));
    let anybody = br#"{"version":1,"revision":1,"chains":[{"ids":[1],"native":"anybody"}]}"#;
    add("guard_policy", "anybody", anybody.to_vec());
    add(
        "guard_decision",
        "text",
        eip191(b"Sign in to the app").to_vec(),
    );
    let word = |address: Address| address.into_word().to_vec();
    let amount = vec![1; 32];
    let transfer = [
        vec![0xa9, 0x05, 0x9c, 0xbb],
        word(guard::FRIEND),
        amount.clone(),
    ]
    .concat();
    let approve = [
        vec![0x09, 0x5e, 0xa7, 0xb3],
        word(guard::DENIED),
        amount.clone(),
    ]
    .concat();
    let from = word(wallet::WALLET);
    let pull = [
        vec![0x23, 0xb8, 0x72, 0xdd],
        from,
        word(guard::FRIEND),
        amount,
    ]
    .concat();
    let call = |to, data: &Vec<u8>| Call::new(to, U256::ZERO, data.clone());
    let native = Call::new(guard::FRIEND, U256::from(5), Vec::new());
    for (name, calls) in [
        ("transfer", vec![call(guard::TOKEN, &transfer), native]),
        ("approve", vec![call(guard::PAYABLE_TOKEN, &approve)]),
        ("transfer-from", vec![call(guard::PAYABLE_TOKEN, &pull)]),
        ("any", vec![call(guard::CONTRACT, &vec![1, 2, 3, 4, 5])]),
    ] {
        let payload = Payload::calls(Default::default(), 1, calls);
        let packed = pack(&payload, Some(&wallet::WALLET), Encoding::Shortest);
        add("guard_decision", name, packed.expect("expressible"));
    }
}

fn of_log(add: Add<'_>) {
    let signer = log::signer();
    let checkpoint = log::genuine_checkpoint();
    let note = checkpoint.sign(&signer).expect("a note");
    add("log_note", "checkpoint", note.into_bytes());
    let vkey = signer.verifier().expect("a key").to_string();
    add("log_note", "verifier", vkey.into_bytes());
    let text = checkpoint.to_text();
    add("log_checkpoint", "plain", text.clone().into_bytes());
    add(
        "log_checkpoint",
        "extended",
        format!("{text}an extension\n").into_bytes(),
    );
    let mut frontier = Frontier::new();
    for leaf in 0..11 {
        frontier.append(leaf_hash(&[leaf])).expect("not full");
    }
    add("log_frontier", "eleven", frontier.to_bytes());
    add("log_frontier", "empty", Frontier::new().to_bytes());
    add("log_proof", "genuine", vec![22, 5, 7, 5]);
    add(
        "log_proof",
        "altered",
        [&[22, 5, 7, 5, 0, 1, 3, 1][..], &[1; 60]].concat(),
    );
}

fn of_oidc(add: Add<'_>) {
    let text = |value: serde_json::Value| value.to_string().into_bytes();
    add("identity_oidc_id_token", "claims", text(oidc::claims()));
    add(
        "identity_oidc_id_token",
        "none",
        b"eyJhbGciOiJub25lIn0.e30.".to_vec(),
    );
    add("identity_oidc_jwks", "one", oidc::jwks_document());
    add(
        "identity_oidc_jwks",
        "pem",
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n".to_vec(),
    );
    add(
        "identity_oidc_discovery",
        "document",
        text(oidc::metadata()),
    );
    add(
        "identity_oidc_discovery",
        "url",
        b"https://login.example:8443/a?b=c".to_vec(),
    );
    for (name, callback) in [
        ("code", format!("code=Splx&state={}", oidc::state())),
        (
            "issuer",
            format!(
                "state={}&iss=https%3A%2F%2Faccounts.google.com&scope=a+b&code=4%2F0",
                oidc::state()
            ),
        ),
        (
            "error",
            format!("error=access_denied&state={}", oidc::state()),
        ),
    ] {
        add("identity_oidc_callback", name, callback.into_bytes());
    }
    for (name, answer) in [
        (
            "token",
            r#"{"access_token":"SlAV32hkKG","token_type":"Bearer","expires_in":3600,"id_token":"a.b.c"}"#,
        ),
        (
            "user",
            r#"{"id":"80351110224678912","verified":true,"email":"nelly@discord.com"}"#,
        ),
        ("refused", r#"{"error":"invalid_grant"}"#),
    ] {
        add("identity_oidc_answer", name, answer.into());
    }
}
