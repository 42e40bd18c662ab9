//! Readable copies of everything that is signed or hashed, and the proof that they are true.
//!
//! Each test lists a message field by field, from the fields' own values and not through the
//! encoder; the concatenation must be what the code signs, and the listing must be the file in
//! `transcripts/`. Changing an encoding therefore needs a visible change of its transcript.
//! To write the files anew: `UPDATE=1 cargo test -p keyfold-protocol --test transcripts`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "transcripts/maintenance.rs"]
mod maintenance;

use std::fmt::Write as _;

use keyfold_crypto::commitment::{ShareCommitment, SharePurpose};
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::hash::sha256;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_crypto::{Canonical, Secret};
use keyfold_protocol::anchor::{Anchor, AnchorStatement};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    DeviceState, DeviceStatement, ReleaseAad, SealDirection, ShareSeal, TimeStatement,
    key_share_context,
};
use keyfold_protocol::ids::*;
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::log_entry::{Event, LogEntry};
use keyfold_protocol::project_command::{ProjectChange, ProjectCommand};
use keyfold_protocol::realm::{HolderCard, RealmRecord, RootKind};
use keyfold_protocol::registration::InstanceBinding;
use keyfold_protocol::sign_in::{PasskeyRegistration, Proof};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureParams, UnsignedRequest, content_digest,
};

/// A listing under construction, with the bytes it stands for.
struct Listing {
    text: String,
    bytes: Vec<u8>,
}

impl Listing {
    fn new(label: &str, purpose: &str) -> Self {
        let mut listing = Self {
            text: format!("{label}\n{purpose}\n\n"),
            bytes: Vec::new(),
        };
        listing.raw("label length", &[u8::try_from(label.len()).unwrap()]);
        listing.raw("label", label.as_bytes());
        listing
    }

    fn raw(&mut self, name: &str, bytes: &[u8]) {
        writeln!(self.text, "{name:<32} {}", hex::encode(bytes)).unwrap();
        self.bytes.extend_from_slice(bytes);
    }

    fn u8(&mut self, name: &str, value: u8) {
        self.raw(name, &[value]);
    }

    fn u32(&mut self, name: &str, value: u32) {
        self.raw(name, &value.to_be_bytes());
    }

    fn u64(&mut self, name: &str, value: u64) {
        self.raw(name, &value.to_be_bytes());
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.u32(
            &format!("{name}: length"),
            u32::try_from(value.len()).unwrap(),
        );
        self.raw(name, value);
    }

    fn check(self, file: &str, signed: &[u8]) {
        assert_eq!(
            hex::encode(&self.bytes),
            hex::encode(signed),
            "{file}: not what is signed"
        );
        compare(file, &self.text);
    }
}

impl Listing {
    /// Where only the hash is to be had.
    fn check_hash(self, file: &str, digest: Digest32) {
        let hash = Digest32::from_bytes(sha256(&self.bytes));
        assert_eq!(hash, digest, "{file}: not what is hashed");
        compare(file, &self.text);
    }
}

fn compare(file: &str, text: &str) {
    let path = format!("{}/transcripts/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, text,
        "{path} is not true; if the change is meant, run with UPDATE=1"
    );
}

fn realm() -> RealmId {
    RealmId::from_bytes([0xa1; 32])
}

fn owner() -> AccountRef {
    AccountRef {
        project: "app.example".parse().unwrap(),
        account: AccountId::from_bytes([0xa2; 16]),
    }
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([byte; 32]))
}

