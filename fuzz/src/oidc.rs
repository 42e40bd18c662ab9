//! What identity providers answer, and what comes back through a browser.

use std::sync::{Arc, OnceLock};

use keyfold_crypto::b64;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::testing::SeededRng;
use keyfold_identity::oidc::authorization::{AuthorizationOptions, PendingAuthorization};
use keyfold_identity::oidc::binding::{Nonce, NonceSalt};
use keyfold_identity::oidc::client::Client;
use keyfold_identity::oidc::discovery::ProviderMetadata;
use keyfold_identity::oidc::id_token::{self, IdTokenExpectation};
use keyfold_identity::oidc::jws::UnverifiedJws;
use keyfold_identity::oidc::keys::{Algorithm, KeySet, MAX_KEYS};
use keyfold_identity::oidc::provider::Provider;
use keyfold_identity::oidc::subject::EmailTrust;
use keyfold_identity::oidc::token::TokenResponse;
use keyfold_identity::oidc::url::HttpsUrl;
use serde_json::{Value, json};

use crate::{fixtures, reached};

const NOW: u64 = fixtures::NOW;
const ISSUER: &str = "https://login.example";
const DEVICE: Thumbprint = Thumbprint([7; 32]);

fn nonce() -> Nonce {
    let salt = NonceSalt::from_bytes([9; 32]);
    Nonce::for_device("app.example", &DEVICE, &salt)
}

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::from_jwks(&jwks_document()).expect("a set"))
}

/// The set of the one key that [`id_token`] signs with.
pub(crate) fn jwks_document() -> Vec<u8> {
    let mut jwk = serde_json::to_value(fixtures::device().public_jwk()).expect("a key");
    jwk["kid"] = json!("k");
    json!({ "keys": [jwk] }).to_string().into_bytes()
}

/// Claims that are taken.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "24400320", "aud": ["client-1", "our-api"], "azp": "client-1",
        "nonce": nonce().as_str(), "iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 300,
        "auth_time": NOW - 20, "acr": "gold", "email": "a@mail.example", "email_verified": "true",
    })
}

