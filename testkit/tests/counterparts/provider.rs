//! `oidc-provider`, as it is and as it must not be.

use http::StatusCode;
use keyfold_crypto::jwk::{DeviceSigningKey, Thumbprint};
use keyfold_identity::oidc::authorization::{CallbackError, ProveError, ProviderRefusal};
use keyfold_identity::oidc::client::ClientCredentials;
use keyfold_identity::oidc::commitment::{CommitmentError, TokenCommitment, TokenCommitments};
use keyfold_identity::oidc::custom::{CustomIssuer, KeySource};
use keyfold_identity::oidc::discovery::DiscoveryError;
use keyfold_identity::oidc::id_token::IdTokenError;
use keyfold_identity::oidc::jws::JwsError;
use keyfold_identity::oidc::keys::Algorithm;
use keyfold_identity::oidc::subject::EmailTrust;
use keyfold_identity::oidc::token::TokenResponseError;
use keyfold_identity::oidc::url::UrlError;
use keyfold_testkit::counterparts::{Authority, OpenIdProvider, Shape};
use serde_json::{Value, json};

use crate::app::{App, DEVICE, PROJECT, REDIRECT, Refusal, secret};
use crate::{now, rng};

const ISSUER: &str = "https://idp.example.test";
const OTHER: Thumbprint = Thumbprint([8; 32]);

fn client(id: &str, algorithm: &str, method: &str, more: &Value) -> Value {
    let mut client = json!({
        "client_id": id,
        "redirect_uris": [REDIRECT],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "id_token_signed_response_alg": algorithm,
        "token_endpoint_auth_method": method,
    });
    let members = client.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    client
}

fn with_secret() -> Value {
    client(
        "app",
        "RS256",
        "client_secret_basic",
        &json!({"client_secret": "a_secret/+%"}),
    )
}

fn credentials() -> ClientCredentials {
    ClientCredentials::SecretBasic(secret("a_secret/+%"))
}

struct World {
    authority: Authority,
    idp: OpenIdProvider,
    app: App,
}

async fn world() -> World {
    let authority = Authority::new().unwrap();
    let clients = [with_secret()];
    let idp = OpenIdProvider::start(&authority, ISSUER, Shape::OpenId, &clients, None)
        .await
        .unwrap();
    idp.person(
        json!({"sub": "248289761001", "email": "Person@mail.example", "email_verified": true}),
    )
    .await
    .unwrap();
    let app = App::new(&authority, &idp, ISSUER, "app", credentials());
    World {
        authority,
        idp,
        app,
    }
}

