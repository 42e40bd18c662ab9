//! Passkeys of Chromium.

use keyfold_crypto::b64;
use keyfold_identity::challenge::{Challenge, ChallengeError, ChallengeMethod};
use keyfold_identity::origin::Origin;
use keyfold_identity::passkey::{
    Algorithm, AssertionResponse, CounterPolicy, PasskeyCredential, PasskeyError, PasskeyOrigin,
    ProvenPasskey, RegisteredPasskey, RegistrationResponse, RelyingParty, UserHandle,
    UserVerification, verify_assertion, verify_registration,
};
use keyfold_testkit::counterparts::{
    Authenticator, Authority, Browser, CounterpartError, Created, Got,
};
use serde_json::{Value, json};

use crate::{again, now, rng};

const PROJECT: &str = "app.example";
const DEVICE: [u8; 32] = [7; 32];
const HOST: &str = "app.example.test";
const PAGE: &str = "https://app.example.test";
const BELOW: &str = "https://login.app.example.test";
const STRANGER: &str = "https://evil.example.test";
const HOSTS: &[&str] = &[HOST, "login.app.example.test", "evil.example.test"];

fn party(origins: &[&str], top_origins: &[&str]) -> RelyingParty {
    let origins = origins
        .iter()
        .map(|origin| PasskeyOrigin::parse(origin).unwrap());
    let tops = top_origins
        .iter()
        .map(|origin| Origin::parse(origin).unwrap());
    RelyingParty::new(HOST, origins.collect(), tops.collect()).unwrap()
}

fn ours() -> RelyingParty {
    party(&[PAGE], &[])
}

fn challenge(method: ChallengeMethod) -> Challenge {
    Challenge::new(method, PROJECT, DEVICE, now(), &mut rng())
}

fn creation(
    challenge: &Challenge,
    user: UserHandle,
    algorithm: Algorithm,
    verification: &str,
) -> Value {
    json!({
        "challenge": b64::encode(&challenge.bytes()),
        "rp": {"id": HOST, "name": "An app"},
        "user": {"id": b64::encode(user.as_bytes()), "name": "person", "displayName": "A person"},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm.cose_number()}],
        "authenticatorSelection": {"residentKey": "required", "userVerification": verification},
        "attestation": "none",
    })
}

/// Discoverable: names no credential.
fn request(challenge: &Challenge, verification: &str) -> Value {
    json!({
        "challenge": b64::encode(&challenge.bytes()),
        "rpId": HOST,
        "userVerification": verification,
    })
}

fn register(
    party: &RelyingParty,
    verification: UserVerification,
    challenge: Challenge,
    user: UserHandle,
    made: &Created,
) -> Result<RegisteredPasskey, PasskeyError> {
    let response = RegistrationResponse {
        credential_id: &made.credential_id,
        client_data_json: &made.client_data_json,
        attestation_object: &made.attestation_object,
    };
    verify_registration(party, verification, challenge, user, &response, now())
}

fn assertion(got: &Got) -> AssertionResponse<'_> {
    AssertionResponse {
        credential_id: &got.credential_id,
        client_data_json: &got.client_data_json,
        authenticator_data: &got.authenticator_data,
        signature: &got.signature,
        user_handle: got.user_handle.as_deref(),
    }
}

fn assert_passkey(
    party: &RelyingParty,
    challenge: Challenge,
    stored: &PasskeyCredential,
    got: &Got,
) -> Result<ProvenPasskey, PasskeyError> {
    let required = UserVerification::Required;
    verify_assertion(
        party,
        required,
        CounterPolicy::Refuse,
        challenge,
        stored,
        &assertion(got),
        now(),
    )
}

/// Makes a passkey at the page that is open.
async fn made(browser: &Browser, algorithm: Algorithm) -> (PasskeyCredential, UserHandle) {
    let user = UserHandle::random(&mut rng());
    let challenge = challenge(ChallengeMethod::PasskeyRegistration);
    let options = creation(&challenge, user, algorithm, "required");
    let response = browser.create(&options).await.unwrap();
    let made = register(
        &ours(),
        UserVerification::Required,
        challenge,
        user,
        &response,
    )
    .unwrap();
    (made.credential().clone(), user)
}

async fn browser() -> Browser {
    let browser = Browser::start(&Authority::new().unwrap(), HOSTS)
        .await
        .unwrap();
    browser.visit(PAGE).await.unwrap();
    browser
}

