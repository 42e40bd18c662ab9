//! Messages that are for somebody else, some other time, or not of the standard's form.

use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_crypto::testing::SeededRng;
use proptest::prelude::*;

use super::*;
use crate::challenge::{CHALLENGE_SECONDS, ChallengeError};

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];

fn key() -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([0x11; 32])).unwrap()
}

fn address() -> EthereumAddress {
    EthereumAddress(key().address())
}

fn policy() -> EthereumPolicy {
    EthereumPolicy {
        origins: vec![
            Origin::parse("https://app.example").unwrap(),
            Origin::parse("https://other.example:8443").unwrap(),
        ],
        chains: vec![1, 8453],
        contracts: false,
    }
}

fn challenge_for(method: ChallengeMethod, project: &str, device: [u8; 32]) -> Challenge {
    Challenge::new(method, project, device, NOW, &mut SeededRng::new(4))
}

fn challenge() -> Challenge {
    challenge_for(ChallengeMethod::Ethereum, "app", DEVICE)
}

fn genuine() -> String {
    format!(
        "app.example wants you to sign in with your Ethereum account:\n\
         {}\n\
         \n\
         Sign in to the shop. No fee: it's free!\n\
         \n\
         URI: https://app.example/login?next=%2Fhome#top\n\
         Version: 1\n\
         Chain ID: 1\n\
         Nonce: {}\n\
         Issued At: 2027-01-15T08:00:00.000Z\n\
         Expiration Time: 2027-01-15T08:05:00Z\n\
         Not Before: 2027-01-15T08:00:00Z\n\
         Request ID: a-1:b@c\n\
         Resources:\n\
         - ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
         - https://app.example/terms",
        address(),
        challenge().nonce()
    )
}

fn sign(message: &str) -> Vec<u8> {
    key().sign_prehash(&eip191_hash(message)).to_rsv().to_vec()
}

fn sign_in(message: &str) -> Result<EthereumAccount, MessageError> {
    match verify(&policy(), challenge(), message, &sign(message), NOW)? {
        SignIn::Proven(proven) => Ok(*proven.account()),
        SignIn::AskContract(_) => panic!("contracts are off"),
    }
}

fn refused(message: &str) -> MessageError {
    sign_in(message).expect_err(message)
}

#[test]
fn a_genuine_message_proves_account_project_and_device() {
    let message = genuine();
    let SignIn::Proven(proven) =
        verify(&policy(), challenge(), &message, &sign(&message), NOW).unwrap()
    else {
        panic!("a key has signed")
    };
    assert_eq!(proven.account(), &EthereumAccount::Key(address()));
    assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
}

/// From the documentation of a library of the authors of EIP-4361.
#[test]
fn a_published_message_and_signature_verify() {
    let message = "login.xyz wants you to sign in with your Ethereum account:\n\
                   0xfA151B5453CE69ABf60f0dbdE71F6C9C5868800E\n\
                   \n\
                   Sign-In With Ethereum Example Statement\n\
                   \n\
                   URI: https://login.xyz\n\
                   Version: 1\n\
                   Chain ID: 1\n\
                   Nonce: ToTaLLyRanDOM\n\
                   Issued At: 2021-12-17T00:38:39.834Z";
    let fields = parse(message, FORM).unwrap();
    assert_eq!(
        (fields.domain, fields.nonce),
        ("login.xyz", "ToTaLLyRanDOM")
    );
    assert_eq!(fields.issued_at, 1_639_701_519);
    let signature = hex::decode(
        "8d1327a1abbdf172875e5be41706c50fc3bede8af363b67aefbb543d6d082fb7\
         6a22057d7cb6d668ceba883f7d70ab7f1dc015b76b51d226af9d610fa20360ad1c",
    );
    let signer = key_of(&eip191_hash(message), &signature.unwrap());
    assert_eq!(signer, EthereumAddress::parse(fields.address));
}

#[test]
fn the_shortest_message_has_two_empty_lines() {
    let shortest = |blank: &str| {
        format!(
            "https://other.example:8443 wants you to sign in with your Ethereum account:\n{}\n{blank}\
             URI: https://other.example:8443\nVersion: 1\nChain ID: 8453\nNonce: {}\n\
             Issued At: 2027-01-15T08:00:00Z",
            address(),
            challenge().nonce()
        )
    };
    assert!(sign_in(&shortest("\n\n")).is_ok());
    for blank in ["", "\n", "\n\n\n", "\n \n"] {
        assert_eq!(refused(&shortest(blank)), MessageError::Malformed);
    }
    let resources = format!("{}\nResources:", shortest("\n\n"));
    assert!(sign_in(&resources).is_ok());
}