#[tokio::test]
async fn a_person_signs_in_by_every_algorithm_and_with_every_proof_of_the_client() {
    let authority = Authority::new().unwrap();
    let es256 = DeviceSigningKey::generate_p256(&mut rng());
    let eddsa = DeviceSigningKey::generate_ed25519(&mut rng());
    let jwks = |key: &DeviceSigningKey, alg: &str| {
        let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
        jwk["kid"] = json!("ours");
        json!({"jwks": {"keys": [jwk]}, "token_endpoint_auth_signing_alg": alg})
    };
    let clients = [
        with_secret(),
        client(
            "post",
            "ES256",
            "client_secret_post",
            &json!({"client_secret": "secret"}),
        ),
        client("jwt", "EdDSA", "private_key_jwt", &jwks(&es256, "ES256")),
        client("jwt-ed", "ES256", "private_key_jwt", &jwks(&eddsa, "EdDSA")),
        client("public", "RS256", "none", &json!({})),
    ];
    let idp = OpenIdProvider::start(&authority, ISSUER, Shape::OpenId, &clients, None)
        .await
        .unwrap();
    let private = |key| ClientCredentials::PrivateKeyJwt {
        key,
        kid: "ours".to_owned(),
    };
    for (id, credentials, verified) in [
        ("app", credentials(), true),
        (
            "post",
            ClientCredentials::SecretPost(secret("secret")),
            false,
        ),
        ("jwt", private(es256), true),
        ("jwt-ed", private(eddsa), true),
        ("public", ClientCredentials::Public, true),
    ] {
        let person = json!({"sub": "248289761001", "email": "Person@mail.example", "email_verified": verified});
        idp.person(person).await.unwrap();
        let app = App::new(&authority, &idp, ISSUER, id, credentials);
        let proven = app
            .sign_in(&idp)
            .await
            .unwrap_or_else(|refusal| panic!("{id}: {refusal:?}"));
        assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
        let subject = proven.subject();
        assert_eq!(
            (subject.issuer(), subject.audience(), subject.subject()),
            (ISSUER, id, "248289761001")
        );
        let email = subject.email().unwrap();
        assert_eq!(
            (email.address.as_str(), email.verified),
            ("person@mail.example", verified)
        );
        assert!(proven.nonce_salt().is_some());
    }
    for (id, credentials) in [
        ("app", ClientCredentials::SecretBasic(secret("another"))),
        (
            "jwt",
            ClientCredentials::PrivateKeyJwt {
                key: DeviceSigningKey::generate_p256(&mut rng()),
                kid: "ours".to_owned(),
            },
        ),
    ] {
        let app = App::new(&authority, &idp, ISSUER, id, credentials);
        let refused = TokenResponseError::Refused(ProviderRefusal::InvalidClient);
        assert_eq!(
            app.sign_in(&idp).await,
            Err(Refusal::Token(refused)),
            "{id}"
        );
    }
    idp.stop().await;
}

/// B11, B12, B13, B16 and what a token can be wrong in besides.
#[tokio::test]
async fn a_provider_that_misbehaves_is_refused_for_what_it_does() {
    let World {
        authority,
        idp,
        app,
    } = world().await;
    let discovery = Refusal::Discovery;
    let callback = Refusal::Callback;
    for (fault, refusal) in [
        ("discovery-issuer", discovery(DiscoveryError::WrongIssuer)),
        (
            "discovery-inside",
            discovery(DiscoveryError::Endpoint(UrlError::BadHost)),
        ),
        (
            "discovery-clear",
            discovery(DiscoveryError::Endpoint(UrlError::NotHttps)),
        ),
        ("discovery-without-pkce", discovery(DiscoveryError::NoPkce)),
        ("callback-issuer", callback(CallbackError::WrongIssuer)),
        (
            "callback-without-issuer",
            callback(CallbackError::WrongIssuer),
        ),
        ("callback-state", callback(CallbackError::WrongState)),
        ("callback-two-codes", callback(CallbackError::Malformed)),
        ("token-issuer", IdTokenError::WrongIssuer.into()),
        ("token-issuer-slash", IdTokenError::WrongIssuer.into()),
        ("token-audience", IdTokenError::WrongAudience.into()),
        ("token-audience-more", IdTokenError::WrongAudience.into()),
        ("token-party", IdTokenError::WrongAuthorizedParty.into()),
        ("token-nonce", IdTokenError::WrongNonce.into()),
        ("token-without-nonce", IdTokenError::WrongNonce.into()),
        ("token-expired", IdTokenError::Expired.into()),
        ("token-old", IdTokenError::TooOld.into()),
        ("token-future", IdTokenError::NotYetValid.into()),
        ("token-without-subject", IdTokenError::Claims.into()),
        ("token-none", JwsError::AlgorithmNotAllowed.into()),
        ("token-hmac", JwsError::AlgorithmNotAllowed.into()),
        ("token-signature", JwsError::BadSignature.into()),
        ("token-key", JwsError::UnknownKey.into()),
        ("token-brings-key", JwsError::HeaderNotAllowed.into()),
        ("token-type", JwsError::WrongType.into()),
        ("discovery-huge", Refusal::TooLarge),
        ("jwks-huge", Refusal::TooLarge),
        ("token-huge", Refusal::TooLarge),
        ("discovery-redirect", Refusal::Status(StatusCode::FOUND)),
        ("jwks-redirect", Refusal::Status(StatusCode::FOUND)),
        (
            "jwks-error",
            Refusal::Status(StatusCode::SERVICE_UNAVAILABLE),
        ),
    ] {
        idp.misbehave(&[fault]).await.unwrap();
        assert_eq!(app.sign_in(&idp).await, Err(refusal), "{fault}");
    }
    for fault in ["token-redirect", "token-error"] {
        idp.misbehave(&[fault]).await.unwrap();
        let refused = app.sign_in(&idp).await;
        assert!(
            matches!(
                refused,
                Err(Refusal::Token(TokenResponseError::Document(_)))
            ),
            "{fault}: {refused:?}"
        );
    }
    idp.misbehave(&[]).await.unwrap();
    app.sign_in(&idp).await.unwrap();
    let app = app.impatient(&authority, &idp);
    for fault in [
        "discovery-silent",
        "discovery-slow",
        "jwks-silent",
        "jwks-slow",
        "token-silent",
        "token-slow",
    ] {
        idp.misbehave(&[fault]).await.unwrap();
        assert_eq!(app.sign_in(&idp).await, Err(Refusal::TooSlow), "{fault}");
    }
    idp.misbehave(&[]).await.unwrap();
    idp.person(json!({})).await.unwrap();
    let denied = CallbackError::Refused(ProviderRefusal::AccessDenied);
    assert_eq!(app.sign_in(&idp).await, Err(Refusal::Callback(denied)));
    idp.stop().await;
}