#[test]
fn anchor_ack() {
    let statement = AnchorStatement {
        realm: realm(),
        holder: 2,
        record: RecordId::from_bytes([0xb1; 32]),
        anchor: Anchor {
            version: 7,
            hash: Digest32::from_bytes([0xb2; 32]),
        },
    };
    let mut l = Listing::new(
        "keyfold/anchor-ack/v1",
        "A holder states (Ed25519) what it remembers of a record.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u8("holder index", 2);
    l.bytes("record id", &[0xb1; 32]);
    l.u64("version", 7);
    l.bytes("SHA-256 of the sealed record", &[0xb2; 32]);
    l.check("anchor-ack", &statement.to_signed_bytes());
}

#[test]
fn device_ack() {
    let owner = owner();
    let statement = DeviceStatement {
        realm: realm(),
        holder: 3,
        owner: &owner,
        device: Thumbprint([0xc1; 32]),
        state: DeviceState::Pending {
            active_at: 1_800_000_000,
        },
        issued: 1_799_913_600,
    };
    let mut l = Listing::new(
        "keyfold/device-ack/v1",
        "A holder states (Ed25519) that a device is on its list for an account.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u8("holder index", 3);
    l.bytes("project", b"app.example");
    l.bytes("account", &[0xa2; 16]);
    l.bytes("device (JWK thumbprint)", &[0xc1; 32]);
    l.u8("state: 1 active, 2 pending", 2);
    l.u64("active at (Unix s; 0 if active)", 1_800_000_000);
    l.u64("issued (Unix s)", 1_799_913_600);
    l.check("device-ack", &statement.to_signed_bytes());
}

#[test]
fn time() {
    let statement = TimeStatement {
        nonce: Digest32::from_bytes([0xd1; 32]),
        unix_ms: 1_800_000_000_123,
    };
    let mut l = Listing::new("keyfold/time/v1", "A holder states (Ed25519) its time.");
    l.bytes("nonce of the enclave", &[0xd1; 32]);
    l.u64("Unix milliseconds", 1_800_000_000_123);
    l.check("time", &statement.to_signed_bytes());
}

#[test]
fn instance_binding() {
    let binding = InstanceBinding {
        version: 1,
        signing_key: key(1).verifying_key(),
        ohttp_config: vec![1, 2, 3],
        realm: Some(realm()),
    };
    let mut l = Listing::new(
        "keyfold/instance-binding/v1",
        "SHA-256 of it is the user_data of an instance's attestation document.",
    );
    l.u32("protocol version", 1);
    l.bytes("Ed25519 signing key", &key(1).verifying_key().to_bytes());
    l.bytes("OHTTP key configuration", &[1, 2, 3]);
    l.u8("realm present", 1);
    l.bytes("realm id", &[0xa1; 32]);
    l.check("instance-binding", &binding.to_signed_bytes());
}

#[test]
fn realm_record() {
    let card = |name: &str, byte| HolderCard {
        name: name.into(),
        party: format!("party {name}"),
        region: format!("region {name}"),
        address: format!("{name}.example:7400"),
        signing_key: key(byte).verifying_key(),
        hpke_key: HpkePublicKey([byte; 32]),
        tls_spki_sha256: Digest32::from_bytes([byte + 0x40; 32]),
    };
    let record = RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::from_bytes([0xe1; 32]),
        created: 1_800_000_000,
        threshold: 2,
        holders: vec![card("a", 1), card("b", 2), card("c", 3)],
        root: RootKind::Development {
            certificate_sha256: Digest32::from_bytes([0xe2; 32]),
        },
        policy_keys: vec![key(9).verifying_key()],
        checkpointer: AddressId::from_bytes([0xe3; 20]),
        seed_commitments: (1..=3).map(|byte| ShareCommitment([byte; 32])).collect(),
    };
    assert_eq!(record.check_shape(), Ok(()));
    let mut l = Listing::new(
        "keyfold/realm-record/v1",
        "Every holder signs it (Ed25519) at genesis; its SHA-256 is the realm id.",
    );
    l.u32("version", 1);
    l.u32("serial", 1);
    l.u8("previous present", 0);
    l.bytes("genesis nonce", &[0xe1; 32]);
    l.u64("created (Unix s)", 1_800_000_000);
    l.u8("threshold", 2);
    l.u32("holders: count", 3);
    for (name, byte) in [("a", 1), ("b", 2), ("c", 3)] {
        l.bytes("name", name.as_bytes());
        l.bytes("party", format!("party {name}").as_bytes());
        l.bytes("region", format!("region {name}").as_bytes());
        l.bytes("address", format!("{name}.example:7400").as_bytes());
        l.bytes("Ed25519 signing key", &key(byte).verifying_key().to_bytes());
        l.bytes("X25519 HPKE key", &[byte; 32]);
        l.bytes("SHA-256 of the TLS key", &[byte + 0x40; 32]);
    }
    l.u8("root: 1 AWS, 2 development", 2);
    l.bytes("SHA-256 of the root", &[0xe2; 32]);
    l.u32("policy keys: count", 1);
    l.bytes("Ed25519 policy key", &key(9).verifying_key().to_bytes());
    l.bytes("checkpointer address", &[0xe3; 20]);
    l.u32("seed commitments: count", 3);
    for byte in 1..=3 {
        l.bytes("seed commitment", &[byte; 32]);
    }
    l.check("realm-record", &record.to_signed_bytes());
}

#[test]
fn share_seal_and_release_aad() {
    let context = key_share_context(
        realm(),
        &owner(),
        KeyId::from_bytes([0xf1; 16]),
        SharePurpose::LeafKey,
        2,
        1,
    );
    let seal = ShareSeal {
        direction: SealDirection::ToInstance,
        instance: InstanceId::from_bytes([0xf2; 16]),
        context: &context,
    };
    let mut l = Listing::new(
        "keyfold/share-seal/v1",
        "HPKE info of a share on its way between an instance and a holder.",
    );
    l.u8("direction: 1 in, 2 out", 2);
    l.bytes("instance id", &[0xf2; 16]);
    l.bytes("share context (keyfold-crypto)", &context.to_signed_bytes());
    l.check("share-seal", &seal.to_signed_bytes());

    let aad = ReleaseAad {
        request: RequestId::from_bytes([0xf3; 16]),
        digest: Digest32::from_bytes([0xf4; 32]),
    };
    let mut l = Listing::new(
        "keyfold/release-aad/v1",
        "HPKE additional data of a released share: the request it is released for.",
    );
    l.bytes("request id", &[0xf3; 16]);
    l.bytes("digest to be signed", &[0xf4; 32]);
    l.check("release-aad", &aad.to_signed_bytes());
}

#[test]
fn log_entry_of_a_release() {
    let owner = owner();
    let entry = LogEntry {
        realm: realm(),
        unix_ms: 1_800_000_000_123,
        instance: InstanceId::from_bytes([0xf2; 16]),
        event: Event::Released {
            owner: &owner,
            device: Thumbprint([0xc1; 32]),
            request: RequestId::from_bytes([0xf3; 16]),
            operation: Operation::SignTransaction,
            wallet: AddressId::from_bytes([0x11; 20]),
            key: KeyId::from_bytes([0xf1; 16]),
            generation: 1,
            digest: Digest32::from_bytes([0xf4; 32]),
        },
    };
    let mut l = Listing::new(
        "keyfold/holder-log-entry/v1",
        "A leaf of a holder's log: here the release of a share.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u64("Unix milliseconds", 1_800_000_000_123);
    l.bytes("instance id", &[0xf2; 16]);
    l.u8("event: 6 released", 6);
    l.bytes("project", b"app.example");
    l.bytes("account", &[0xa2; 16]);
    l.bytes("device (JWK thumbprint)", &[0xc1; 32]);
    l.bytes("request id", &[0xf3; 16]);
    l.bytes("operation", b"sign-transaction");
    l.bytes("wallet", &[0x11; 20]);
    l.bytes("key id", &[0xf1; 16]);
    l.u32("generation", 1);
    l.bytes("digest to be signed", &[0xf4; 32]);
    l.check("holder-log-entry-released", &entry.to_signed_bytes());
}

#[test]
fn log_entries_of_identities() {
    let owner = owner();
    let entry = |event| LogEntry {
        realm: realm(),
        unix_ms: 1_800_000_000_123,
        instance: InstanceId::from_bytes([0xf2; 16]),
        event,
    };
    let listing = |purpose, number| {
        let mut l = Listing::new("keyfold/holder-log-entry/v1", purpose);
        l.bytes("realm id", &[0xa1; 32]);
        l.u64("Unix milliseconds", 1_800_000_000_123);
        l.bytes("instance id", &[0xf2; 16]);
        l.u8("event: 11 linked, 12 unlinked", number);
        l.bytes("project", b"app.example");
        l.bytes("account", &[0xa2; 16]);
        l.bytes("identity", &[0xc2; 32]);
        l
    };
    let identity = Digest32::from_bytes([0xc2; 32]);
    let linked = entry(Event::IdentityLinked {
        owner: &owner,
        identity,
        counts_from: 1_800_086_400,
    });
    let mut l = listing(
        "A leaf of a holder's log: here an identity that is to vouch for devices.",
        11,
    );
    l.u64("counts from (Unix s)", 1_800_086_400);
    l.check("holder-log-entry-identity", &linked.to_signed_bytes());
    let unlinked = entry(Event::IdentityUnlinked {
        owner: &owner,
        identity,
    });
    let l = listing(
        "A leaf of a holder's log: here an identity that vouches no more.",
        12,
    );
    l.check("holder-log-entry-unlinked", &unlinked.to_signed_bytes());
}

#[test]
fn digests_of_proofs() {
    let token = Proof::Token {
        token: "a.b.c".to_owned().into(),
    };
    let mut l = Listing::new(
        "keyfold/proof/v1",
        "SHA-256 of it is how an intent names a token that the device shows.",
    );
    l.bytes("method", b"token");
    l.bytes("token", b"a.b.c");
    l.check_hash("proof-token", token.digest());
    let passkey = Proof::NewPasskey(PasskeyRegistration {
        id: vec![0xd1; 16],
        client_data_json: b"{}".to_vec(),
        attestation_object: vec![0xd2; 3],
    });
    let mut l = Listing::new(
        "keyfold/proof/v1",
        "SHA-256 of it is how an intent names a passkey that was made on the device.",
    );
    l.bytes("method", b"new-passkey");
    l.bytes("rawId", &[0xd1; 16]);
    l.bytes("clientDataJSON", b"{}");
    l.bytes("attestationObject", &[0xd2; 3]);
    l.check_hash("proof-new-passkey", passkey.digest());
}

#[test]
fn log_entry_of_a_revocation() {
    let owner = owner();
    let entry = LogEntry {
        realm: realm(),
        unix_ms: 1_800_000_000_123,
        instance: InstanceId::from_bytes([0xf2; 16]),
        event: Event::DevicesRevoked {
            owner: &owner,
            by: Thumbprint([0xc1; 32]),
            devices: &[Thumbprint([0xc2; 32]), Thumbprint([0xc3; 32])],
        },
    };
    let mut l = Listing::new(
        "keyfold/holder-log-entry/v1",
        "A leaf of a holder's log: here the end of two devices.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u64("Unix milliseconds", 1_800_000_000_123);
    l.bytes("instance id", &[0xf2; 16]);
    l.u8("event: 9 devices revoked", 9);
    l.bytes("project", b"app.example");
    l.bytes("account", &[0xa2; 16]);
    l.bytes("device that asked (JWK thumbprint)", &[0xc1; 32]);
    l.u32("how many", 2);
    l.bytes("device", &[0xc2; 32]);
    l.bytes("device", &[0xc3; 32]);
    l.check("holder-log-entry-devices-revoked", &entry.to_signed_bytes());
}

#[test]
fn holder_log_entry_project_changed() {
    let project: ProjectId = "app.example".parse().unwrap();
    let entry = LogEntry {
        realm: realm(),
        unix_ms: 1_800_000_000_123,
        instance: InstanceId::from_bytes([0xf2; 16]),
        event: Event::ProjectChanged {
            project: &project,
            version: 4,
            command: Digest32::from_bytes([0xf6; 32]),
        },
    };
    let mut l = Listing::new(
        "keyfold/holder-log-entry/v1",
        "A leaf of a holder's log: here the change of a project.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u64("Unix milliseconds", 1_800_000_000_123);
    l.bytes("instance id", &[0xf2; 16]);
    l.u8("event: 13 project changed", 13);
    l.bytes("project", b"app.example");
    l.u64("version it is to have", 4);
    l.bytes("SHA-256 of the command", &[0xf6; 32]);
    l.check("holder-log-entry-project-changed", &entry.to_signed_bytes());
}

fn command(change: ProjectChange) -> ProjectCommand {
    ProjectCommand {
        realm: realm(),
        project: "app.example".parse().unwrap(),
        follows: 3,
        expires: 1_800_000_000,
        change,
    }
}

fn command_listing(purpose: &str, tag: &str, number: u8) -> Listing {
    let mut l = Listing::new("keyfold/project-command/v1", purpose);
    l.bytes("realm id", &[0xa1; 32]);
    l.bytes("project", b"app.example");
    l.u64("version that it changes", 3);
    l.u64("expires (Unix seconds)", 1_800_000_000);
    l.u8(tag, number);
    l
}

#[test]
fn project_command_settings() {
    let settings = r#"{"display_name":"App"}"#;
    let mut l = command_listing(
        "What administrators of a project sign: here new settings, as the text that travels.",
        "change: 1 settings",
        1,
    );
    l.bytes("settings (JSON)", settings.as_bytes());
    let settings = settings.to_owned();
    let command = command(ProjectChange::Settings { settings });
    l.check("project-command-settings", &command.to_signed_bytes());
}

#[test]
fn project_command_secret() {
    let mut l = command_listing(
        "What administrators of a project sign: here a secret, by its commitment.",
        "change: 2 secret",
        2,
    );
    l.bytes("name", b"mail");
    l.bytes("commitment", &[0xf7; 32]);
    let set = command(ProjectChange::Secret {
        name: "mail".into(),
        commitment: Digest32::from_bytes([0xf7; 32]),
    });
    l.check("project-command-secret", &set.to_signed_bytes());

    let mut l = command_listing(
        "What administrators of a project sign: here that a secret is removed.",
        "change: 3 remove secret",
        3,
    );
    l.bytes("name", b"mail");
    let remove = command(ProjectChange::RemoveSecret {
        name: "mail".into(),
    });
    l.check("project-command-remove-secret", &remove.to_signed_bytes());
}

#[test]
fn project_command_administrators() {
    let keys: Vec<_> = [1, 2]
        .map(|byte| PublicJwk::Ed25519 {
            x: key(byte).verifying_key().to_bytes(),
        })
        .into();
    let mut l = command_listing(
        "What administrators of a project sign: here who they are from then on.",
        "change: 4 administrators",
        4,
    );
    l.u32("number of keys", 2);
    for key in &keys {
        l.bytes("JWK thumbprint", &key.thumbprint().0);
    }
    l.u8("how many must sign", 2);
    let command = command(ProjectChange::Administrators { keys, threshold: 2 });
    l.check("project-command-administrators", &command.to_signed_bytes());
}

#[test]
fn a_devices_request() {
    let intent = Intent::Sign {
        operation: Operation::SignTransaction,
        id: RequestId::from_bytes([0xf3; 16]),
        key_use: KeyUse {
            wallet: AddressId::from_bytes([0x11; 20]),
            key: KeyId::from_bytes([0xf1; 16]),
            digest: Digest32::from_bytes([0xf4; 32]),
        },
    };
    let components = Components {
        method: "POST".into(),
        authority: InstanceId::from_bytes([0xf2; 16]).to_string(),
        path: "/v1/sign/transaction".into(),
        query: "?".into(),
        content_digest: content_digest(b"{}"),
        device: Some(DeviceHeaders {
            realm: realm().to_string(),
            project: "app.example".into(),
            intent: intent.to_field(),
            session: Some(Digest32::from_bytes([0xf5; 32]).to_string()),
        }),
    };
    let params = SignatureParams {
        created: 1_800_000_000,
        lifetime_seconds: 60,
        nonce: "AAECAwQFBgcICQoLDA0ODw",
        key_id: &Thumbprint([0xc1; 32]).to_string(),
    };
    let request = UnsignedRequest::new(Profile::Request, components, &params).unwrap();
    let base = std::str::from_utf8(request.signature_base()).unwrap();
    compare("device-request", &format!("{base}\n"));
}
