//! What we sign, judged by `jose` and `standardwebhooks`.

use keyfold_crypto::b64;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::ids::{AccountId, AddressId, RealmId, SessionId};
use keyfold_protocol::session::{
    AttestationKeySet, AttestationSigner, Confirmation, SessionClaims,
};
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