#[tokio::test]
async fn a_project_that_wants_a_fresh_sign_in_at_the_provider_is_told_when_it_was() {
    let World { idp, mut app, .. } = world().await;
    let silent = app.sign_in(&idp).await.unwrap();
    assert_eq!(silent.subject().authenticated_at_unix_seconds(), None);
    app.options.max_authentication_age_seconds = Some(60);
    let fresh = app.sign_in(&idp).await.unwrap();
    let at = fresh.subject().authenticated_at_unix_seconds().unwrap();
    assert!(at <= now() + 60 && at + 60 >= fresh.subject().issued_at_unix_seconds());
    for fault in ["token-signed-in-long-ago", "token-without-time-of-sign-in"] {
        idp.misbehave(&[fault]).await.unwrap();
        assert_eq!(
            app.sign_in(&idp).await,
            Err(IdTokenError::AuthenticationTooOld.into()),
            "{fault}"
        );
    }
    idp.stop().await;
}

/// B16.
#[tokio::test]
async fn keys_that_rotate_in_the_middle_are_fetched_again_once_and_old_ones_count_no_more() {
    let World { idp, app, .. } = world().await;
    let provider = app.discover().await.unwrap();
    let old_keys = app.keys(&provider).await.unwrap();
    let grant = app.grant(&idp, &provider).await.unwrap();
    let old = app.redeem(&grant).await.unwrap();
    app.prove(&grant, &old, &old_keys).await.unwrap();

    let second = app.grant(&idp, &provider).await.unwrap();
    idp.rotate().await.unwrap();
    idp.seen().await.unwrap();
    let new = app.redeem(&second).await.unwrap();
    app.prove(&second, &new, &old_keys).await.unwrap();
    assert_eq!(idp.seen().await.unwrap()["jwks"], 1);

    let new_keys = app.keys(&provider).await.unwrap();
    assert_eq!(
        app.prove(&grant, &old, &new_keys).await,
        Err(JwsError::UnknownKey.into())
    );
    assert_eq!(
        idp.seen().await.unwrap()["jwks"],
        2,
        "asked again once, and no more"
    );
    idp.stop().await;
}

