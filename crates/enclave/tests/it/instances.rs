//! Two instances of one realm at once: what was used, begun or counted at one is so at the other.

use std::sync::Arc;

use futures_util::future::join_all;
use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{b64, p256};
use keyfold_enclave::Enclave;
use keyfold_protocol::account::Identities;
use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::project::{IssuerKeys, IssuerSettings};
use keyfold_protocol::sign_in::{Method, Proof, SignInStarted};

use crate::app::{ANNA, APP, App, assert_refused};
use crate::device::{Device, by_code};
use crate::factors::{enrol, link_passkey};
use crate::methods::{Passkey, by_password, committed, set_password, settings, shown};
use crate::world::Machine;

/// A realm that two instances serve.
struct Both {
    app: App,
    other: Arc<Enclave<Machine>>,
}

impl Both {
    async fn new() -> Self {
        let app = App::with(|body| {
            body.sign_in = settings();
            body.sign_in.issuers.insert("own".to_owned(), issuer());
        })
        .await;
        let other = app.world.instance().await;
        assert_ne!(other.instance(), app.enclave.instance());
        Self { app, other }
    }

    /// The same device, speaking to the other instance.
    fn there(&self, device: &Device) -> Device {
        let secret = device.key.to_secret_bytes().expose(<[u8]>::to_vec);
        let mut there = self.app.device(&device.project);
        there.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(&secret).unwrap();
        there.enclave = Arc::clone(&self.other);
        there.attestation = device.attestation.clone();
        there.account = device.account;
        there
    }

    /// A new device at the one instance, and one at the other.
    fn devices(&self) -> [Device; 2] {
        let there = self.there(&self.app.device(APP));
        [self.app.device(APP), there]
    }
}

fn token_key() -> p256::SigningKey {
    p256::SigningKey::generate(&mut SeededRng::new(11))
}

