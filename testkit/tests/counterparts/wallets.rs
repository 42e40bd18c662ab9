//! `siwe`, the Solana wallet standard and the Farcaster client as producers.

use keyfold_identity::challenge::{Challenge, ChallengeError, ChallengeMethod};
use keyfold_identity::farcaster::{self, FarcasterPolicy, RegistryAnswer};
use keyfold_identity::origin::Origin;
use keyfold_identity::siwe::{
    self, ContractAnswer, EthereumAccount, EthereumPolicy, MessageError, SignIn,
};
use keyfold_identity::siws::{self, SolanaCluster, SolanaPolicy};
use keyfold_testkit::counterparts::{CounterpartError, SignedMessage, Wallets};
use serde_json::{Value, json};

use crate::{again, now, rng};

const PROJECT: &str = "app.example";
const DEVICE: [u8; 32] = [7; 32];
const DOMAIN: &str = "app.example.test";
const PAGE: &str = "https://app.example.test";

fn challenge_at(method: ChallengeMethod, project: &str, device: [u8; 32], at: u64) -> Challenge {
    Challenge::new(method, project, device, at, &mut rng())
}

fn origins() -> Vec<Origin> {
    vec![Origin::parse(PAGE).unwrap()]
}

/// RFC 3339, as wallets write it.
fn date_time(unix_seconds: u64) -> String {
    let at =
        time::OffsetDateTime::from_unix_timestamp(i64::try_from(unix_seconds).unwrap()).unwrap();
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

fn with(fields: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut changed = fields.clone();
    changed[name] = value.into();
    changed
}

/// Changes one thing of a good message at a time; `None` changes nothing.
fn changes(fields: &Value, issued_at: u64) -> Vec<(&'static str, Value, Option<MessageError>)> {
    let at = |seconds: u64| Value::from(date_time(seconds));
    vec![
        ("as it is", fields.clone(), None),
        (
            "a statement",
            with(fields, "statement", "Sign in to the app."),
            None,
        ),
        (
            "a path",
            with(fields, "uri", format!("{PAGE}/login?next=%2F")),
            None,
        ),
        (
            "resources",
            with(
                fields,
                "resources",
                json!(["https://app.example.test/terms"]),
            ),
            None,
        ),
        (
            "ends later",
            with(fields, "expirationTime", at(issued_at + 600)),
            None,
        ),
        (
            "ended",
            with(fields, "expirationTime", at(issued_at - 1)),
            Some(MessageError::Expired),
        ),
        (
            "not yet",
            with(fields, "notBefore", at(issued_at + 600)),
            Some(MessageError::NotYet),
        ),
        (
            "before the sign-in",
            with(fields, "issuedAt", at(issued_at - 600)),
            Some(MessageError::WrongIssuedAt),
        ),
        (
            "in the future",
            with(fields, "issuedAt", at(issued_at + 600)),
            Some(MessageError::WrongIssuedAt),
        ),
        (
            "another domain",
            with(fields, "domain", "evil.example.test"),
            Some(MessageError::WrongDomain),
        ),
        (
            "another page",
            with(fields, "uri", "https://evil.example.test"),
            Some(MessageError::WrongUri),
        ),
        (
            "another nonce",
            with(fields, "nonce", "0".repeat(64)),
            Some(MessageError::WrongNonce),
        ),
    ]
}

/// A proof for one sign-in is none for another method, project, device or time.
fn foreign(
    of: ChallengeMethod,
    other: ChallengeMethod,
    at: u64,
) -> Vec<(Challenge, u64, MessageError)> {
    let nonce = MessageError::WrongNonce;
    vec![
        (challenge_at(of, PROJECT, DEVICE, at), at, nonce),
        (challenge_at(of, "another.example", DEVICE, at), at, nonce),
        (challenge_at(of, PROJECT, [8; 32], at), at, nonce),
        (
            challenge_at(other, PROJECT, DEVICE, at),
            at,
            ChallengeError::OtherMethod.into(),
        ),
        (
            challenge_at(of, PROJECT, DEVICE, at),
            at + 300,
            ChallengeError::Expired.into(),
        ),
    ]
}

fn fields(challenge: &Challenge) -> Value {
    json!({
        "domain": DOMAIN,
        "uri": PAGE,
        "nonce": challenge.nonce(),
        "issuedAt": date_time(challenge.issued_at_unix_seconds()),
    })
}

#[tokio::test]
async fn a_message_of_siwe_signs_in_its_address_and_nothing_else() {
    let wallets = Wallets::start().await.unwrap();
    let address = wallets.address("alice").await.unwrap()["ethereum"]
        .as_str()
        .unwrap()
        .to_owned();
    let policy = EthereumPolicy {
        origins: origins(),
        chains: vec![1, 10],
        contracts: false,
    };
    let challenge = challenge_at(ChallengeMethod::Ethereum, PROJECT, DEVICE, now());
    let at = challenge.issued_at_unix_seconds();
    let good = with(&fields(&challenge), "chainId", 1);
    let verify = |challenge: Challenge, signed: &SignedMessage, now| {
        siwe::verify(&policy, challenge, &signed.message, &signed.signature, now)
    };
    let mut cases = changes(&good, at);
    cases.extend([
        ("a scheme", with(&good, "scheme", "https"), None),
        ("a request id", with(&good, "requestId", "42"), None),
        (
            "another chain",
            with(&good, "chainId", 137),
            Some(MessageError::WrongChain),
        ),
        (
            "another scheme",
            with(&good, "scheme", "http"),
            Some(MessageError::WrongDomain),
        ),
    ]);
    for (what, fields, refusal) in cases {
        let signed = wallets.ethereum("alice", &fields).await.unwrap();
        match (verify(again(&challenge), &signed, at + 1), refusal) {
            (Ok(SignIn::Proven(proven)), None) => {
                let EthereumAccount::Key(key) = proven.account() else {
                    panic!("{what}")
                };
                assert_eq!(key.to_string(), address, "{what}");
                assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
            }
            (Err(error), Some(refusal)) => assert_eq!(error, refusal, "{what}"),
            (other, _) => panic!("{what}: {other:?}\n{}", signed.message),
        }
    }
    let signed = wallets.ethereum("alice", &good).await.unwrap();
    for (other, at, error) in foreign(ChallengeMethod::Ethereum, ChallengeMethod::Farcaster, at) {
        assert_eq!(verify(other, &signed, at).err(), Some(error));
    }
    // Somebody else's signature over the same text; a text that was changed after signing.
    let mallory = wallets
        .ethereum("mallory", &with(&good, "address", address))
        .await
        .unwrap();
    assert_eq!(mallory.message, signed.message);
    assert_eq!(
        verify(again(&challenge), &mallory, at).err(),
        Some(MessageError::WrongSignature)
    );
    let changed = SignedMessage {
        message: signed.message.replace("Chain ID: 1", "Chain ID: 10"),
        ..signed.clone()
    };
    assert_eq!(
        verify(again(&challenge), &changed, at).err(),
        Some(MessageError::WrongSignature)
    );
    // Where contracts may sign in, a stranger's signature is one more question, never a proof.
    let contracts = EthereumPolicy {
        contracts: true,
        ..policy.clone()
    };
    let asked = siwe::verify(
        &contracts,
        again(&challenge),
        &mallory.message,
        &mallory.signature,
        at,
    );
    let Ok(SignIn::AskContract(pending)) = asked else {
        panic!("{asked:?}")
    };
    assert_eq!(
        pending.answered(ContractAnswer::Invalid),
        Err(MessageError::ContractRefused)
    );
    wallets.stop().await;
}

#[tokio::test]
async fn a_message_of_the_solana_wallet_standard_signs_in_its_address_and_nothing_else() {
    let wallets = Wallets::start().await.unwrap();
    let address = wallets.address("alice").await.unwrap()["solana"]
        .as_str()
        .unwrap()
        .to_owned();
    let policy = SolanaPolicy {
        origins: origins(),
        cluster: None,
    };
    let challenge = challenge_at(ChallengeMethod::Solana, PROJECT, DEVICE, now());
    let at = challenge.issued_at_unix_seconds();
    let good = with(&fields(&challenge), "version", "1");
    let verify = |challenge: Challenge, signed: &SignedMessage, now| {
        siws::verify(&policy, challenge, &signed.message, &signed.signature, now)
    };
    let mut cases = changes(&good, at);
    cases.extend([
        ("a cluster", with(&good, "chainId", "solana:mainnet"), None),
        ("a request id", with(&good, "requestId", "42"), None),
        (
            "no cluster",
            with(&good, "chainId", "solana:moon"),
            Some(MessageError::WrongChain),
        ),
        (
            "no nonce",
            with(&good, "nonce", Value::Null),
            Some(MessageError::Malformed),
        ),
        (
            "no URI",
            with(&good, "uri", Value::Null),
            Some(MessageError::Malformed),
        ),
        (
            "no time",
            with(&good, "issuedAt", Value::Null),
            Some(MessageError::Malformed),
        ),
    ]);
    for (what, fields, refusal) in cases {
        let fields = without_nulls(fields);
        let signed = wallets
            .solana("alice", &fields)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        match (verify(again(&challenge), &signed, at + 1), refusal) {
            (Ok(proven), None) => {
                assert_eq!(proven.address().to_string(), address, "{what}");
                assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
            }
            (Err(error), Some(refusal)) => assert_eq!(error, refusal, "{what}"),
            (other, _) => panic!("{what}: {other:?}\n{}", signed.message),
        }
    }
    let signed = wallets.solana("alice", &good).await.unwrap();
    for (other, at, error) in foreign(ChallengeMethod::Solana, ChallengeMethod::Ethereum, at) {
        assert_eq!(verify(other, &signed, at).err(), Some(error));
    }
    let theirs = wallets.solana("mallory", &good).await.unwrap();
    let spliced = SignedMessage {
        signature: theirs.signature,
        ..signed.clone()
    };
    assert_eq!(
        verify(again(&challenge), &spliced, at).err(),
        Some(MessageError::WrongSignature)
    );
    let mainnet = SolanaPolicy {
        cluster: Some(SolanaCluster::Mainnet),
        ..policy.clone()
    };
    let refused = siws::verify(
        &mainnet,
        again(&challenge),
        &signed.message,
        &signed.signature,
        at,
    );
    assert_eq!(refused.err(), Some(MessageError::WrongChain));
    wallets.stop().await;
}

fn without_nulls(mut fields: Value) -> Value {
    let members = fields.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    fields
}

#[tokio::test]
async fn a_message_of_the_farcaster_client_signs_in_an_account_that_its_signer_has_custody_of() {
    let wallets = Wallets::start().await.unwrap();
    let address = wallets.address("alice").await.unwrap()["ethereum"]
        .as_str()
        .unwrap()
        .to_owned();
    let policy = FarcasterPolicy {
        origins: origins(),
        auth_addresses: false,
        contracts: false,
    };
    let challenge = challenge_at(ChallengeMethod::Farcaster, PROJECT, DEVICE, now());
    let at = challenge.issued_at_unix_seconds();
    let good = json!({"domain": DOMAIN, "uri": PAGE, "nonce": challenge.nonce(), "fid": 20943});
    let verify = |challenge: Challenge, signed: &SignedMessage, now| {
        farcaster::verify(&policy, challenge, &signed.message, &signed.signature, now)
    };
    let signed = wallets.farcaster("alice", &good).await.unwrap();
    // Both judge the same message, and neither takes another's account.
    let custody = json!({ (address.clone()): 20943 });
    let judged = wallets
        .check_farcaster(&signed, &challenge.nonce(), DOMAIN, &custody)
        .await
        .unwrap();
    assert_eq!(judged, json!({"success": true, "fid": 20943}));
    let claim = verify(again(&challenge), &signed, now()).unwrap();
    assert_eq!(claim.registry_question().fid, 20943);
    assert_eq!(claim.registry_question().address.to_string(), address);
    assert_eq!(claim.contract_question(), None);
    let proven = claim.answered(RegistryAnswer::Custody, None).unwrap();
    assert_eq!(
        (proven.fid(), proven.by_custody(), proven.device()),
        (20943, true, &DEVICE)
    );

    // B22: transferred to somebody else since; an address that is not custody.
    let moved = json!({ (address.clone()): 0 });
    let judged = wallets
        .check_farcaster(&signed, &challenge.nonce(), DOMAIN, &moved)
        .await;
    assert!(
        matches!(judged, Err(CounterpartError::Refused { .. })),
        "{judged:?}"
    );
    for answer in [RegistryAnswer::No, RegistryAnswer::AuthAddress] {
        let claim = verify(again(&challenge), &signed, now()).unwrap();
        assert_eq!(
            claim.answered(answer, None),
            Err(MessageError::NotRegistered)
        );
    }
    for (what, fields, refusal) in [
        (
            "another domain",
            with(&good, "domain", "evil.example.test"),
            MessageError::WrongDomain,
        ),
        (
            "another page",
            with(&good, "uri", "https://evil.example.test"),
            MessageError::WrongUri,
        ),
        (
            "another nonce",
            with(&good, "nonce", "0".repeat(64)),
            MessageError::WrongNonce,
        ),
        // The client composes nothing that has ended: it does before it is shown.
        (
            "ended",
            with(&good, "expirationTime", date_time(at + 60)),
            MessageError::Expired,
        ),
    ] {
        let signed = wallets.farcaster("alice", &fields).await.unwrap();
        let refused = verify(again(&challenge), &signed, now() + 100);
        assert_eq!(refused.err(), Some(refusal), "{what}");
    }
    for (other, at, error) in foreign(ChallengeMethod::Farcaster, ChallengeMethod::Ethereum, at) {
        assert_eq!(verify(other, &signed, at).err(), Some(error));
    }
    // A sign-in with Ethereum of the same key, for the same page and nonce, is none with Farcaster.
    let siwe = with(
        &with(&fields(&challenge), "chainId", 10),
        "resources",
        json!(["farcaster://fid/20943"]),
    );
    let siwe = wallets.ethereum("alice", &siwe).await.unwrap();
    assert_eq!(
        verify(again(&challenge), &siwe, now()).err(),
        Some(MessageError::WrongStatement)
    );
    let theirs = wallets
        .farcaster("mallory", &with(&good, "address", address))
        .await
        .unwrap();
    assert_eq!(
        verify(again(&challenge), &theirs, now()).err(),
        Some(MessageError::WrongSignature)
    );
    wallets.stop().await;
}
