//! Messages of Sign-In With Solana.

use keyfold_crypto::testing::SeededRng;

use super::*;
use crate::challenge::ChallengeError;

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];

fn key() -> ed25519::SigningKey {
    ed25519::SigningKey::generate(&mut SeededRng::new(1))
}

fn address() -> String {
    SolanaAddress(key().verifying_key()).to_string()
}

fn policy(cluster: Option<SolanaCluster>) -> SolanaPolicy {
    SolanaPolicy {
        origins: vec![Origin::parse("https://app.example").unwrap()],
        cluster,
    }
}

fn challenge() -> Challenge {
    let mut rng = SeededRng::new(4);
    Challenge::new(ChallengeMethod::Solana, "app", DEVICE, NOW, &mut rng)
}

fn genuine() -> String {
    format!(
        "app.example wants you to sign in with your Solana account:\n\
         {}\n\
         \n\
         Sign in to the shop.\n\
         \n\
         URI: https://app.example/login\n\
         Version: 1\n\
         Chain ID: solana:mainnet\n\
         Nonce: {}\n\
         Issued At: 2027-01-15T08:00:00Z",
        address(),
        challenge().nonce()
    )
}

fn sign_in(message: &str) -> Result<String, MessageError> {
    let signature = key().sign(message.as_bytes());
    verify(&policy(None), challenge(), message, &signature, NOW)
        .map(|proven| proven.address().to_string())
}

#[test]
fn a_genuine_message_proves_address_project_and_device() {
    let message = genuine();
    let signature = key().sign(message.as_bytes());
    let policy = policy(Some(SolanaCluster::Mainnet));
    let proven = verify(&policy, challenge(), &message, &signature, NOW).unwrap();
    assert_eq!(proven.address().to_string(), address());
    assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
}

/// Produced by wallets; from the tests of another implementation.
#[test]
fn messages_and_signatures_of_wallets_verify() {
    for (message, signature) in [
        (
            "linkly.id wants you to sign in with your Solana account:\n\
             9pStGkfG4TfFkk5VBwaP6XPLVXr8mq6uWfFJcchWHdwP\n\nStatement\n\n\
             URI: https://linkly.id/\nVersion: 1\nNONCEIssued At: 2025-03-29T00:00:00Z\n\
             Expiration Time: 2025-03-29T00:10:00Z\nNot Before: 2025-03-29T00:00:00Z",
            "ZrHNyLlKHwDs2nE8uM8pBrzgRbLGy5sKuiFXChdygoLN4NZK4mcozcF1HV5sK6aZyfI5ao-kz98kr88tbGgkBg",
        ),
        (
            "localhost:5173 wants you to sign in with your Solana account:\n\
             2S3iKQhUGa8qy9GAdHWNJhjwcCKTPhBaCpt84SaFCXXa\n\nSign in on localhost\n\n\
             URI: http://localhost:5173/\nVersion: 1\nNONCEIssued At: 2025-05-16T14:52:03.613Z",
            "Ybkgj9JAc4NGFpCn7KCOXJEKzcOqWVqEuKSkb6t30iTK-Y74xZUWn9Uq_VbNhMIkuiZSh2Xi7Y6EwzWUn3UMAw",
        ),
    ] {
        // They have no nonce, which we insist on: with one they read.
        let signed = message.replace("NONCE", "");
        assert_eq!(parse(&signed, FORM).unwrap_err(), MessageError::Malformed);
        let with_nonce = message.replace("NONCE", "Nonce: 12345678\n");
        let fields = parse(&with_nonce, FORM).unwrap();
        let address = SolanaAddress::parse(fields.address).unwrap();
        assert_eq!(address.to_string(), fields.address);
        let signature: [u8; 64] = keyfold_crypto::b64::decode_array(signature).unwrap();
        assert_eq!(check_signature(&address, &signed, &signature), Ok(()));
        let other = check_signature(&address, &with_nonce, &signature);
        assert_eq!(other, Err(MessageError::WrongSignature));
    }
}

#[test]
fn optional_fields_may_be_left_out_and_required_ones_not() {
    let message = genuine();
    assert!(sign_in(&message.replace("\nSign in to the shop.\n", "")).is_ok());
    assert!(sign_in(&message.replace("Chain ID: solana:mainnet\n", "")).is_ok());
    for (line, _) in message.match_indices('\n').skip(4).map(|(at, _)| {
        let rest = &message[at + 1..];
        (rest.split('\n').next().unwrap(), ())
    }) {
        if !line.starts_with("Chain ID") {
            let without = message.replace(&format!("\n{line}"), "");
            assert!(sign_in(&without).is_err(), "without {line}");
        }
    }
    let shortest = format!(
        "app.example wants you to sign in with your Solana account:\n{}",
        address()
    );
    assert_eq!(sign_in(&shortest), Err(MessageError::Malformed));
}