/// B13, B14.
#[tokio::test]
async fn a_code_and_a_token_are_of_one_sign_in_one_device_one_project_and_one_time() {
    let World { idp, app, .. } = world().await;
    let provider = app.discover().await.unwrap();
    let keys = app.keys(&provider).await.unwrap();
    let invalid = || Refusal::Token(TokenResponseError::Refused(ProviderRefusal::InvalidGrant));

    for (project, device, later, error) in [
        (PROJECT, &OTHER, 0, CallbackError::WrongDevice),
        ("another.example", &DEVICE, 0, CallbackError::WrongDevice),
        (PROJECT, &DEVICE, 600, CallbackError::Expired),
    ] {
        let (pending, callback) = app.authorize(&idp, &provider).await.unwrap();
        let refused = pending.accept(project, device, &callback, now() + later);
        assert_eq!(refused.err(), Some(error), "{project} {device} {later}");
    }

    let (ours, our_callback) = app.authorize(&idp, &provider).await.unwrap();
    let (theirs, their_callback) = app.authorize(&idp, &provider).await.unwrap();
    let refused = theirs.accept(PROJECT, &DEVICE, &our_callback, now());
    assert_eq!(refused.err(), Some(CallbackError::WrongState));
    // The code of another sign-in, put into a callback of ours: its challenge is not our verifier's.
    let code = |callback: &str| {
        let code = callback.split('&').find(|part| part.starts_with("code="));
        code.unwrap().to_owned()
    };
    let spliced = our_callback.replace(&code(&our_callback), &code(&their_callback));
    let grant = ours.accept(PROJECT, &DEVICE, &spliced, now()).unwrap();
    assert_eq!(app.redeem(&grant).await.err(), Some(invalid()));

    let grant = app.grant(&idp, &provider).await.unwrap();
    let response = app.redeem(&grant).await.unwrap();
    assert_eq!(
        app.redeem(&grant).await.err(),
        Some(invalid()),
        "a code works once"
    );
    app.prove(&grant, &response, &keys).await.unwrap();
    let another = app.grant(&idp, &provider).await.unwrap();
    assert_eq!(
        app.prove(&another, &response, &keys).await,
        Err(IdTokenError::WrongNonce.into())
    );
    let later = grant.prove_by_id_token(&response, &keys, now() + 700);
    assert_eq!(later, Err(ProveError::IdToken(IdTokenError::Expired)));

    // The provider insists on a challenge, and on S256.
    let (_, url) = app.begin(&provider);
    for weaker in [
        url.replace("code_challenge_method=S256", "code_challenge_method=plain"),
        url.replace("code_challenge", "x"),
    ] {
        let called = idp.browse(&weaker).await.unwrap();
        assert!(
            called.callback.contains("error=invalid_request"),
            "{}",
            called.callback
        );
    }
    idp.stop().await;
}

/// B11, B15.
#[tokio::test]
async fn two_providers_with_the_same_clients_and_subjects_are_not_mixed_up() {
    const SECOND: &str = "https://second.example.test";
    let World {
        authority,
        idp,
        app,
    } = world().await;
    let clients = [with_secret()];
    let second = OpenIdProvider::start(&authority, SECOND, Shape::OpenId, &clients, None)
        .await
        .unwrap();
    second
        .person(
            json!({"sub": "248289761001", "email": "Person@mail.example", "email_verified": true}),
        )
        .await
        .unwrap();
    let there = App::new(&authority, &second, SECOND, "app", credentials());
    let (first, other) = (
        app.sign_in(&idp).await.unwrap(),
        there.sign_in(&second).await.unwrap(),
    );
    assert_eq!(first.subject().subject(), other.subject().subject());
    assert_ne!(
        first.subject(),
        other.subject(),
        "a subject is of its issuer"
    );

    let (provider, elsewhere) = (
        app.discover().await.unwrap(),
        there.discover().await.unwrap(),
    );
    // RFC 9207 section 1: the browser is sent to the one and comes back from the other.
    let (pending, url) = app.begin(&provider);
    let called = second.browse(&url.replace(ISSUER, SECOND)).await.unwrap();
    let refused = pending.accept(PROJECT, &DEVICE, &called.callback, now());
    assert_eq!(refused.err(), Some(CallbackError::WrongIssuer));
    // A genuine token of the other issuer, for an app of this name.
    let grant = app.grant(&idp, &provider).await.unwrap();
    let their_grant = there.grant(&second, &elsewhere).await.unwrap();
    let theirs = there.redeem(&their_grant).await.unwrap();
    assert_eq!(
        app.prove(&grant, &theirs, &app.keys(&provider).await.unwrap())
            .await,
        Err(JwsError::UnknownKey.into())
    );
    let their_keys = there.keys(&elsewhere).await.unwrap();
    let refused = grant.prove_by_id_token(&theirs, &their_keys, now());
    assert_eq!(refused, Err(ProveError::IdToken(IdTokenError::WrongIssuer)));
    idp.stop().await;
    second.stop().await;
}