#[test]
fn another_device_project_method_or_sign_in_has_another_nonce() {
    let message = genuine();
    for other in [
        challenge_for(ChallengeMethod::Ethereum, "app", [8; 32]),
        challenge_for(ChallengeMethod::Ethereum, "apq", DEVICE),
        Challenge::new(
            ChallengeMethod::Ethereum,
            "app",
            DEVICE,
            NOW,
            &mut SeededRng::new(5),
        ),
    ] {
        let result = verify(&policy(), other, &message, &sign(&message), NOW);
        assert_eq!(result.unwrap_err(), MessageError::WrongNonce);
    }
    for method in [ChallengeMethod::Farcaster, ChallengeMethod::Solana] {
        let other = challenge_for(method, "app", DEVICE);
        let result = verify(&policy(), other, &message, &sign(&message), NOW);
        let wanted = MessageError::Challenge(ChallengeError::OtherMethod);
        assert_eq!(result.unwrap_err(), wanted);
    }
    let upper = genuine().replace(&challenge().nonce(), &challenge().nonce().to_uppercase());
    assert_eq!(refused(&upper), MessageError::WrongNonce);
}

#[test]
fn other_domains_and_homographs_are_refused() {
    for (domain, error) in [
        ("evil.example", MessageError::WrongDomain),
        ("app.example.evil.example", MessageError::WrongDomain),
        ("APP.example", MessageError::WrongDomain),
        ("app.example.", MessageError::WrongDomain),
        ("app.example:443", MessageError::WrongDomain),
        ("user@app.example", MessageError::WrongDomain),
        ("http://app.example", MessageError::WrongDomain),
        ("xn--pp-6kc.example", MessageError::WrongDomain),
        ("https://app.example/", MessageError::Malformed),
        ("\u{430}pp.example", MessageError::Malformed),
        ("app.example ", MessageError::Malformed),
        ("", MessageError::Malformed),
        ("://app.example", MessageError::Malformed),
    ] {
        let message = genuine().replacen("app.example wants", &format!("{domain} wants"), 1);
        assert_eq!(refused(&message), error, "{domain}");
    }
    let scheme = genuine().replacen("app.example wants", "https://app.example wants", 1);
    assert!(sign_in(&scheme).is_ok());
}

#[test]
fn a_uri_of_another_origin_is_refused_even_one_of_the_projects() {
    for uri in [
        "https://evil.example/",
        "https://app.example.evil.example/",
        "https://app.example@evil.example/",
        "http://app.example/",
        "https://other.example:8443/",
        "https:app.example",
    ] {
        let message = genuine().replace("https://app.example/login?next=%2Fhome#top", uri);
        assert_eq!(refused(&message), MessageError::WrongUri, "{uri}");
    }
    for uri in [
        "",
        "app.example",
        "https://app.example/ x",
        "https://app.example/%zz",
        "1://a",
    ] {
        let message = genuine().replace("https://app.example/login?next=%2Fhome#top", uri);
        assert_eq!(refused(&message), MessageError::Malformed, "{uri}");
    }
}

#[test]
fn two_pages_that_differ_by_scheme_alone_are_both_the_projects() {
    let local = |listed: &[&str], scheme: &str, uri: &str| {
        let policy = EthereumPolicy {
            origins: listed
                .iter()
                .map(|text| Origin::parse(text).unwrap())
                .collect(),
            ..policy()
        };
        let message = genuine()
            .replacen(
                "app.example wants",
                &format!("{scheme}localhost:3000 wants"),
                1,
            )
            .replace("https://app.example/login?next=%2Fhome#top", uri);
        verify(&policy, challenge(), &message, &sign(&message), NOW).err()
    };
    let (secure, plain) = ("https://localhost:3000", "http://localhost:3000");
    assert_eq!(local(&[secure, plain], "", plain), None);
    assert_eq!(local(&[plain, secure], "", secure), None);
    assert_eq!(
        local(&[plain, secure], "http://", secure),
        Some(MessageError::WrongUri)
    );
    assert_eq!(local(&[secure], "", plain), Some(MessageError::WrongUri));
    assert_eq!(
        local(&[secure], "http://", plain),
        Some(MessageError::WrongDomain)
    );
}

