//! What the parties say to each other.

use std::sync::OnceLock;

use alloy_primitives::Address;
use bhttp::Message;
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::secret::Secret;
use keyfold_protocol::config::{ConfigChange, ConfigState, StoredTree, UpdateConfig};
use keyfold_protocol::delivery::{CookieChange, SealedSession};
use keyfold_protocol::evidence::{Addressee, Evidence, MAX_ITEMS};
use keyfold_protocol::ids::Signature64;
use keyfold_protocol::intent::{Intent, MAX_INTENT_LEN};
use keyfold_protocol::ohttp::{
    EncodedKeyConfig, GatewayKeys, InnerRequest, InnerResponse, PADDING_BLOCK, encapsulate,
};
use keyfold_protocol::realm::{MAX_HOLDERS, SignedRealmRecord};
use keyfold_protocol::session::{
    AttestationKeySet, Expired, MAX_ATTESTATION_KEYS, MAX_ATTESTATION_LEN, MAX_SESSION_SECONDS,
    SessionClaims, SessionError, SessionExpectation, attestation_hash, verify,
};
use keyfold_protocol::signed_request::{
    Components, Profile, SignatureError, SignedComponents, verify_device, verify_instance,
};

use crate::fixtures::{self, NOW};
use crate::reached;

const PROFILES: [Profile; 3] = [Profile::Request, Profile::SignIn, Profile::Instance];

/// An intent has one text.
pub fn intent(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(intent) = Intent::parse(text) {
        reached();
        assert_eq!(intent.to_field(), text);
        assert!(text.len() <= MAX_INTENT_LEN && text.is_ascii());
        assert_eq!(
            intent.key_use().is_some(),
            intent.operation().releases_leaf_key()
        );
    }
}

/// A change of a cookie has one text, which is no longer than a browser takes and adds nothing to the
/// cookie's header.
pub fn cookie(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(change) = text.parse::<CookieChange>() {
        reached();
        assert_eq!(change.to_string(), text);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b' ');
        assert!(text.len() < 4_000 && text.bytes().all(plain));
        let CookieChange::Set {
            seconds, sealed, ..
        } = change
        else {
            return;
        };
        assert!((1..=MAX_SESSION_SECONDS).contains(&seconds));
        if let Some(bytes) = sealed.to_bytes() {
            assert_eq!(SealedSession::from_bytes(&bytes), Ok(sealed));
        }
    }
}

/// Whatever verifies with the device's key has the components that the device signed.
pub fn signed_request(data: &[u8]) {
    let Ok(signed) = serde_json::from_slice::<SignedComponents>(data) else {
        return;
    };
    let json = serde_json::to_vec(&signed).expect("JSON");
    let again: SignedComponents = serde_json::from_slice(&json).expect("our own JSON");
    assert_eq!(again, signed);
    let key = fixtures::device().public_jwk();
    for profile in PROFILES {
        if let Ok(verified) = verify_device(profile, &signed, &key, NOW) {
            reached();
            assert_ne!(profile, Profile::Instance);
            assert_eq!(verified.components, fixtures::components(profile));
            assert_eq!(verified.created, NOW);
        }
    }
    let stranger = SigningKey::from_secret(&Secret::from_array([9; 32])).verifying_key();
    assert!(verify_instance(&signed, "i", &stranger, NOW).is_err());
}

/// Signer and verifier read one text: what could be signed verifies, unless its content is wrong;
/// and it verifies for its own profile alone.
pub fn components(data: &[u8]) {
    let Ok(components) = serde_json::from_slice::<Components>(data) else {
        return;
    };
    let key = fixtures::device().public_jwk();
    for profile in PROFILES {
        let Some(signed) = fixtures::sign(profile, components.clone()) else {
            continue;
        };
        for other in PROFILES {
            let verdict = verify_device(other, &signed, &key, NOW);
            if other != profile {
                assert!(verdict.is_err());
                continue;
            }
            match verdict {
                Ok(verified) => {
                    let headers = components.device.as_ref().expect("a device's request");
                    reached();
                    assert_eq!(verified.intent.to_field(), headers.intent);
                    assert_eq!(verified.realm.to_string(), headers.realm);
                    assert_eq!(verified.project.to_string(), headers.project);
                    assert_eq!(verified.session.map(|s| s.to_string()), headers.session);
                    assert_eq!(verified.components, components);
                }
                Err(
                    SignatureError::Intent(_)
                    | SignatureError::WrongComponents
                    | SignatureError::Malformed,
                ) => {}
                Err(error) => panic!("signed and not verified: {error}"),
            }
        }
    }
}