fn refusal<T: std::fmt::Debug>(refused: Result<T, CounterpartError>) -> String {
    match refused {
        Err(CounterpartError::Refused { reason, .. }) => {
            reason.split(':').next().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_passkey_of_each_algorithm_is_made_and_found_again_without_a_name() {
    let browser = browser().await;
    for algorithm in Algorithm::ALL {
        let authenticator = browser.plug_in(Authenticator::default()).await.unwrap();
        let (stored, user) = made(&browser, algorithm).await;
        assert_eq!(stored.public_key().algorithm(), algorithm);
        assert_eq!((stored.user(), stored.backup_eligible()), (&user, false));
        let mut before = stored;
        for _ in 0..2 {
            let challenge = challenge(ChallengeMethod::PasskeyAssertion);
            let got = browser.get(&request(&challenge, "required")).await.unwrap();
            assert_eq!(got.credential_id, before.id());
            let proven = assert_passkey(&ours(), challenge, &before, &got).unwrap();
            assert!(proven.user_verified() && !proven.may_be_cloned());
            assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
            assert!(
                proven.credential().sign_count() > before.sign_count(),
                "{algorithm}"
            );
            before = proven.credential().clone();
        }
        browser.unplug(&authenticator).await.unwrap();
    }
    browser.stop().await;
}

/// B23 and B13's like: one thing is another's at a time.
#[tokio::test]
async fn an_assertion_is_of_one_challenge_page_person_and_passkey() {
    let browser = browser().await;
    let authenticator = browser.plug_in(Authenticator::default()).await.unwrap();
    let (stored, _) = made(&browser, Algorithm::Es256).await;
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    let got = browser.get(&request(&asked, "required")).await.unwrap();
    assert_passkey(&ours(), again(&asked), &stored, &got).unwrap();

    let at = asked.issued_at_unix_seconds();
    let another =
        |method, project: &str, device, at| Challenge::new(method, project, device, at, &mut rng());
    let method = ChallengeMethod::PasskeyAssertion;
    for (challenge, error) in [
        (
            another(method, PROJECT, DEVICE, at),
            PasskeyError::WrongChallenge,
        ),
        (
            another(method, PROJECT, [8; 32], at),
            PasskeyError::WrongChallenge,
        ),
        (
            another(method, "another.example", DEVICE, at),
            PasskeyError::WrongProject,
        ),
        (
            another(method, PROJECT, DEVICE, at - 300),
            ChallengeError::Expired.into(),
        ),
        (
            another(ChallengeMethod::PasskeyRegistration, PROJECT, DEVICE, at),
            ChallengeError::OtherMethod.into(),
        ),
    ] {
        assert_eq!(
            assert_passkey(&ours(), challenge, &stored, &got),
            Err(error)
        );
    }
    // Another person's passkey in the same authenticator, and one's own under another's name.
    let (theirs, _) = made(&browser, Algorithm::Es256).await;
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &theirs, &got),
        Err(PasskeyError::WrongCredential)
    );
    let renamed = Got {
        user_handle: Some(theirs.user().as_bytes().to_vec()),
        ..got.clone()
    };
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &stored, &renamed),
        Err(PasskeyError::WrongUser)
    );
    let nameless = Got {
        user_handle: None,
        ..got.clone()
    };
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &stored, &nameless),
        Err(PasskeyError::WrongUser)
    );
    let claimed = Got {
        credential_id: theirs.id().to_vec(),
        user_handle: Some(theirs.user().as_bytes().to_vec()),
        ..got.clone()
    };
    assert!(matches!(
        assert_passkey(&ours(), again(&asked), &theirs, &claimed),
        Err(PasskeyError::Signature(_))
    ));
    // A registration is no assertion, and the other way round. For somebody else: an authenticator
    // keeps one passkey of each person, the latest.
    let user = UserHandle::random(&mut rng());
    let registering = challenge(ChallengeMethod::PasskeyRegistration);
    let options = creation(&registering, user, Algorithm::Es256, "required");
    let response = browser.create(&options).await.unwrap();
    let swapped = Got {
        client_data_json: response.client_data_json.clone(),
        ..got.clone()
    };
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &stored, &swapped),
        Err(PasskeyError::WrongCeremony)
    );
    let swapped = Created {
        client_data_json: got.client_data_json.clone(),
        ..response
    };
    let refused = register(
        &ours(),
        UserVerification::Required,
        registering,
        user,
        &swapped,
    );
    assert_eq!(refused, Err(PasskeyError::WrongCeremony));

    // Where it was asked for: a page that the project does not list; a stranger's, framed or framing.
    let below = async |top: Option<&str>| {
        match top {
            Some(top) => browser.visit_framed(PAGE, top).await.unwrap(),
            None => browser.visit(BELOW).await.unwrap(),
        }
        let asked = challenge(ChallengeMethod::PasskeyAssertion);
        let mut options = request(&asked, "required");
        options["allowCredentials"] =
            json!([{"type": "public-key", "id": b64::encode(stored.id())}]);
        (asked, browser.get(&options).await.unwrap())
    };
    let (asked, got) = below(None).await;
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &stored, &got),
        Err(PasskeyError::WrongOrigin)
    );
    assert_passkey(&party(&[PAGE, BELOW], &[]), asked, &stored, &got).unwrap();
    let (asked, got) = below(Some(STRANGER)).await;
    assert_eq!(
        assert_passkey(&ours(), again(&asked), &stored, &got),
        Err(PasskeyError::WrongTopOrigin)
    );
    assert_passkey(&party(&[PAGE], &[STRANGER]), asked, &stored, &got).unwrap();
    // The browser itself keeps a stranger's page from asking.
    browser.visit(STRANGER).await.unwrap();
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    assert_eq!(
        refusal(browser.get(&request(&asked, "required")).await),
        "SecurityError"
    );
    browser.unplug(&authenticator).await.unwrap();
    browser.stop().await;
}

