//! What we sign, judged by `jose` and `standardwebhooks`.

use keyfold_crypto::b64;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::ids::{AccountId, AddressId, RealmId, SessionId};
use keyfold_protocol::session::{
    AttestationKeySet, AttestationSigner, Confirmation, IdTokenClaims, SessionClaims,
};
use keyfold_protocol::webhook::{Happened, WebhookBody, WebhookSecret};
use keyfold_testkit::counterparts::{CounterpartError, Wallets};
use serde_json::{Value, json};

use crate::now;

fn claims(at: u64) -> SessionClaims {
    SessionClaims {
        iss: RealmId::from_bytes([1; 32]),
        aud: "app.example".parse().unwrap(),
        sub: AccountId::from_bytes([2; 16]),
        cnf: Confirmation {
            jkt: Thumbprint([3; 32]),
        },
        wallets: vec![AddressId::from_bytes([0xab; 20])],
        amr: vec!["otp".into()],
        acr: "keyfold:1".into(),
        auth_time: at,
        sid: SessionId::from_bytes([4; 16]),
        iat: at,
        exp: at + 3_600,
        jti: "5".into(),
    }
}

fn code(refused: Result<Value, CounterpartError>) -> String {
    match refused {
        Err(CounterpartError::Refused { reason, .. }) => {
            reason.split(':').next().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn jose_verifies_a_session_attestation_and_nothing_made_of_it() {
    let wallets = Wallets::start().await.unwrap();
    let signers = [
        AttestationSigner::generate_rs256().unwrap(),
        AttestationSigner::generate_es256().unwrap(),
    ];
    let public = signers
        .iter()
        .map(|signer| signer.public_jwk().clone())
        .collect();
    let jwks = serde_json::to_value(AttestationKeySet::new(public).unwrap()).unwrap();
    let at = now();
    let claims = claims(at);
    let options = json!({
        "issuer": claims.iss.to_string(), "audience": "app.example", "currentUnixSeconds": at,
        "algorithms": ["RS256", "ES256"], "requiredClaims": ["sub", "exp", "iat", "jti"],
    });
    for (signer, algorithm) in signers.iter().zip(["RS256", "ES256"]) {
        let token = signer.sign(&claims).unwrap();
        let judged = wallets.check_token(&token, &jwks, &options).await.unwrap();
        assert_eq!(judged["payload"], serde_json::to_value(&claims).unwrap());
        assert_eq!(judged["header"]["alg"], algorithm);

        let [header, payload, signature]: [&str; 3] =
            token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let mut other = claims.clone();
        other.sub = AccountId::from_bytes([9; 16]);
        let other = b64::encode(&serde_json::to_vec(&other).unwrap());
        let forged = format!("{header}.{other}.{signature}");
        let refused = wallets.check_token(&forged, &jwks, &options).await;
        assert_eq!(code(refused), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
        let unsigned = format!("{}.{payload}.", b64::encode(br#"{"alg":"none"}"#));
        assert_eq!(
            code(wallets.check_token(&unsigned, &jwks, &options).await),
            "ERR_JOSE_ALG_NOT_ALLOWED"
        );
        for (name, value, expected) in [
            (
                "issuer",
                json!("another"),
                "ERR_JWT_CLAIM_VALIDATION_FAILED",
            ),
            (
                "audience",
                json!("another.example"),
                "ERR_JWT_CLAIM_VALIDATION_FAILED",
            ),
            ("currentUnixSeconds", json!(at + 3_600), "ERR_JWT_EXPIRED"),
        ] {
            let mut options = options.clone();
            options[name] = value;
            assert_eq!(
                code(wallets.check_token(&token, &jwks, &options).await),
                expected,
                "{name}"
            );
        }
        let stranger = AttestationSigner::generate_es256()
            .unwrap()
            .sign(&claims)
            .unwrap();
        assert_eq!(
            code(wallets.check_token(&stranger, &jwks, &options).await),
            "ERR_JWKS_NO_MATCHING_KEY"
        );
    }
    wallets.stop().await;
}

#[tokio::test]
async fn jose_verifies_an_id_token_as_openid_libraries_do() {
    let wallets = Wallets::start().await.unwrap();
    let at = now();
    let id_token = IdTokenClaims {
        iss: "https://id.example".parse().unwrap(),
        aud: "app.example".parse().unwrap(),
        sub: AccountId::from_bytes([2; 16]),
        nonce: Some("n-0S6_WzA2Mj".parse().unwrap()),
        auth_time: at,
        amr: vec!["otp".into()],
        acr: "email-code".into(),
        sid: SessionId::from_bytes([4; 16]),
        iat: at,
        exp: at + 300,
        jti: "5".into(),
    };
    // As a library does that knows the issuer and its own client id, and nothing of ours.
    let options = json!({
        "issuer": "https://id.example", "audience": "app.example", "currentUnixSeconds": at,
        "algorithms": ["RS256", "ES256"], "requiredClaims": ["iss", "sub", "aud", "exp", "iat"],
        "typ": "JWT", "maxTokenAge": "10m",
    });
    for signer in [
        AttestationSigner::generate_rs256().unwrap(),
        AttestationSigner::generate_es256().unwrap(),
    ] {
        let keys = AttestationKeySet::new(vec![signer.public_jwk().clone()]).unwrap();
        let jwks = serde_json::to_value(keys).unwrap();
        let token = signer.sign_id_token(&id_token).unwrap();
        let judged = wallets.check_token(&token, &jwks, &options).await.unwrap();
        assert_eq!(judged["payload"], serde_json::to_value(&id_token).unwrap());
        // An attestation does not pass for one, whatever it says.
        let attestation = signer.sign(&claims(at)).unwrap();
        let mut loose = options.clone();
        loose["issuer"] = claims(at).iss.to_string().into();
        assert_eq!(
            code(wallets.check_token(&attestation, &jwks, &loose).await),
            "ERR_JWT_CLAIM_VALIDATION_FAILED"
        );
        let mut late = options.clone();
        late["currentUnixSeconds"] = (at + 300).into();
        assert_eq!(
            code(wallets.check_token(&token, &jwks, &late).await),
            "ERR_JWT_EXPIRED"
        );
    }
    wallets.stop().await;
}

#[tokio::test]
async fn standardwebhooks_verifies_what_we_tell_and_nothing_made_of_it() {
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let wallets = Wallets::start().await.unwrap();
    let at = now();
    let happened = Happened::SessionRevoked {
        account: AccountId::from_bytes([2; 16]),
        device: Thumbprint([3; 32]),
        session: SessionId::from_bytes([4; 16]),
    };
    let body = serde_json::to_string(&WebhookBody::new(happened, at)).unwrap();
    let secret = WebhookSecret::parse(KEY).unwrap();
    let headers = |at: u64| {
        json!({
            "webhook-id": "msg_1", "webhook-timestamp": at.to_string(),
            "webhook-signature": secret.sign("msg_1", at, body.as_bytes()),
        })
    };
    let judged = wallets.check_webhook(KEY, &headers(at), &body).await;
    assert_eq!(judged.unwrap()["type"], "session.revoked");
    let mut other_id = headers(at);
    other_id["webhook-id"] = "msg_2".into();
    let other_body = body.replace("02", "03");
    let other_key = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    for (defect, key, headers, body) in [
        ("another id", KEY, other_id, &body),
        ("another body", KEY, headers(at), &other_body),
        ("another key", other_key, headers(at), &body),
        ("an old one", KEY, headers(at - 3_600), &body),
    ] {
        let refused = wallets.check_webhook(key, &headers, body).await;
        assert!(
            matches!(refused, Err(CounterpartError::Refused { .. })),
            "{defect}"
        );
    }
    wallets.stop().await;
}
