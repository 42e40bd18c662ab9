//! Proofs of a client, read back as a provider would.

use keyfold_crypto::testing::SeededRng;
use p256::pkcs8::EncodePrivateKey as _;
use p256::pkcs8::der::pem::LineEnding;

use super::*;
use crate::oidc::jws::UnverifiedJws;
use crate::oidc::keys::{Algorithm, KeySet};
use crate::oidc::testing::{NOW, jwks};

fn secret(text: &str) -> ClientSecret {
    ClientSecret::new(SecretBytes::from_slice(text.as_bytes())).unwrap()
}

fn prove(credentials: &ClientCredentials) -> (Option<String>, Vec<(String, String)>) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let header = credentials.prove(
        "client 1",
        "https://login.example",
        &mut form,
        NOW,
        &mut SeededRng::new(5),
    );
    let header = header.map(|h| h.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
    let body = form.finish();
    (
        header,
        form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect(),
    )
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// The claims of a signed statement, verified as its receiver does.
fn statement(text: &str, key: &DeviceSigningKey, kid: &str, algorithm: Algorithm) -> Value {
    let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
    jwk["kid"] = json!(kid);
    let keys = KeySet::from_jwks(&jwks(&[jwk])).unwrap();
    let parsed = UnverifiedJws::parse(text).unwrap();
    let payload = parsed.verify(&keys, &[algorithm]).unwrap();
    serde_json::from_slice(payload.as_bytes()).unwrap()
}

#[test]
fn a_secret_travels_in_the_header_or_in_the_body_never_in_both() {
    // RFC 6749 section 2.3.1: each part is form-encoded, so a colon in one cannot move the border.
    let (header, body) = prove(&ClientCredentials::SecretBasic(secret("a:b+c%/")));
    let joined = "client+1:a%3Ab%2Bc%25%2F";
    let expected = format!(
        "Basic {}",
        base64ct::Base64::encode_string(joined.as_bytes())
    );
    assert_eq!((header.as_deref(), body), (Some(expected.as_str()), vec![]));

    let (header, body) = prove(&ClientCredentials::SecretPost(secret("a:b+c%/")));
    let expected = pairs(&[("client_secret", "a:b+c%/"), ("client_id", "client 1")]);
    assert_eq!((header, body), (None, expected));

    let (header, body) = prove(&ClientCredentials::Public);
    assert_eq!((header, body), (None, pairs(&[("client_id", "client 1")])));
}

/// <https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token>
#[test]
fn the_example_of_the_basic_scheme() {
    let header = basic("Aladdin", "opensesame");
    header.expose(|bytes| assert_eq!(bytes, b"Basic QWxhZGRpbjpvcGVuc2VzYW1l"));
}

#[test]
fn a_signed_statement_names_client_issuer_and_one_minute() {
    for (key, algorithm) in [
        (
            DeviceSigningKey::generate_p256(&mut SeededRng::new(1)),
            Algorithm::Es256,
        ),
        (
            DeviceSigningKey::generate_ed25519(&mut SeededRng::new(2)),
            Algorithm::EdDsa,
        ),
    ] {
        let public =
            DeviceSigningKey::from_secret_bytes(&key.to_secret_bytes().expose(<[u8]>::to_vec))
                .unwrap();
        let kid = "our-key".to_owned();
        let (header, body) = prove(&ClientCredentials::PrivateKeyJwt { key, kid });
        assert_eq!(header, None);
        assert_eq!(
            body[0],
            pairs(&[("client_assertion_type", ASSERTION_TYPE)])[0]
        );
        assert_eq!(body[2], pairs(&[("client_id", "client 1")])[0]);
        let claims = statement(&body[1].1, &public, "our-key", algorithm);
        assert_eq!(claims["iss"], "client 1");
        assert_eq!(claims["sub"], "client 1");
        assert_eq!(claims["aud"], "https://login.example");
        assert_eq!(claims["iat"], NOW);
        assert_eq!(claims["exp"], NOW + 60);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    }
}

#[test]
fn apples_client_secret_has_apples_claims() {
    let key = p256::SecretKey::from_slice(&[0x42; 32]).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pem = SecretBytes::from_slice(pem.as_bytes());
    let apple = AppleKey::from_pem("DEF123GHIJ", "ABC123DEFG", &pem).unwrap();
    let (header, body) = prove(&ClientCredentials::Apple(apple));
    assert_eq!(header, None);
    assert_eq!(body[0].0, "client_secret");
    assert_eq!(body[1], pairs(&[("client_id", "client 1")])[0]);
    let public = signing_key_from_pem(&pem).unwrap();
    let claims = statement(&body[0].1, &public, "ABC123DEFG", Algorithm::Es256);
    assert_eq!(
        claims,
        json!({"iss": "DEF123GHIJ", "sub": "client 1", "aud": "https://appleid.apple.com",
            "iat": NOW, "exp": NOW + 300})
    );
}

#[test]
fn another_library_verifies_our_statements_and_we_its_tokens() {
    use jsonwebtoken::{Algorithm as TheirAlgorithm, DecodingKey, EncodingKey, Header, Validation};
    let key = p256::SecretKey::from_slice(&[0x42; 32]).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let secret = SecretBytes::from_slice(pem.as_bytes());
    let public = signing_key_from_pem(&secret).unwrap().public_jwk();

    let apple = AppleKey::from_pem("DEF123GHIJ", "ABC123DEFG", &secret).unwrap();
    let (_, body) = prove(&ClientCredentials::Apple(apple));
    let mut validation = Validation::new(TheirAlgorithm::ES256);
    validation.set_audience(&[APPLE_AUDIENCE]);
    validation.set_issuer(&["DEF123GHIJ"]);
    // It would look at this machine's clock.
    validation.validate_exp = false;
    let jwk = serde_json::to_value(public).unwrap();
    let text = |member: &str| jwk[member].as_str().unwrap();
    let theirs = DecodingKey::from_ec_components(text("x"), text("y")).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(&body[0].1, &theirs, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "client 1");
    assert_eq!(decoded.header.kid.as_deref(), Some("ABC123DEFG"));

    let header = Header {
        kid: Some("theirs".to_owned()),
        ..Header::new(TheirAlgorithm::ES256)
    };
    let signer = EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes());
    let token = jsonwebtoken::encode(&header, &json!({"sub": "anna"}), &signer).unwrap();
    let mut named = jwk.clone();
    named["kid"] = json!("theirs");
    let keys = KeySet::from_jwks(&jwks(&[named])).unwrap();
    let payload = UnverifiedJws::parse(&token)
        .unwrap()
        .verify(&keys, &[Algorithm::Es256])
        .unwrap();
    assert_eq!(payload.as_bytes(), br#"{"sub":"anna"}"#);
}

#[test]
fn malformed_configuration_is_refused() {
    let long = "x".repeat(2_000);
    for id in ["", "a\nb", "a b", "\u{e4}", &long] {
        let client = Client::new(id, "https://app.example/cb");
        assert_eq!(client, Err(ClientError::ClientId));
    }
    for uri in [
        "https://app.example/callback?x=y",
        "com.example.app:/callback",
        "http://127.0.0.1:8123/cb",
        "http://localhost/cb",
    ] {
        assert!(Client::new("c", uri).is_ok(), "{uri}");
    }
    for uri in [
        "",
        "http://app.example/cb",
        "https://app.example/cb#x",
        "https://a@app.example/cb",
        "com.example.app:/callback#x",
        "myapp:/callback",
        "javascript:/alert(1)",
        "data:/x",
        "/cb",
        "https://*.app.example/cb#",
    ] {
        assert_eq!(Client::new("c", uri), Err(ClientError::Redirect), "{uri}");
    }
    for bad in ["", "a b", "a\n", &long] {
        let secret = ClientSecret::new(SecretBytes::from_slice(bad.as_bytes()));
        assert_eq!(secret.unwrap_err(), ClientError::Secret);
    }
    for bad in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        &long,
    ] {
        let pem = SecretBytes::from_slice(bad.as_bytes());
        assert!(AppleKey::from_pem("T", "K", &pem).is_err());
    }
}

#[test]
fn nothing_secret_is_printed() {
    let shown = format!(
        "{:?}",
        ClientCredentials::SecretBasic(secret("s3cret-value"))
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}