#[test]
fn a_newline_in_the_statement_makes_no_field() {
    let nonce = challenge().nonce();
    for injected in [
        "Hello\nURI: https://evil.example",
        "Hello\n\nURI: https://app.example\nVersion: 1\nChain ID: 1",
        &format!(
            "Hello\n\nURI: https://app.example\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: 2027-01-15T08:00:00Z\nResources:\n- https://app.example"
        ),
        "Hello\r\nURI: https://evil.example",
        "Hello\u{2028}URI: https://evil.example",
        "Hello\u{85}",
        "tab\there",
        "\n",
        "quote \" is not in the grammar",
        "percent % neither",
        "\u{202e}reversed",
    ] {
        let message = genuine().replace("Sign in to the shop. No fee: it's free!", injected);
        assert_eq!(refused(&message), MessageError::Malformed, "{injected:?}");
    }
    let looks_like_a_field = genuine().replace("Sign in to the shop.", "URI: https://evil.example");
    assert!(
        sign_in(&looks_like_a_field).is_ok(),
        "text, in the statement's place"
    );
}

#[test]
fn fields_twice_missing_out_of_order_or_after_the_end_are_refused() {
    let message = genuine();
    let lines: Vec<&str> = message.split('\n').collect();
    for (i, line) in lines.iter().enumerate() {
        let mut twice = lines.clone();
        twice.insert(i, line);
        let mut without = lines.clone();
        without.remove(i);
        let mut swapped = lines.clone();
        swapped.swap(i, (i + 1) % lines.len());
        // Without its statement, an optional field or a resource it still is a message.
        let optional = i == 3 || (10..13).contains(&i) || i >= 14;
        if !optional {
            assert!(sign_in(&without.join("\n")).is_err(), "without {line}");
        }
        if i < 14 {
            assert!(sign_in(&twice.join("\n")).is_err(), "twice {line}");
            assert!(sign_in(&swapped.join("\n")).is_err(), "swapped {line}");
        }
    }
    for changed in [
        format!("{message}\n"),
        format!("\n{message}"),
        format!("{message}\nURI: https://evil.example"),
        format!("{message}\n- "),
        format!("{message}\n- no uri"),
        message.replace("Version: 1", "Version: 2"),
        message.replace("Version: 1", "version: 1"),
        message.replace("Resources:", "Resources: "),
        message.replace('\n', "\r\n"),
        message.replace("Ethereum account", "Solana account"),
        message.replace(
            "Issued At: 2027-01-15T08:00:00.000Z",
            "Issued At: yesterday",
        ),
        message.replace("Request ID: a-1:b@c", "Request ID: a b"),
    ] {
        assert_eq!(refused(&changed), MessageError::Malformed, "{changed}");
    }
}

#[test]
fn too_long_a_message_or_too_many_resources_are_refused_unread() {
    let long = format!("{}{}", genuine(), "\n- https://app.example/".repeat(15));
    assert_eq!(refused(&long), MessageError::TooLong);
    let long = genuine().replace("Sign in", &"x".repeat(MAX_MESSAGE_LEN));
    assert_eq!(refused(&long), MessageError::TooLong);
}

#[test]
fn the_wrong_chain_is_refused() {
    for (chain, error) in [
        ("10", MessageError::WrongChain),
        ("0", MessageError::WrongChain),
        ("01", MessageError::WrongChain),
        ("+1", MessageError::WrongChain),
        ("1 ", MessageError::WrongChain),
        ("0x1", MessageError::WrongChain),
        ("18446744073709551617", MessageError::WrongChain),
        ("", MessageError::WrongChain),
    ] {
        let message = genuine().replace("Chain ID: 1", &format!("Chain ID: {chain}"));
        assert_eq!(refused(&message), error, "{chain}");
    }
}

#[test]
fn expired_not_yet_and_stale_messages_are_refused() {
    let at = |message: &str, now| {
        verify(&policy(), challenge(), message, &sign(message), now).map(|_| ())
    };
    let message = genuine().replace("08:05:00Z", "08:02:00Z");
    assert_eq!(at(&message, NOW + 119), Ok(()));
    assert_eq!(at(&message, NOW + 120), Err(MessageError::Expired));
    let message = genuine().replace(
        "Not Before: 2027-01-15T08:00:00Z",
        "Not Before: 2027-01-15T08:01:00Z",
    );
    assert_eq!(at(&message, NOW + 59), Err(MessageError::NotYet));
    assert_eq!(at(&message, NOW + 60), Ok(()));
    for (issued, fresh) in [
        ("2027-01-15T07:59:00Z", true),
        ("2027-01-15T07:58:59Z", false),
        ("2027-01-15T08:01:00Z", true),
        ("2027-01-15T08:01:01Z", false),
    ] {
        let message = genuine().replace(
            "Issued At: 2027-01-15T08:00:00.000Z",
            &format!("Issued At: {issued}"),
        );
        let wanted = if fresh {
            Ok(())
        } else {
            Err(MessageError::WrongIssuedAt)
        };
        assert_eq!(at(&message, NOW), wanted, "{issued}");
    }
    let expired = MessageError::Challenge(ChallengeError::Expired);
    assert_eq!(at(&genuine(), NOW + CHALLENGE_SECONDS), Err(expired));
}