/// A discovery document that is taken.
pub(crate) fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": "https://keys.example/jwks",
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Claims that are taken, whoever wrote them, say what was expected: read again by another reader,
/// they name this issuer, this client, this nonce, and a time that is now.
pub fn id_token(data: &[u8]) {
    let nonce = nonce();
    let expect = IdTokenExpectation {
        issuer: ISSUER,
        client_id: "client-1",
        trusted_audiences: &["our-api"],
        algorithms: &[Algorithm::Es256],
        nonce: Some(&nonce),
        max_token_age_seconds: 600,
        max_authentication_age_seconds: Some(600),
        acr_values: &["gold"],
        email_trust: EmailTrust::Claimed,
        now_unix_seconds: NOW,
    };
    // As it stands: a signed text that the fuzzer cannot have made.
    if let Ok(text) = core::str::from_utf8(data) {
        assert!(id_token::verify(text, keys(), &expect).is_err());
        if let Ok(parsed) = UnverifiedJws::parse(text) {
            assert!(parsed.verify(keys(), &Algorithm::ALL).is_err());
        }
    }
    let message = format!(
        "{}.{}",
        b64::encode(br#"{"alg":"ES256","kid":"k"}"#),
        b64::encode(data)
    );
    let signature = fixtures::device().sign(message.as_bytes());
    let token = format!("{message}.{}", b64::encode(&signature));
    let Ok(proven) = id_token::verify(&token, keys(), &expect) else {
        return;
    };
    reached();
    let claims: Value = serde_json::from_slice(data).expect("what was read is JSON");
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["sub"], proven.subject());
    assert_eq!(claims["nonce"], nonce.as_str());
    assert_eq!(claims["acr"], "gold");
    let audiences = match &claims["aud"] {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    assert!(audiences.contains(&json!("client-1")));
    assert!(
        audiences
            .iter()
            .all(|name| name == "client-1" || name == "our-api")
    );
    assert!(audiences.len() == 1 || !claims["azp"].is_null());
    let time = |name: &str| claims[name].as_u64().expect("a time");
    assert!(time("exp") > NOW - 60 && time("exp") > time("iat"));
    assert!((NOW - 660..=NOW + 60).contains(&time("iat")));
    assert!((NOW - 660..=NOW + 60).contains(&time("auth_time")));
    if let Some(email) = proven.email() {
        let claimed = claims["email"].as_str().expect("an address");
        assert!(claimed.eq_ignore_ascii_case(email.address.as_str()));
        let verified = &claims["email_verified"];
        assert_eq!(email.verified, *verified == true || *verified == "true");
    }
}

/// A key set that is read has few keys, each with a name of its own, and no private one.
pub fn jwks(data: &[u8]) {
    let Ok(set) = KeySet::from_jwks(data) else {
        if let Ok(text) = core::str::from_utf8(data)
            && let Ok(set) = KeySet::from_pem(text)
        {
            assert_eq!(set.keys().len(), 1);
        }
        return;
    };
    reached();
    assert!((1..=MAX_KEYS).contains(&set.keys().len()));
    let names: Vec<_> = set.keys().iter().filter_map(|key| key.kid()).collect();
    for (index, name) in names.iter().enumerate() {
        assert!(!names[..index].contains(name) && (1..=256).contains(&name.len()));
    }
    let document: Value = serde_json::from_slice(data).expect("what was read is JSON");
    for key in document["keys"].as_array().expect("a list") {
        assert!(key.get("d").is_none() && key.get("p").is_none() && key.get("q").is_none());
    }
}

/// A description that is taken is this issuer's, offers what protects a code, and points to no
/// place inside; so does every URL that is read.
pub fn discovery(data: &[u8]) {
    let issuer = HttpsUrl::parse(ISSUER).expect("a URL");
    if let Ok(url) =
        core::str::from_utf8(data).map_or(Err(()), |t| HttpsUrl::parse(t).map_err(drop))
    {
        assert!(url.as_str().starts_with("https://") && !url.as_str().contains(['#', '\\']));
        assert!(url.host().contains('.') && !url.host().contains(['@', ':', '[', '/', '%']));
        assert!(url.host().parse::<std::net::IpAddr>().is_err());
        assert_eq!(HttpsUrl::parse(url.as_str()).as_ref(), Ok(&url));
    }
    let Ok(metadata) = ProviderMetadata::from_document(&issuer, data) else {
        return;
    };
    reached();
    let document: Value = serde_json::from_slice(data).expect("what was read is JSON");
    assert_eq!(document["issuer"], ISSUER);
    let names = |list: &str, name: &str| {
        let list = document[list].as_array().expect("a list");
        list.contains(&json!(name))
    };
    assert!(names("response_types_supported", "code"));
    assert!(names("code_challenge_methods_supported", "S256"));
    assert_eq!(document["jwks_uri"], metadata.jwks_uri().as_str());
    let provider = Provider::discovered(metadata, EmailTrust::Never);
    assert_eq!(provider.issuer(), ISSUER);
    assert_eq!(
        document["token_endpoint"],
        provider.token_endpoint().as_str()
    );
}

fn begin(provider: Provider) -> PendingAuthorization {
    let client = Client::new("client-1", "https://app.example/cb").expect("a client");
    let options = AuthorizationOptions::default();
    let rng = &mut SeededRng::new(1);
    let provider = Arc::new(provider);
    PendingAuthorization::begin(provider, client, options, "app.example", DEVICE, NOW, rng).0
}

/// The state of the sign-in that [`callback`] is for; fixed, for the generator is seeded.
pub(crate) fn state() -> String {
    let mut bytes = [0; 32];
    rand_core::Rng::fill_bytes(&mut SeededRng::new(1), &mut bytes);
    b64::encode(&bytes)
}

/// The values of a form's member, read by another reader than the one under test.
fn values(form: &str, name: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| {
        let bytes = text.as_bytes();
        let mut decoded = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let hex = text.get(at + 1..at + 3);
            let escaped = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            match (bytes[at], escaped) {
                (b'%', Some(hex)) => {
                    decoded.push(u8::from_str_radix(hex, 16).expect("two digits"));
                    at += 2;
                }
                (b'+', _) => decoded.push(b' '),
                (byte, _) => decoded.push(byte),
            }
            at += 1;
        }
        decoded
    };
    form.split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| decode(key) == name.as_bytes())
        .map(|(_, value)| decode(value))
        .collect()
}

/// A callback that is taken holds one code, this sign-in's state, no error and no other issuer; it
/// is taken from the device that began.
pub fn callback(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let result = begin(Provider::google()).accept("app.example", &DEVICE, text, NOW);
    if result.is_ok() {
        reached();
        assert_eq!(values(text, "state"), [state().into_bytes()]);
        assert_eq!(values(text, "code").len(), 1);
        assert!(values(text, "error").is_empty());
        let issuers = values(text, "iss");
        assert!(issuers.is_empty() || issuers == [b"https://accounts.google.com".to_vec()]);
    }
    let other = begin(Provider::google()).accept("app.example", &Thumbprint([8; 32]), text, NOW);
    assert!(other.is_err());
}

/// A token endpoint's answer that is read gives a header of one line; a user-info document that
/// is read names a number.
pub fn answer(data: &[u8]) {
    let provider = || Provider::discord();
    let callback = format!("code=c&state={}", state());
    let grant = begin(provider())
        .accept("app.example", &DEVICE, &callback, NOW)
        .expect("a grant");
    if let Ok(response) = TokenResponse::parse(200, data) {
        reached();
        let request = grant.user_info_request(&response).expect("a request");
        request.authorization.expose(|header| {
            let token = header.strip_prefix(b"Bearer ").expect("a bearer token");
            assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
        });
    }
    assert!(TokenResponse::parse(400, data).is_err());
    if let Ok(proven) = grant.prove_by_user_info(data, NOW) {
        reached();
        let subject = proven.subject().subject();
        assert!(!subject.is_empty() && subject.bytes().all(|b| b.is_ascii_digit()));
        let document: Value = serde_json::from_slice(data).expect("what was read is JSON");
        assert_eq!(document["id"], subject);
        assert_eq!(proven.device(), &DEVICE);
    }
}