/// B13, for tokens that an app brings.
#[tokio::test]
async fn a_token_of_an_apps_own_provider_counts_for_whoever_committed_to_it_first() {
    let World { idp, app, .. } = world().await;
    let provider = app.discover().await.unwrap();
    let keys = app.keys(&provider).await.unwrap();
    let grant = app.grant(&idp, &provider).await.unwrap();
    let response = app.redeem(&grant).await.unwrap();
    let token = response.id_token().unwrap();
    let issuer = |issuer: &str, audience: &str, algorithm| {
        let source = KeySource::Jwks(provider.jwks_uri().unwrap().clone());
        CustomIssuer::new(
            issuer,
            audience,
            source,
            &[algorithm],
            600,
            EmailTrust::Claimed,
        )
        .unwrap()
    };
    let ours = issuer(ISSUER, "app", Algorithm::Rs256);
    let mut commitments = TokenCommitments::new(10, 10);
    assert!(
        commitments.show(PROJECT, &DEVICE, token, now()).is_err(),
        "nobody committed to it"
    );
    commitments
        .commit(PROJECT, &DEVICE, TokenCommitment::of(token), now())
        .unwrap();
    for (project, device) in [(PROJECT, &OTHER), ("another.example", &DEVICE)] {
        let taken = commitments.commit(project, device, TokenCommitment::of(token), now());
        assert_eq!(taken, Err(CommitmentError::Taken));
        assert!(commitments.show(project, device, token, now()).is_err());
    }
    let shown = commitments.show(PROJECT, &DEVICE, token, now()).unwrap();
    let proven = ours.verify_committed(&shown, &keys, now()).unwrap();
    assert_eq!(
        (proven.device(), proven.subject().subject()),
        (&DEVICE, "248289761001")
    );
    for (other, error) in [
        (
            issuer("https://idp.example.test/", "app", Algorithm::Rs256),
            IdTokenError::WrongIssuer,
        ),
        (
            issuer(ISSUER, "another", Algorithm::Rs256),
            IdTokenError::WrongAudience,
        ),
        (
            issuer(ISSUER, "app", Algorithm::Es256),
            JwsError::AlgorithmNotAllowed.into(),
        ),
    ] {
        assert_eq!(other.verify_committed(&shown, &keys, now()), Err(error));
    }
    assert_eq!(
        ours.verify_committed(&shown, &keys, now() + 700),
        Err(IdTokenError::Expired)
    );
    assert!(
        commitments.show(PROJECT, &DEVICE, token, now()).is_err(),
        "shown once"
    );

    // A nonce of this device in place of a commitment.
    let salt = *app
        .prove(&grant, &response, &keys)
        .await
        .unwrap()
        .nonce_salt()
        .unwrap();
    ours.verify_bound(token, &keys, PROJECT, &DEVICE, &salt, now())
        .unwrap();
    for (project, device) in [(PROJECT, &OTHER), ("another.example", &DEVICE)] {
        let refused = ours.verify_bound(token, &keys, project, device, &salt, now());
        assert_eq!(refused, Err(IdTokenError::WrongNonce));
    }
    idp.stop().await;
}
