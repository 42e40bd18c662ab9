//! Sign-in by every method that needs no server elsewhere: wallets, passkeys, passwords, tokens of
//! an issuer whose key is in the settings.

use alloy_primitives::{Address, keccak256};
use keyfold_crypto::hash::sha256;
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Secret, b64, ed25519, p256, secp256k1};
use keyfold_identity::oidc::commitment::TokenCommitment;
use keyfold_protocol::client_api::*;
use keyfold_protocol::delivery::HeldAttestation;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::project::*;
use keyfold_protocol::session::SessionClaims;
use keyfold_protocol::sign_in::{
    Method, Next, PasskeyAssertion, PasskeyRegistration, Proof, SignInStarted,
};

use crate::app::{ANNA, APP, App, BORIS, OTHER, assert_refused};
use crate::device::{Device, by_code};

const PAGE: &str = "https://app.example";
const PASSWORD: &str = "correct horse battery";

/// Every method that the tests use, in both projects.
pub(crate) fn settings() -> SignInSettings {
    SignInSettings {
        origins: vec![PAGE.to_owned()],
        password: Some(PasswordSettings::default()),
        ethereum: Some(EthereumSettings {
            chains: vec![1],
            nodes: Default::default(),
        }),
        solana: Some(SolanaSettings::default()),
        passkeys: Some(PasskeySettings {
            relying_party: "app.example".to_owned(),
            user_verification: true,
            apps: Vec::new(),
            top_origins: Vec::new(),
        }),
        issuers: [("own".to_owned(), issuer())].into(),
        ..SignInSettings::default()
    }
}

pub(crate) async fn app() -> App {
    App::with(|body| body.sign_in = settings()).await
}

fn claims(attestation: &HeldAttestation) -> SessionClaims {
    let attestation = attestation.text().unwrap();
    let payload = attestation.split('.').nth(1).unwrap();
    serde_json::from_slice(&b64::decode(payload, 4096).unwrap()).unwrap()
}

/// A passkey, and the browser that it is in.
pub(crate) struct Passkey {
    key: p256::SigningKey,
    id: Vec<u8>,
    user: [u8; 32],
    pub(crate) count: u32,
    /// Whether it counts its uses; one that is synchronised does not.
    pub(crate) counts: bool,
    flags: u8,
}