/// A message that is read is written, padded, and read as the same; the library's own reader
/// agrees about it.
pub fn inner_message(data: &[u8]) {
    if let Ok(request) = InnerRequest::from_bhttp(data) {
        let written = request.to_bhttp().expect("it was read");
        assert_eq!(written.len() % PADDING_BLOCK, 0);
        assert!(InnerRequest::from_bhttp(&written) == Ok(request.clone()));
        reached();
        let theirs = read_by_library(data, &request.headers, &request.body);
        let control = theirs.control();
        assert_eq!(control.method(), Some(request.method.as_bytes()));
        assert_eq!(control.scheme(), Some(&b"https"[..]));
        assert_eq!(control.authority(), Some(request.authority.as_bytes()));
        assert_eq!(control.path(), Some(request.path_and_query.as_bytes()));
    }
    if let Ok(response) = InnerResponse::from_bhttp(data) {
        let written = response.to_bhttp().expect("it was read");
        assert_eq!(written.len() % PADDING_BLOCK, 0);
        assert!(InnerResponse::from_bhttp(&written) == Ok(response.clone()));
        let theirs = read_by_library(data, &response.headers, &response.body);
        let status = theirs.control().status().map(|status| status.code());
        assert_eq!(status, Some(response.status));
    }
}

fn read_by_library(data: &[u8], headers: &[(String, String)], body: &[u8]) -> Message {
    let message = Message::read_bhttp(&mut std::io::Cursor::new(data)).expect("ours is stricter");
    assert_eq!(message.content(), body);
    let fields = message.header().fields();
    assert_eq!(fields.len(), headers.len());
    for (field, (name, value)) in fields.iter().zip(headers) {
        assert_eq!(field.name(), name.as_bytes());
        assert_eq!(field.value(), value.as_bytes());
    }
    message
}

pub(crate) fn inner_request() -> InnerRequest {
    InnerRequest {
        method: "POST".to_owned(),
        authority: fixtures::instance().to_string(),
        path_and_query: "/v1/wallets?x=1".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("cookie".to_owned(), "a=b; c=d".to_owned()),
        ],
        body: b"{}".to_vec().into(),
    }
}

pub(crate) fn inner_response() -> InnerResponse {
    InnerResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: b"{}".to_vec(),
    }
}

pub(crate) fn gateway() -> &'static GatewayKeys {
    static KEYS: OnceLock<GatewayKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys = GatewayKeys::new([1; 32], 7).expect("a key");
        keys.rotate([2; 32], NOW).expect("a key");
        keys
    })
}

/// Who opens a request can answer it; nobody else answers ours; a key configuration has one
/// encoding.
pub fn ohttp(data: &[u8]) {
    if let Ok((_, sealer)) = gateway().open(data, NOW) {
        reached();
        sealer.seal(&inner_response()).expect("a good response");
    }
    let (_, context) =
        encapsulate(gateway().encoded_config(), &inner_request()).expect("a good request");
    assert!(context.open(data).is_err());
    if let Ok(config) = EncodedKeyConfig::parse(data) {
        assert_eq!(config.as_bytes(), data);
        // Points of small order are configurations too; nothing is sealed to them.
        let _ = encapsulate(&config, &inner_request());
    }
}

fn expectation<'a>(
    realm: &'a keyfold_protocol::ids::RealmId,
    project: &'a keyfold_protocol::ids::ProjectId,
) -> SessionExpectation<'a> {
    SessionExpectation {
        realm,
        project,
        now_unix_seconds: NOW,
        expired: Expired::Refused,
    }
}

/// Whatever verifies says what the realm's key signed.
pub fn session(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let (realm, project) = (fixtures::realm(), fixtures::project());
    let expect = expectation(&realm, &project);
    if let Ok(verified) = verify(text, fixtures::attestation_keys(), &expect) {
        reached();
        assert_eq!(verified.claims(), &fixtures::claims());
        assert_eq!(verified.attestation_hash(), attestation_hash(text));
    }
}

/// Of all payloads with a good signature, only claims for this realm, project and time verify.
pub fn session_claims(data: &[u8]) {
    let (realm, project) = (fixtures::realm(), fixtures::project());
    let expect = expectation(&realm, &project);
    let text = fixtures::jwt_quickly(data);
    match verify(&text, fixtures::attestation_keys(), &expect) {
        Ok(verified) => {
            reached();
            let claims = verified.claims();
            assert_eq!(claims.check(), Ok(()));
            assert_eq!((&claims.iss, &claims.aud), (&realm, &project));
            assert!(claims.exp > NOW && claims.iat <= NOW + 30);
            assert!(text.len() <= MAX_ATTESTATION_LEN);
            let json = serde_json::to_vec(claims).expect("JSON");
            let again: SessionClaims = serde_json::from_slice(&json).expect("our own JSON");
            assert_eq!(&again, claims);
        }
        Err(SessionError::TooLarge) => assert!(text.len() > MAX_ATTESTATION_LEN),
        Err(
            error @ (SessionError::UnknownKey
            | SessionError::WrongAlgorithm
            | SessionError::BadSignature),
        ) => panic!("signed and not authentic: {error}"),
        Err(_) => {}
    }
}

/// A key set that is read is written back to the same value, and finds each key by its name.
pub fn attestation_keys(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<AttestationKeySet>(data) else {
        return;
    };
    assert!(set.keys().len() <= MAX_ATTESTATION_KEYS);
    for key in set.keys() {
        assert_eq!(set.find(&key.kid()), Some(key));
        reached();
    }
    let json = serde_json::to_vec(&set).expect("JSON");
    let again: AttestationKeySet = serde_json::from_slice(&json).expect("our own JSON");
    assert_eq!(again, set);
}

