//! Google, Apple, X and Discord at their own addresses, as far as their public documents say what they do.

use std::sync::Arc;

use keyfold_crypto::SecretBytes;
use keyfold_identity::oidc::authorization::{ProvenIdentity, ProviderRefusal};
use keyfold_identity::oidc::client::{AppleKey, ClientCredentials, signing_key_from_pem};
use keyfold_identity::oidc::provider::Provider;
use keyfold_identity::oidc::token::TokenResponseError;
use keyfold_testkit::counterparts::{Authority, OpenIdProvider, Shape};
use serde_json::{Value, json};

use crate::app::{App, DEVICE, PROJECT, REDIRECT, Refusal, secret};

fn client(more: &Value) -> Value {
    let mut client = json!({
        "client_id": "app",
        "client_secret": "secret",
        "redirect_uris": [REDIRECT],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let members = client.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    client
}

/// Signs a person in; by an ID token where the provider makes some.
async fn sign_in(
    app: &App,
    idp: &OpenIdProvider,
    provider: Provider,
) -> Result<ProvenIdentity, Refusal> {
    let provider = Arc::new(provider);
    let grant = app.grant(idp, &provider).await?;
    let response = app.redeem(&grant).await?;
    match provider.jwks_uri() {
        Some(_) => {
            app.prove(&grant, &response, &app.keys(&provider).await?)
                .await
        }
        None => app.user_info(&grant, &response).await,
    }
}

#[tokio::test]
async fn a_person_signs_in_with_google_x_and_discord() {
    for (shape, provider, method, subject) in [
        (
            Shape::Google,
            Provider::google(),
            "client_secret_post",
            "110169484474386276334",
        ),
        (Shape::X, Provider::x(), "client_secret_basic", "2244994945"),
        (
            Shape::Discord,
            Provider::discord(),
            "client_secret_post",
            "80351110224678912",
        ),
    ] {
        let issuer = provider.issuer().to_owned();
        let authority = Authority::new().unwrap();
        let metadata = client(&json!({"token_endpoint_auth_method": method}));
        let idp = OpenIdProvider::start(&authority, &issuer, shape, &[metadata], None)
            .await
            .unwrap();
        let credentials = |text: &str| match method {
            "client_secret_basic" => ClientCredentials::SecretBasic(secret(text)),
            _ => ClientCredentials::SecretPost(secret(text)),
        };
        let app = App::new(&authority, &idp, &issuer, "app", credentials("secret"));
        for verified in [true, false] {
            let person =
                json!({"sub": subject, "email": "person@mail.example", "email_verified": verified});
            idp.person(person).await.unwrap();
            let proven = sign_in(&app, &idp, provider.clone()).await;
            let proven = proven.unwrap_or_else(|refusal| panic!("{shape:?}: {refusal:?}"));
            assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
            assert_eq!(
                (proven.subject().issuer(), proven.subject().subject()),
                (&*issuer, subject)
            );
            // Google has no say on another domain's address, and X is asked for none.
            let said = proven.subject().email().map(|email| email.verified);
            let expected = match shape {
                Shape::Google => Some(false),
                Shape::Discord => Some(verified),
                _ => None,
            };
            assert_eq!(said, expected, "{shape:?} {verified}");
        }
        let app = App::new(&authority, &idp, &issuer, "app", credentials("another"));
        let refused = TokenResponseError::Refused(ProviderRefusal::InvalidClient);
        assert_eq!(
            sign_in(&app, &idp, provider).await,
            Err(Refusal::Token(refused)),
            "{shape:?}"
        );
        idp.stop().await;
    }
}

#[tokio::test]
async fn an_address_counts_as_verified_at_google_where_google_runs_the_mailbox() {
    let authority = Authority::new().unwrap();
    let issuer = Provider::google().issuer().to_owned();
    let clients = [client(&json!({}))];
    let idp = OpenIdProvider::start(&authority, &issuer, Shape::Google, &clients, None)
        .await
        .unwrap();
    let app = App::new(
        &authority,
        &idp,
        &issuer,
        "app",
        ClientCredentials::SecretPost(secret("secret")),
    );
    for (person, verified) in [
        (
            json!({"sub": "1", "email": "person@gmail.com", "email_verified": true}),
            true,
        ),
        (
            json!({"sub": "1", "email": "person@firm.example", "email_verified": true, "hd": "firm.example"}),
            true,
        ),
        (
            json!({"sub": "1", "email": "person@firm.example", "email_verified": true}),
            false,
        ),
    ] {
        idp.person(person.clone()).await.unwrap();
        let proven = sign_in(&app, &idp, Provider::google()).await.unwrap();
        assert_eq!(
            proven.subject().email().unwrap().verified,
            verified,
            "{person}"
        );
    }
    idp.stop().await;
}

#[tokio::test]
async fn apples_client_secret_is_one_that_another_library_accepts_from_this_key_alone() {
    let pem = || {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .unwrap()
            .serialize_pem()
    };
    let (ours, stolen) = (pem(), pem());
    let bytes = |pem: &str| SecretBytes::from_slice(pem.as_bytes());
    let public = signing_key_from_pem(&bytes(&ours)).unwrap().public_jwk();
    let known = json!({"team_id": "TEAM123456", "key_id": "KEY1234567", "public_key": public});
    let authority = Authority::new().unwrap();
    let issuer = Provider::apple().issuer().to_owned();
    let clients = [client(&json!({}))];
    let idp = OpenIdProvider::start(&authority, &issuer, Shape::Apple, &clients, Some(known))
        .await
        .unwrap();
    idp.person(json!({"sub": "001234.0a1b2c", "email": "a@privaterelay.appleid.com", "email_verified": true})).await.unwrap();
    let app = |team: &str, key: &str, pem: &str| {
        let key = AppleKey::from_pem(team, key, &bytes(pem)).unwrap();
        App::new(
            &authority,
            &idp,
            &issuer,
            "app",
            ClientCredentials::Apple(key),
        )
    };
    let proven = sign_in(
        &app("TEAM123456", "KEY1234567", &ours),
        &idp,
        Provider::apple(),
    )
    .await
    .unwrap();
    assert_eq!(proven.subject().subject(), "001234.0a1b2c");
    assert!(proven.subject().email().unwrap().verified);
    for (team, key, pem) in [
        ("TEAM123456", "KEY1234567", &stolen),
        ("TEAM999999", "KEY1234567", &ours),
        ("TEAM123456", "KEY9999999", &ours),
    ] {
        let refused = TokenResponseError::Refused(ProviderRefusal::InvalidClient);
        let refused = Err(Refusal::Token(refused));
        assert_eq!(
            sign_in(&app(team, key, pem), &idp, Provider::apple()).await,
            refused
        );
    }
    idp.stop().await;
}
