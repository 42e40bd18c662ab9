//! Messages of Sign In With Farcaster, and registries that say no.

use keyfold_crypto::Secret;
use keyfold_crypto::hash::keccak256;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_crypto::testing::SeededRng;

use super::*;
use crate::challenge::ChallengeError;

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];

fn key() -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([0x11; 32])).unwrap()
}

fn address() -> EthereumAddress {
    EthereumAddress::from_bytes(key().address())
}

fn policy() -> FarcasterPolicy {
    FarcasterPolicy {
        origins: vec![Origin::parse("https://app.example").unwrap()],
        auth_addresses: false,
        contracts: false,
    }
}

fn challenge() -> Challenge {
    let mut rng = SeededRng::new(4);
    Challenge::new(ChallengeMethod::Farcaster, "app", DEVICE, NOW, &mut rng)
}

fn genuine() -> String {
    format!(
        "app.example wants you to sign in with your Ethereum account:\n{}\n\nFarcaster Auth\n\n\
         URI: https://app.example/login\nVersion: 1\nChain ID: 10\nNonce: {}\n\
         Issued At: 2027-01-15T08:00:00.000Z\nResources:\n- farcaster://fid/1234",
        address(),
        challenge().nonce()
    )
}

fn sign(message: &str) -> Vec<u8> {
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
    key()
        .sign_prehash(&keccak256(prefixed.as_bytes()))
        .to_rsv()
        .to_vec()
}

fn claim(message: &str) -> Result<FarcasterClaim, MessageError> {
    verify(&policy(), challenge(), message, &sign(message), NOW)
}

/// Lists who may sign for which account; asserts nothing about contracts.
struct Listed(u64, EthereumAddress, RegistryAnswer);

impl FarcasterRegistry for Listed {
    fn look_up(&self, question: &RegistryQuestion) -> RegistryAnswer {
        if (question.fid, question.address) == (self.0, self.1) {
            self.2
        } else {
            RegistryAnswer::No
        }
    }
}

struct Contract(ContractAnswer);

impl ContractSignatures for Contract {
    fn check(&self, question: &ContractQuestion) -> ContractAnswer {
        assert_eq!(question.chain_id, 10);
        self.0
    }
}

#[test]
fn a_claim_that_the_registry_confirms_proves_account_project_and_device() {
    let registry = Listed(1234, address(), RegistryAnswer::Custody);
    let chain = Contract(ContractAnswer::Invalid);
    let proven = claim(&genuine())
        .unwrap()
        .settle(&registry, &chain)
        .unwrap();
    assert_eq!((proven.fid(), proven.by_custody()), (1234, true));
    assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
}

#[test]
fn an_address_after_its_account_was_transferred_is_refused() {
    let new_owner = EthereumAddress::from_bytes([2; 20]);
    let chain = Contract(ContractAnswer::Valid);
    for registry in [
        Listed(1234, new_owner, RegistryAnswer::Custody),
        Listed(1235, address(), RegistryAnswer::Custody),
    ] {
        let result = claim(&genuine()).unwrap().settle(&registry, &chain);
        assert_eq!(result.unwrap_err(), MessageError::NotRegistered);
    }
    let nobody = claim(&genuine()).unwrap();
    let result = nobody.answered(RegistryAnswer::Unavailable, None);
    assert_eq!(result.unwrap_err(), MessageError::Unavailable);
}

#[test]
fn an_address_approved_for_signing_in_counts_where_the_project_says_so() {
    let of = |auth_addresses| {
        let policy = FarcasterPolicy {
            auth_addresses,
            ..policy()
        };
        let message = genuine();
        verify(&policy, challenge(), &message, &sign(&message), NOW)
            .unwrap()
            .answered(RegistryAnswer::AuthAddress, None)
            .map(|proven| proven.by_custody())
    };
    assert_eq!(of(false), Err(MessageError::NotRegistered));
    assert_eq!(of(true), Ok(false));
}

#[test]
fn a_contract_must_accept_and_be_listed() {
    let policy = FarcasterPolicy {
        contracts: true,
        ..policy()
    };
    let pending = || verify(&policy, challenge(), &genuine(), &[1, 2, 3], NOW).unwrap();
    assert!(pending().contract_question().is_some());
    let custody = RegistryAnswer::Custody;
    let refused = |contract| pending().answered(custody, contract).unwrap_err();
    assert_eq!(
        refused(Some(ContractAnswer::Invalid)),
        MessageError::ContractRefused
    );
    assert_eq!(refused(None), MessageError::Unavailable);
    let listed = pending().answered(custody, Some(ContractAnswer::Valid));
    assert_eq!(listed.unwrap().fid(), 1234);
    let unlisted = pending().answered(RegistryAnswer::No, Some(ContractAnswer::Valid));
    assert_eq!(unlisted.unwrap_err(), MessageError::NotRegistered);
}

#[test]
fn messages_that_are_not_farcasters_or_for_others_are_refused() {
    for (from, to, error) in [
        (
            "app.example wants",
            "evil.example wants",
            MessageError::WrongDomain,
        ),
        (
            "URI: https://app.example/",
            "URI: https://evil.example/",
            MessageError::WrongUri,
        ),
        ("Chain ID: 10", "Chain ID: 1", MessageError::WrongChain),
        (
            "Farcaster Auth",
            "Farcaster Connect",
            MessageError::WrongStatement,
        ),
        ("Farcaster Auth\n", "", MessageError::WrongStatement),
        (
            "\nResources:\n- farcaster://fid/1234",
            "",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fids/1234",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/01234",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/0",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/-1",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/1234/5",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/18446744073709551617",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "FARCASTER://fid/1234",
            MessageError::WrongResource,
        ),
        (
            "farcaster://fid/1234",
            "farcaster://fid/1234\n- farcaster://fid/1",
            MessageError::WrongResource,
        ),
    ] {
        let message = genuine().replacen(from, to, 1);
        assert_eq!(claim(&message).unwrap_err(), error, "{to}");
    }
    let more = format!("{}\n- https://app.example/terms", genuine());
    assert_eq!(claim(&more).unwrap().registry_question().fid, 1234);
}

#[test]
fn a_challenge_of_ethereum_or_of_another_device_does_not_do() {
    let message = genuine();
    for (method, device, error) in [
        (
            ChallengeMethod::Farcaster,
            [8; 32],
            MessageError::WrongNonce,
        ),
        (
            ChallengeMethod::Ethereum,
            DEVICE,
            MessageError::Challenge(ChallengeError::OtherMethod),
        ),
    ] {
        let other = Challenge::new(method, "app", device, NOW, &mut SeededRng::new(4));
        let result = verify(&policy(), other, &message, &sign(&message), NOW);
        assert_eq!(result.unwrap_err(), error);
    }
    let result = verify(&policy(), challenge(), &message, &sign("other"), NOW);
    assert_eq!(result.unwrap_err(), MessageError::WrongSignature);
}