/// Evidence that is read is written back to the same value; if it verifies, it shows what the
/// device signed.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = serde_json::from_slice::<Evidence>(data) else {
        return;
    };
    let json = serde_json::to_vec(&evidence).expect("JSON");
    let again: Evidence = serde_json::from_slice(&json).expect("our own JSON");
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), json);
    let addressee = Addressee {
        realm: fixtures::realm(),
        instance: fixtures::instance(),
        project: None,
    };
    for profile in PROFILES {
        let verdict = evidence.verify(profile, &addressee, NOW);
        let verdict_again = again.verify(profile, &addressee, NOW);
        assert_eq!(verdict.is_ok(), verdict_again.is_ok());
        let Ok(verified) = verdict else { continue };
        reached();
        assert!(evidence.items.len() <= MAX_ITEMS);
        let hash = verified.attestation.as_deref().map(attestation_hash);
        assert_eq!(verified.request.session.map(|s| *s.as_bytes()), hash);
        assert_eq!(verified.request.device, verified.jwk.thumbprint());
        if verified.jwk == fixtures::device().public_jwk() {
            assert_eq!(verified.request.components, fixtures::components(profile));
        }
    }
}

/// The keys of the holders that take part in [`realm`].
pub(crate) fn holder_key(index: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([index; 32]))
}

/// A realm record that is read is written back to the same value with the same id. If its holders
/// sign it, it verifies unless its shape is wrong, and then its threshold is a majority.
pub fn realm(data: &[u8]) {
    let Ok(signed) = serde_json::from_slice::<SignedRealmRecord>(data) else {
        return;
    };
    let json = serde_json::to_vec(&signed).expect("JSON");
    let again: SignedRealmRecord = serde_json::from_slice(&json).expect("our own JSON");
    assert_eq!(again.record, signed.record);
    assert_eq!(again.signatures, signed.signatures);
    assert_eq!(again.record.id(), signed.record.id());

    let mut signed = signed;
    let record = &signed.record;
    // No answer about a record, verified or not, may bring its reader down.
    let _ = (record.write_quorum(), record.concentration_warnings());
    let _ = (record.holder(0), record.holder(u8::MAX));

    use keyfold_crypto::Canonical as _;
    let bytes = record.to_signed_bytes();
    let keys: Vec<SigningKey> = (1..=4).map(holder_key).collect();
    let signatures: Option<Vec<Signature64>> = record
        .holders
        .iter()
        .map(|card| {
            let key = keys
                .iter()
                .find(|key| key.verifying_key() == card.signing_key)?;
            Some(Signature64(key.sign(&bytes)))
        })
        .collect();
    let by_holders = signatures.is_some();
    if let Some(signatures) = signatures {
        signed.signatures = signatures;
    }
    let (id, shape) = (signed.record.id(), signed.record.check_shape());
    match signed.verify(id) {
        Ok(realm) => {
            let (n, t) = (
                realm.record().holders.len(),
                usize::from(realm.record().threshold),
            );
            reached();
            assert_eq!(shape, Ok(()));
            assert!(n <= MAX_HOLDERS && (2..=n).contains(&t) && 2 * t > n);
            let quorum = realm.record().write_quorum();
            assert!(quorum <= n && quorum + t > n && 2 * quorum > n);
            assert_eq!(realm.id(), id);
        }
        Err(error) => assert!(!by_holders || shape == Err(error)),
    }
}

/// The configuration that [`config`] changes.
pub(crate) const CONFIG: &str = r#"{"context":"keyfold","members":{"owner":"0x1111111111111111111111111111111111111111","guard":"0x2222222222222222222222222222222222222222"},"checkpoint":7}"#;

/// A change that fits makes a configuration with another root, by which all its trees are found;
/// whoever checks the request for it computes the same. A tree that has a root keeps it as JSON.
pub fn config(data: &[u8]) {
    if let Ok(tree) = serde_json::from_slice::<StoredTree>(data)
        && let Ok(root) = tree.root()
    {
        let json = serde_json::to_vec(&tree).expect("JSON");
        let again: StoredTree = serde_json::from_slice(&json).expect("our own JSON");
        assert_eq!(again.root(), Ok(root));
        reached();
    }
    let Ok(change) = serde_json::from_slice::<ConfigChange>(data) else {
        return;
    };
    let state: ConfigState = serde_json::from_str(CONFIG).expect("a configuration");
    let Ok(next) = state.after(&change) else {
        return;
    };
    reached();
    let root = next.config().expect("what follows is good").image_hash();
    assert_eq!(next.checkpoint, state.checkpoint + 1);
    let request = UpdateConfig::new(Address::ZERO, &state, change).expect("it fits");
    assert_eq!(request.next, root);
    assert_eq!(request.check(&state).as_ref(), Ok(&next));
    assert!(request.check(&next).is_err(), "it is not repeated");
    let trees = StoredTree::all_of(&next).expect("what follows is good");
    assert_eq!(trees.first().and_then(|tree| tree.root().ok()), Some(root));
    assert!(trees.iter().all(|tree| tree.root().is_ok()));
}