impl Passkey {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            key: p256::SigningKey::generate(&mut SeededRng::new(seed)),
            id: sha256(&seed.to_be_bytes()).to_vec(),
            user: [0; 32],
            count: 0,
            counts: true,
            flags: 0x05,
        }
    }

    fn client_data(kind: &str, challenge: &[u8; 32]) -> Vec<u8> {
        let challenge = b64::encode(challenge);
        format!(
            "{{\"type\":\"webauthn.{kind}\",\"challenge\":\"{challenge}\",\"origin\":\"{PAGE}\",\
             \"crossOrigin\":false}}"
        )
        .into_bytes()
    }

    fn auth_data(&self, flags: u8, tail: &[u8]) -> Vec<u8> {
        let mut data = sha256(b"app.example").to_vec();
        data.push(flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data.extend_from_slice(tail);
        data
    }

    pub(crate) fn make(&mut self, started: &SignInStarted) -> Proof {
        let Next::NewPasskey {
            challenge, user, ..
        } = &started.next
        else {
            panic!("{:?}", started.next)
        };
        self.user = *user;
        let (x, y) = self.key.verifying_key().coordinates();
        let mut tail = vec![0; 16];
        tail.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        tail.extend_from_slice(&self.id);
        tail.extend_from_slice(&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        tail.extend_from_slice(&x);
        tail.extend_from_slice(&[0x22, 0x58, 32]);
        tail.extend_from_slice(&y);
        let data = self.auth_data(self.flags | 0x40, &tail);
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend_from_slice(&data);
        Proof::NewPasskey(PasskeyRegistration {
            id: self.id.clone(),
            client_data_json: Self::client_data("create", challenge),
            attestation_object: object,
        })
    }

    pub(crate) fn sign(&mut self, started: &SignInStarted) -> Proof {
        let Next::Passkey { challenge, .. } = &started.next else {
            panic!("{:?}", started.next)
        };
        self.count = if self.counts { self.count + 1 } else { 0 };
        let data = self.auth_data(self.flags, &[]);
        let json = Self::client_data("get", challenge);
        let raw = self.key.sign(&[&data[..], &sha256(&json)].concat());
        let mut body = Vec::new();
        for half in raw.chunks(32) {
            let digits = &half[half.iter().position(|byte| *byte != 0).unwrap()..];
            let sign = usize::from(digits[0] >= 0x80);
            body.extend_from_slice(&[2, u8::try_from(digits.len() + sign).unwrap()]);
            body.extend(core::iter::repeat_n(0, sign));
            body.extend_from_slice(digits);
        }
        let signature = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
        Proof::Passkey(PasskeyAssertion {
            id: self.id.clone(),
            client_data_json: json,
            authenticator_data: data,
            signature,
            user_handle: self.user.to_vec(),
        })
    }
}

pub(crate) fn new_passkey() -> Method {
    Method::NewPasskey {
        name: "Anna".to_owned(),
    }
}

/// An account whose only identity is a passkey.
async fn passkey_account(app: &App, passkey: &mut Passkey) -> (Device, SignedIn) {
    let mut device = app.device(APP);
    let started: SignInStarted = device.start_by(new_passkey()).await.ok();
    let made = passkey.make(&started);
    let signed_in: SignedIn = device.finish_by(&started, made).await.ok();
    device.attestation = signed_in.attestation.text().unwrap().to_owned();
    (device, signed_in)
}

#[tokio::test]
async fn a_new_passkey_makes_an_account_and_signs_in_to_it_from_any_device() {
    let app = app().await;
    let mut passkey = Passkey::new(1);
    let (_, first) = passkey_account(&app, &mut passkey).await;
    assert_eq!(claims(&first.attestation).acr, "passkey-verified");
    assert_eq!(
        claims(&first.attestation).amr,
        ["pop", "user", "mfa"].map(str::to_owned)
    );
    let device = app.device(APP);
    let started: SignInStarted = device.start_by(Method::Passkey {}).await.ok();
    let again: SignedIn = device
        .finish_by(&started, passkey.sign(&started))
        .await
        .ok();
    assert_eq!(again.account, first.account);
    // A counter that went back is a copy.
    passkey.count = 0;
    let started: SignInStarted = device.start_by(Method::Passkey {}).await.ok();
    let copy = passkey.sign(&started);
    assert_refused(&device.finish_by(&started, copy).await, Code::SignInRefused);
}

#[tokio::test]
async fn a_new_passkey_with_the_id_of_a_known_one_takes_nobodys_account() {
    let app = app().await;
    let mut passkey = Passkey::new(1);
    let (_, owner) = passkey_account(&app, &mut passkey).await;
    // Ids are no secrets; the key is the thief's own.
    let mut forged = Passkey::new(2);
    forged.id = passkey.id.clone();
    let thief = app.device(APP);
    let started: SignInStarted = thief.start_by(new_passkey()).await.ok();
    let made = forged.make(&started);
    assert_refused(&thief.finish_by(&started, made).await, Code::SignInRefused);
    // Nor by way of an account of the thief's own.
    let mallory = app.signed_in(APP, BORIS).await;
    let started: SignInStarted = mallory.start_by(new_passkey()).await.ok();
    let made = forged.make(&started);
    let reply = mallory.show(path::IDENTITY_LINK, &started, made).await;
    assert_refused(&reply, Code::IdentityTaken);
    let device = app.device(APP);
    let started: SignInStarted = device.start_by(Method::Passkey {}).await.ok();
    let again: SignedIn = device
        .finish_by(&started, passkey.sign(&started))
        .await
        .ok();
    assert_eq!(again.account, owner.account);
}

#[tokio::test]
async fn a_passkey_of_another_challenge_device_project_or_without_verification_is_refused() {
    let app = app().await;
    let mut passkey = Passkey::new(1);
    let (device, _) = passkey_account(&app, &mut passkey).await;
    let start =
        async |device: &Device| -> SignInStarted { device.start_by(Method::Passkey {}).await.ok() };
    let refused = Code::SignInRefused;

    let old = start(&device).await;
    let answer = passkey.sign(&old);
    let new = start(&device).await;
    assert_refused(&device.finish_by(&new, answer.clone()).await, refused);
    // Used up by that, whatever is shown now.
    let right = passkey.sign(&new);
    assert_refused(&device.finish_by(&new, right).await, refused);

    let mine = start(&device).await;
    let stolen = passkey.sign(&mine);
    let thief = app.device(APP);
    assert_refused(&thief.finish_by(&mine, stolen.clone()).await, refused);
    let theirs = start(&thief).await;
    assert_refused(&thief.finish_by(&theirs, stolen.clone()).await, refused);
    let mut elsewhere = app.device(OTHER);
    elsewhere.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(
        &device.key.to_secret_bytes().expose(<[u8]>::to_vec),
    )
    .unwrap();
    assert_refused(&elsewhere.finish_by(&mine, stolen.clone()).await, refused);
    // None of these cost the owner anything.
    let _: SignedIn = device.finish_by(&mine, stolen).await.ok();

    passkey.flags = 0x01;
    let started = start(&device).await;
    let present = passkey.sign(&started);
    assert_refused(&device.finish_by(&started, present).await, refused);
    passkey.flags = 0x05;
    // Five minutes and no longer.
    let started = start(&device).await;
    app.world.pass(300);
    let late = passkey.sign(&started);
    assert_refused(&device.finish_by(&started, late).await, refused);
}

#[tokio::test]
async fn a_proof_of_another_method_than_was_begun_is_refused() {
    let app = app().await;
    let device = app.device(APP);
    for how in [
        Method::Passkey {},
        Method::Ethereum {},
        Method::Solana {},
        new_passkey(),
        Method::Totp {},
        Method::RecoveryCode {},
        Method::Password {
            email: ANNA.to_owned(),
        },
    ] {
        let started: SignInStarted = device.start_by(how.clone()).await.ok();
        let other = Proof::Token {
            token: "a.b.c".to_owned().into(),
        };
        let reply = device.finish_by(&started, other).await;
        assert_refused(&reply, Code::SignInRefused);
    }
    // A second factor alone signs nobody in.
    let started: SignInStarted = device.start_by(Method::Totp {}).await.ok();
    let code = Proof::Totp {
        code: "000000".to_owned().into(),
    };
    assert_refused(&device.finish_by(&started, code).await, Code::SignInRefused);
}

#[tokio::test]
async fn what_a_project_does_not_let_in_is_off() {
    let app = App::with(|body| {
        body.sign_in = SignInSettings {
            email_code: false,
            passkeys: settings().passkeys,
            origins: settings().origins,
            ..SignInSettings::default()
        };
    })
    .await;
    let device = app.device(APP);
    let email = || ANNA.to_owned();
    for how in [
        Method::EmailCode { email: email() },
        Method::Password { email: email() },
        Method::Ethereum {},
        Method::Solana {},
        Method::Farcaster {},
        Method::Provider {
            name: "google".to_owned(),
            redirect_uri: PAGE.to_owned(),
        },
        Method::Token {
            issuer: "own".to_owned(),
            commitment: Digest32::from_bytes([1; 32]),
            salt: None,
        },
    ] {
        assert_refused(&device.start_by(how).await, Code::MethodOff);
    }
    assert!(app.world.mails.lock().unwrap().is_empty());
}

fn message(address: &str, nonce: &str) -> String {
    format!(
        "app.example wants you to sign in with your Ethereum account:\n{address}\n\n\
         Sign in.\n\nURI: {PAGE}/\nVersion: 1\nChain ID: 1\nNonce: {nonce}\n\
         Issued At: 2027-01-15T08:00:00Z"
    )
}

pub(crate) fn ethereum_key(seed: u8) -> secp256k1::SigningKey {
    secp256k1::SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap()
}

pub(crate) fn ethereum(key: &secp256k1::SigningKey, nonce: &str) -> Proof {
    let address = Address::from(key.address()).to_checksum(None);
    let message = message(&address, nonce);
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
    let signature = key.sign_prehash(&keccak256(prefixed).0).to_rsv();
    Proof::Ethereum {
        message,
        signature: signature.to_vec().into(),
    }
}

pub(crate) fn nonce(started: &SignInStarted) -> String {
    match &started.next {
        Next::Message { nonce, .. } => nonce.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_ethereum_key_signs_in_to_one_account_and_a_seen_message_to_none() {
    let app = app().await;
    let key = ethereum_key(3);
    let device = app.device(APP);
    let mut accounts = Vec::new();
    for _ in 0..2 {
        let started: SignInStarted = device.start_by(Method::Ethereum {}).await.ok();
        let proof = ethereum(&key, &nonce(&started));
        let signed_in: SignedIn = device.finish_by(&started, proof.clone()).await.ok();
        assert_eq!(claims(&signed_in.attestation).acr, "ethereum");
        accounts.push(signed_in.account);
        // The same message again, here and by somebody who saw it.
        assert_refused(
            &device.finish_by(&started, proof.clone()).await,
            Code::SignInRefused,
        );
        let thief = app.device(APP);
        let theirs: SignInStarted = thief.start_by(Method::Ethereum {}).await.ok();
        assert_refused(&thief.finish_by(&theirs, proof).await, Code::SignInRefused);
    }
    assert_eq!(accounts[0], accounts[1]);
    let other = ethereum_key(4);
    let started: SignInStarted = device.start_by(Method::Ethereum {}).await.ok();
    let proof = ethereum(&other, &nonce(&started));
    let signed_in: SignedIn = device.finish_by(&started, proof).await.ok();
    assert_ne!(signed_in.account, accounts[0]);
}

fn token_key() -> ed25519::SigningKey {
    ed25519::SigningKey::generate(&mut SeededRng::new(9))
}

fn issuer() -> IssuerSettings {
    // RFC 8410: an Ed25519 key in a SubjectPublicKeyInfo.
    let mut der = vec![0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    der.extend_from_slice(&token_key().verifying_key().to_bytes());
    let text = b64::encode(&der).replace('-', "+").replace('_', "/");
    let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    IssuerSettings {
        issuer: "https://login.app.example".to_owned(),
        audience: "app".to_owned(),
        keys: IssuerKeys::Pem {
            pem: format!("-----BEGIN PUBLIC KEY-----\n{padded}\n-----END PUBLIC KEY-----\n"),
        },
        algorithms: vec!["EdDSA".to_owned()],
        max_token_age_seconds: 600,
    }
}

pub(crate) fn token(subject: &str, email: &str, now: u64) -> String {
    let header = b64::encode(br#"{"alg":"EdDSA","typ":"JWT"}"#);
    let claims = format!(
        "{{\"iss\":\"https://login.app.example\",\"aud\":\"app\",\"sub\":\"{subject}\",\
         \"iat\":{now},\"exp\":{},\"email\":\"{email}\",\"email_verified\":true}}",
        now + 300
    );
    let signed = format!("{header}.{}", b64::encode(claims.as_bytes()));
    let signature = token_key().sign(signed.as_bytes());
    format!("{signed}.{}", b64::encode(&signature))
}

pub(crate) fn committed(token: &str) -> Method {
    Method::Token {
        issuer: "own".to_owned(),
        commitment: Digest32::from_bytes(*TokenCommitment::of(token).as_bytes()),
        salt: None,
    }
}

pub(crate) fn shown(token: &str) -> Proof {
    Proof::Token {
        token: token.to_owned().into(),
    }
}

#[tokio::test]
async fn a_token_signs_in_whoever_committed_to_it_before_it_was_seen() {
    let app = app().await;
    let token = token("anna", ANNA, app.world.now());
    let device = app.device(APP);
    let started: SignInStarted = device.start_by(committed(&token)).await.ok();
    // Seen on its way: somebody else can commit to it no more, and not show it either.
    let thief = app.device(APP);
    assert_refused(&thief.start_by(committed(&token)).await, Code::RateLimited);
    let reply = thief.finish_by(&started, shown(&token)).await;
    assert_refused(&reply, Code::SignInRefused);
    let by_token: SignedIn = device.finish_by(&started, shown(&token)).await.ok();
    // Once.
    let reply = device.finish_by(&started, shown(&token)).await;
    assert_refused(&reply, Code::SignInRefused);
    // The same address by mail is somebody else's account.
    let mut by_mail = app.device(APP);
    assert_ne!(by_mail.sign_in(ANNA).await.account, by_token.account);
    let stranger = app.device(APP);
    let other = self::token("boris", ANNA, app.world.now());
    let started: SignInStarted = stranger.start_by(committed(&other)).await.ok();
    let other: SignedIn = stranger.finish_by(&started, shown(&other)).await.ok();
    assert_ne!(other.account, by_token.account);
}

pub(crate) async fn set_password(
    device: &Device,
    email: &str,
    password: &str,
) -> crate::device::Reply {
    let started: SignInStarted = device.start(email).await.ok();
    let proof = Proof::EmailCode {
        code: device.world.code().into(),
        new_password: Some(password.to_owned().into()),
    };
    device.finish_by(&started, proof).await
}

pub(crate) async fn by_password(
    device: &Device,
    email: &str,
    password: &str,
) -> crate::device::Reply {
    let email = email.to_owned();
    let started: SignInStarted = device.start_by(Method::Password { email }).await.ok();
    let proof = Proof::Password {
        password: password.to_owned().into(),
        new_password: None,
    };
    device.finish_by(&started, proof).await
}

#[tokio::test]
async fn a_password_is_set_by_a_code_and_signs_in_to_the_same_account_until_it_is_reset() {
    let app = app().await;
    let device = app.device(APP);
    let first: SignedIn = set_password(&device, ANNA, PASSWORD).await.ok();
    let again: SignedIn = by_password(&device, ANNA, PASSWORD).await.ok();
    assert_eq!(again.account, first.account);
    assert_eq!(claims(&again.attestation).acr, "password");
    assert_eq!(claims(&again.attestation).amr, ["pwd".to_owned()]);
    for (email, password) in [
        (ANNA, "correct horse batterz"),
        (ANNA, ""),
        (ANNA, &"x".repeat(4096)),
        (BORIS, PASSWORD),
    ] {
        let reply = by_password(&device, email, password).await;
        assert_refused(&reply, Code::SignInRefused);
    }
    let new = "another horse entirely";
    let _: SignedIn = set_password(&device, ANNA, new).await.ok();
    let reply = by_password(&device, ANNA, PASSWORD).await;
    assert_refused(&reply, Code::SignInRefused);
    let _: SignedIn = by_password(&device, ANNA, new).await.ok();
    // In the other project there is no such password.
    let reply = by_password(&app.device(OTHER), ANNA, new).await;
    assert_refused(&reply, Code::SignInRefused);
}

#[tokio::test]
async fn a_password_that_will_not_do_leaves_the_code_as_it_was() {
    let app = app().await;
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let code = app.world.code();
    // Too short; often in breaches; the address's words; the app's.
    for bad in ["short", "Password123", "anna.mail.1987", "app.example!"] {
        let proof = Proof::EmailCode {
            code: code.clone().into(),
            new_password: Some(bad.to_owned().into()),
        };
        let reply = device.finish_by(&started, proof).await;
        assert_refused(&reply, Code::PasswordUnsuitable);
    }
    let _: SignedIn = device.finish_by(&started, by_code(&code)).await.ok();
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_by_nobody_else() {
    const NEW: &str = "another horse entirely";
    let app = app().await;
    let device = app.device(APP);
    let _: SignedIn = set_password(&device, ANNA, PASSWORD).await.ok();
    let change = async |email: &str, old: &str, new: &str| {
        let email = email.to_owned();
        let started: SignInStarted = device.start_by(Method::Password { email }).await.ok();
        let proof = Proof::Password {
            password: old.to_owned().into(),
            new_password: Some(new.to_owned().into()),
        };
        device.finish_by(&started, proof).await
    };
    let wrong = change(ANNA, "correct horse batterz", NEW).await;
    assert_refused(&wrong, Code::SignInRefused);
    // Whoever asks, the new one is judged first, so that it tells nothing of the address.
    for email in [ANNA, BORIS] {
        for old in [PASSWORD, "correct horse batterz"] {
            let unfit = change(email, old, "Password123").await;
            assert_refused(&unfit, Code::PasswordUnsuitable);
        }
        let reply = by_password(&device, email, NEW).await;
        assert_refused(&reply, Code::SignInRefused);
    }
    assert_refused(&change(BORIS, PASSWORD, NEW).await, Code::SignInRefused);
    let _: SignedIn = by_password(&device, ANNA, PASSWORD).await.ok();
    let before = app.world.mails.lock().unwrap().len();
    let _: SignedIn = change(ANNA, PASSWORD, NEW).await.ok();
    crate::world::settle().await;
    let told = crate::revocation::subjects(&app, before);
    assert_eq!(told, ["A new password was set for your account at Demo"]);
    let reply = by_password(&device, ANNA, PASSWORD).await;
    assert_refused(&reply, Code::SignInRefused);
    let _: SignedIn = by_password(&device, ANNA, NEW).await.ok();
}
