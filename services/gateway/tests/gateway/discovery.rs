use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::path;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn libraries_find_the_keys_below_the_public_address() {
    let mut setup = Setup::new(0);
    setup.config.public_url = Some("https://id.example:8443".parse().unwrap());
    let gateway = setup.start().await;
    let answer = gateway.get(path::DISCOVERY).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    let metadata: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(metadata["issuer"], "https://id.example:8443");
    assert_eq!(
        metadata["jwks_uri"],
        "https://id.example:8443/.well-known/jwks.json"
    );
    // What OpenID Connect Discovery 1.0 section 3 requires of whoever has no endpoints.
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        json!(["RS256", "ES256"])
    );
    for required in ["response_types_supported", "subject_types_supported"] {
        assert!(!metadata[required].as_array().unwrap().is_empty());
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_was_told_no_public_address_is_nobodys_issuer() {
    let gateway = Setup::new(0).start().await;
    assert_eq!(code(&gateway.get(path::DISCOVERY).await), Code::NotFound);
    gateway.stop().await;
}