/// B23.
#[tokio::test]
async fn verification_is_what_the_authenticator_signed_and_not_what_the_page_asked_for() {
    let browser = browser().await;
    let authenticator = browser.plug_in(Authenticator::default()).await.unwrap();
    let (stored, user) = made(&browser, Algorithm::Es256).await;
    // The owner fails, and the page asks: the browser has nothing to show.
    browser.set_verified(&authenticator, false).await.unwrap();
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    assert_eq!(
        refusal(browser.get(&request(&asked, "required")).await),
        "NotAllowedError"
    );
    // The page asks for nothing: the signature says so.
    browser.set_verified(&authenticator, true).await.unwrap();
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    let got = browser.get(&request(&asked, "discouraged")).await.unwrap();
    let check = |verification| {
        verify_assertion(
            &ours(),
            verification,
            CounterPolicy::Refuse,
            again(&asked),
            &stored,
            &assertion(&got),
            now(),
        )
    };
    assert_eq!(
        check(UserVerification::Required),
        Err(PasskeyError::UserNotVerified)
    );
    assert!(!check(UserVerification::Preferred).unwrap().user_verified());
    browser.unplug(&authenticator).await.unwrap();

    let plain = Authenticator {
        user_verification: false,
        ..Authenticator::default()
    };
    let authenticator = browser.plug_in(plain).await.unwrap();
    let registering = challenge(ChallengeMethod::PasskeyRegistration);
    let options = creation(&registering, user, Algorithm::Es256, "discouraged");
    let response = browser.create(&options).await.unwrap();
    let register =
        |verification| register(&ours(), verification, again(&registering), user, &response);
    assert_eq!(
        register(UserVerification::Required),
        Err(PasskeyError::UserNotVerified)
    );
    assert!(
        !register(UserVerification::Preferred)
            .unwrap()
            .user_verified()
    );
    browser.unplug(&authenticator).await.unwrap();
    browser.stop().await;
}

/// B23.
#[tokio::test]
async fn a_copy_of_an_authenticator_is_noticed_by_its_counter_and_backup_must_not_begin() {
    let browser = browser().await;
    let first = browser.plug_in(Authenticator::default()).await.unwrap();
    let (stored, _) = made(&browser, Algorithm::Es256).await;
    let copied = browser.credentials(&first).await.unwrap().remove(0);
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    let got = browser.get(&request(&asked, "required")).await.unwrap();
    let used = assert_passkey(&ours(), asked, &stored, &got).unwrap();
    browser.unplug(&first).await.unwrap();

    let second = browser.plug_in(Authenticator::default()).await.unwrap();
    browser.put(&second, &copied).await.unwrap();
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    let got = browser.get(&request(&asked, "required")).await.unwrap();
    let refused = assert_passkey(&ours(), again(&asked), used.credential(), &got);
    assert_eq!(refused, Err(PasskeyError::CounterWentBack));
    let required = UserVerification::Required;
    let reported = verify_assertion(
        &ours(),
        required,
        CounterPolicy::Report,
        asked,
        used.credential(),
        &assertion(&got),
        now(),
    );
    assert!(reported.unwrap().may_be_cloned());
    browser.unplug(&second).await.unwrap();

    // The same key, now said to be one that may be copied.
    let third = browser.plug_in(Authenticator::default()).await.unwrap();
    let mut eligible = copied;
    eligible["backupEligibility"] = json!(true);
    eligible["signCount"] = json!(100);
    browser.put(&third, &eligible).await.unwrap();
    let asked = challenge(ChallengeMethod::PasskeyAssertion);
    let got = browser.get(&request(&asked, "required")).await.unwrap();
    assert_eq!(
        assert_passkey(&ours(), asked, used.credential(), &got),
        Err(PasskeyError::BackupFlags)
    );
    browser.unplug(&third).await.unwrap();

    let synchronised = Authenticator {
        backup: true,
        ..Authenticator::default()
    };
    let fourth = browser.plug_in(synchronised).await.unwrap();
    let (stored, _) = made(&browser, Algorithm::Es256).await;
    assert!(stored.backup_eligible() && stored.backed_up());
    browser.unplug(&fourth).await.unwrap();
    browser.stop().await;
}