#[test]
fn an_address_without_its_checksum_is_refused() {
    let written = address().to_string();
    for bad in [
        written.to_lowercase(),
        written.to_uppercase(),
        written.replacen("0x", "0X", 1),
        written.replacen("0x", "", 1),
        format!("{written}0"),
        written[..41].to_owned(),
        format!("0x{}", "g".repeat(40)),
    ] {
        let message = genuine().replace(&written, &bad);
        assert_eq!(refused(&message), MessageError::WrongAddress, "{bad}");
    }
}

/// ERC-55.
#[test]
fn checksums_are_those_of_erc_55() {
    for text in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        assert_eq!(EthereumAddress::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn malleable_and_foreign_signatures_are_refused() {
    let message = genuine();
    let good = sign(&message);
    let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let mut mirrored = good.clone();
    let mut borrow = 0;
    for (i, digit) in order.unwrap().iter().enumerate().rev() {
        let difference = i32::from(*digit) - i32::from(good[32 + i]) - borrow;
        borrow = i32::from(difference < 0);
        mirrored[32 + i] = difference.rem_euclid(256) as u8;
    }
    mirrored[64] ^= 27 ^ 28;
    let mut parity = good.clone();
    parity[64] -= 27;
    let mut other_v = good.clone();
    other_v[64] ^= 27 ^ 28;
    for signature in [
        mirrored,
        parity,
        other_v,
        sign("another message"),
        good[..64].to_vec(),
        [&good[..], &[0]].concat(),
        vec![0; 65],
        Vec::new(),
    ] {
        let result = verify(&policy(), challenge(), &message, &signature, NOW);
        assert_eq!(result.unwrap_err(), MessageError::WrongSignature);
    }
    let long = vec![0; MAX_SIGNATURE_LEN + 1];
    let result = verify(&policy(), challenge(), &message, &long, NOW);
    assert_eq!(result.unwrap_err(), MessageError::TooLong);
}

/// Answers one question, and only this one.
struct Chain(ContractQuestion, ContractAnswer);

impl ContractSignatures for Chain {
    fn check(&self, question: &ContractQuestion) -> ContractAnswer {
        assert_eq!(question, &self.0);
        self.1
    }
}

#[test]
fn a_contract_is_asked_and_is_another_account_than_a_key_of_its_address() {
    let policy = EthereumPolicy {
        contracts: true,
        ..policy()
    };
    let message = genuine();
    let by_key = verify(&policy, challenge(), &message, &sign(&message), NOW).unwrap();
    assert!(matches!(by_key, SignIn::Proven(_)), "no chain is asked");
    let question = ContractQuestion {
        chain_id: 1,
        address: address(),
        hash: eip191_hash(&message),
        signature: vec![1, 2, 3],
    };
    for (answer, error) in [
        (ContractAnswer::Valid, None),
        (ContractAnswer::Invalid, Some(MessageError::ContractRefused)),
        (ContractAnswer::Unavailable, Some(MessageError::Unavailable)),
    ] {
        let pending = verify(&policy, challenge(), &message, &[1, 2, 3], NOW).unwrap();
        let settled = pending.settle(&Chain(question.clone(), answer));
        assert_eq!(settled.as_ref().err(), error.as_ref());
        if let Ok(proven) = settled {
            let contract = EthereumAccount::Contract {
                chain_id: 1,
                address: address(),
            };
            assert_eq!(proven.account(), &contract);
        }
    }
}

#[test]
fn no_two_accounts_share_their_look_up_bytes() {
    let contract = |chain_id, address| EthereumAccount::Contract { chain_id, address };
    let (one, two) = (EthereumAddress([1; 20]), EthereumAddress([2; 20]));
    let accounts = [
        EthereumAccount::Key(one),
        EthereumAccount::Key(two),
        contract(1, one),
        contract(10, one),
        contract(1, two),
    ];
    for (i, first) in accounts.iter().enumerate() {
        for second in &accounts[..i] {
            assert_ne!(first.lookup_bytes(), second.lookup_bytes());
        }
    }
}

proptest! {
    #[test]
    fn a_message_with_a_byte_changed_signs_nobody_in(position in 0_usize..500, bit in 0_u8..7) {
        let message = genuine();
        let position = position % message.len();
        let mut bytes = message.clone().into_bytes();
        bytes[position] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        let result = verify(&policy(), challenge(), &changed, &sign(&message), NOW);
        prop_assert!(result.is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,300}", lines in "[a-zA-Z:/ .\n-]{0,300}") {
        let _ = parse(&text, FORM);
        let wants = format!("a{}\n{lines}", FORM.wants);
        let _ = parse(&wants, FORM);
    }
}