/// Signs by ECDSA, of whose signatures anybody can write a second one.
fn issuer() -> IssuerSettings {
    let (x, y) = token_key().verifying_key().coordinates();
    // RFC 5480: an uncompressed point on P-256 in a SubjectPublicKeyInfo.
    let mut der = vec![
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1,
    ];
    der.extend_from_slice(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4]);
    der.extend_from_slice(&x);
    der.extend_from_slice(&y);
    let text = b64::encode(&der).replace('-', "+").replace('_', "/");
    let mut padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    padded.insert(64, '\n');
    IssuerSettings {
        issuer: "https://login.app.example".to_owned(),
        audience: "app".to_owned(),
        keys: IssuerKeys::Pem {
            pem: format!("-----BEGIN PUBLIC KEY-----\n{padded}\n-----END PUBLIC KEY-----\n"),
        },
        algorithms: vec!["ES256".to_owned()],
        max_token_age_seconds: 600,
    }
}

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A token, and the same with the other signature that its signer might have made.
fn tokens(id: u32, now: u64) -> [String; 2] {
    let header = b64::encode(br#"{"alg":"ES256","typ":"JWT"}"#);
    let claims = format!(
        "{{\"iss\":\"https://login.app.example\",\"aud\":\"app\",\"sub\":\"anna\",\
         \"jti\":\"{id}\",\"iat\":{now},\"exp\":{}}}",
        now + 300
    );
    let signed = format!("{header}.{}", b64::encode(claims.as_bytes()));
    let signature = token_key().sign(signed.as_bytes());
    let mut turned = signature;
    let mut borrow = 0;
    for (s, n) in turned[32..].iter_mut().zip(ORDER).rev() {
        let left = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(left < 0);
        *s = u8::try_from(left.rem_euclid(256)).unwrap();
    }
    [signature, turned].map(|signature| format!("{signed}.{}", b64::encode(&signature)))
}

#[tokio::test]
async fn a_token_counts_once_at_whichever_instance_and_with_whichever_signature() {
    let both = Both::new().await;
    let now = both.app.world.now();
    let mut ids = 0..;
    for elsewhere in [true, false] {
        for same in [true, false] {
            let [first, there] = both.devices();
            let here = both.app.device(APP);
            let second = if elsewhere { there } else { here };
            let [token, turned] = tokens(ids.next().unwrap(), now);
            let again = if same { &token } else { &turned };
            let started: SignInStarted = first.start_by(committed(&token)).await.ok();
            let _: SignedIn = first.finish_by(&started, shown(&token)).await.ok();
            let started = second.start_by(committed(again)).await;
            if started.status == 200 {
                let reply = second.finish_by(&started.ok(), shown(again)).await;
                assert_refused(&reply, Code::SignInRefused);
            } else {
                assert_refused(&started, Code::RateLimited);
            }
        }
    }
    // Nor at both at once.
    for _ in 0..4 {
        let [here, there] = both.devices();
        let [token, turned] = tokens(ids.next().unwrap(), now);
        let a: SignInStarted = here.start_by(committed(&token)).await.ok();
        let b: SignInStarted = there.start_by(committed(&turned)).await.ok();
        let (a, b) = tokio::join!(
            here.finish_by(&a, shown(&token)),
            there.finish_by(&b, shown(&turned))
        );
        let good = [&a, &b].iter().filter(|reply| reply.status == 200).count();
        // Of three holders each may have allowed another one; then none gets it, and a new token does.
        assert!(good <= 1, "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn guesses_at_two_instances_at_once_are_counted_together() {
    const LIMIT: u32 = 6;
    let both = Both::new().await;
    let owner = both.app.device(APP);
    let _: SignedIn = set_password(&owner, ANNA, "correct horse battery")
        .await
        .ok();
    for index in 1..=3 {
        both.app.world.holder(index, |h| h.attempt_limit = LIMIT);
    }
    let strangers: Vec<Device> = (0..8).flat_map(|_| both.devices()).collect();
    let guesses = strangers
        .iter()
        .map(|device| by_password(device, ANNA, "a wrong password"));
    let replies = join_all(guesses).await;
    let compared = replies
        .iter()
        .filter(|reply| reply.code() == Some(Code::SignInRefused))
        .count();
    assert!(replies.iter().all(|reply| reply.status != 200));
    // Two of three holders allow each.
    assert!(
        compared <= 3 * LIMIT as usize / 2,
        "{compared} were compared"
    );
    for stranger in &strangers[..2] {
        let reply = by_password(stranger, ANNA, "correct horse battery").await;
        assert_refused(&reply, Code::AttemptLimit);
    }
    // The owner has a count of their own, at both.
    for device in [&owner, &both.there(&owner)] {
        let _: SignedIn = by_password(device, ANNA, "correct horse battery")
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_mailed_code_is_of_one_instance_and_mails_are_counted_over_both() {
    let both = Both::new().await;
    for index in 1..=3 {
        both.app.world.holder(index, |h| h.mail_limit = 3);
    }
    let here = both.app.device(APP);
    let there = both.there(&here);
    let started: SignInStarted = here.start(ANNA).await.ok();
    let code = both.app.world.code();
    // Whatever is guessed elsewhere is guessed at nothing, and takes no attempt away.
    for _ in 0..4 {
        assert_refused(&there.finish(&started, &code).await, Code::SignInRefused);
    }
    let _: SignedIn = here.finish_by(&started, by_code(&code)).await.ok();
    let [one, two] = both.devices();
    let _: SignInStarted = one.start(ANNA).await.ok();
    let _: SignInStarted = two.start(ANNA).await.ok();
    let [one, two] = both.devices();
    assert_refused(&one.start(ANNA).await, Code::MailLimit);
    assert_refused(&two.start(ANNA).await, Code::MailLimit);
}

#[tokio::test]
async fn what_is_shown_at_two_instances_at_once_counts_at_one() {
    let both = Both::new().await;
    let here = both.app.signed_in(APP, ANNA).await;
    let there = both.there(&here);
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&here, &mut passkey).await.ok();
    let (secret, codes) = enrol(&here).await;
    both.app.world.pass(60);
    let totp = Proof::Totp {
        code: secret.code_at(both.app.world.now()).into(),
    };
    let paper = Proof::RecoveryCode {
        code: codes[0].clone().into(),
    };
    for (how, proof) in [
        (Method::Totp {}, Some(totp)),
        (Method::RecoveryCode {}, Some(paper)),
        (Method::Passkey {}, None),
    ] {
        let a: SignInStarted = here.start_by(how.clone()).await.ok();
        let b: SignInStarted = there.start_by(how).await.ok();
        let (first, second) = match proof {
            Some(proof) => (proof.clone(), proof),
            // An authenticator and its copy, which count from the same number.
            None => {
                let proof = passkey.sign(&a);
                passkey.count -= 1;
                (proof, passkey.sign(&b))
            }
        };
        let (a, b) = tokio::join!(
            here.show(path::STEP_UP, &a, first),
            there.show(path::STEP_UP, &b, second)
        );
        let good = [&a, &b].iter().filter(|reply| reply.status == 200).count();
        assert_eq!(good, 1, "{a:?} {b:?}");
    }
}