#[test]
fn a_statement_cannot_pass_for_a_field() {
    for statement in [
        "URI: https://app.example",
        "x\nURI: https://evil.example",
        "x\r\n",
        "\n\n",
        "",
        "\u{430}",
    ] {
        let message = genuine().replace("Sign in to the shop.", statement);
        assert_eq!(
            sign_in(&message),
            Err(MessageError::Malformed),
            "{statement:?}"
        );
    }
}

#[test]
fn other_domains_uris_clusters_and_methods_are_refused() {
    for (from, to, error) in [
        (
            "app.example wants",
            "evil.example wants",
            MessageError::WrongDomain,
        ),
        (
            "app.example wants",
            "https://app.example wants",
            MessageError::Malformed,
        ),
        (
            "URI: https://app.example/",
            "URI: https://evil.example/",
            MessageError::WrongUri,
        ),
        (
            "solana:mainnet",
            "solana:localnet",
            MessageError::WrongChain,
        ),
        ("solana:mainnet", "1", MessageError::WrongChain),
        (
            "Solana account",
            "Ethereum account",
            MessageError::Malformed,
        ),
        ("Version: 1", "Version: 2", MessageError::Malformed),
        ("08:00:00Z", "08:01:01Z", MessageError::WrongIssuedAt),
    ] {
        assert_eq!(
            sign_in(&genuine().replacen(from, to, 1)),
            Err(error),
            "{to}"
        );
    }
    let message = genuine();
    let signature = key().sign(message.as_bytes());
    let devnet = policy(Some(SolanaCluster::Devnet));
    let result = verify(&devnet, challenge(), &message, &signature, NOW);
    assert_eq!(result.unwrap_err(), MessageError::WrongChain);
    for (method, device, error) in [
        (ChallengeMethod::Solana, [8; 32], MessageError::WrongNonce),
        (
            ChallengeMethod::Ethereum,
            DEVICE,
            MessageError::Challenge(ChallengeError::OtherMethod),
        ),
    ] {
        let other = Challenge::new(method, "app", device, NOW, &mut SeededRng::new(4));
        let result = verify(&policy(None), other, &message, &signature, NOW);
        assert_eq!(result.unwrap_err(), error);
    }
}

#[test]
fn addresses_that_nobody_has_the_key_of_are_refused() {
    let zeros = "1".repeat(32);
    let long = "1".repeat(45);
    let with_zero = format!("0{}", &address()[1..]);
    let lengthened = format!("1{}", address());
    for bad in [
        // The system program: a point of small order.
        zeros.as_str(),
        // 31 and 33 bytes, a character that base58 has not.
        "1111111111111111111111111111111",
        &lengthened,
        &with_zero,
        &long,
        "",
    ] {
        let message = genuine().replace(&address(), bad);
        assert_eq!(sign_in(&message), Err(MessageError::WrongAddress), "{bad}");
    }
}

#[test]
fn an_address_of_31_bytes_is_not_that_of_the_key_which_ends_in_a_zero() {
    let mut rng = SeededRng::new(3);
    let key = loop {
        let key = ed25519::SigningKey::generate(&mut rng).verifying_key();
        if key.to_bytes()[31] == 0 {
            break key;
        }
    };
    let text = |bytes: &[u8]| bs58::encode(bytes).into_string();
    let read = |text: &str| SolanaAddress::parse(text).map(|address| address.to_bytes());
    assert_eq!(read(&text(&key.to_bytes())), Some(key.to_bytes()));
    assert_eq!(read(&text(&key.to_bytes()[..31])), None);
}

#[test]
fn malleable_and_foreign_signatures_are_refused() {
    let message = genuine();
    let good = key().sign(message.as_bytes());
    // s + L, which some verifiers take for s.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut shifted = good;
    let mut carry = 0;
    for (byte, digit) in shifted[32..].iter_mut().zip(order.unwrap()) {
        let sum = u16::from(*byte) + u16::from(digit) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let other = ed25519::SigningKey::generate(&mut SeededRng::new(2)).sign(message.as_bytes());
    for signature in [
        &shifted[..],
        &other,
        &good[..63],
        &[&good[..], &[0]].concat(),
        &[],
    ] {
        let result = verify(&policy(None), challenge(), &message, signature, NOW);
        assert_eq!(result.unwrap_err(), MessageError::WrongSignature);
    }
    assert!(verify(&policy(None), challenge(), &message, &good, NOW).is_ok());
}
